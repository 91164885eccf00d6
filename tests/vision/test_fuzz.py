"""Damaged picture files: each gives a picture or a typed error, soon.

``FACESHAPE_FUZZ_EXAMPLES=100000 pytest --log-cli-level=INFO tests/vision/test_fuzz.py`` makes it
a drill, and prints its figures.
"""

import faulthandler
import logging
import os
import random
import struct
import time
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image, features

from faceshape.errors import ImageError
from faceshape.vision.image import load_image
from tests.vision.formats.files import PNG_SIGNATURE, bmp, chunk, chunks_of, encoded, exif, png

EXAMPLES = int(os.environ.get("FACESHAPE_FUZZ_EXAMPLES", "400"))
PARTS = 4  # for as many processes
HANG = 120  # seconds, after which a traceback is printed and the process ends

PNG_KINDS = (
    b"IHDR PLTE tRNS IDAT IEND eXIf iCCP tEXt zTXt iTXt gAMA cHRM pHYs sRGB acTL fcTL fdAT".split()
)
TELLING = (0, 1, 127, 128, 254, 255)


@pytest.fixture(scope="module")
def seeds(portrait) -> list[bytes]:
    photo = Image.fromarray(portrait).resize((96, 80))
    grey, palette = photo.convert("L"), photo.quantize(64)
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    glass = photo.convert("RGBA")
    glass.putalpha(grey)
    stated = exif(6)
    rows = np.asarray(glass).view("<u4")[::-1, :, 0]
    files = [
        encoded(photo, "JPEG"),
        encoded(photo, "JPEG", progressive=True, exif=stated),
        encoded(photo, "JPEG", restart_marker_blocks=4),
        encoded(photo.convert("CMYK"), "JPEG"),
        encoded(grey, "JPEG", optimize=True),
        encoded(photo, "MPO", save_all=True, append_images=[photo]),
        encoded(photo, "PNG", exif=stated),
        encoded(glass, "PNG"),
        encoded(deep, "PNG"),
        encoded(palette, "PNG", transparency=3),
        encoded(photo.convert("1"), "PNG"),
        encoded(photo, "PNG", save_all=True, append_images=[grey.convert("RGB")]),
        png(np.asarray(deep).astype(">u2").view(np.uint8), 16, 0, chunk(b"tRNS", b"\x77\x77")),
        encoded(photo, "BMP"),
        encoded(palette, "BMP"),
        encoded(photo.convert("1"), "BMP"),
        bmp(rows, 32, 3, (0xFF, 0xFF00, 0xFF0000, 0xFF000000), 124),
        bmp(rows.astype("<u2"), 16, 3, (0xF800, 0x7E0, 0x1F)),
        bmp(np.zeros((40, 40), np.uint8), 8, 1, pixels=(b"\x28\x07\0\0" * 40) + b"\0\1"),
        bmp(np.zeros((40, 40), np.uint8), 4, 2, pixels=(b"\x28\x37\0\0" * 40) + b"\0\1"),
        encoded(palette, "GIF", transparency=3, comment=b"hello"),
        encoded(palette, "GIF", save_all=True, append_images=[grey.quantize(8)]),
        encoded(photo, "WEBP", exif=stated),
        encoded(glass, "WEBP", lossless=True),
        encoded(photo, "WEBP", save_all=True, append_images=[grey.convert("RGB")]),
        *(
            encoded(picture, "TIFF", compression=compression)
            for picture in (photo, palette, deep, glass, grey)
            for compression in ("raw", "tiff_lzw", "tiff_deflate")
        ),
        encoded(photo, "TIFF", compression="jpeg"),
        encoded(photo.convert("1"), "TIFF", compression="group4"),
    ]
    if "avif" in features.get_supported():
        files += [encoded(photo, "AVIF", speed=10), encoded(glass, "AVIF", speed=10, exif=stated)]
    return files


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A copy with bytes changed, cut off, left out or put in; of a PNG also whole chunks."""
    if data.startswith(PNG_SIGNATURE) and chance.random() < 0.4:
        return mutated_png(data, chance)
    damaged = bytearray(data)
    where = chance.randrange(len(damaged))
    way = chance.random()
    if way < 0.15:
        del damaged[where:]
    elif way < 0.25:
        del damaged[where : where + chance.randrange(1, 200)]
    elif way < 0.35:
        damaged[where:where] = chance.choice([b"\0", b"\xff", chance.randbytes(1)]) * 100
    elif way < 0.4:
        damaged[where:where] = damaged[chance.randrange(len(damaged)) :][:3000]
    else:
        # Most of what a decoder believes stands at the beginning.
        reach = min(len(damaged), 700) if chance.random() < 0.6 else len(damaged)
        for _ in range(chance.choice((1, 1, 2, 3, 8, 30))):
            place = chance.randrange(reach)
            flipped = damaged[place] ^ 1 << chance.randrange(8)
            damaged[place] = chance.choice((flipped, flipped, *TELLING, chance.randrange(256)))
    if chance.random() < 0.1 and len(damaged) > 4:
        struct.pack_into("<I", damaged, chance.randrange(len(damaged) - 4), 2**32 - 1)
    return bytes(damaged)


def mutated_png(data: bytes, chance: random.Random) -> bytes:
    chunks = [[kind, bytearray(content)] for kind, content in chunks_of(data)]
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(chunks))
        way = chance.randrange(5)
        if way == 0:
            other = chance.randrange(len(chunks))
            chunks[place], chunks[other] = chunks[other], chunks[place]
        elif way == 1:
            chunks.insert(
                place, [chance.choice(PNG_KINDS), bytearray(chance.randbytes(chance.randrange(60)))]
            )
        elif way == 2 and len(chunks) > 1:
            chunks.pop(place)
        elif chunks[place][1]:  # with a right checksum
            content = chunks[place][1]
            content[chance.randrange(len(content))] = chance.randrange(256)
        if way == 4 and chunks[place][0] == b"IDAT":
            chunks[place][1] = bytearray(zlib.compress(chance.randbytes(30_000)))
    return PNG_SIGNATURE + b"".join(chunk(kind, bytes(content)) for kind, content in chunks)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.filterwarnings("default")
def test_damaged_files_give_a_picture_or_a_typed_error(seeds, part):
    tally: Counter[str] = Counter()
    slowest = (0.0, -1)
    for number in range(part, EXAMPLES, PARTS):
        chance = random.Random(number)
        data = mutated(chance.choice(seeds), chance)
        faulthandler.dump_traceback_later(HANG, exit=True)
        start = time.process_time()
        try:
            found = load_image(data)
            assert found.dtype == np.uint8
            assert found.shape[2] == 3
            assert found.flags.c_contiguous
            tally["read"] += 1
        except ImageError as error:
            tally[type(error).__name__] += 1
        finally:
            faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, (time.process_time() - start, number))
    text = "%d inputs, %s, slowest %.2f s of the processor: number %d"
    logging.getLogger(__name__).info(text, sum(tally.values()), dict(tally), *slowest)
    assert tally["read"] > 0.1 * sum(tally.values())
    assert tally["ImageDecodeError"] > 0.1 * sum(tally.values())
