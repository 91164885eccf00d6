"""How exact head poses are: real faces turned by known angles, as pictures and as points.

``python -m benchmarks.accuracy.pose --data DIR``. DIR has ``faces/faces-hires.npz`` with meshes in
three dimensions (``mesh_z``). Faces of people that training never saw, which look about into the
camera, are turned by their own mesh: their texture is drawn anew, triangle by triangle, the
farthest first. The error is the angle between the pose that is found and the one before the turn,
turned.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, Delaunay

from benchmarks.cores import use_one_core
from benchmarks.result_table import Table
from faceshape import FaceShapeEngine, Mode, resample
from faceshape.core.pose import head_pose, pose_rotation
from faceshape.vision.image import RGBImage

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
# Yaw, pitch, roll in degrees.
TURNS = ((-30, 0, 0), (-15, 0, 0), (0, 0, 0), (15, 0, 0), (30, 0, 0), (0, -15, 0), (0, 15, 0))
TURNS += ((0, 0, 25), (20, 10, 15))
_LARGEST_ERROR = 180.0
_LARGEST_YAW = 15.0  # before the turn: the far side of a turned head has no texture
_RING, _FOLLOWS = 1.35, 0.5  # around a face, in its sizes, and how far it moves with it


def load_turnable(folder: Path, limit: int) -> Iterator[tuple[RGBImage, NDArray[np.float64]]]:
    """Give sharp pictures of people that training never saw, with their meshes (478, 3)."""
    found = 0
    with np.load(folder / "faces-hires.npz") as shard:
        data, offset = shard["jpeg"], shard["offset"]
        meshes = np.concatenate([shard["mesh478"], shard["mesh_z"][..., None]], axis=2) / 32.0
        for i, name in enumerate(shard["identity"]):
            if zlib.crc32(str(name).encode()) % 10 or found == limit:
                continue
            [(yaw, _, _)] = head_pose(resample(meshes[i][None, :, :2], "mesh478"))
            if abs(yaw) < _LARGEST_YAW:
                found += 1
                picture = cv2.imdecode(data[offset[i] : offset[i + 1]], cv2.IMREAD_COLOR)
                yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), meshes[i]


def turned_mesh(mesh: NDArray[np.float64], turn: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return a mesh (478, 3) turned about its middle."""
    middle = mesh.mean(axis=0)
    return (mesh - middle) @ pose_rotation(turn).T + middle


def turned_picture(
    picture: RGBImage, mesh: NDArray[np.float64], there: NDArray[np.float64]
) -> RGBImage:
    """Return a picture on which the face of one mesh is drawn where another one is.

    What surrounds the face is stretched between it and the picture's border, as in 300W-LP (Zhu et
    al. 2016): a face that stayed in its old outline would look only half as turned.
    """
    ring = _RING * (mesh[_hull(mesh)] - (middle := mesh.mean(axis=0))) + middle
    ring[:, 2] = mesh[:, 2].max()
    moved = ring + _FOLLOWS * (there - mesh)[_hull(mesh)]
    height, width = picture.shape[:2]
    border = [(x, y, 1e3) for x in np.linspace(0, width, 5) for y in np.linspace(0, height, 5)]
    border = np.array([p for p in border if p[0] in (0, width) or p[1] in (0, height)])
    source = np.concatenate([mesh, ring, border])
    target = np.concatenate([there, moved, border])
    canvas = picture.copy()
    triangles = Delaunay(source[:, :2]).simplices
    for triangle in triangles[np.argsort(-target[triangles, 2].mean(axis=1))]:
        _draw_triangle(picture, canvas, source[triangle, :2], target[triangle, :2])
    return canvas


def _hull(mesh: NDArray[np.float64]) -> NDArray[np.intp]:
    return ConvexHull(mesh[:, :2]).vertices


def _draw_triangle(
    picture: RGBImage, canvas: RGBImage, here: NDArray[np.float64], there: NDArray[np.float64]
) -> None:
    """Draw the part of a picture in one triangle (3, 2) into another one of a canvas."""
    low = np.maximum(np.floor(there.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(there.max(axis=0)).astype(int) + 1, picture.shape[1::-1])
    if (high <= low).any():
        return
    matrix = cv2.getAffineTransform(np.float32(here), np.float32(there - low))
    width, height = (high - low).tolist()
    patch = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(there - low).astype(np.int32), 1)
    region = canvas[low[1] : high[1], low[0] : high[0]]
    region[mask == 1] = patch[mask == 1]


def rotation_angle(found: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Return the angle in degrees between two rotations (3, 3)."""
    cosine = (np.trace(found @ wanted.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def pose_table(data: Path, limit: int) -> Table:
    """Return the errors by turn: of the fit to exact points, and of the engine on pictures."""
    engine = FaceShapeEngine(threads=1)
    faces = list(load_turnable(data / "faces", limit))
    rows = []
    for turn in TURNS:
        of_points, of_pictures = [], []
        for picture, mesh in faces:
            there = turned_mesh(mesh, turn)
            before, after = head_pose(resample(np.stack([mesh, there])[..., :2], "mesh478"))
            wanted = pose_rotation(turn) @ pose_rotation(before)
            of_points.append(rotation_angle(pose_rotation(after), wanted))
            first = engine.analyze(picture, Mode.LARGEST, rotate=True)
            then = engine.analyze(turned_picture(picture, mesh, there), Mode.LARGEST, rotate=True)
            if first and then:
                poses = head_pose(np.stack([first[0].points, then[0].points]))
                wanted = pose_rotation(turn) @ pose_rotation(poses[0])
                of_pictures.append(rotation_angle(pose_rotation(poses[1]), wanted))
            else:
                of_pictures.append(_LARGEST_ERROR)
        name = "yaw {}°, pitch {}°, roll {}°".format(*turn)
        rows.append((name, [float(np.median(of_points)), float(np.median(of_pictures))]))
    note = (
        f"Median error in degrees; {len(faces)} faces, turned by known angles about their middle."
    )
    return Table("Head pose", note, ["exact points", "pictures"], rows)


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True
)
@click.option("--limit", default=60, show_default=True, help="Faces at most.")
def main(data: Path, limit: int) -> None:
    """Print the table."""
    use_one_core()
    click.echo(pose_table(data, limit).markdown())


if __name__ == "__main__":
    main()
