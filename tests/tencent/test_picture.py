import base64

import pytest

from faceshape.errors import EmptyImageError, ImageDecodeError, ImageSizeError
from faceshape.tencent.picture import decode_base64


def test_five_megabytes_of_base64_are_the_limit():
    with pytest.raises(ImageSizeError):
        decode_base64("A" * (5 * 1024 * 1024 + 1))


def test_base64_round_trip():
    text = base64.b64encode(b"picture").decode()
    for written in (text, text[:4] + "\r\n " + text[4:], "data:image/jpeg;base64," + text):
        assert decode_base64(written) == b"picture"


@pytest.mark.parametrize("text", ["", " \n", "data:image/png;base64,"])
def test_empty_base64(text):
    with pytest.raises(EmptyImageError):
        decode_base64(text)


@pytest.mark.parametrize("text", ["a", "abc", "@@@@", "YWJj=YWJj", "图片"])
def test_text_that_is_not_base64(text):
    with pytest.raises(ImageDecodeError):
        decode_base64(text)
