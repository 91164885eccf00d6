import pytest

from faceshape import errors
from faceshape.tencent.error_codes import DOCUMENT_CODES

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_in_one_tree_and_has_a_code_of_the_document(kind):
    assert issubclass(kind, errors.FaceShapeError)
    assert kind.code in DOCUMENT_CODES
    assert str(kind()) == kind.code
    assert str(kind("what was wrong")) == "what was wrong"
