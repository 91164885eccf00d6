"""FaceMesh in an interpreter of its own: ``python mediapipe_worker.py CROPS.npz RESULT.npz``.

MediaPipe 0.10.21 needs numpy below 2, so it cannot share one with the package. CROPS.npz has
``crops`` (N, S, S, 3) RGB uint8; RESULT.npz gets ``landmarks`` (N, 478, 2) in units of the side,
NaN where no face was found, ``milliseconds`` (N,) and ``megabytes``, the size of its models.
"""

import sys
import time
from pathlib import Path

import mediapipe
import numpy as np

_MODELS = (
    "face_detection/face_detection_short_range.tflite",
    "face_landmark/face_landmark_with_attention.tflite",
)


def find_meshes(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (N, 478, 2) and milliseconds (N,) for crops (N, S, S, 3)."""
    landmarks = np.full((len(crops), 478, 2), np.nan, np.float32)
    milliseconds = np.empty(len(crops))
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=True
    ) as mesh:
        for i, crop in enumerate(crops):
            started = time.perf_counter()
            found = mesh.process(crop).multi_face_landmarks
            milliseconds[i] = 1000 * (time.perf_counter() - started)
            if found:
                landmarks[i] = [(point.x, point.y) for point in found[0].landmark]
    return landmarks, milliseconds


def main() -> None:
    """Read the crops, write the result."""
    source, target = map(Path, sys.argv[1:])
    landmarks, milliseconds = find_meshes(np.load(source)["crops"])
    modules = Path(mediapipe.__file__).parent / "modules"
    size = sum((modules / name).stat().st_size for name in _MODELS) / 1e6
    np.savez(target, landmarks=landmarks, milliseconds=milliseconds, megabytes=size)


if __name__ == "__main__":
    main()
