"""Video: the faces of one frame after another, each with an id that stays with it.

The detector sees key frames only. In between a face is looked for where its landmarks were a frame
before, and the regressor's presence score says whether it is still there.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from faceshape.core.contract import POINT_COUNT, interocular_distance
from faceshape.engine import LEAST_PRESENCE, FaceShapeEngine
from faceshape.errors import ParameterError
from faceshape.types import Detections, FaceShape, Mode
from faceshape.video.one_euro import OneEuroFilter, Smoothing
from faceshape.vision.geometry import (
    box_area,
    boxes_along_roll,
    enclosing_boxes,
)
from faceshape.vision.image import Channels, RGBImage, load_image
from faceshape.vision.landmarker import eye_line_roll
from faceshape.vision.same_face import Places, distinct_shapes, same_faces

__all__ = ["Engine", "TrackedFace", "Tracker"]

_DEFAULT_SMOOTHING = Smoothing()
# How often the detector runs while a face is missing or there is none, seconds.
_SEARCH_INTERVAL = 0.1
# How long a face that was lost is looked for, seconds.
_MEMORY = 1.0
# How far from where a missing face should be it may be found again, in sides of its box.
_REACH = 1.0
# By which factor its size may have changed until then: the shape of a face that is being covered or
# leaves the picture shrinks to what is seen of it.
_GROWTH = 2.5
# By which factor a new face must be larger than a followed one to take its place.
_TAKEOVER = 1.25
# How quickly the estimate of a face's velocity follows, seconds: slowly enough to outlast the last
# frames before a face is hidden, in which its shape gives way to what covers it.
_VELOCITY_MEMORY = 0.5
# The least unit of a speed, in sides of the box: in profile the eyes' distance shrinks to nothing.
_LEAST_UNIT = 0.25


class Engine(Protocol):
    """What is asked of an engine here; `faceshape.FaceShapeEngine` is one."""

    def detect(self, image: RGBImage, rotate: bool = False) -> Detections:
        """Return what the detector finds in a picture (H, W, 3)."""
        ...

    def shapes(self, image: RGBImage, found: Detections) -> list[FaceShape]:
        """Return the shape of each detection, in their order, with its presence."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face in one frame of a video.

    Attributes:
        id: from 1, the same in every frame, and never another face's.
        face: its points and dense points are smoothed; its box is tight around the points, its
            score is the detector's when it last found it, its presence that in this frame.
    """

    id: int
    face: FaceShape


class Tracker:
    """Follows the faces of one video; its frames come in their order. Not for several threads.

    An id belongs to a place that moves, not to a person: a face that is lost and found again by
    the detector near where it should be, within a second, keeps its id. Of two shapes that are one
    face (`faceshape.vision.same_face`) that is dropped which is farther from where its face was
    going.
    """

    def __init__(
        self,
        engine: Engine | None = None,
        mode: Mode = Mode.ALL,
        rotate: bool = False,
        smoothing: Smoothing | None = _DEFAULT_SMOOTHING,
        detect_every: float = 1.0,
        max_faces: int | None = 10,
    ) -> None:
        """Take what stays the same for the whole video.

        Args:
            engine: may be shared with others; None loads one.
            mode: all faces, `max_faces` at most, or the largest one; one that is followed is only
                given up for one that is larger by a quarter.
            rotate: let the detector look for faces of any roll, not only about upright ones. A
                face that is followed may turn anyway.
            smoothing: lengths are in inter-ocular distances; None leaves the points as found.
            detect_every: seconds between key frames; the detector also runs at once when a face is
                lost, and every tenth of a second while one is missing or there is none.
            max_faces: how many faces are followed at most; None follows all.

        Raises:
            ParameterError: mode is neither 0 nor 1, detect_every is not above 0, or max_faces is
                below 1.
            ModelError: a model is missing or is not the one that the manifest names.
        """
        if mode not in tuple(Mode):
            raise ParameterError(f"mode is 0 (all faces) or 1 (the largest), not {mode!r}")
        if not detect_every > 0:
            raise ParameterError(f"detect_every must be above 0 seconds, not {detect_every}")
        if max_faces is not None and max_faces < 1:
            raise ParameterError(f"max_faces must be at least 1 or None, not {max_faces}")
        self._engine = FaceShapeEngine() if engine is None else engine
        self._wanted = 1 if mode == Mode.LARGEST else max_faces
        self._rotate = rotate
        self._smoothing = smoothing
        self._detect_every = detect_every
        self._ids = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget all faces and the time, for another video; ids go on, none comes twice."""
        self._seconds = -math.inf
        self._size: tuple[int, ...] = ()
        self._forget_faces()

    def _forget_faces(self) -> None:
        self._tracks: list[_Track] = []
        self._missing: list[_Track] = []
        self._detected = -math.inf

    def update(
        self, frame: RGBImage, seconds: float, *, channels: Channels = "rgb"
    ) -> list[TrackedFace]:
        """Return the faces of the next frame, the largest first.

        When the size of the frames changes all faces are new.

        Args:
            frame: (H, W, 3) RGB uint8.
            seconds: its time in the video, later than that of the frame before.
            channels: "bgr" for frames as OpenCV reads them.

        Raises:
            ParameterError: the time is not finite or not later, or the array is not a picture.
            ImageError: the frame has no pixels, or too many.
        """
        pixels = load_image(frame, channels=channels)
        if not (math.isfinite(seconds) and seconds > self._seconds):
            raise ParameterError(f"a frame at {seconds} s cannot follow one at {self._seconds} s")
        self._seconds = seconds
        if pixels.shape != self._size:  # the old places mean nothing in it
            self._size = pixels.shape
            self._forget_faces()
        self._follow(pixels)
        self._missing = [each for each in self._missing if seconds - each.seen <= _MEMORY]
        if self._detection_is_due():
            self._detect(pixels)
        sizes = box_area([track.box for track in self._tracks])
        return [self._tracks[i].report(seconds) for i in np.argsort(-sizes, kind="stable")]

    def _follow(self, pixels: RGBImage) -> None:
        """Look for each face where it was in the frame before."""
        if not self._tracks:
            return
        shapes = self._engine.shapes(pixels, _places(self._tracks))
        found = [i for i, shape in enumerate(shapes) if shape.presence >= LEAST_PRESENCE]
        surprise = [self._tracks[i].surprise(shapes[i], self._seconds) for i in found]
        kept = distinct_shapes([shapes[i] for i in found], -np.array(surprise))
        alive = {found[each] for each in kept}
        lost = [track for i, track in enumerate(self._tracks) if i not in alive]
        for i in alive:
            self._tracks[i].move(shapes[i], self._seconds)
        self._tracks = [self._tracks[i] for i in sorted(alive)]
        if lost:
            self._missing += lost
            self._detected = -math.inf

    def _detection_is_due(self) -> bool:
        interval = self._detect_every
        if self._missing or not self._tracks:
            interval = min(interval, _SEARCH_INTERVAL)
        return self._seconds - self._detected >= interval - 1e-6  # times are sums of fractions

    def _detect(self, pixels: RGBImage) -> None:
        """Add the faces that the detector finds and nobody follows yet."""
        found = self._engine.detect(pixels, self._rotate)
        self._detected = self._seconds
        followed = [track.face for track in self._tracks]
        known = same_faces(Places.of_detections(found), Places.of_shapes(followed))
        found = found[~known.any(axis=1)]
        shapes = self._engine.shapes(pixels, found)
        shapes = [shape for shape in shapes if shape.presence >= LEAST_PRESENCE]
        scores = [math.inf] * len(followed) + [shape.score for shape in shapes]
        kept = distinct_shapes(followed + shapes, scores)
        newcomers = [self._begin(shapes[i - len(followed)]) for i in kept if i >= len(followed)]
        self._recognise(newcomers)
        self._tracks = self._select(newcomers)
        for track in self._tracks:
            track.id = track.id or next(self._ids)

    def _begin(self, face: FaceShape) -> "_Track":
        smoother = None if self._smoothing is None else OneEuroFilter(self._smoothing)
        return _Track(face, self._seconds, smoother, begun=self._seconds)

    def _recognise(self, newcomers: "list[_Track]") -> None:
        """Give each newcomer the id of the missing face that it is, if it is one."""
        if not (newcomers and self._missing):
            return
        from scipy.optimize import linear_sum_assignment  # costs a moment: only when needed

        distances = np.array(
            [[lost.distance(new, self._seconds) for new in newcomers] for lost in self._missing]
        )
        # Whatever is out of reach costs the same, more than all that is within it.
        costs = np.where(distances <= _REACH, distances, 1e3)
        pairs = zip(*linear_sum_assignment(costs), strict=True)
        matched = [(lost, new) for lost, new in pairs if distances[lost, new] <= _REACH]
        for lost, new in matched:
            newcomers[new].id = self._missing[lost].id
        again = {lost for lost, _ in matched}
        self._missing = [each for i, each in enumerate(self._missing) if i not in again]

    def _select(self, newcomers: "list[_Track]") -> "list[_Track]":
        """Return the largest of all faces, as many as are wanted."""
        sizes = box_area([track.box for track in self._tracks + newcomers])
        sizes[: len(self._tracks)] *= _TAKEOVER
        order = np.argsort(-sizes, kind="stable")[: self._wanted]
        return [(self._tracks + newcomers)[i] for i in order]


@dataclass(slots=True)
class _Track:
    """A face that is followed, or was until it got lost.

    Attributes:
        face: as last found, not smoothed.
        seen: when, seconds.
        smoother: of its points, or None.
        begun: when it was found, seconds.
        velocity: (2,) of its centre, pixels per second.
        id: 0 until it has one.
    """

    face: FaceShape
    seen: float
    smoother: OneEuroFilter | None
    begun: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    id: int = 0

    @property
    def box(self) -> NDArray[np.float32]:
        """The extent (4,) of the landmarks as found."""
        return _box(self.face)

    def move(self, face: FaceShape, seconds: float) -> None:
        interval = seconds - self.seen
        velocity = (_centre(face) - _centre(self.face)) / interval
        # The mean of all that is known, until that is longer than the memory.
        weight = max(-math.expm1(-interval / _VELOCITY_MEMORY), interval / (seconds - self.begun))
        self.velocity = self.velocity + weight * (velocity - self.velocity)
        self.face, self.seen = face, seconds

    def surprise(self, face: FaceShape, seconds: float) -> float:
        """Return how far a shape is from where this face was going, in sides of its box."""
        expected = _centre(self.face) + self.velocity * (seconds - self.seen)
        return float(np.linalg.norm(_centre(face) - expected)) / _side(self.face)

    def distance(self, other: "_Track", seconds: float) -> float:
        """Return how far another face is from where this one was or was going.

        That is in sides of the larger one, and infinite if the sizes do not fit.
        """
        ratio = _side(other.face) / _side(self.face)
        if not 1 / _GROWTH <= ratio <= _GROWTH:
            return math.inf
        nearest = min(self.surprise(other.face, seconds), self.surprise(other.face, self.seen))
        return nearest / max(ratio, 1)

    def report(self, seconds: float) -> TrackedFace:
        face = self.face
        if self.smoother is None:
            return TrackedFace(self.id, replace(face, box=self.box))
        unit = max(float(interocular_distance(face.points)), _LEAST_UNIT * _side(face))
        both = np.concatenate([face.points, face.dense])
        smooth = self.smoother.smooth(both, seconds, unit).astype(np.float32)
        points, dense = smooth[:POINT_COUNT], smooth[POINT_COUNT:]
        roll = float(eye_line_roll(points[None])[0])
        box = enclosing_boxes(points[None])[0]
        return TrackedFace(self.id, replace(face, points=points, dense=dense, box=box, roll=roll))


def _places(tracks: "Sequence[_Track]") -> Detections:
    """Return where to look for faces: the boxes along their roll, as the landmarker wants them."""
    faces = [track.face for track in tracks]
    roll = np.array([face.roll for face in faces], np.float32)
    boxes = boxes_along_roll(np.stack([face.dense for face in faces]), roll)
    return Detections(boxes.astype(np.float32), np.array([face.score for face in faces]), roll)


def _box(face: FaceShape) -> NDArray[np.float32]:
    box: NDArray[np.float32] = enclosing_boxes(face.points[None])[0]
    return box


def _centre(face: FaceShape) -> NDArray[np.float64]:
    centre: NDArray[np.float64] = _box(face).reshape(2, 2).mean(axis=0, dtype=np.float64)
    return centre


def _side(face: FaceShape) -> float:
    return float(np.ptp(face.points, axis=0).max())
