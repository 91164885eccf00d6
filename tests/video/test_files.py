import struct

import cv2
import numpy as np
import pytest

from faceshape.video.files import VideoReader, VideoWriter

# The first four numbers of a track's matrix, and how NumPy turns what is stored.
MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def turned_video(path, degrees: int) -> np.ndarray:
    """Write a video as a phone does that is held otherwise; return its picture as it is stored."""
    stored = np.zeros((240, 320, 3), np.uint8)
    stored[:60, :80] = (255, 0, 0)
    stored[-60:, :80] = (0, 0, 255)
    with VideoWriter(path, 10) as video:
        for _ in range(5):
            video.write(stored)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # behind version, flags, times, number, length, layer ...
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    assert data[place : place + 36] == identity
    a, b, c, d = (each << 16 for each in MATRICES[degrees])
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return stored


@pytest.mark.parametrize("degrees", MATRICES)
def test_videos_of_phones_stand_upright(tmp_path, degrees):
    path = tmp_path / "phone.mp4"
    stored = turned_video(path, degrees)
    upright = np.rot90(stored, -degrees // 90)
    with VideoReader(path) as video:
        frames = [frame for _, frame in video]
    assert len(frames) == 5
    assert frames[0].shape == upright.shape
    assert np.abs(frames[0].astype(int) - upright).mean() < 8


def test_a_reader_asks_for_upright_frames(tmp_path, monkeypatch):
    """OpenCV 4.11 leaves them on their side where it is not asked."""
    turned_video(tmp_path / "phone.mp4", 90)
    asked = []

    class Capture:  # not derived from OpenCV's: its classes do not survive that
        def __init__(self, *arguments, real=cv2.VideoCapture):
            self._real = real(*arguments)

        def set(self, key, value):
            asked.append((key, value))
            return self._real.set(key, value)

        def __getattr__(self, name):
            return getattr(self._real, name)

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    VideoReader(tmp_path / "phone.mp4").close()
    assert (cv2.CAP_PROP_ORIENTATION_AUTO, 1) in asked
