"""Parameters of every kind that Python has are answered, and no answer blames the server.

``FACESHAPE_FUZZ_EXAMPLES=100000`` makes it a drill.
"""

import json
import os
import random
from collections import Counter

import pytest

from faceshape.mode import Mode
from faceshape.tencent.api import analyze_face, detect_face, respond
from tests.tencent.test_api import COMMON, NAMES, ODD

EXAMPLES = int(os.environ.get("FACESHAPE_FUZZ_EXAMPLES", "500"))

USUAL = [None, 0, 1, "", "0", "3.0", "en-US", "AnalyzeFace", "2020-03-03", "data:,", Mode.LARGEST]
DETECT_NAMES = ["MaxFaceNum", "MinFaceSize", "NeedFaceAttributes", "NeedQualityDetection"]
KNOWN_NAMES = NAMES + DETECT_NAMES + COMMON
OTHER_NAMES = ["image", "", "Mode\0", "\ud800", "x" * 5000, 0, None, ("a",), b"Image"]
WHOLES = [None, 1, "x", b"x", [], [("Mode", 1)], (), set(), object()]


@pytest.mark.parametrize("part", range(2))
def test_parameters_of_all_kinds(make_picture, shared_stub, part):
    values = [*USUAL, *ODD, make_picture(), "http://127.0.0.1/", "file:///etc/passwd", "A" * 100]
    codes: Counter[str] = Counter()
    for number in range(part, EXAMPLES, 2):
        chance = random.Random(number)
        params = {}
        for _ in range(chance.randrange(6)):
            names = KNOWN_NAMES if chance.random() < 0.9 else OTHER_NAMES
            params[chance.choice(names)] = chance.choice(values)
        whole = chance.choice(WHOLES) if chance.random() < 0.03 else params
        function = chance.choice([analyze_face, analyze_face, detect_face, respond])
        answer = function(whole, shared_stub)["Response"]
        json.dumps(answer, ensure_ascii=False).encode()
        codes[answer.get("Error", {}).get("Code", "")] += 1
    assert codes["FailedOperation.ServerError"] == 0
    assert len(codes) > 5
