import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from faceshape.batch import captions
from faceshape.batch.captions import fit_caption


@pytest.fixture(autouse=True)
def _forget_fonts():
    captions._system_font.cache_clear()
    captions._has.cache_clear()


def has_glyphs(font, text):
    """Say whether no character is drawn as the same box, or whatever stands for missing ones."""
    unknown = font.getmask("\U0010ffff")
    shown = [font.getmask(each) for each in text]
    return all((s.size, bytes(s)) != (unknown.size, bytes(unknown)) for s in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12  portrait.png", "12  portrait.png"),
        ("new\nline.png", "new\\nline.png"),
        ("a\r\tb\x1b[31m", "a\\r\\tb\\x1b[31m"),
        ("\udcff.png", "\\udcff.png"),
        ("\u202egpj.png", "\\u202egpj.png"),  # would turn the rest around
        ("", ""),
    ],
)
def test_a_caption_is_one_line_of_text(text, shown):
    assert fit_caption(text, 300)[0] == shown


@pytest.mark.parametrize("text", ["猫.jpg", "日本語.jpg", "Привет.jpg", "안녕.jpg"])
def test_other_scripts_are_drawn_where_there_is_a_font_and_escaped_where_not(text, monkeypatch):
    shown, font = fit_caption(text, 300)
    if shown == text:
        assert has_glyphs(font, text)

    def no_font(*_):
        raise OSError("cannot open resource")

    monkeypatch.setattr(ImageFont, "truetype", no_font)
    captions._system_font.cache_clear()
    shown, _ = fit_caption(text, 300)
    assert shown == text.encode("unicode_escape").decode()


def test_a_font_of_the_system_is_used(monkeypatch):
    """Pillow's own font stands for one with more characters than the default."""
    rich = ImageFont.load_default(captions._SIZE)
    monkeypatch.setattr(ImageFont, "truetype", lambda *_: rich)
    monkeypatch.setattr(captions, "_has", lambda font, each: font is rich or each.isascii())
    assert fit_caption("猫.jpg", 300) == ("猫.jpg", rich)


@settings(deadline=None)  # machines are busy at times
@given(st.text(st.characters(), max_size=40), st.integers(0, 200))
def test_captions_fit_and_can_be_drawn(text, width):
    shown, font = fit_caption(text, width)
    assert shown.isprintable()
    assert font.getlength(shown) <= width
