"""Measure where dlib's HOG boxes lie on a face: constants of `faceshape.vision.detector`.

``python -m scripts.detector.calibrate_dlib_boxes --data DIR`` prints the medians over
the training faces.
"""

from pathlib import Path

import click
import dlib
import numpy as np

from faceshape.vision.geometry import box_iou, enclosing_boxes
from scripts.landmarks.data import load_faces


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--faces", "count", default=1500, show_default=True, help="how many to look at")
def main(data: Path, count: int) -> None:
    """Print centre shift and extent of the landmarks in sides of dlib's square."""
    faces = load_faces(data / "faces")
    roomy = np.array([min(picture.shape[:2]) >= 150 for picture in faces.pictures])
    chosen = np.flatnonzero(roomy & (faces.weight > 0.9) & ~faces.validation)
    chosen = np.random.default_rng(0).permutation(chosen)[:count]
    hog = dlib.get_frontal_face_detector()
    rows = []
    for i in chosen:
        target = enclosing_boxes(faces.dense[i][None])[0]
        for found in hog(faces.pictures[i], 1):
            square = np.array([found.left(), found.top(), found.right() + 1, found.bottom() + 1])
            if box_iou(square[None], target[None])[0, 0] > 0.4:
                side = square[2] - square[0]
                centres = [(box[:2] + box[2:]) / 2 for box in (target, square)]
                rows.append([*(centres[0] - centres[1]) / side, *(target[2:] - target[:2]) / side])
    spread = np.subtract(*np.percentile(rows, [75, 25], axis=0))
    click.echo(f"{len(rows)} of {len(chosen)} faces found")
    click.echo(f"shift x y, extent x y: {np.median(rows, axis=0).round(3)}, IQR {spread.round(3)}")


if __name__ == "__main__":
    main()
