"""What the stages hand to each other; shapes are checked once, at construction.

Coordinates are pixels of the upright picture, y down and continuous: the upper left corner is
(0, 0), the centre of the first pixel (0.5, 0.5).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.contract import GROUPS, POINT_COUNT
from faceshape.errors import ParameterError, ShapeError
from faceshape.mode import Mode

__all__ = ["Detections", "FaceShape", "Mode"]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces that a detector found.

    Attributes:
        boxes: (N, 4) float32 x0 y0 x1 y1, tight around brow to chin.
        scores: (N,) float32, in the detector's own unit; more is surer.
        roll: (N,) float32 degrees, clockwise as seen; 0 is upright.
        keypoints: (N, 5, 2) float32 eyes, nose, corners of the mouth, image-left of the upright
            face first; NaN where the detector tells none, which is what leaving them out says.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    roll: NDArray[np.float32]
    keypoints: NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, 5, 2), np.float32), repr=False
    )

    def __post_init__(self) -> None:
        if len(self.keypoints) == 0 and np.ndim(self.scores) == 1:
            unknown = np.full((len(self.scores), 5, 2), np.nan, np.float32)
            object.__setattr__(self, "keypoints", unknown)
        fields = (("boxes", (4,)), ("scores", ()), ("roll", ()), ("keypoints", (5, 2)))
        for name, trailing in fields:
            values = np.asarray(getattr(self, name), np.float32)
            if values.shape[1:] != trailing or values.ndim != 1 + len(trailing):
                wanted = ", ".join(map(str, ("N", *trailing)))
                raise ShapeError(f"{name} must be ({wanted}), not {values.shape}")
            object.__setattr__(self, name, values)
        if len({len(getattr(self, name)) for name, _ in fields}) > 1:
            raise ShapeError("boxes, scores, roll and keypoints must be equally many")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, which: ArrayLike | slice) -> "Detections":
        """Return a selection by indices (K,), a mask (N,) or a slice, in that order."""
        index = which if isinstance(which, slice) else np.asarray(which)
        columns = (self.boxes, self.scores, self.roll, self.keypoints)
        return Detections(*(column[index] for column in columns))

    @classmethod
    def none(cls) -> "Detections":
        """Return what a detector says of a picture without faces."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class FaceShape:
    """One face with its landmarks.

    Attributes:
        points: (90, 2) float32, in the order of the contract (`faceshape.core.contract.GROUPS`).
        dense: (P, 2) float32, the regressor's own points.
        box: (4,) float32 x0 y0 x1 y1, the detector's.
        score: the detector's, in its own unit.
        presence: 0 to 1, how sure the regressor is that there is a face.
        roll: degrees of the line between the eyes, clockwise as seen.
    """

    points: NDArray[np.float32]
    dense: NDArray[np.float32]
    box: NDArray[np.float32]
    score: float
    presence: float
    roll: float

    def __post_init__(self) -> None:
        if self.points.shape != (POINT_COUNT, 2):
            raise ShapeError(f"points must be ({POINT_COUNT}, 2), not {self.points.shape}")
        if self.dense.ndim != 2 or self.dense.shape[1] != 2:
            raise ShapeError(f"dense must be (P, 2), not {self.dense.shape}")
        if self.box.shape != (4,):
            raise ShapeError(f"box must be (4,), not {self.box.shape}")

    def group(self, name: str) -> NDArray[np.float32]:
        """Return the points (K, 2) of a group, "LeftEye" for example.

        Raises:
            ParameterError: there is no group of that name.
        """
        if name not in GROUPS:
            raise ParameterError(f"no group is called {name!r}; there are {', '.join(GROUPS)}")
        return self.points[GROUPS[name]]
