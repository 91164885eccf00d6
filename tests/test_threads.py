"""One thread is one thread, OpenCV's included, in processes that are faceshape's own."""

import subprocess
import sys

import pytest
from PIL import Image

TRACKED = """
import cv2
writer = cv2.VideoWriter("video.avi", cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 64))
writer.write(cv2.resize(cv2.imread("photo.png"), (64, 64)))
writer.release()
from faceshape.cli.main import main
main(["track", "video.avi", "--jsonl", "out", "--threads", "1"], standalone_mode=False)
"""
ANALYZED = """
from faceshape.cli.main import main
main(["analyze", "photo.png", "--threads", "1"], standalone_mode=False)
"""
SERVED = """
import os
from faceshape.tencent.server import app
os.environ[app.SETTINGS_VARIABLE] = app.ServerSettings(secrets=None).to_json()
app.app_from_environment()
"""
WORKED = """
from multiprocessing import Pipe
from faceshape.batch.worker import serve
ours, theirs = Pipe()
ours.send("photo.png")
ours.close()
serve(theirs, 0, False, "auto", "en-US")
"""
IN_A_PROGRAM = """
from faceshape import FaceShapeEngine
FaceShapeEngine(threads=1).analyze("photo.png")
"""


@pytest.mark.parametrize(
    ("code", "threads"),
    [(TRACKED, 1), (ANALYZED, 1), (SERVED, 1), (WORKED, 1), (IN_A_PROGRAM, 3)],
    ids=["track", "analyze", "serve", "batch", "somebody else's"],
)
def test_opencv_has_as_many_threads(code, threads, portrait, tmp_path):
    Image.fromarray(portrait).save(tmp_path / "photo.png")
    code = f"import cv2; cv2.setNumThreads(3)\n{code}\nprint('OpenCV', cv2.getNumThreads())"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == f"OpenCV {threads}"
