"""What tracking saves and what smoothing does: ``python -m benchmarks.video``.

The videos are the astronaut photo, moved by known transforms; everything on one thread. Times are
of the processor, so that other programs on the machine matter little.
"""

import os
import time
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads: everything on one core

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from faceshape import FaceShapeEngine, Mode, Tracker
from faceshape.core.contract import interocular_distance
from faceshape.video.one_euro import Smoothing
from faceshape.vision.geometry import apply_transforms, pixel_matrix, undo_similarities
from faceshape.vision.image import RGBImage

SIZE = (640, 480)
RATE = 30
HEAD = (222, 115)  # in the photo
SCALE = 1.8


def journey(frames: int) -> NDArray[np.float64]:
    """Return transforms (T, 2, 3) that move, scale and turn the head; it rests at first."""
    seconds = np.maximum(np.arange(frames) / RATE - 0.5, 0)
    scale = SCALE * (1 + 0.2 * np.sin(1.5 * seconds))
    angle = np.radians(20 * np.sin(2.5 * seconds))
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    centre = np.stack([320 + 120 * np.sin(3 * seconds), 230 + 20 * np.sin(2 * seconds)], axis=1)
    return np.concatenate([linear, (centre - linear @ HEAD)[:, :, None]], axis=2)


def frame(transform: NDArray[np.float64]) -> RGBImage:
    """Return the photo (480, 640, 3) after a transform."""
    return cv2.warpAffine(
        data.astronaut(),
        pixel_matrix(transform),
        SIZE,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )


def print_times(engine: FaceShapeEngine, frames: int) -> None:
    """Print milliseconds per frame with and without tracking, frame by frame in turn."""
    tracker = Tracker(engine, Mode.LARGEST)
    spent: dict[str, list[float]] = {"every frame detected": [], "tracked": []}
    for number, transform in enumerate(journey(frames)):
        picture = frame(transform)
        for name, call in (
            ("every frame detected", partial(engine.analyze, picture, Mode.LARGEST)),
            ("tracked", partial(tracker.update, picture, number / RATE)),
        ):
            started = time.process_time()
            call()
            spent[name].append(1e3 * (time.process_time() - started))
    print(f"\n| one face in 640 × 480, {frames} frames | mean ms | median ms |\n|---|--:|--:|")
    for name, each in spent.items():
        print(f"| {name} | {np.mean(each):.1f} | {np.median(each):.1f} |")
    every, tracked = (np.mean(each) for each in spent.values())
    print(f"\nTracking takes 1/{every / tracked:.1f} of the time, key frames each second included.")


def print_motion(engine: FaceShapeEngine, frames: int) -> None:
    """Print how far the points are from where the first frame's points have gone."""
    transforms = journey(frames)
    pictures = [frame(transform) for transform in transforms]
    raw, smooth = points(engine, pictures, None), points(engine, pictures, Smoothing())
    home = np.repeat(undo_similarities(transforms[:1], raw[:1]), frames, axis=0)
    true = apply_transforms(transforms, home)
    unit = interocular_distance(true)
    speed = np.linalg.norm(np.diff(true, axis=0), axis=2).mean(axis=1) * RATE / unit[1:]
    print(
        f"\n| a face that moves by up to {speed.max():.1f} interocular distances a second ", end=""
    )
    print("| mean, % | largest, % |\n|---|--:|--:|")
    for name, found, expected in (
        ("error as found", raw, true),
        ("error smoothed", smooth, true),
        ("lag of the smoothed points", smooth, raw),
    ):
        apart = 100 * np.linalg.norm(found - expected, axis=2).mean(axis=1) / unit
        print(f"| {name} | {apart.mean():.2f} | {apart.max():.2f} |")


def print_jitter(engine: FaceShapeEngine, frames: int) -> None:
    """Print how much the points of a still face tremble in noise."""
    still = frame(journey(1)[0]).astype(float)
    print("\n| a still face, noise σ | as found, % | smoothed, % | ratio | ratio, frame to frame |")
    print("|--:|--:|--:|--:|--:|")
    for sigma in (5, 10, 20):
        noise = np.random.default_rng(sigma)
        pictures = [
            np.clip(still + noise.normal(0, sigma, still.shape), 0, 255).astype(np.uint8)
            for _ in range(frames)
        ]
        # The first points of all are not smoothed: the first second does not count.
        raw, smooth = (points(engine, pictures, way)[RATE:] for way in (None, Smoothing()))
        unit = interocular_distance(raw[0]) / 100
        before, after = (each.std(axis=0).mean() / unit for each in (raw, smooth))
        steps = [np.abs(np.diff(each, axis=0)).mean() for each in (raw, smooth)]
        ratios = f"{after / before:.2f} | {steps[1] / steps[0]:.2f}"
        print(f"| {sigma} | {before:.3f} | {after:.3f} | {ratios} |")


def points(
    engine: FaceShapeEngine, pictures: list[RGBImage], smoothing: Smoothing | None
) -> NDArray[np.float32]:
    """Return the points (T, 90, 2) of the face in each picture."""
    tracker = Tracker(engine, Mode.LARGEST, smoothing=smoothing)
    answers = [tracker.update(picture, n / RATE) for n, picture in enumerate(pictures)]
    return np.stack([face.face.points for [face] in answers])


@click.command()
@click.option("--frames", default=90, show_default=True, type=click.IntRange(min=40))
def main(frames: int) -> None:
    """Print all tables."""
    cv2.setNumThreads(1)
    engine = FaceShapeEngine(threads=1)
    print_times(engine, frames)
    print_motion(engine, frames)
    print_jitter(engine, frames)


if __name__ == "__main__":
    main()
