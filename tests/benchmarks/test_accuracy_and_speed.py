"""The benchmarks of landmarks and speed, on tiny sets made of the astronaut."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from benchmarks import result_table
from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import contenders, measures, presence, stability
from benchmarks.accuracy import faces as labelled_faces
from benchmarks.accuracy import tables as accuracy_tables
from benchmarks.cores import on_cores
from benchmarks.throughput import __main__ as throughput
from benchmarks.throughput import assembled, installed_size, naive_resampler
from benchmarks.throughput import pictures as speed_pictures
from benchmarks.throughput import tables as throughput_tables
from faceshape import FaceShapeEngine, resample
from faceshape.core.contract import interocular_distance
from faceshape.core.topology import load_topology

_EXACT_AND_MIRRORED = ("exact", "exact, picture mirrored")

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ibug(face) -> NDArray[np.float32]:
    return measures.as_ibug68(face.points[None])[0]


@pytest.fixture(scope="module")
def picture_bytes(portrait) -> bytes:
    bgr = cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr)[1].tobytes()


@pytest.fixture
def pts_folder(tmp_path, ibug, picture_bytes) -> Path:
    folder = tmp_path / "pts"
    folder.mkdir()
    lines = "\n".join(f"{x + 0.5:.4f} {y + 0.5:.4f}" for x, y in ibug)
    for name in ("one", "two"):
        (folder / f"{name}.png").write_bytes(picture_bytes)
        (folder / f"{name}.pts").write_text(f"version: 1\nn_points: 68\n{{\n{lines}\n}}\n")
    return folder


@pytest.fixture
def wflw(face) -> NDArray[np.float32]:
    """98 points: contour and eyes in their places, all others at the chin."""
    points = np.tile(face.points[10], (98, 1))
    points[0:33:2] = measures.as_ibug68(face.points[None])[0, :17]
    points[1:32:2] = (points[0:31:2] + points[2:33:2]) / 2
    left, right = face.group("LeftEye"), face.group("RightEye")
    points[[60, 67, 66, 65, 64, 63, 62, 61]] = left
    points[[72, 73, 74, 75, 68, 69, 70, 71]] = right
    return points


@pytest.fixture
def wflw_list(tmp_path, wflw, picture_bytes) -> tuple[Path, Path]:
    images = tmp_path / "images" / "a folder"
    images.mkdir(parents=True)
    (images / "face 1.png").write_bytes(picture_bytes)
    numbers = " ".join(f"{value - 0.5:.4f}" for value in wflw.ravel())
    listed = tmp_path / "list.txt"
    listed.write_text(f"{numbers} 10 20 200 220 0 0 1 0 0 0 a folder/face 1.png\n")
    return listed, images.parent


def test_pts_files_are_read_in_continuous_pixels(pts_folder, ibug, portrait):
    faces = labelled_faces.load_pts_folder(pts_folder)
    assert len(faces) == len(faces.pictures) == 2
    np.testing.assert_allclose(faces.raw[1], ibug, atol=1e-3)
    np.testing.assert_allclose(faces.points[0], resample(ibug[None], "ibug68")[0], atol=1e-2)
    np.testing.assert_array_equal(faces.pictures[1], portrait)
    with pytest.raises(IndexError):
        faces.pictures[2]


def test_pts_files_of_another_count_and_without_picture_are_refused(pts_folder):
    (pts_folder / "one.png").unlink()
    with pytest.raises(FileNotFoundError, match="no picture"):
        labelled_faces.load_pts_folder(pts_folder)
    (pts_folder / "one.pts").write_text("version: 1\nn_points: 1\n{\n1 2\n}\n")
    with pytest.raises(ValueError, match="not 68 points"):
        labelled_faces.load_pts_folder(pts_folder)
    with pytest.raises(FileNotFoundError, match=r"no \.pts"):
        labelled_faces.load_pts_folder(pts_folder.parent / "nowhere")


def test_a_wflw_list_is_read_with_spaces_in_names(wflw_list, wflw, portrait):
    faces = labelled_faces.load_wflw_list(*wflw_list)
    np.testing.assert_allclose(faces.raw[0], wflw, atol=1e-3)
    np.testing.assert_array_equal(faces.pictures[0], portrait)


def test_a_malformed_wflw_list_is_refused(wflw_list):
    listed, images = wflw_list
    listed.write_text("1 2 3 face.png\n")
    with pytest.raises(ValueError, match="4 fields, not 207"):
        labelled_faces.load_wflw_list(listed, images)
    listed.write_text("")
    with pytest.raises(ValueError, match="empty"):
        labelled_faces.load_wflw_list(listed, images)


def test_a_sample_is_the_same_each_time(pts_folder):
    faces = labelled_faces.load_pts_folder(pts_folder)
    assert faces.sample(None) is faces.sample(2) is faces
    assert len(faces.sample(1).pictures) == len(faces.sample(1).points) == 1


def test_68_points_survive_the_way_through_the_contract(ibug):
    again = measures.as_ibug68(resample(ibug[None], "ibug68"))[0]
    errors = np.linalg.norm(again - ibug, axis=1) / np.linalg.norm(ibug[36] - ibug[45])
    assert errors[17:].mean() < 0.025
    assert errors.max() < 0.07


def test_errors_are_in_per_cent_of_the_interocular_distance(face):
    points = face.points[None]
    scale = interocular_distance(points)
    moved = points + np.array([0.03, 0.04], np.float32) * scale
    np.testing.assert_allclose(measures.point_errors(moved, points, scale), 5.0, rtol=1e-3)


def test_sliding_along_a_contour_is_no_error():
    contour = np.array([[[0, 0], [10, 0], [10, 10]]], np.float32)
    found = np.array([[[3, 0], [10, 7], [5, 2], [10, 13]]], np.float32)
    errors = measures.contour_errors(found, contour, np.array([100], np.float32))
    np.testing.assert_allclose(errors, [[0, 0, 2, 3]], atol=1e-5)


def test_missed_faces_fail_but_do_not_count_in_the_mean():
    errors = np.array([2.0, 4.0, 10.0, np.nan])
    assert measures.mean_over_found(errors) == pytest.approx(16 / 3)
    assert measures.median_over_found(errors) == 4.0
    assert measures.share_above(errors) == 50.0
    assert measures.missed(errors) == 25.0
    assert measures.area_under_curve(errors) == pytest.approx((0.75 + 0.5) / 4)


def test_all_faces_missed_gives_no_mean():
    nothing = np.array([np.nan, np.nan])
    assert np.isnan(measures.mean_over_found(nothing))
    assert np.isnan(measures.median_over_found(nothing))
    assert measures.share_above(nothing) == 100.0
    assert measures.area_under_curve(nothing) == 0.0


def test_parts_cover_the_contract_once():
    rows = np.concatenate(list(measures.PARTS.values()))
    assert sorted(rows) == list(range(90))


def test_inexact_boxes_are_off_by_what_is_asked():
    boxes = np.tile(np.array([[100, 50, 200, 130]], np.float32), (4000, 1))
    inexact = labelled_faces.inexact_boxes(boxes, 0.06, 0.05)
    centres = (inexact[:, :2] + inexact[:, 2:]) / 2
    np.testing.assert_allclose(centres.std(axis=0), 6.0, rtol=0.1)
    sizes = (inexact[:, 2:] - inexact[:, :2]) / [100, 80]
    np.testing.assert_allclose(np.log(sizes).std(axis=0), 0.05, rtol=0.1)
    np.testing.assert_allclose(labelled_faces.inexact_boxes(boxes, 0, 0), boxes, atol=1e-4)


def test_roc_area_counts_pairs():
    assert presence.area_under_roc(np.array([0.9, 0.8]), np.array([0.1, 0.2])) == 1.0
    assert presence.area_under_roc(np.array([0.5, 0.1]), np.array([0.5, 0.3])) == 0.375


def test_background_squares_keep_clear_of_faces():
    boxes = presence.random_squares((200, 300), 500, np.random.default_rng(0))
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 300).all()
    assert (boxes[:, 3] <= 200).all()
    face = np.array([[100, 50, 160, 120.0]])
    clear = presence.clear_of(boxes, face)
    assert 0 < clear.sum() < 500
    centres = (face[0, :2] + face[0, 2:]) / 2
    inside = ((boxes[:, :2] < centres) & (boxes[:, 2:] > centres)).all(axis=1)
    assert not (clear & inside).any()
    assert presence.clear_of(boxes, np.empty((0, 4))).all()


@pytest.mark.parametrize("kind", range(4))
def test_changes_move_the_picture_as_they_say(portrait, face, kind):
    boxes = np.tile(face.box, (2, 1))
    transforms = stability.changes(boxes, kind)
    centre = (face.box[:2] + face.box[2:]) / 2
    moved = np.linalg.norm(transforms[0, :, :2] @ centre + transforms[0, :, 2] - centre)
    assert moved == pytest.approx(1.0 if kind == 0 else 0.0, abs=1e-3)
    scale = np.sqrt(np.linalg.det(transforms[:, :, :2]))
    np.testing.assert_allclose(scale, [1.01, 0.99] if kind == 1 else 1.0, atol=1e-6)
    turn = np.degrees(np.arctan2(transforms[:, 1, 0], transforms[:, 0, 0]))
    np.testing.assert_allclose(np.abs(turn), 2.0 if kind == 2 else 0.0, atol=1e-6)
    after = stability.changed(portrait, transforms[0], kind)
    assert after.shape == portrait.shape
    if kind == 0:
        np.testing.assert_array_equal(after[:, 1:], portrait[:, :-1])


def test_robustness_and_stability_of_the_engine(engine, pts_folder):
    faces, ours = (
        labelled_faces.load_pts_folder(pts_folder),
        contenders.GivenBoxes(engine),
    )
    robustness = accuracy_tables.robustness_table([ours], faces).as_json()["rows"]
    exact, mirrored = (robustness[name]["faceshape"] for name in _EXACT_AND_MIRRORED)
    assert exact < 5
    assert abs(mirrored - exact) < 1.5
    motion = stability.stability_table([ours], faces).as_json()["rows"]["all four"]["faceshape"]
    assert 0 < float(motion.split()[0]) < 3


def test_tables_print_and_serialise():
    table = result_table.Table(
        "T", "N", ["a", "b"], [("row", [1.234, None]), ("other", [np.nan, "x"])]
    )
    assert table.markdown().splitlines()[-2:] == ["| row | 1.23 | – |", "| other | – | x |"]
    assert json.loads(json.dumps(table.as_json()))["rows"]["other"] == {"a": None, "b": "x"}


def test_one_command_measures_other_sets(tmp_path, pts_folder, wflw_list, monkeypatch):
    monkeypatch.setattr(accuracy, "use_one_core", lambda: None)  # would outlive the test
    listed, images = wflw_list
    target = tmp_path / "tables.json"
    arguments = ["--pts", pts_folder, "--wflw", listed, "--wflw-images", images, "--json", target]
    result = CliRunner().invoke(accuracy.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert "FaceMesh is left out" in result.output
    folder, wflw_table = json.loads(target.read_text(encoding="utf-8"))
    # The labels are the engine's own points, so that little more than the mapping is left over.
    assert folder["rows"]["points: the 51 without the jaw"]["faceshape"] < 2.5
    assert folder["rows"]["68 points: FR@8, %"]["faceshape"] == 0.0
    assert set(wflw_table["rows"]["marked points: NME"]) == {"faceshape", "faceshape, own detector"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "nothing to measure on"), (["--wflw", __file__], "belong together")],
)
def test_incomplete_commands_are_refused(arguments, message):
    result = CliRunner().invoke(accuracy.main, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_group_pictures_have_as_many_faces_as_asked_for(engine):
    for faces in (1, 3, 10):
        picture = speed_pictures.group_picture((640, 480), faces)
        assert picture.shape == (480, 640, 3)
        assert len(engine.analyze(picture)) == faces


def test_the_naive_resampler_does_the_same(face):
    dense = face.dense[None]
    naive = naive_resampler.resample_naively(dense, load_topology("dense166"))
    off = np.abs(naive - resample(dense, "dense166")).max()
    assert 0 < off < 0.001 * interocular_distance(face.points)


def test_one_command_measures_speed(tmp_path):
    target = tmp_path / "tables.json"
    sections = ("resampler", "regressor", "stages", "workers", "start", "installed")
    arguments = ["--faces", "10", "--pictures", "2", "--rounds", "1", "--json", str(target)]
    for section in sections:
        arguments += ["--section", section]
    result = CliRunner().invoke(throughput.main, arguments)
    assert result.exit_code == 0, result.output
    for option in ("--mediapipe-python", "--peers", "--dlib68"):
        assert f"needs {option}" in result.output
    tables = json.loads(target.read_text(encoding="utf-8"))
    resampler, regressor, stages, workers, start, installed = (each["rows"] for each in tables)
    assert set(resampler) == {"1", "10"}
    assert resampler["10"]["× naive"] > 10
    assert set(regressor) == {"1", "2", "4", "8", "16", "32"}
    assert "detect" in stages
    assert set(workers) == {"1", "2"}
    assert "first `analyze`" in start
    assert installed["faceshape"]["MB"] > installed["faceshape"]["itself"] > 4


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a clone")
def test_another_revision_is_measured_in_the_same_run(tmp_path):
    target = tmp_path / "tables.json"
    arguments = ["--against", "HEAD", "--rounds", "1", "--json", str(target)]
    result = CliRunner().invoke(throughput.main, arguments)
    assert result.exit_code == 0, result.output
    [table] = json.loads(target.read_text(encoding="utf-8"))
    assert len(table["rows"]) == 6
    for row in table["rows"].values():
        before, now = (float(row[side].split()[0]) for side in ("before", "now"))
        assert min(before, now) > 0 or max(before, now) < 0.1  # printed to 0.01 ms
        assert row["× as fast"] > 0


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="not a clone")
def test_a_revision_that_is_not_there_is_refused():
    result = CliRunner().invoke(throughput.main, ["--against", "no-such-revision"])
    assert result.exit_code == 2
    assert "no-such-revision" in result.output


def test_peers_without_facemesh_have_a_column_for_each_detector(monkeypatch):
    monkeypatch.setattr(throughput_tables, "_PICTURES", [((160, 120), 1)])
    [[name, cells]] = throughput_tables.peers_table(None, None, None, 1).rows
    assert name == "160 × 120, 1 face"
    assert len(cells) == len(throughput_tables.available_detectors()) + 2
    assert all("ms" not in cell and "×" in cell for cell in cells)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_cores_are_given_back():
    cores, threads = os.sched_getaffinity(0), cv2.getNumThreads()
    with on_cores(1):
        assert len(os.sched_getaffinity(0)) == 1
        assert cv2.getNumThreads() == 1
    assert os.sched_getaffinity(0) == cores
    assert cv2.getNumThreads() == threads


def test_a_closure_counts_each_distribution_once():
    sizes = installed_size.closure_sizes("click")
    assert sizes["click"] > 100_000
    with pytest.raises(PackageNotFoundError):
        installed_size.closure_sizes("no-such-distribution")


def test_the_core_is_many_times_as_fast_as_the_naive_version():
    """pytest-benchmark does not measure beside xdist's workers, hence a process of its own."""
    guard = Path(throughput.__file__).with_name("test_core_speed.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider"]
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    run = subprocess.run(
        [*command, "-q", str(guard)],
        cwd=guard.parent,
        env=alone,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout


def test_a_detector_and_a_regressor_make_a_pipeline(portrait, face):
    engine = FaceShapeEngine(threads=1)
    run = assembled.pipeline_of(engine, contenders.GivenBoxes(engine))
    [points] = run(portrait)
    np.testing.assert_allclose(points, face.points, atol=0.03 * np.ptp(face.points))
    assert run(np.zeros_like(portrait)).shape == (0, 90, 2)
    assert not assembled.assembled_pipelines(None, None)
