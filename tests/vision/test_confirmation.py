import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshape.vision.confirmation import (
    DOUBTFUL_PRESENCE,
    LEAST_PRESENCE,
    PRESENCE_ALONE,
    Confirmation,
    log_odds,
)
from faceshape.vision.networks import model_entry


@pytest.fixture(scope="module")
def shipped() -> Confirmation:
    return Confirmation.shipped(model_entry("detector").facts)


def test_log_odds_of_certainty_are_finite():
    odds = log_odds([0.0, 0.5, 1.0])
    assert odds[1] == pytest.approx(0)
    assert np.isfinite(odds).all()
    assert odds[2] == pytest.approx(-odds[0])


@settings(deadline=None)  # other work on the machine is no failure
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_of_either_never_makes_a_face_less_likely(score, presence, more):
    rule = Confirmation(0.8, 0.45, 2.6, 0.5)
    before = rule.evidence([score], [presence])[0]
    assert rule.evidence([max(score, more)], [presence])[0] >= before
    assert rule.evidence([score], [max(presence, more)])[0] >= before


def test_a_low_score_is_enough_where_presence_is_sure(shipped):
    facts = model_entry("detector").facts
    low = (facts["least_score"] + facts["threshold"]) / 2
    answers = shipped.is_face([low, low, 0.99], [0.999999, DOUBTFUL_PRESENCE, LEAST_PRESENCE])
    assert answers.tolist() == [True, False, True]


@settings(deadline=None)
@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_what_has_less_than_the_least_presence_is_no_face(score, presence):
    for rule in (Confirmation(0.8, 0.45, 2.6, 0.5), PRESENCE_ALONE):
        [least] = rule.least_presence([score])
        if np.float32(presence) < np.float32(least):
            assert not rule.is_face([score], [presence]).any()


def test_presence_alone_may_refuse(shipped):
    for rule, least in ((shipped, DOUBTFUL_PRESENCE), (PRESENCE_ALONE, LEAST_PRESENCE)):
        assert rule.is_face([0.9999, 0.9999], [least - 0.01, least]).tolist() == [False, True]


def test_scores_that_are_no_probabilities_are_left_alone():
    assert PRESENCE_ALONE.is_face([-0.3, 2.7], [0.95, 0.95]).tolist() == [True, True]
    evidence = PRESENCE_ALONE.evidence([-0.3, 2.7], [0.95, 0.99])
    assert evidence[1] > evidence[0]
