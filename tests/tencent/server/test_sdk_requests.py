"""Requests of SDKs that no registry of Python's or Node's has, replayed with fresh signatures.

``sdk_requests.json`` holds them with placeholders for what differs from run to run. Those that are
"recorded" were sent by the SDK itself to this server through a proxy that wrote them down: Go, PHP
(Guzzle 7), Java (OkHttp 3.13), C++ and Ruby from the vendor's repositories of August 2026, Node.js
from its registry. Those that are "formed" follow the SDK's source: .NET's, and PHP's with an
endpoint without a dot. Each is signed here as the vendor documents it, with what the SDK takes for
service and host; this module knows nothing of `faceshape`'s verifier.
"""

import base64
import hashlib
import hmac
import http.client
import json
import time
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tencent.conftest import SECRET_ID, SECRET_KEY, picture, running

ENTRIES = json.loads(Path(__file__).with_name("sdk_requests.json").read_text(encoding="utf-8"))
LANGUAGES = {"Go", "PHP", "Java", "Ruby", "Node.js", "C++", ".NET"}

entries = pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda entry: f"{entry['sdk']} {entry['signature']} {entry['method']}"
)


def hmac_sha256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def tc3(entry, key, values, headers, target, body):
    """The signature of the published TC3 document, over what the SDK signs."""
    unsigned = headers.get("x-tc-content-sha256") == "UNSIGNED-PAYLOAD"
    payload = "UNSIGNED-PAYLOAD" if unsigned else body
    host = fill(entry.get("signed_host", headers["host"]), values)
    canonical = "\n".join(
        (
            entry["method"],
            "/",
            target.partition("?")[2],
            f"content-type:{headers['content-type']}\nhost:{host}\n",
            "content-type;host",
            hashlib.sha256(payload.encode()).hexdigest(),
        )
    )
    scope = (values["date"], fill(entry["service"], values), "tc3_request")
    text = "\n".join(
        (
            "TC3-HMAC-SHA256",
            values["timestamp"],
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    signing = f"TC3{key}".encode()
    for part in scope:
        signing = hmac_sha256(signing, part)
    return hmac_sha256(signing, text).hex()


def form_signature(entry, key, headers, form):
    """The signature of API 2017, in base64 as it stands in a form."""
    pairs = urllib.parse.parse_qsl(form, keep_blank_values=True)
    text = "&".join(f"{name}={value}" for name, value in sorted(pairs) if name != "Signature")
    text = f"{entry['method']}{headers['host']}/?{text}"
    digest = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}[entry["signature"]]
    signature = base64.b64encode(hmac.new(key.encode(), text.encode(), digest).digest()).decode()
    return urllib.parse.quote(signature, safe="")


def fill(template, values):
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def send(entry, port, key=SECRET_KEY, **changes):
    """Send an entry, signed with a key, and return the answer's JSON."""
    image, now = picture(), int(time.time())
    values = {
        "image": image,
        "image_escaped": image.replace("/", "\\/"),
        "image_quoted": urllib.parse.quote(image, safe=""),
        "host": f"127.0.0.1:{port}",
        "host_without_port": "127.0.0.1",
        "port": str(port),
        "secret_id": SECRET_ID,
        "timestamp": str(now),
        "date": time.strftime("%Y-%m-%d", time.gmtime(now)),
        **changes,
    }
    lines = [fill(line, values) for line in entry["headers"]]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    target, body = fill(entry["target"], values), fill(entry["body"], values)
    if entry["signature"] == "TC3-HMAC-SHA256":
        signature = tc3(entry, key, values, headers, target, body)
    else:
        signature = form_signature(entry, key, headers, body or target.partition("?")[2])
    values = {"signature": signature}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(
        entry["method"], fill(target, values), skip_host=True, skip_accept_encoding=True
    )
    for line in lines:
        connection.putheader(*fill(line, values).split(": ", 1))
    body = fill(body, values).encode()
    if entry["method"] == "POST":
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert (response.status, response.getheader("Content-Type")) == (200, "application/json")
    return json.loads(content)["Response"]


@pytest.fixture(scope="module")
def port(shared_stub, credential):
    from faceshape.tencent.server.app import ServerSettings

    secrets = {credential.secret_id: credential.secret_key}
    with running(ServerSettings(secrets, threads=1, request_timeout=60.0), shared_stub) as number:
        yield number


@entries
def test_it_is_answered(entry, port):
    answer = send(entry, port)
    assert "Error" not in answer
    assert (answer["ImageWidth"], answer["ImageHeight"]) == (80, 64)
    if "DetectFace" in entry["sdk"]:
        assert len(answer["FaceInfos"]) == 1
    else:
        assert [len(points) for points in answer["FaceShapeSet"][0].values()] == [
            *(21, 8, 8, 8, 8),
            *(22, 13, 1, 1),
        ]


@entries
def test_a_wrong_key_is_refused(entry, port):
    error = send(entry, port, key="wrong")["Error"]
    english = "Language: en-US" in entry["headers"] or "Language=en-US" in str(entry)
    assert error["Code"] == "AuthFailure.SignatureFailure"
    if english:  # a header in API 3.0, a parameter in API 2017
        assert error["Message"].startswith("The signature is wrong")


@entries
def test_nothing_else_is_loosened(entry, port):
    """What was signed is what was sent: another host, picture, date or id is refused."""
    other = {"secret_id": ("unknown", "AuthFailure.SecretIdNotFound")}
    if entry["signature"] == "TC3-HMAC-SHA256":
        other["date"] = ("2020-01-01", "AuthFailure.SignatureFailure")
        other["timestamp"] = ("1700000000", "AuthFailure.SignatureExpire")
    for name, (value, code) in other.items():
        assert send(entry, port, **{name: value})["Error"]["Code"] == code
    if "{host}" in "".join(entry["headers"]) and "signed_host" not in entry:
        # The signature is that of the changed host, which the proxy in between then changed back.
        signed = {**entry, "headers": list(entry["headers"])}
        signed["signed_host"] = "127.0.0.2:{port}"
        if entry["signature"] == "TC3-HMAC-SHA256":
            assert send(signed, port)["Error"]["Code"] == "AuthFailure.SignatureFailure"


def test_all_languages_are_there_and_were_recorded_but_one():
    recorded = {entry["sdk"].split(" ")[0] for entry in ENTRIES if entry["how"] == "recorded"}
    assert {entry["sdk"].split(" ")[0] for entry in ENTRIES} == LANGUAGES
    assert recorded == LANGUAGES - {".NET"}
    for language in LANGUAGES - {"C++", "Node.js"}:  # C++ signs in one way only
        ways = {e["signature"] + e["method"] for e in ENTRIES if e["sdk"].startswith(language)}
        assert len(ways) == 4, language


@pytest.mark.parametrize("signature", ["TC3-HMAC-SHA256", "HmacSHA256"])
def test_tokens(settings, stub, signature):
    [entry] = [e for e in ENTRIES if "token" in e["sdk"] and e["signature"] == signature]
    [without] = [
        e
        for e in ENTRIES
        if e["sdk"].startswith("Go") and "," not in e["sdk"]
        if (e["signature"], e["method"]) == (signature, "POST")
    ]
    for tokens, expected in (
        ({}, "OK OK"),
        ({SECRET_ID: "exampleTOKEN"}, "OK AuthFailure.TokenFailure"),
        ({SECRET_ID: "another"}, "AuthFailure.TokenFailure AuthFailure.TokenFailure"),
        ({"another": "token"}, "OK OK"),
    ):
        with running(replace(settings, tokens=tokens), stub) as port:
            answers = [send(each, port) for each in (entry, without)]
        codes = [answer.get("Error", {"Code": "OK"})["Code"] for answer in answers]
        assert " ".join(codes) == expected
