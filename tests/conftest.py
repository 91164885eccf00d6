"""The real face of the suite: the public-domain astronaut photo that scikit-image carries."""

import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from skimage import data

from faceshape import FaceShape, FaceShapeEngine, Mode

# The machine may be busy: no property fails for the time that it takes.
settings.register_profile("any time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any time")

# What a shell starts in the background ignores Ctrl-C, and so do all children of that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    return data.astronaut()


@pytest.fixture(scope="session")
def portrait(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The astronaut's head alone: what detectors need, in a quarter of the pixels."""
    return np.ascontiguousarray(astronaut[:256, 96:352])


@pytest.fixture(scope="session")
def engine() -> FaceShapeEngine:
    return FaceShapeEngine(threads=1)


@pytest.fixture(scope="session")
def face(engine: FaceShapeEngine, portrait: NDArray[np.uint8]) -> FaceShape:
    [found] = engine.analyze(portrait, Mode.LARGEST)
    return found
