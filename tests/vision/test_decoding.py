"""What decoding costs, and files of public bug reports."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from faceshape.errors import ImageDecodeError
from faceshape.vision.image import load_image
from tests.vision.formats.files import PNG_SIGNATURE, chunk

FAULTS = Path(__file__).parents[3] / "shared/faults"
needs_faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="the files are not there")

# Linux counts the memory of who starts a process into its ru_maxrss; VmHWM is the process's own.
MEMORY = """
import re, resource, sys
from pathlib import Path
from faceshape.vision.image import load_image
assert load_image(sys.argv[1]).shape == (8000, 10000, 3)
if sys.platform == "linux":
    print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not say how much was used")
@pytest.mark.parametrize(
    ("colours", "channels", "between"),
    [
        (6, 4, b""),
        (3, 1, chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", b"\0")),
        (2, 3, chunk(b"tRNS", bytes(6))),
    ],
    ids=["RGBA", "palette with transparency", "RGB with transparency"],
)
def test_80_megapixels_take_less_than_a_gigabyte(tmp_path, colours, channels, between):
    header = struct.pack(">IIBBBBB", 10_000, 8000, 8, colours, 0, 0, 0)
    packer = zlib.compressobj(1)
    line = b"\0" + bytes([200]) * (10_000 * channels)
    pixels = b"".join(packer.compress(line) for _ in range(8000)) + packer.flush()
    parts = [chunk(b"IHDR", header), between, chunk(b"IDAT", pixels), chunk(b"IEND")]
    path = tmp_path / "large.png"
    path.write_bytes(PNG_SIGNATURE + b"".join(parts))
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], check=True, capture_output=True, text=True
    )
    assert int(run.stdout) < 1e9


@needs_faults
@pytest.mark.parametrize(
    "name",
    [
        "jfif72_exif_garbage.jpg",
        "png_exif_garbage.png",
        "png_iccp_big.png",
        "png_text_big.png",
        "bmp32_v4_alpha0.bmp",
        "jpg_no_eoi.jpg",
        "grey16_trns.png",
    ],
)
def test_faults_that_are_pictures(portrait, name):
    found = load_image(FAULTS / name).astype(int)
    assert found.shape == portrait.shape
    if name != "grey16_trns.png":
        assert np.abs(found - portrait).mean() < (4 if name.endswith("jpg") else 0.01)
    else:
        grey = portrait @ [0.299, 0.587, 0.114]
        assert (found == 255).all(axis=2).mean() > 0.2  # laid over white
        solid = ~(found == 255).all(axis=2)
        assert np.abs(found[:, :, 0] - grey)[solid].mean() < 2


@needs_faults
@pytest.mark.parametrize("name", ["progressive_scans_1000.jpg", "nopalette.png"])
def test_faults_that_are_none(name):
    with pytest.raises(ImageDecodeError):
        load_image(FAULTS / name)
