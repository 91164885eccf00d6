import re
from pathlib import Path

import pytest

from faceshape import errors
from faceshape.error_codes import DOCUMENT_CODES

DOCUMENT = Path(__file__).parents[1] / "../shared/seed/analyzeface-api.txt"
CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_one_tree_and_has_the_clouds_words(kind):
    assert issubclass(kind, errors.FaceShapeError)
    error = kind()
    chinese, english = DOCUMENT_CODES[kind.code]
    assert error.chinese.startswith(chinese)
    assert str(error) == error.english
    assert error.english.startswith(english)
    assert str(kind("what was wrong")) == "what was wrong"


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the API document is not in the repository")
def test_all_codes_of_the_document_are_there_word_for_word():
    section = DOCUMENT.read_text(encoding="utf-8").split("错误码 | 描述 |")[1]
    rows = dict(re.findall(r"^(\w+(?:\.\w+)?) \| (.+?) \|$", section, re.MULTILINE))
    assert rows == {code: message.chinese for code, message in DOCUMENT_CODES.items()}
    assert len(rows) == 71
