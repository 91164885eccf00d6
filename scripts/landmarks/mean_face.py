"""Make the mean face that head poses are fitted to: ``python -m scripts.landmarks.mean_face``.

--data DIR has ``faces/faces-*.npz`` with the 478-point meshes in three dimensions (``mesh478``,
``mesh_z``; `scripts.labels` makes them). The meshes are laid onto each other by similarities
(generalised Procrustes analysis, Gower 1975), their mean is made symmetric, and turned so that the
heads look into the camera on average. Writes ``models/mean_face.json``.
"""

import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from faceshape.core.contract import GROUPS, MIRROR, resample
from scripts.training.manifest import MODELS

RIGID_GROUPS = ("LeftEye", "RightEye", "LeftEyeBrow", "RightEyeBrow", "Nose")
ROUNDS = 10


def load_meshes(folder: Path) -> NDArray[np.float64]:
    """Return the meshes (N, 478, 3) in pixels, z into the picture, on which the teacher is sure."""
    meshes = []
    for path in sorted(folder.glob("faces-*.npz")):
        with np.load(path) as shard:
            flat = shard["mesh478"].astype(float) / 32
            depth = shard["mesh_z"].astype(float) / 32
            eyes = np.linalg.norm(flat[:, 33] - flat[:, 263], axis=1)
            sure = (shard["mesh_spread_px"] < 0.02 * eyes) & (eyes > 15) & depth.any(axis=1)
            meshes.append(np.concatenate([flat, depth[..., None]], axis=2)[sure])
    return np.concatenate(meshes)


def aligned(meshes: NDArray, onto: NDArray) -> tuple[NDArray, NDArray]:
    """Return the meshes (N, P, 3) turned and scaled onto a centred one (P, 3), and the turns.

    The turns (N, 3, 3) take `onto` to the meshes (Umeyama 1991).
    """
    centred = meshes - meshes.mean(axis=1, keepdims=True)
    left, sizes, right = np.linalg.svd(centred.transpose(0, 2, 1) @ onto)
    sizes[:, 2] *= (sign := np.linalg.det(left @ right))
    right[:, 2] *= sign[:, None]
    turns = left @ right
    scale = sizes.sum(axis=1) / (centred**2).sum(axis=(1, 2))
    return scale[:, None, None] * (centred @ turns), turns


def mean_mesh(meshes: NDArray) -> NDArray[np.float64]:
    """Return the mean (P, 3) of meshes (N, P, 3), looking into the camera as they do on average."""
    mean = meshes[0] - meshes[0].mean(axis=0)
    for _ in range(ROUNDS):
        laid, turns = aligned(meshes, mean)
        mean = laid.mean(axis=0)
        mean *= np.sqrt((meshes[0] ** 2).sum() / (mean**2).sum())  # similarities shrink it
    left, _, right = np.linalg.svd(turns.mean(axis=0))
    return mean @ (left @ right).T


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True
)
def main(data: Path) -> None:
    """Make ``models/mean_face.json`` from the training meshes."""
    meshes = load_meshes(data / "faces")
    mesh = mean_mesh(meshes)
    points = resample(mesh[None, :, :2], "mesh478")[0]
    depth = LinearNDInterpolator(mesh[:, :2], mesh[:, 2])(points)
    shape = np.concatenate([points, depth[:, None]], axis=1)
    rows = np.concatenate([np.r_[GROUPS[name]] for name in RIGID_GROUPS])
    mirrored = shape[MIRROR]
    middle = (shape + mirrored)[rows, 0].mean() / 2
    shape = (shape + (mirrored - [middle, 0, 0]) * [-1, 1, 1] + [middle, 0, 0]) / 2
    eyes = shape[GROUPS["RightEye"].start, 0] - shape[GROUPS["LeftEye"].start, 0]
    rigid = (shape[rows] - shape[rows].mean(axis=0)) / eyes
    content = {
        "about": "The mean face that head poses are fitted to (faceshape/core/pose.py): rows of "
        "the contract; x right, y down, z into the picture, in distances of the outer eye corners. "
        f"Mean of {len(meshes)} faces (python -m scripts.landmarks.mean_face).",
        "rows": rows.tolist(),
        "shape": rigid.round(4).tolist(),
    }
    (MODELS / "mean_face.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
    click.echo(f"mean of {len(meshes)} faces, {len(rows)} points")


if __name__ == "__main__":
    main()
