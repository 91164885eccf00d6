"""Measure where the peers' boxes lie on a face: ``CONVENTIONS`` of contenders.py.

``python -m benchmarks.detection.calibrate_peer_boxes --data DIR --peers DIR`` prints the
medians over training faces with their surroundings.
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.cores import use_one_core
from benchmarks.detection.contenders import HogDetector, RfbDetector, ScrfdDetector, YunetDetector
from benchmarks.detection.pictures import (
    TestSet,
    as_test_set,
    load_face_pictures,
    with_surroundings,
)
from faceshape.vision.detector import Detector
from faceshape.vision.geometry import box_iou

_SAME_FACE_IOU = 0.4
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def measure(detector: Detector, faces: TestSet) -> NDArray[np.float64]:
    """Return shift x y and extent x y (K, 4) of the faces found, in sides of their boxes."""
    rows = []
    for picture, target in zip(faces.pictures, faces.boxes.astype(np.float64), strict=True):
        boxes = detector.detect(picture).boxes.astype(np.float64)
        overlaps = box_iou(boxes, target)[:, 0]
        if overlaps.max(initial=0) > _SAME_FACE_IOU:
            box = boxes[overlaps.argmax()]
            side = box[2:] - box[:2]
            shift = (target[:2] + target[2:] - box[:2] - box[2:]) / 2
            rows.append([*(shift / side), *((target[2:] - target[:2]) / side)])
    return np.array(rows).reshape(-1, 4)


@click.command()
@click.option("--data", type=_FOLDER, required=True, help="has faces/")
@click.option("--peers", type=_FOLDER, required=True, help="has the peers' ONNX files")
@click.option("--faces", "count", default=600, show_default=True, help="how many to look at")
def main(data: Path, peers: Path, count: int) -> None:
    """Print each peer's convention with its spread."""
    use_one_core()
    faces = load_face_pictures(data / "faces")
    faces = faces.only(~faces.validation & with_surroundings(faces))
    chosen = as_test_set("training faces", faces).sample(count)
    detectors = {
        "HOG": HogDetector(0.0, 1),
        "YuNet": YunetDetector(peers / "yunet_n_640_640.onnx", 0.6),
        "RFB-320": RfbDetector(peers / "version-RFB-320.onnx", 0.7),
        "SCRFD-500M": ScrfdDetector(peers / "scrfd_500m_kps.onnx", 0.5),
    }
    for name, detector in detectors.items():
        rows = measure(detector, chosen)
        low, middle, high = np.percentile(rows, [25, 50, 75], axis=0).round(3)
        click.echo(
            f"{name}: shift {middle[:2]}, extent {middle[2:]}, IQR {(high - low).round(3)}; "
            f"{len(rows)} of {len(chosen)} faces found"
        )


if __name__ == "__main__":
    main()
