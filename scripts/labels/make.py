"""From pictures to training shards: ``python -m scripts.labels.make PICTURES --out DIR …``.

PICTURES has a folder for each source of faces, and in it pictures or a folder for each person.
Every face that SCRFD finds is stored in its surroundings and labelled by FaceMesh and
PFLD-GhostOne: ``DIR/faces/faces-SOURCE-N.npz``. With --scenes, whole pictures are stored with the
boxes of all faces, for the detector, and as backgrounds and non-faces where there are none:
``DIR/scenes/scenes-SOURCE-N.npz``.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import cv2

from faceshape.errors import ImageError
from faceshape.vision.image import RGBImage, load_image
from scripts.labels.shards import Portrait, cut_portrait, write_faces, write_scenes
from scripts.labels.teachers import FaceMesh, Pfld, Scrfd

_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}
_LEAST_SCORE, _LEAST_SIDE = 0.45, 36  # of a face that is worth a label; pixels
_SCENE_LEAST_SCORE = 0.3
_MOST_PIXELS = 1600  # of a picture's longer side
_SCENE_PIXELS = 400  # of a scene's longer side
_SHARD, _SCENE_SHARD = 250, 1000

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("pictures", type=_FOLDER)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--peers", type=_FOLDER, required=True, help="ONNX files of SCRFD and PFLD-GhostOne")
@click.option(
    "--mediapipe-python",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="interpreter with mediapipe 0.10.21",
)
@click.option("--largest", default=112, show_default=True, help="pixels of a stored face's box")
@click.option("--scenes", is_flag=True, help="store whole pictures too")
def main(
    pictures: Path, out: Path, peers: Path, mediapipe_python: Path, largest: int, scenes: bool
) -> None:
    """Make the shards of every source."""
    scrfd, mesh, pfld = Scrfd(peers), FaceMesh(mediapipe_python), Pfld(peers)
    for source in sorted(path for path in pictures.iterdir() if path.is_dir()):
        portraits = _portraits(source, scrfd, largest)
        (out / "faces").mkdir(parents=True, exist_ok=True)
        for number, chunk in enumerate(_chunks(portraits, _SHARD)):
            path = out / "faces" / f"faces-{source.name}-{number}.npz"
            click.echo(f"{path}: {write_faces(chunk, mesh, pfld, path)}")
        if scenes:
            (out / "scenes").mkdir(parents=True, exist_ok=True)
            for number, chunk in enumerate(_chunks(_loaded(source), _SCENE_SHARD)):
                path = out / "scenes" / f"scenes-{source.name}-{number}.npz"
                small = [_reduced(picture, _SCENE_PIXELS) for _, picture in chunk]
                found = [scrfd.detect(picture, _SCENE_LEAST_SCORE) for picture in small]
                write_scenes(small, found, [source.name] * len(small), path)
                click.echo(f"{path}: {len(small)} scenes")


def _portraits(source: Path, scrfd: Scrfd, largest: int) -> Iterator[Portrait]:
    for path, picture in _loaded(source):
        inside = path.relative_to(source)
        person = inside.parts[0] if len(inside.parts) > 1 else inside.stem
        found = scrfd.detect(picture, _LEAST_SCORE)
        for which, box in enumerate(found.boxes):
            if (box[2:] - box[:2]).max() >= _LEAST_SIDE:
                part, one = cut_portrait(picture, found, which, largest)
                # Of several in one picture nobody knows who is who.
                yield Portrait(part, one, source.name, f"{source.name}:{person}")


def _loaded(source: Path) -> Iterator[tuple[Path, RGBImage]]:
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() in _ENDINGS:
            try:
                yield path, _reduced(load_image(path), _MOST_PIXELS)
            except ImageError as error:
                click.echo(f"{path} is left out: {error}", err=True)


def _reduced(picture: RGBImage, most: int) -> RGBImage:
    scale = most / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _chunks(items: Iterator, size: int) -> Iterator[list]:
    chunk = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


if __name__ == "__main__":
    main()
