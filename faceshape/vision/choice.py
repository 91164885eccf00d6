"""Which of a detector's finds are answered: confirmed by their landmarks, once each, by size."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceshape.types import Detections, FaceShape
from faceshape.vision.confirmation import DOUBTFUL_PRESENCE, Confirmation
from faceshape.vision.detector import UPRIGHT
from faceshape.vision.geometry import box_area, enclosing_boxes
from faceshape.vision.landmarker import Landmarker
from faceshape.vision.pyramid import Pyramid
from faceshape.vision.same_face import Places, distinct_shapes, same_faces

__all__ = ["FaceChooser", "landmark_areas"]

# A detector's boxes are off: which share of a face's area a box has at least. Whatever may be among
# the largest is looked at.
_LEAST_SHARE = 0.4
# What is larger than the answer even if its area is but this share of its box.
_SURELY_LARGER = 0.7


class FaceChooser:
    """Looks at candidates and chooses the faces among them; safe to share between threads."""

    def __init__(self, landmarker: Landmarker, confirmation: Confirmation) -> None:
        """Take the landmark stage and the rule that says what a face is."""
        self.landmarker, self._confirmation = landmarker, confirmation

    def shapes(
        self, pyramid: Pyramid, found: Detections, least_presence: ArrayLike = 0.0
    ) -> list[FaceShape]:
        """Return the shape of each find, in their order; those with less presence are rough."""
        located = self.landmarker.locate(pyramid, found.boxes, found.roll, least_presence)
        return [
            FaceShape(
                points=located.points[i],
                dense=located.dense[i],
                box=found.boxes[i],
                score=float(found.scores[i]),
                presence=float(located.presence[i]),
                roll=float(located.roll[i]),
                confidence=None if located.confidence is None else located.confidence[i],
            )
            for i in range(len(found))
        ]

    def choose(
        self, pyramid: Pyramid, found: Detections, wanted: int | None, rotate: bool
    ) -> list[FaceShape]:
        """Return the faces among candidates, the largest by their landmarks first.

        Of two candidates that are one face, upside down the one and upright the other, that one is
        believed for which there is more evidence.

        Args:
            pyramid: the picture.
            found: the candidates.
            wanted: how many faces to return at most; None: all.
            rotate: faces of any roll, not only upright ones.
        """
        if not rotate:
            found = _with_an_upright_side(found)
        areas = box_area(found.boxes)
        order = np.argsort(-areas, kind="stable")
        found, areas = found[order], areas[order]
        wanted = wanted or max(1, len(found))
        judged: list[tuple[FaceShape, bool]] = []
        faces: list[FaceShape] = []
        looked, until = 0, _reach(areas, wanted)
        while looked < until:
            judged += self._confirmed(pyramid, found[looked:until])
            faces = self._ranked(judged, rotate)
            looked = until
            if looked == len(found):
                break
            if len(faces) >= wanted:
                least = _LEAST_SHARE * landmark_areas(faces[wanted - 1 : wanted])[0]
                until = int((areas >= least).sum())
            else:
                until = _reach(areas, looked + wanted)
        return faces[:wanted]

    def sure_area(self, found: Detections) -> float:
        """Return the area of the largest find that the detector is sure of, 0 if there is none."""
        sure = found.scores >= self._confirmation.sure_score
        return float(box_area(found.boxes)[sure].max(initial=0))

    def settled(self, found: Detections, largest: FaceShape, overlooked: float) -> bool:
        """Return whether a further search can hardly find a larger face.

        Args:
            found: the candidates, of which a sure one elsewhere may be a face that was refused
                because its place or roll was too far off.
            largest: the largest face among them.
            overlooked: the area up to which a face may not be among the candidates.
        """
        [(x0, y0, x1, y1)] = enclosing_boxes(largest.points[None]).tolist()
        area = (x1 - x0) * (y1 - y0)
        if area < overlooked:
            return False
        larger = _SURELY_LARGER * box_area(found.boxes) > area
        larger &= found.scores >= self._confirmation.sure_score
        x, y = (found.boxes[larger, :2] + found.boxes[larger, 2:]).T / 2
        elsewhere = (x < x0) | (x > x1) | (y < y0) | (y > y1)
        return not elsewhere.any()

    def _confirmed(self, pyramid: Pyramid, found: Detections) -> list[tuple[FaceShape, bool]]:
        """Return the shapes of those that are faces, and whether each is upright."""
        found = self._worth_a_look(pyramid, found)
        shapes = self.shapes(pyramid, found, self._confirmation.least_presence(found.scores))
        are_faces = self._confirmation.is_face(found.scores, [each.presence for each in shapes])
        upright = np.abs(found.roll) <= UPRIGHT
        return [(shapes[i], bool(upright[i])) for i in np.flatnonzero(are_faces)]

    def _worth_a_look(self, pyramid: Pyramid, found: Detections) -> Detections:
        """Return the finds without the doubtful ones that the first look refuses already."""
        likely = found.scores >= self._confirmation.sure_score
        if likely.all():
            return found
        doubtful = found[~likely]
        presence = self.landmarker.first_presence(pyramid, doubtful.boxes, doubtful.roll)
        likely[~likely] = presence >= DOUBTFUL_PRESENCE
        return found[likely]

    def _ranked(self, judged: list[tuple[FaceShape, bool]], rotate: bool) -> list[FaceShape]:
        """Return each face once, the largest first."""
        if len(judged) < 2:  # most often; there is nothing to compare it with
            return [shape for shape, upright in judged if rotate or upright]
        shapes = [shape for shape, _ in judged]
        evidence = self._confirmation.evidence(
            [shape.score for shape in shapes], [shape.presence for shape in shapes]
        )
        kept = distinct_shapes(shapes, evidence)
        faces = [shapes[i] for i in kept if rotate or judged[i][1]]
        return [faces[i] for i in np.argsort(-landmark_areas(faces), kind="stable")]


def landmark_areas(faces: list[FaceShape]) -> NDArray[np.float64]:
    """Return the areas (N,) of the landmarks' extents."""
    if not faces:
        return np.empty(0)
    return box_area(enclosing_boxes(np.stack([face.points for face in faces])))


def _with_an_upright_side(found: Detections) -> Detections:
    """Return the upright candidates, and those turned ones that may be the same face."""
    upright = np.abs(found.roll) <= UPRIGHT
    if upright.all():
        return found
    places = Places.of_detections(found)
    return found[upright | same_faces(places, places)[:, upright].any(axis=1)]


def _reach(areas: NDArray[np.float64], wanted: int) -> int:
    """Return how many of the areas, descending, may be among the first `wanted` in truth."""
    if wanted >= len(areas):
        return len(areas)
    return int((areas >= _LEAST_SHARE * areas[wanted - 1]).sum())
