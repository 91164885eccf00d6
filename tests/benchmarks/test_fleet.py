"""What the fleets' benchmark counts, and that it notices other points."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="the extra arrow")

from benchmarks.fleet.listing import listing_cost  # noqa: E402
from benchmarks.fleet.ways import analyze_agrees  # noqa: E402
from faceshape.tencent.api import face_response  # noqa: E402

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
PATIENCE = 300

# A process that leaves a daemon behind, which takes 0.5 s of a processor and 100 MiB.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        filled = bytearray(b"x") * (100 * 2**20)
        while time.process_time() < 0.5:
            pass
        time.sleep(0.5)
"""
COST = "import sys; from benchmarks.fleet.processes import cost_of; print(*cost_of(sys.argv[1:]))"


@linux
def test_what_daemons_cost_is_counted():
    # In a process of its own: it takes in the orphans of all that it has started.
    command = [sys.executable, "-c", COST, sys.executable, "-c", DAEMON]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    processor_seconds, peak_mib = map(float, run.stdout.split())
    assert processor_seconds >= 0.4
    assert 100 <= peak_mib < 1000


@linux
def test_listing_costs_something(tmp_path):
    memory, seconds = listing_cost(tmp_path, 3000)
    assert memory >= 0
    assert seconds > 0


def test_other_points_are_noticed(face, tmp_path):
    def jsonl(points):
        response = face_response([replace(face, points=points)], (256, 256))
        (tmp_path / "a.jsonl").write_text(json.dumps({"Path": "a.jpg", **response}))
        return tmp_path / "a.jsonl"

    rounded = np.round(face.points * 32) / 32
    answers = pa.table({"path": ["a.jpg"], "faces": [[{"points": rounded.ravel().tolist()}]]})
    assert analyze_agrees(jsonl(face.points), answers)
    moved = face.points.copy()
    moved[89, 1] += 1.1
    assert not analyze_agrees(jsonl(moved), answers)
    assert not analyze_agrees(jsonl(face.points), answers.slice(1))
    none = pa.table({"path": ["a.jpg"], "faces": [pa.scalar([]).as_py()]})
    assert not analyze_agrees(jsonl(face.points), none)
