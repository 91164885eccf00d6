"""Draw the README's picture: the astronaut's landmarks, enlarged, without the photograph."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from faceshape import FaceShapeEngine, Mode
from faceshape.draw import overlay

MARGIN, SCALE = 8, 5


def main() -> None:
    """Write models/landmarks.png."""
    [face] = FaceShapeEngine().analyze(data.astronaut(), Mode.LARGEST)
    corner = face.points.min(axis=0) - MARGIN
    enlarged = dataclasses.replace(face, points=(face.points - corner) * SCALE)
    width, height = (np.ptp(face.points, axis=0) + 2 * MARGIN) * SCALE
    canvas = np.full((int(height), int(width), 3), 24, np.uint8)
    path = Path(__file__).resolve().parents[2] / "models" / "landmarks.png"
    Image.fromarray(overlay(canvas, [enlarged])).save(path, optimize=True)


if __name__ == "__main__":
    main()
