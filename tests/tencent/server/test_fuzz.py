"""Malformed requests from all directions: each answer keeps to the contract.

Parameters, headers, forms; signatures that were good once; bytes that are hardly HTTP.
``FACESHAPE_FUZZ_EXAMPLES=100000`` makes it a drill; each test has as many inputs, twice.
"""

import base64
import http.client
import io
import json
import os
import re
import socket
import time
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
from faceshape.tencent.server.signature import form_signature, tc3_signature

EXAMPLES = int(os.environ.get("FACESHAPE_FUZZ_EXAMPLES", "100"))
CODES = set(DOCUMENT_CODES) | {
    getattr(protocol_errors, name).code for name in protocol_errors.__all__
}
SECRET_ID = "AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00"
SECRET_KEY = "FAKEsecretKEYforTESTSonly0000000"
# A failing request may be long; it is to be seen all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
drill = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


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
        [
            *("Mode", "Url", "FaceModelVersion", "NeedRotateDetection", "Action", "Language"),
            *("MaxFaceNum", "MinFaceSize", "NeedFaceAttributes", "NeedQualityDetection"),
        ]
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
    st.sampled_from(["iai", "cvm", "127", "localhost:8360", ""]),
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
good_headers = st.fixed_dictionaries(
    {
        "Content-Type": st.just("application/json"),
        "X-TC-Action": st.sampled_from(["AnalyzeFace", "DetectFace"]),
        "X-TC-Version": st.sampled_from(["2020-03-03", "2018-03-01"]),
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

    def __init__(self, port, checks):
        self.port = port
        self.checks = checks  # signatures
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
    elif "FaceInfos" in answer:
        assert {"X", "Y", "Width", "Height"} < set(answer["FaceInfos"][0])
    else:
        assert set(answer["FaceShapeSet"][0]) == set(GROUPS)


@pytest.fixture(scope="module", params=["signatures checked", "any signature"])
def ears(request, serving, shared_stub, credential):
    from faceshape.tencent.server.app import ServerSettings

    checked = ServerSettings({credential.secret_id: credential.secret_key}, threads=1)
    options = checked if request.param == "signatures checked" else replace(checked, secrets=None)
    with serving(options, shared_stub) as port:
        listening = Ears(port, options.secrets is not None)
        yield listening
        listening.connection.close()
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


@drill
@given(
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "BREW"]),
    query=st.just(b"")
    | st.tuples(params, envelopes).map(lambda both: form({**both[0], **both[1]})),
    headers=header_sets | good_headers,
    body=bodies,
)
def test_malformed_requests(ears, method, query, headers, body):
    check(ears.ask(method, query, headers, body))


GOOD_BODY = json.dumps({"Image": base64.b64encode(PICTURES[1]).decode()}).encode()


def signed_request(port, body):
    """Return the headers of a request that is signed as it should be."""
    now = int(time.time())
    signed = {"content-type": "application/json", "host": f"127.0.0.1:{port}"}
    signature = tc3_signature(
        SECRET_KEY,
        method="POST",
        query="",
        headers=list(signed.items()),
        payload=body,
        timestamp=now,
        service="iai",
    )
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    return {
        **signed,
        "X-TC-Action": "AnalyzeFace",
        "X-TC-Version": "2020-03-03",
        "X-TC-Timestamp": str(now),
        "Authorization": f"TC3-HMAC-SHA256 Credential={SECRET_ID}/{date}/iai/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }


# What is done to a text or to bytes: where, of its length; how much goes; what comes.
changes = st.tuples(st.floats(0, 1), st.integers(0, 8))
texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


def changed(value, change, inserted):
    start = round(change[0] * len(value))
    return value[:start] + inserted + value[start + change[1] :]


@drill
@given(
    name=st.sampled_from(["Authorization", "X-TC-Timestamp", "content-type", "host"]),
    change=changes,
    inserted=texts,
)
def test_changed_signed_headers(ears, name, change, inserted):
    headers = signed_request(ears.port, GOOD_BODY)
    good = headers[name]
    headers[name] = changed(good, change, inserted)
    answer = ears.ask("POST", b"", headers, GOOD_BODY)
    check(answer)
    # White space and the case of letters may mean nothing.
    if ears.checks and "".join(headers[name].split()).lower() != "".join(good.split()).lower():
        assert "Error" in answer


@drill
@given(change=changes, inserted=st.binary(max_size=8))
def test_a_changed_body_makes_the_signature_a_wrong_one(ears, change, inserted):
    body = changed(GOOD_BODY, change, inserted)
    answer = ears.ask("POST", b"", signed_request(ears.port, GOOD_BODY), body)
    check(answer)
    if ears.checks and body != GOOD_BODY:
        assert answer["Error"]["Code"] == "AuthFailure.SignatureFailure"


@drill
@given(
    digest=st.sampled_from(["sha1", "sha256"]),
    name=st.sampled_from(["Image", "Nonce", "Timestamp", "SecretId", "Signature", "Action"]),
    change=changes,
    inserted=st.text(max_size=8),
)
def test_changed_signed_forms(ears, digest, name, change, inserted):
    pairs = {
        "Action": "AnalyzeFace",
        "Version": "2020-03-03",
        "Timestamp": str(int(time.time())),
        "Nonce": "1",
        "SecretId": SECRET_ID,
        "SignatureMethod": f"Hmac{digest.upper()}",
        "Image": json.loads(GOOD_BODY)["Image"],
    }
    host = f"127.0.0.1:{ears.port}"
    pairs["Signature"] = form_signature(SECRET_KEY, "POST", host, pairs, digest)
    value = changed(pairs[name], change, inserted)
    same = value.strip() == pairs[name]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ears.ask("POST", b"", headers, form({**pairs, name: value}))
    check(answer)
    if not same and ears.checks:
        assert "Error" in answer


STARTS = [
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"X-TC-Action: AnalyzeFace\r\nX-TC-Version: 2020-03-03\r\n" + rest
    for rest in (
        b"Content-Length: %d\r\n\r\n" % len(GOOD_BODY) + GOOD_BODY,
        b'Transfer-Encoding: chunked\r\n\r\n5;a=b\r\n{"a":\r\n2\r\n1}\r\n0\r\nX: y\r\n\r\n',
        b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}",
    )
]
STARTS += [
    b"GET /?Action=AnalyzeFace&Version=2020-03-03 HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
]
fragments = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"\0",
        b" ",
        b":",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Host: x\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        b"-1\r\n",
        b"ffffffffffffffff\r\n",
        b"1\r\na\r\n" * 50,
        b"0\r\n\r\n",
        b"X: " + b"y" * 70_000 + b"\r\n",
        b"HTTP/9.9",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"%ff",
        b"a" * 70_000,
    ]
)
ANSWER = re.compile(
    rb"HTTP/1\.1 (?P<status>\d{3}) [A-Za-z ]+\r\n(?P<head>(?:[^\r\n]+\r\n)*)\r\n", re.IGNORECASE
)


def answers(received):
    """Yield status, head and body of the answers on a connection; nothing else may be there."""
    while received:
        match = ANSWER.match(received)
        assert match, received[:300]
        length = re.search(rb"content-length: (\d+)", match["head"], re.IGNORECASE)
        end = match.end() + (int(length[1]) if length else 0)
        yield int(match["status"]), match["head"].lower(), received[match.end() : end]
        received = received[end:]


@drill
@given(
    requests=st.lists(st.sampled_from(STARTS), min_size=1, max_size=3),
    damage=st.lists(st.tuples(changes, fragments | st.binary(max_size=6)), max_size=3),
    closes=st.booleans(),
)
def test_bytes_that_are_hardly_http(ears, requests, damage, closes):
    """Each answer is whole and keeps to the contract, and the connection ends."""
    sent = b"".join(requests)
    for change, inserted in damage:
        sent = changed(sent, change, inserted)
    received = b""
    with socket.create_connection(("127.0.0.1", ears.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            # What is not complete would be waited for.
            connection.shutdown(socket.SHUT_WR if closes else socket.SHUT_RDWR)
            while closes and (part := connection.recv(65536)):
                received += part
        except TimeoutError:
            raise
        except OSError:  # it was reset, or, as shutdown says, is not connected
            return  # nothing more can be said of it
    for status, head, body in answers(received):
        assert status in (100, 200, 400), (status, body)
        if status == 200 and b"content-type: application/json\r\n" in head and body:
            answer = json.loads(body)
            assert answer == {"status": "ok"} or check(answer["Response"]) is None
