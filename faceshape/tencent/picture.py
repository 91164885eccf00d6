"""The picture of a request: base64 text, or the address of a download, becomes a file's bytes."""

import base64
import binascii
from typing import TYPE_CHECKING

from faceshape.errors import EmptyImageError, ImageDecodeError, ImageSizeError
from faceshape.tencent.limits import DOCUMENT_LIMITS
from faceshape.tencent.parameters import PictureParameters

if TYPE_CHECKING:
    from faceshape.tencent.fetch import FetchPolicy

__all__ = ["decode_base64", "picture_bytes"]


def picture_bytes(request: PictureParameters, urls: "FetchPolicy | None") -> bytes:
    """Return the file that a request names or holds.

    Args:
        request: its parameters.
        urls: how pictures are downloaded; None refuses every address.

    Raises:
        ImageError: it cannot be had; see `decode_base64` and `faceshape.tencent.fetch.fetch`.
    """
    if request.source == "Url":
        from faceshape.tencent.fetch import FetchPolicy, fetch  # loads http and ssl: when needed

        return fetch(request.picture, urls or FetchPolicy())
    return decode_base64(request.picture)


def decode_base64(text: str) -> bytes:
    """Return the bytes of a base64 encoded picture, white space and a data URL's head ignored.

    Raises:
        EmptyImageError: there is no text.
        ImageSizeError: the text is longer than the limit.
        ImageDecodeError: the text is not base64.
    """
    most = DOCUMENT_LIMITS.base64_characters
    if len(text) > most:
        raise ImageSizeError(f"{len(text)} base64 characters, at most {most}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split())  # twenty times as fast as a regular expression
    if not text:
        raise EmptyImageError("the base64 text is empty")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageDecodeError(f"not base64: {error}") from error
