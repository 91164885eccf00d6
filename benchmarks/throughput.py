"""How fast it is: ``python benchmarks/throughput.py``; every ratio is measured in one run.

Prints Markdown tables: the resampler beside a straightforward scipy version, the stages of one
picture, and the import.
"""

import io
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy loads: everything on one core
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import CubicSpline
from skimage import data

from faceshape import FaceShapeEngine, resample
from faceshape.contract import POINT_COUNT, RUNS
from faceshape.detector import DlibDetector
from faceshape.image import load_image
from faceshape.landmarker import Landmarker
from faceshape.models import OnnxModel, model_entry
from faceshape.topology import Topology, load_topology


def resample_naively(dense: NDArray[np.float32], topology: Topology) -> NDArray[np.float64]:
    """Do what `faceshape.resample` does as one would write it first: face by face, run by run."""
    faces = np.empty((len(dense), POINT_COUNT, 2))
    for points, face in zip(dense, faces, strict=True):
        for run in RUNS:
            controls = np.array(
                [
                    sum(weight * points[index] for index, weight in control.items())
                    for control in topology.curves[run.curve]
                ]
            )
            if len(controls) == 1:
                samples = controls
            else:
                spline = CubicSpline(np.arange(len(controls)), controls)
                fine = spline(np.linspace(0, len(controls) - 1, 33))
                steps = np.linalg.norm(np.diff(fine, axis=0), axis=1)
                length = np.concatenate([[0], np.cumsum(steps)])
                wanted = np.linspace(0, length[-1], len(run.targets))
                samples = np.stack([np.interp(wanted, length, fine[:, axis]) for axis in (0, 1)], 1)
            for target, sample in zip(run.targets, samples, strict=True):
                if target >= 0:
                    face[target] = sample
    return faces


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Return the sorted durations of a call, after one to warm up."""
    call()
    durations = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return sorted(durations)


def print_resampler(faces: int) -> None:
    """Print faces a second for growing batches, beside the naive version."""
    topology = load_topology("dense166")
    [shape] = FaceShapeEngine(threads=1).analyze(data.astronaut()[:256, 96:352])
    noise = np.random.default_rng(0).normal(0, 0.3, (faces, *shape.dense.shape))
    dense = (shape.dense + noise).astype(np.float32)
    naive = statistics.median(seconds(lambda: resample_naively(dense[:20], topology), 5)) / 20
    print(f"\n| faces in a batch | ms | faces/s | × naive scipy ({1 / naive:.0f} faces/s) |")
    print("|--:|--:|--:|--:|")
    for count in (1, 10, 100, 1000, 10_000, 100_000):
        if count <= faces:
            repeats = 3 if count > 10_000 else 30
            duration = statistics.median(
                seconds(lambda count=count: resample(dense[:count], topology), repeats)
            )
            print(
                f"| {count} | {duration * 1e3:.2f} | {count / duration:,.0f} "
                f"| {naive * count / duration:.0f} |"
            )
    apart = np.abs(resample(dense[:20], topology) - resample_naively(dense[:20], topology)).max()
    print(f"\nLargest difference between the two: {apart:.4f} px.")


def print_stages(repeats: int) -> None:
    """Print the milliseconds of each stage for one face in 640 × 480, one thread."""
    cv2.setNumThreads(1)
    picture = cv2.resize(data.astronaut(), (640, 640))[:480]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    detector, landmarker = DlibDetector(), Landmarker(OnnxModel(model_entry("landmarks"), 1))
    found = detector.detect(picture)[:1]
    dense = landmarker.locate(picture, found.boxes, found.roll).dense
    engine = FaceShapeEngine(threads=1)
    stages: dict[str, Callable[[], object]] = {
        "decode (JPEG)": lambda: load_image(file.getvalue()),
        "detect (dlib HOG)": lambda: detector.detect(picture),
        "regress (two looks, crops and resampling included)": lambda: landmarker.locate(
            picture, found.boxes, found.roll
        ),
        "resample": lambda: resample(dense, landmarker.topology),
        "the whole: `engine.analyze(bytes, Mode.LARGEST)`": lambda: engine.analyze(
            file.getvalue(), mode=1
        ),
    }
    print("\n| stage | median ms | 10 % | 90 % |\n|---|--:|--:|--:|")
    for name, call in stages.items():
        durations = [1e3 * each for each in seconds(call, repeats)]
        low, middle, high = (
            durations[int(part * (len(durations) - 1))] for part in (0.1, 0.5, 0.9)
        )
        print(f"| {name} | {middle:.2f} | {low:.2f} | {high:.2f} |")


def print_import(repeats: int) -> None:
    """Print what ``import faceshape`` costs beyond an interpreter that imports nothing."""

    def median(code: str) -> float:
        command = [sys.executable, "-c", code]
        return statistics.median(seconds(lambda: subprocess.run(command, check=True), repeats))

    empty, package = median("pass"), median("import faceshape")
    heavy = "[m for m in ('onnxruntime', 'cv2', 'dlib', 'numpy') if m in __import__('sys').modules]"
    command = [sys.executable, "-c", f"import faceshape; print({heavy})"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    print(
        f"\n`python -c 'import faceshape'` takes {package:.3f} s, `python -c pass` {empty:.3f} s; "
        f"of onnxruntime, cv2, dlib and numpy it loads {loaded}."
    )


@click.command()
@click.option("--faces", default=100_000, show_default=True, help="in the largest batch")
@click.option("--repeats", default=30, show_default=True)
def main(faces: int, repeats: int) -> None:
    """Print all tables."""
    print_resampler(faces)
    print_stages(repeats)
    print_import(min(repeats, 15))


if __name__ == "__main__":
    main()
