"""What the stages hand to each other; shapes are checked once, at construction.

Coordinates are pixels of the upright picture, y down and continuous: the upper left corner is
(0, 0), the centre of the first pixel (0.5, 0.5).
"""

import operator
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.core.contract import GROUPS, POINT_COUNT
from faceshape.core.pose import HeadPose, head_pose
from faceshape.errors import ParameterError, ShapeError
from faceshape.mode import Mode

__all__ = ["Detection", "Detections", "FaceShape", "Mode"]

_SHOWN = 3  # detections that `repr` tells of


class Detection(NamedTuple):
    """One face that a detector found.

    Attributes:
        box: (4,) float32 x0 y0 x1 y1, tight around brow to chin.
        score: in the detector's own unit; more is surer.
        roll: degrees, clockwise as seen; 0 is upright.
    """

    box: NDArray[np.float32]
    score: float
    roll: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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
        columns = (("boxes", (4,)), ("scores", ()), ("roll", ()), ("keypoints", (5, 2)))
        for name, trailing in columns:
            values = np.asarray(getattr(self, name), np.float32)
            if values.shape[1:] != trailing or values.ndim != 1 + len(trailing):
                wanted = ", ".join(map(str, ("N", *trailing)))
                raise ShapeError(f"{name} must be ({wanted}), not {values.shape}")
            object.__setattr__(self, name, values)
        if len({len(getattr(self, name)) for name, _ in columns}) > 1:
            raise ShapeError("boxes, scores, roll and keypoints must be equally many")

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Iterator[Detection]:
        return map(Detection, self.boxes, self.scores.tolist(), self.roll.tolist())

    @overload
    def __getitem__(self, which: int) -> Detection: ...

    @overload
    def __getitem__(self, which: ArrayLike | slice) -> "Detections": ...

    def __getitem__(self, which: ArrayLike | slice) -> "Detections | Detection":
        """Return one face by its index, or several by indices (K,), a mask (N,) or a slice.

        Raises:
            IndexError: there is no such face.
        """
        if isinstance(which, slice):
            return self._selected(which)
        try:
            place = operator.index(which)  # type: ignore[arg-type]  # it raises for several
        except TypeError:
            index = np.asarray(which)
            return self._selected(index if index.size else index.astype(np.intp))
        return Detection(self.boxes[place], float(self.scores[place]), float(self.roll[place]))

    def _selected(self, index: NDArray[Any] | slice) -> "Detections":
        columns = (self.boxes, self.scores, self.roll, self.keypoints)
        return Detections(*(column[index] for column in columns))

    def __repr__(self) -> str:
        first = [_described(each.box, score=each.score, roll=each.roll) for each in self[:_SHOWN]]
        more = ["..."] if len(self) > _SHOWN else []
        return f"Detections({', '.join([str(len(self)), *first, *more])})"

    @classmethod
    def none(cls) -> "Detections":
        """Return what a detector says of a picture without faces."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FaceShape:
    """One face with its landmarks.

    Attributes:
        points: (90, 2) float32, in the order of the contract (`faceshape.core.contract.GROUPS`).
        dense: (P, 2) float32, the regressor's own points.
        box: (4,) float32 x0 y0 x1 y1, the detector's.
        score: the detector's, in its own unit.
        presence: 0 to 1, how sure the regressor is that there is a face.
        roll: degrees of the line between the eyes, clockwise as seen.
        confidence: (90,) float32, how far each point is expected to be off, in % of the distance of
            the outer eye corners; None if that is not known.
    """

    points: NDArray[np.float32]
    dense: NDArray[np.float32]
    box: NDArray[np.float32]
    score: float
    presence: float
    roll: float
    confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("points", "dense", "box"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))
        if self.points.shape != (POINT_COUNT, 2):
            raise ShapeError(f"points must be ({POINT_COUNT}, 2), not {self.points.shape}")
        if self.dense.ndim != 2 or self.dense.shape[1] != 2:
            raise ShapeError(f"dense must be (P, 2), not {self.dense.shape}")
        if self.box.shape != (4,):
            raise ShapeError(f"box must be (4,), not {self.box.shape}")
        if self.confidence is None:
            return
        object.__setattr__(self, "confidence", np.asarray(self.confidence, np.float32))
        if self.confidence.shape != (POINT_COUNT,):
            raise ShapeError(f"confidence must be ({POINT_COUNT},), not {self.confidence.shape}")

    def __repr__(self) -> str:
        what = _described(self.box, score=self.score, presence=self.presence, roll=self.roll)
        return f"FaceShape{what}"

    def _repr_png_(self) -> bytes | None:
        """Return what a notebook shows: the landmarks on black."""
        if not np.isfinite(self.points).all():
            return None
        from faceshape.draw import portrait_png  # it draws these

        return portrait_png(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by name, arrays as lists: what JSON can say.

        ``FaceShape(**face.to_dict())`` is the same face again.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
        }

    @property
    def pose(self) -> HeadPose:
        """How the head is turned: yaw, pitch and roll in degrees, of the landmarks.

        Right-handed, the camera's frame: x right, y down, z into the picture. Seen from the camera,
        positive yaw turns the nose to the left of the picture, positive pitch down, and positive
        roll turns the head clockwise. A fit to a mean face; see `faceshape.core.pose`.
        """
        return HeadPose(*head_pose(self.points[None])[0].tolist())

    def group(self, name: str) -> NDArray[np.float32]:
        """Return the points (K, 2) of a group, "LeftEye" for example.

        Raises:
            ParameterError: there is no group of that name.
        """
        if name not in GROUPS:
            raise ParameterError(f"no group is called {name!r}; there are {', '.join(GROUPS)}")
        return self.points[GROUPS[name]]


def _described(box: NDArray[np.float32], **numbers: float) -> str:
    """Return what `repr` says of a face, "(box=[10.0, 20.0, 90.0, 120.0], score=0.98)"."""
    corners = ", ".join(f"{value:.1f}" for value in box.tolist())
    return ", ".join([f"(box=[{corners}]", *(f"{k}={v:.4g}" for k, v in numbers.items())]) + ")"
