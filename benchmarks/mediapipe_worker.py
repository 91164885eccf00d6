"""FaceMesh in an interpreter of its own: ``python mediapipe_worker.py CROPS.npz RESULT.npz``.

MediaPipe 0.10.21 needs numpy below 2, so it cannot share one with the package. CROPS.npz has
``crops`` (N, H, W, 3) RGB uint8 and, if it shall look for more than one face, ``most_faces``.
RESULT.npz gets ``landmarks`` (N, 478, 2) of one face in units of width and height, NaN where none
was found, their ``depth`` (N, 478) in units of the width, how many ``faces`` (N,) were found,
``milliseconds`` (N,) and ``megabytes``, the size of its models.
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


def find_meshes(crops: np.ndarray, most_faces: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return marks (N, 478, 3), faces (N,) and milliseconds (N,) for crops (N, H, W, 3)."""
    marks = np.full((len(crops), 478, 3), np.nan, np.float32)
    faces = np.zeros(len(crops), int)
    milliseconds = np.empty(len(crops))
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=most_faces, refine_landmarks=True
    ) as mesh:
        for i, crop in enumerate(crops):
            started = time.perf_counter()
            found = mesh.process(crop).multi_face_landmarks
            milliseconds[i] = 1000 * (time.perf_counter() - started)
            if found:
                faces[i] = len(found)
                marks[i] = [(point.x, point.y, point.z) for point in found[0].landmark]
    return marks, faces, milliseconds


def main() -> None:
    """Read the crops, write the result."""
    source, target = map(Path, sys.argv[1:])
    with np.load(source) as given:
        most_faces = int(given["most_faces"]) if "most_faces" in given else 1
        marks, faces, milliseconds = find_meshes(given["crops"], most_faces)
    modules = Path(mediapipe.__file__).parent / "modules"
    size = sum((modules / name).stat().st_size for name in _MODELS) / 1e6
    found = {"landmarks": marks[..., :2], "depth": marks[..., 2], "faces": faces}
    np.savez(target, **found, milliseconds=milliseconds, megabytes=size)


if __name__ == "__main__":
    main()
