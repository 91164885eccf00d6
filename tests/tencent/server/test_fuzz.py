"""Malformed requests from all directions: each answer keeps to the contract.

``FACESHAPE_FUZZ_EXAMPLES=10000`` makes it a drill.
"""

import base64
import http.client
import io
import json
import os
import urllib.parse
import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from faceshape.core.contract import GROUPS
from faceshape.tencent import protocol_errors
from faceshape.tencent.error_codes import DOCUMENT_CODES

EXAMPLES = int(os.environ.get("FACESHAPE_FUZZ_EXAMPLES", "100"))
CODES = set(DOCUMENT_CODES) | {
    getattr(protocol_errors, name).code for name in protocol_errors.__all__
}
SECRET_ID = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00"


def encoded(kind):
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((70, 70)).save(buffer, kind)
    return buffer.getvalue()


PICTURES = [encoded(kind) for kind in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def damaged_pictures(draw):
    """A picture with bytes changed, cut off, or put in."""
    data = bytearray(draw(st.sampled_from(PICTURES)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, min(len(data) - 1, 300)))] = draw(st.integers(0, 255))
    start = draw(st.integers(0, len(data)))
    if draw(st.booleans()):
        del data[start:]
    return base64.b64encode(bytes(data)).decode()


images = st.one_of(damaged_pictures(), st.text(max_size=60), st.binary(max_size=60).map(repr))
params = st.dictionaries(
    st.sampled_from(
        ["Mode", "Url", "FaceModelVersion", "NeedRotateDetection", "Action", "Language"]
    )
    | st.text(max_size=12),
    st.sampled_from([0, 1, 2, "0", "1", "2.0", "3.0", "en-US", "http://127.0.0.1/"]) | json_values,
    max_size=3,
).flatmap(lambda some: st.just(some) | images.map(lambda image: {**some, "Image": image}))

header_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
authorizations = st.builds(
    "TC3-HMAC-SHA256 Credential={}/{}/{}/tc3_request, SignedHeaders={}, Signature={}".format,
    st.just(SECRET_ID) | header_values,
    st.sampled_from(["2026-11-22", "1970-01-01", "9999-99-99"]),
    st.sampled_from(["iai", "cvm", ""]),
    st.sampled_from(["content-type;host", "host", "content-type;host;x-none", ";", ""]),
    st.sampled_from(["0" * 64, "", "zz"]) | header_values,
)
header_sets = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            [
                "application/json",
                "application/json; charset=utf-8",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/plain",
            ]
        )
        | header_values,
        "X-TC-Action": st.sampled_from(["AnalyzeFace", "analyzeFace", "DetectFace", ""])
        | header_values,
        "X-TC-Version": st.sampled_from(["2020-03-03", "2018-03-01"]) | header_values,
        "X-TC-Timestamp": st.sampled_from(["0", "-1", "1e9", "9" * 12, "9" * 40]) | header_values,
        "X-TC-Language": st.sampled_from(["en-US", "zh-CN", "fr-FR"]),
        "X-TC-Content-SHA256": st.just("UNSIGNED-PAYLOAD"),
        "Authorization": st.just("SKIP") | authorizations | header_values,
    },
)
envelopes = st.dictionaries(
    st.sampled_from(
        ["SecretId", "Signature", "SignatureMethod", "Timestamp", "Nonce", "Action", "Version"]
    ),
    st.sampled_from([SECRET_ID, "HmacSHA256", "AnalyzeFace", "2020-03-03", "1", ""])
    | st.text(max_size=10),
    max_size=7,
)
# What would be a good call but for its parameters.
good_headers = st.just(
    {
        "Content-Type": "application/json",
        "X-TC-Action": "AnalyzeFace",
        "X-TC-Version": "2020-03-03",
    }
)


def form(pairs):
    return urllib.parse.urlencode(pairs, errors="replace").encode()


bodies = st.one_of(
    params.map(lambda value: json.dumps(value).encode()),
    st.tuples(params, envelopes).map(lambda both: form({**both[0], **both[1]})),
    st.binary(max_size=200),
)


class Ears:
    """One connection, made anew when it was closed."""

    def __init__(self, port):
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, method, query, headers, body):
        path = "/?" + query.decode() if query else "/"
        self.connection.request(method, path, body, headers)
        with self.connection.getresponse() as response:
            content = response.read()
            assert response.status == 200
            assert response.getheader("Content-Type") == "application/json"
        [(name, answer)] = json.loads(content).items()
        assert name == "Response"
        return answer


def check(answer):
    assert str(uuid.UUID(answer["RequestId"])) == answer["RequestId"]
    if "Error" in answer:
        assert set(answer) == {"Error", "RequestId"}
        assert set(answer["Error"]) == {"Code", "Message"}
        assert answer["Error"]["Code"] in CODES
        assert answer["Error"]["Message"]
        # A malformed request is never the engine's failure.
        assert answer["Error"]["Code"] != "FailedOperation.ServerError", answer
    else:
        assert set(answer["FaceShapeSet"][0]) == set(GROUPS)


@pytest.fixture(scope="module", params=["signatures checked", "any signature"])
def ears(request, serving, shared_stub, credential):
    from faceshape.tencent.server.app import ServerSettings

    checked = ServerSettings({credential.secret_id: credential.secret_key}, threads=1)
    options = checked if request.param == "signatures checked" else replace(checked, secrets=None)
    with serving(options, shared_stub) as port:
        listening = Ears(port)
        yield listening
        # It still answers.
        good = {"Image": base64.b64encode(PICTURES[0]).decode()}
        headers = {"Content-Type": "application/json", "X-TC-Action": "AnalyzeFace"}
        headers["X-TC-Version"] = "2020-03-03"
        answer = listening.ask("POST", b"", headers, json.dumps(good).encode())
        if options.secrets is None:
            assert len(answer["FaceShapeSet"]) == 2
        else:
            assert answer["Error"]["Code"] == "AuthFailure.InvalidAuthorization"
        listening.connection.close()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "BREW"]),
    query=st.just(b"")
    | st.tuples(params, envelopes).map(lambda both: form({**both[0], **both[1]})),
    headers=header_sets | good_headers,
    body=bodies,
)
def test_malformed_requests(ears, method, query, headers, body):
    check(ears.ask(method, query, headers, body))
