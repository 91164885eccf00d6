"""Captions of contact sheets: any name of a file, in whatever fonts this machine has."""

from collections.abc import Iterator
from functools import cache

from PIL import ImageFont

__all__ = ["Font", "fit_caption"]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SIZE = 11  # pixels
# Fonts with many scripts, by the names of their files; Pillow knows where systems keep them.
_FILES = (
    # Linux
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
    "uming.ttc",
    "NanumGothic.ttf",
    "unifont.otf",
    "DejaVuSans.ttf",
    # macOS
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "STHeiti Light.ttc",
    "AppleSDGothicNeo.ttc",
    "Arial Unicode.ttf",
    # Windows
    "msyh.ttc",
    "simsun.ttc",
    "YuGothR.ttc",
    "msgothic.ttc",
    "malgun.ttf",
    "segoeui.ttf",
)
_NO_CHARACTER = "\U0010ffff"  # every font shows what it shows for those that it does not have


def fit_caption(text: str, width: int) -> tuple[str, Font]:
    r"""Return a text of one line as it can be drawn, and the font to draw it with.

    The font is the first that has all the characters. What none has, line ends and other controls,
    and bytes that are no text are escaped as in Python: ``\u732b``, ``\n``.

    Args:
        text: any.
        width: in pixels; what is longer is cut at its end.
    """
    font, missing = _best_font(text)
    shown = "".join(_escaped(each) if each in missing else each for each in text)
    while shown and font.getlength(shown) > width:
        shown = shown[:-1]
    return shown, font


def _best_font(text: str) -> tuple[Font, frozenset[str]]:
    """Return the font that lacks the fewest characters of a text, and these."""
    undrawable = frozenset(each for each in text if not each.isprintable())
    candidates = []
    for font in _fonts():
        missing = frozenset(each for each in text if not _has(font, each)) | undrawable
        candidates.append((font, missing))
        if missing == undrawable:
            break
    return min(candidates, key=lambda candidate: len(candidate[1]))


def _fonts() -> Iterator[Font]:
    yield _default_font()
    for file in _FILES:
        font = _system_font(file)
        if font is not None:
            yield font


@cache
def _default_font() -> Font:
    return ImageFont.load_default(_SIZE)


@cache
def _system_font(file: str) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(file, _SIZE)
    except OSError:  # not here
        return None


@cache
def _has(font: Font, character: str) -> bool:
    if character == " " or not character.isprintable():  # nothing to see
        return True
    try:
        shown, unknown = (font.getmask(each) for each in (character, _NO_CHARACTER))
    except UnicodeError:  # a font of pixels has Latin only
        return False
    return (shown.size, bytes(shown)) != (unknown.size, bytes(unknown))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
