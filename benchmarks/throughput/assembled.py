"""What people put together themselves: a detector and a regressor of others."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.contenders import Contender as Regressor
from benchmarks.accuracy.contenders import Dlib68, PfldGhostOne
from benchmarks.detection.contenders import CONVENTIONS, Calibrated, HogDetector, YunetDetector
from faceshape.vision.detector import Detector
from faceshape.vision.image import RGBImage

__all__ = ["Pipeline", "assembled_pipelines", "pipeline_of"]

Pipeline = Callable[[RGBImage], NDArray[np.float32]]
"""From a picture (H, W, 3) to the points (N, 90, 2) of its faces."""


def assembled_pipelines(peers: Path | None, dlib68: Path | None) -> Mapping[str, Pipeline]:
    """Return those whose files there are, by their names.

    Args:
        peers: the folder with the ONNX files of YuNet and PFLD-GhostOne.
        dlib68: dlib's predictor of 68 points.
    """
    pipelines = {}
    if peers is not None:
        yunet = Calibrated(YunetDetector(peers / "yunet_n_640_640.onnx", 0.6), CONVENTIONS["YuNet"])
        pipelines["YuNet + PFLD-GhostOne"] = pipeline_of(yunet, PfldGhostOne(peers))
    if dlib68 is not None:
        # Its squares are forehead to chin, as those that the predictor was trained with.
        pipelines["dlib HOG + 68 points"] = pipeline_of(
            HogDetector(0.0, 0), Dlib68(dlib68, 1.0, 0.0)
        )
    return pipelines


def pipeline_of(detector: Detector, regressor: Regressor) -> Pipeline:
    """Return the one after the other, on the boxes of whatever is found."""

    def run(picture: RGBImage) -> NDArray[np.float32]:
        boxes = detector.detect(picture).boxes
        return regressor.locate([picture] * len(boxes), boxes).points

    return run
