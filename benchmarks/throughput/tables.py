"""The tables of the speed benchmark but those on fresh processes (fresh_process.py)."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from benchmarks.cores import on_cores
from benchmarks.result_table import Table
from benchmarks.throughput.assembled import assembled_pipelines
from benchmarks.throughput.naive_resampler import resample_naively
from benchmarks.throughput.pictures import group_picture, jpeg
from faceshape import FaceShapeEngine, Mode, resample
from faceshape.bench import by_turns, resampler_times, spread, stage_times
from faceshape.core.topology import load_topology
from faceshape.vision.image import RGBImage
from faceshape.vision.networks import manifest

__all__ = [
    "available_detectors",
    "detector_table",
    "peers_table",
    "pipeline_table",
    "regressor_table",
    "resampler_table",
    "stages_table",
]

_DETECTION_SIZES = ((320, 240), (640, 480), (1280, 720), (1920, 1080))
_PICTURES = [(size, faces) for size in ((640, 480), (1920, 1080)) for faces in (1, 3, 10)]
_BATCHES = (1, 2, 4, 8, 16, 32)
_NAIVE_FACES = 10
_PEER_VISITS = 3  # how often FaceMesh's process has its turn
_WORKER = Path(__file__).resolve().parents[1] / "mediapipe_worker.py"
_Rows = list[tuple[str, list[float | str | None]]]


def available_detectors() -> tuple[str, ...]:
    """Return the names of the detectors that there are models of, the default first."""
    return ("onnx", "dlib") if "detector" in manifest() else ("dlib",)


def resampler_table(most_faces: int, rounds: int) -> Table:
    """Return faces a second for growing batches, beside the naive version and plain copies."""
    topology = load_topology("dense166")
    few = _astronaut_dense(_NAIVE_FACES)
    naive = by_turns({"naive": lambda: resample_naively(few, topology)}, 5)["naive"] / len(few)
    rate = 1000 / float(np.median(naive))
    apart = np.abs(resample(few, topology) - resample_naively(few, topology)).max()
    rows: _Rows = [
        (
            f"{batch.faces:,}",
            [
                spread(batch.resample),
                f"{batch.faces_per_second:,.0f}",
                batch.faces_per_second / rate,
                batch.times_a_copy,
            ],
        )
        for batch in resampler_times(most_faces, rounds)
    ]
    note = (
        f"`faceshape.resample` from 166 points. The naive version, face by face with scipy, does "
        f"{rate:.0f} faces/s; the two are at most {apart:.3f} px apart, for it measures 32 chords. "
        "The floor is a plain copy that moves as many bytes as the resampler reads and writes."
    )
    return Table("Resampler", note, ["ms", "faces/s", "× naive", "× the floor's time"], rows)


def _astronaut_dense(count: int) -> NDArray[np.float32]:
    [face] = FaceShapeEngine(threads=1).analyze(group_picture((256, 256), 1))
    noise = np.random.default_rng(0).normal(0, 0.3, (count, *face.dense.shape))
    dense: NDArray[np.float32] = (face.dense + noise).astype(np.float32)
    return dense


def regressor_table(rounds: int) -> Table:
    """Return milliseconds a face by the number of faces."""
    engine = FaceShapeEngine(threads=1)
    picture = group_picture((640, 480), 1)
    box = engine.analyze(picture)[0].box
    calls = {
        str(count): partial(engine.landmarks, picture, np.tile(box, (count, 1)))
        for count in _BATCHES
    }
    rows: _Rows = [
        (count, [spread(milliseconds / int(count)), spread(milliseconds)])
        for count, milliseconds in by_turns(calls, rounds).items()
    ]
    note = "`engine.landmarks` with so many boxes: crops, all looks of the network, resampling."
    return Table("Regressor", note, ["ms a face", "ms"], rows)


def detector_table(rounds: int) -> Table:
    """Return milliseconds of `engine.detect` by size of the picture and detector."""
    engines = {name: FaceShapeEngine(name, threads=1) for name in available_detectors()}
    rows: _Rows = []
    for size in _DETECTION_SIZES:
        picture = group_picture(size, 1)
        calls = {name: partial(each.detect, picture) for name, each in engines.items()}
        times = by_turns(calls, rounds)
        rows.append((_name(size), [spread(times[name]) for name in engines]))
    note = "`engine.detect` on RGB pixels with one face, by the engine's detector."
    return Table("Detector", note, [f"{name}, ms" for name in engines], rows)


def stages_table(rounds: int) -> Table:
    """Return milliseconds of each stage on a JPEG with one face."""
    times = stage_times(jpeg(group_picture((640, 480), 1)), 1, rounds)
    rows: _Rows = [(stage, [spread(milliseconds)]) for stage, milliseconds in times.items()]
    return Table("Stages", "A JPEG of 640 × 480 with one face, one thread.", ["ms"], rows)


def pipeline_table(rounds: int) -> Table:
    """Return milliseconds of `engine.analyze` on JPEG bytes, with one and with two threads."""
    columns: dict[int, list[NDArray[np.float64]]] = {}
    faces: list[int] = []
    for threads in (1, 2):
        with on_cores(threads):
            engine = FaceShapeEngine(threads=threads)
            calls = {
                str(picture): partial(engine.analyze, jpeg(group_picture(*picture)))
                for picture in _PICTURES
            }
            faces = [len(call()) for call in calls.values()]
            columns[threads] = list(by_turns(calls, rounds).values())
    rows: _Rows = [
        (
            _name(*picture),
            [spread(one), spread(two), float(np.median(one) / np.median(two)), str(found)],
        )
        for picture, one, two, found in zip(_PICTURES, columns[1], columns[2], faces, strict=True)
    ]
    note = "JPEG bytes to the points of all faces."
    heads = ["one thread, ms", "two threads, ms", "× as fast", "faces found"]
    return Table("Whole pipeline", note, heads, rows)


def peers_table(
    mediapipe_python: Path | None, peers: Path | None, dlib68: Path | None, rounds: int
) -> Table:
    """Return milliseconds on RGB pixels, beside others; those whose files are None are left out.

    Args:
        mediapipe_python: the interpreter that has MediaPipe, for FaceMesh.
        peers: the folder with the files of YuNet and PFLD-GhostOne.
        dlib68: dlib's predictor of 68 points.
        rounds: altogether.
    """
    pipelines = assembled_pipelines(peers, dlib68)
    engines = {name: FaceShapeEngine(name, threads=1) for name in available_detectors()}
    hog = dlib.get_frontal_face_detector()
    rows: _Rows = []
    for size, faces in _PICTURES:
        picture = group_picture(size, faces)
        calls: dict[str, Callable[[], object]] = {
            name: partial(engine.analyze, picture) for name, engine in engines.items()
        }
        own = engines[next(iter(engines))]
        calls["largest"] = partial(own.analyze, picture, Mode.LARGEST)
        calls |= {name: partial(run, picture) for name, run in pipelines.items()}
        calls["HOG"] = partial(hog, picture, 0)
        found = {name: str(len(call())) for name, call in calls.items()}
        times, mesh_faces = _in_turn_with_mesh(calls, picture, faces, mediapipe_python, rounds)
        if mesh_faces is not None:
            found["FaceMesh"] = str(mesh_faces)
        ours = float(np.median(times[next(iter(engines))]))
        cells: list[float | str | None] = []
        for name, milliseconds in times.items():
            ratio = float(np.median(milliseconds)) / ours
            cells += [f"{spread(milliseconds)}; {ratio:.2f} ×; {found[name]}"]
        rows.append((_name(size, faces), cells))
    note = (
        "RGB pixels to points, one core: ms, the median as a multiple of the first column's, and "
        "the faces found. HOG is dlib's detector alone, without enlarging, which gives boxes and "
        "no points; the engine's own use of it enlarges to find smaller faces."
    )
    return Table("Beside others", note, [_HEADS.get(name, name) for name in times], rows)


_HEADS = {
    "onnx": "faceshape",
    "largest": "faceshape, Mode 1",
    "dlib": "faceshape, detector=dlib",
    "HOG": "dlib HOG, boxes only",
    "FaceMesh": "MediaPipe FaceMesh",
}


def _in_turn_with_mesh(
    calls: Mapping[str, Callable[[], object]],
    picture: RGBImage,
    faces: int,
    mediapipe_python: Path | None,
    rounds: int,
) -> tuple[dict[str, NDArray[np.float64]], int | None]:
    if mediapipe_python is None:
        return by_turns(calls, rounds), None
    each = max(1, rounds // _PEER_VISITS)
    visits: list[dict[str, NDArray[np.float64]]] = []
    found = 0
    for _ in range(_PEER_VISITS):
        # FaceMesh runs in a process of its own, call after call: so must the others.
        times = {name: by_turns({name: call}, each)[name] for name, call in calls.items()}
        times["FaceMesh"], found = _mesh_times(mediapipe_python, picture, faces, each)
        visits.append(times)
    return {name: np.concatenate([v[name] for v in visits]) for name in visits[0]}, found


def _mesh_times(
    python: Path, picture: RGBImage, faces: int, rounds: int
) -> tuple[NDArray[np.float64], int]:
    """Return FaceMesh's milliseconds (rounds,) after one to warm up, and how many it found."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "pictures.npz"), Path(folder, "result.npz")
        np.savez(source, crops=np.tile(picture, (rounds + 1, 1, 1, 1)), most_faces=faces)
        command = [str(python), str(_WORKER), str(source), str(target)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        with np.load(target) as result:
            return result["milliseconds"][1:], int(result["faces"][-1])


def _name(size: tuple[int, int], faces: int | None = None) -> str:
    many = "" if faces is None else f", {faces} face{'s' * (faces > 1)}"
    return f"{size[0]} × {size[1]}{many}"
