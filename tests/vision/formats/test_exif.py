import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshape.vision.formats.exif import orientation
from tests.vision.formats.files import exif


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_each_way_to_write_it(value, kind, order):
    magic = b"II*\0" if order == "<" else b"MM\0*"
    number = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I"}[kind], value)
    block = magic + struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, 1) + number + bytes(4)
    assert orientation(block) == orientation(b"Exif\0\0" + block) == value


@pytest.mark.parametrize("value", [0, 9, 77, 65535])
def test_other_values_mean_upright(value):
    assert orientation(exif(value)) == 1


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: exif(6)[:12] + rest))
def test_garbage_is_upright_or_a_value(block):
    assert 1 <= orientation(block) <= 8
    assert 1 <= orientation(b"II*\0" + block) <= 8
