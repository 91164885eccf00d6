"""Whether a find is a face: the detector's score and the regressor's presence decide together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["DOUBTFUL_PRESENCE", "LEAST_PRESENCE", "PRESENCE_ALONE", "Confirmation", "log_odds"]

LEAST_PRESENCE = 0.9
"""Presence below which a find is taken for a false alarm where nothing else speaks for it."""

DOUBTFUL_PRESENCE = 0.3
"""Presence below which a find is taken for a false alarm, whatever speaks for it."""

_LARGEST_ODDS = 12.0  # what is beyond is a matter of float32, not of the picture
_LEAST_PROBABILITY = 1 / (1 + math.exp(_LARGEST_ODDS))
_ROUNDING = 1e-6  # of log-odds


def log_odds(probability: ArrayLike) -> NDArray[np.float64]:
    """Return ln(p / (1 − p)) of probabilities, not beyond ±12."""
    clipped = np.maximum(np.asarray(probability, np.float64), _LEAST_PROBABILITY)
    clipped = np.minimum(clipped, 1 - _LEAST_PROBABILITY)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


@dataclass(frozen=True)
class Confirmation:
    """The weights of what speaks for a find, and how much is enough.

    The evidence for a face is a weighted sum of the log-odds of score and presence: the networks
    see different crops, so that their errors are largely independent. A low score is enough where
    presence is sure, and the other way round. `benchmarks.detection.calibrate_confirmation`
    chooses the numbers on validation pictures.

    Attributes:
        score_weight: of the score's log-odds; 0 where a score is no probability.
        presence_weight: of the presence's log-odds.
        least_evidence: of a face.
        sure_score: from which score on a find is most probably a face.
    """

    score_weight: float
    presence_weight: float
    least_evidence: float
    sure_score: float

    @classmethod
    def shipped(cls, facts: Mapping[str, Any]) -> "Confirmation":
        """Return what the manifest's entry of the detector says."""
        return cls(**facts["confirmation"], sure_score=facts["threshold"])

    def evidence(self, scores: ArrayLike, presence: ArrayLike) -> NDArray[np.float64]:
        """Return the evidence (N,) for finds with these scores and presences (N,)."""
        for_face: NDArray[np.float64] = self.presence_weight * log_odds(presence)
        return for_face + self._by_score(scores)

    def least_presence(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return the presence (N,) below which finds with these scores (N,) are no faces."""
        missing = self.least_evidence - self._by_score(scores)
        enough: NDArray[np.float64] = 1 / (1 + np.exp(_ROUNDING - missing / self.presence_weight))
        return np.maximum(enough, DOUBTFUL_PRESENCE)

    def is_face(self, scores: ArrayLike, presence: ArrayLike) -> NDArray[np.bool_]:
        """Return which finds (N,) are faces; presence alone may refuse one."""
        present = np.asarray(presence) >= DOUBTFUL_PRESENCE
        faces: NDArray[np.bool_] = present & (
            self.evidence(scores, presence) >= self.least_evidence
        )
        return faces

    def _by_score(self, scores: ArrayLike) -> NDArray[np.float64]:
        if not self.score_weight:  # they may be no probabilities
            return np.zeros(np.shape(scores))
        for_face: NDArray[np.float64] = self.score_weight * log_odds(scores)
        return for_face


PRESENCE_ALONE = Confirmation(0.0, 1.0, float(log_odds(LEAST_PRESENCE)), -np.inf)
"""For scores that are no probabilities, or that somebody has set a limit to."""
