from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from faceshape.errors import FaceShapeError
from faceshape.tencent.server.signature import SignatureVerifier, form_signature, tc3_signature

SECRETS = {"AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00": "FAKEsecretKEYforTESTSonly0000000"}
CAPTURES = Path(__file__).parents[4] / "shared" / "captures"
CAPTURED_AT = 1795370139

needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason="the captures are not here")


def read_capture(name):
    head, _, body = (CAPTURES / name).read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    _, *lines = head.decode().split("\n")
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, body


def verifier(now=CAPTURED_AT, secrets=SECRETS):
    return SignatureVerifier(secrets, clock=lambda: now)


def signed(**changes):
    """A request that is signed with two more headers than the SDK signs."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "host": "127.0.0.1:8360",
        "x-tc-action": "AnalyzeFace",
        "x-tc-timestamp": str(CAPTURED_AT),
    }
    names = ("content-type", "host", "x-tc-action", "x-tc-timestamp")
    signature = tc3_signature(
        next(iter(SECRETS.values())),
        method="POST",
        query="",
        headers=[(name, headers[name].lower()) for name in names],
        payload=b"{}",
        timestamp=CAPTURED_AT,
        service="iai",
    )
    headers["authorization"] = (
        f"TC3-HMAC-SHA256 Credential={next(iter(SECRETS))}/2026-11-22/iai/tc3_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return {**headers, **changes}


def code_of(check, *arguments):
    with pytest.raises(FaceShapeError) as caught:
        check(*arguments)
    return caught.value.code


def test_published_vector():
    """The example of the documentation of API 3.0, with its example key."""
    body = r'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    signature = tc3_signature(
        "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        method="POST",
        query="",
        headers=[
            ("content-type", "application/json; charset=utf-8"),
            ("host", "cvm.tencentcloudapi.com"),
        ],
        payload=body.encode(),
        timestamp=1551113065,
        service="cvm",
    )
    assert signature == "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"


@needs_captures
def test_captured_tc3_request():
    headers, body = read_capture("tc3_json_post.http")
    verifier().check_tc3("POST", "", headers, body)
    check = verifier().check_tc3
    assert code_of(check, "POST", "", headers, body + b" ") == "AuthFailure.SignatureFailure"


@needs_captures
def test_captured_form():
    headers, body = read_capture("hmacsha256_form_post.http")
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    verifier().check_form("POST", headers["host"], form)
    for name, value in (("Mode", "0"), ("Nonce", "1"), ("SignatureMethod", "HmacSHA1")):
        changed = {**form, name: value}
        check = verifier().check_form
        assert code_of(check, "POST", headers["host"], changed) == "AuthFailure.SignatureFailure"


def test_any_signed_headers_and_values_in_lower_case():
    verifier().check_tc3("POST", "", signed(), b"{}")


@pytest.mark.parametrize("offset", [-300, 300])
def test_the_edge_of_the_window_is_accepted_and_so_is_a_replay(offset):
    check = verifier(CAPTURED_AT + offset).check_tc3
    check("POST", "", signed(), b"{}")
    check("POST", "", signed(), b"{}")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"authorization": ""}, "AuthFailure.InvalidAuthorization"),
        ({"authorization": "SKIP"}, "AuthFailure.InvalidAuthorization"),
        ({"x-tc-timestamp": "soon"}, "InvalidParameter"),
        ({"x-tc-timestamp": "-1"}, "InvalidParameter"),
        ({"x-tc-timestamp": "²"}, "InvalidParameter"),
        ({"x-tc-timestamp": str(CAPTURED_AT + 301)}, "AuthFailure.SignatureExpire"),
        ({"x-tc-timestamp": str(CAPTURED_AT - 301)}, "AuthFailure.SignatureExpire"),
        ({"x-tc-timestamp": str(CAPTURED_AT + 1)}, "AuthFailure.SignatureFailure"),
        ({"x-tc-action": "DetectFace"}, "AuthFailure.SignatureFailure"),
        ({"host": "127.0.0.1:8361"}, "AuthFailure.SignatureFailure"),
        ({"x-tc-content-sha256": "UNSIGNED-PAYLOAD"}, "AuthFailure.SignatureFailure"),
    ],
)
def test_changed_headers(changes, code):
    assert code_of(verifier().check_tc3, "POST", "", signed(**changes), b"{}") == code


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("2026-11-22", "2026-11-23", "AuthFailure.SignatureFailure"),
        ("/iai/", "/cvm/", "AuthFailure.SignatureFailure"),
        ("tc3_request", "tc2_request", "AuthFailure.InvalidAuthorization"),
        ("AKID", "BKID", "AuthFailure.SecretIdNotFound"),
        ("SignedHeaders=content-type;", "SignedHeaders=", "AuthFailure.InvalidAuthorization"),
        (";x-tc-action", ";x-tc-absent", "AuthFailure.SignatureFailure"),
        ("Signature=", "Signature=0", "AuthFailure.InvalidAuthorization"),
    ],
)
def test_changed_authorization(old, new, code):
    headers = signed()
    headers["authorization"] = headers["authorization"].replace(old, new)
    assert code_of(verifier().check_tc3, "POST", "", headers, b"{}") == code


def test_missing_timestamp():
    headers = signed()
    del headers["x-tc-timestamp"]
    assert code_of(verifier().check_tc3, "POST", "", headers, b"{}") == "MissingParameter"


def test_wrong_key():
    other = verifier(secrets={next(iter(SECRETS)): "another"})
    assert code_of(other.check_tc3, "POST", "", signed(), b"{}") == "AuthFailure.SignatureFailure"


def a_form(**changes):
    form = {
        "Action": "AnalyzeFace",
        "Nonce": "1",
        "Timestamp": str(CAPTURED_AT),
        "SecretId": next(iter(SECRETS)),
        "a_b": "ä & =",
        "Z": "",
        **changes,
    }
    form = {name: value for name, value in form.items() if value is not None}
    form["Signature"] = form_signature(
        next(iter(SECRETS.values())), "GET", "localhost", form, "sha1"
    )
    return form


@pytest.mark.parametrize("method", [None, "HmacSHA1", "HmacMD5"])
def test_a_form_is_signed_with_sha1_unless_it_says_sha256(method):
    verifier().check_form("GET", "localhost", a_form(SignatureMethod=method))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Nonce": None}, "MissingParameter"),
        ({"SecretId": None}, "MissingParameter"),
        ({"Timestamp": None}, "MissingParameter"),
        ({"Timestamp": "x"}, "InvalidParameter"),
        ({"Timestamp": "1"}, "AuthFailure.SignatureExpire"),
        ({"SecretId": "unknown"}, "AuthFailure.SecretIdNotFound"),
        ({"SignatureMethod": "HmacSHA256"}, "AuthFailure.SignatureFailure"),
    ],
)
def test_forms_that_are_refused(changes, code):
    assert code_of(verifier().check_form, "GET", "localhost", a_form(**changes)) == code


def test_a_form_without_a_signature_or_with_a_strange_one():
    form = a_form()
    check = verifier().check_form
    assert code_of(check, "GET", "localhost", {**form, "Signature": ""}) == "MissingParameter"
    strange = {**form, "Signature": "签名"}
    assert code_of(check, "GET", "localhost", strange) == "AuthFailure.SignatureFailure"
    assert code_of(check, "POST", "localhost", form) == "AuthFailure.SignatureFailure"


def written(service="iai", signed_host=None, names=("content-type", "host")):
    """A request whose SDK takes another service, and signs another host, than it sends."""
    headers = {
        "content-type": "application/json",
        "host": "127.0.0.1:8360",
        "x-tc-timestamp": str(CAPTURED_AT),
    }
    signature = tc3_signature(
        next(iter(SECRETS.values())),
        method="POST",
        query="",
        headers=[
            ("content-type", headers["content-type"]),
            ("host", signed_host or headers["host"]),
        ],
        payload=b"{}",
        timestamp=CAPTURED_AT,
        service=service,
    )
    headers["authorization"] = (
        f"TC3-HMAC-SHA256 Credential={next(iter(SECRETS))}/2026-11-22/{service}/tc3_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return headers


@pytest.mark.parametrize("service", ["iai", "127", "localhost:8471", "faceshape", "[", "a_b-c"])
def test_the_service_is_what_the_scope_says(service):
    verifier().check_tc3("POST", "", written(service), b"{}")
    headers = written(service)
    headers["authorization"] = headers["authorization"].replace(f"/{service}/", "/other/")
    check = verifier().check_tc3
    assert code_of(check, "POST", "", headers, b"{}") == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("service", ["", "a b", "a/b", "a,b"])
def test_services_that_are_none(service):
    check = verifier().check_tc3
    code = code_of(check, "POST", "", written(service), b"{}")
    assert code == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize(
    ("sent", "signed_host", "good"),
    [
        ("127.0.0.1:8360", "127.0.0.1", True),
        ("127.0.0.1:8360", "127.0.0.1:8360", True),
        ("FaceShape:80", "faceshape", True),
        ("FaceShape:80", "FaceShape", True),
        ("[::1]:8360", "[::1]", True),
        ("127.0.0.1:8360", "127.0.0.1:", False),
        ("127.0.0.1:8360", "127.0.0.1:836", False),
        ("127.0.0.1:8360", "127.0.0.2", False),
        ("127.0.0.1:8360", "", False),
        ("127.0.0.1", "127.0.0.1:80", False),
        ("::1", ":", False),
        ("[::1]", "[:", False),
        ("a:b", "a", False),
        ("a:123456", "a", False),
    ],
)
def test_the_signed_host_is_the_sent_one_or_that_without_its_port(sent, signed_host, good):
    headers = written(signed_host=signed_host or " ")
    headers["host"] = sent
    check = verifier().check_tc3
    if good:
        check("POST", "", headers, b"{}")
    else:
        assert code_of(check, "POST", "", headers, b"{}") == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "names",
    [
        ("content-type", "host", "host"),
        ("content-type", "host", *["z"] * 50_000),
        ("content-type", "host", *(f"x-{number}" for number in range(100))),
        ("content-type", "host", "x" * 5000),
    ],
)
def test_signed_headers_are_few_and_different(names):
    headers = {**written(names=names), **dict.fromkeys(names, "")}
    headers["authorization"] = written(names=names)["authorization"]
    code = code_of(verifier().check_tc3, "POST", "", headers, b"{}")
    assert code == "AuthFailure.InvalidAuthorization"


def reason_of(check, *arguments):
    with pytest.raises(FaceShapeError) as caught:
        check(*arguments)
    [secret_key] = SECRETS.values()
    assert secret_key not in caught.value.reason
    assert "\n" not in caught.value.reason
    return caught.value.reason


def test_reasons_say_what_differed_and_no_secret():
    check = verifier().check_tc3
    right = written()["authorization"].rpartition("=")[2]
    reason = reason_of(check, "POST", "", {**written(), "host": "other\\n"}, b"{}")
    assert right not in reason
    for part in ("2026-11-22/iai/tc3_request", "other", str(CAPTURED_AT)):
        assert part in reason
    changed = {**written(), "x-tc-timestamp": str(CAPTURED_AT - 301)}
    assert "301 s behind the server's clock" in reason_of(check, "POST", "", changed, b"{}")
    changed = {**written(), "x-tc-timestamp": str(CAPTURED_AT + 400)}
    assert "400 s ahead of the server's clock" in reason_of(check, "POST", "", changed, b"{}")
    changed = {**written(), "authorization": written()["authorization"].replace("11-22", "11-21")}
    reason = reason_of(check, "POST", "", changed, b"{}")
    assert "2026-11-21" in reason
    assert "2026-11-22" in reason
    assert "no Authorization" in reason_of(check, "POST", "", {}, b"")
    assert "TC3-HMAC-SHA256" in reason_of(check, "POST", "", {"authorization": "SKIP"}, b"")
    unknown = {**written(), "authorization": written()["authorization"].replace("AKID", "BKID")}
    assert "SecretId" in reason_of(check, "POST", "", unknown, b"{}")
    unsent = written(names=("content-type", "host", "x-absent"))
    assert "'x-absent'" in reason_of(check, "POST", "", unsent, b"{}")
    form = a_form()
    reason = reason_of(verifier().check_form, "GET", "other", form)
    assert "HmacSHA1, host 'other'" in reason
    assert form["Signature"] not in reason


def test_a_reason_is_short_and_on_one_line():
    long = {**written(), "host": "h\n" * 5000}
    reason = reason_of(verifier().check_tc3, "POST", "", long, b"{}")
    assert len(reason) < 500


def test_white_space_around_a_forms_signature_is_stripped():
    form = a_form()
    form["Signature"] = f" {form['Signature']}\r\n"
    verifier().check_form("GET", "localhost", form)
    form["Signature"] = "\n"
    assert code_of(verifier().check_form, "GET", "localhost", form) == "MissingParameter"


def test_the_head_alone_tells_most_of_it():
    """What a server can know before it has read a body."""
    claim = verifier().check_tc3_head(written())
    assert (claim.scope.service, claim.timestamp) == ("iai", CAPTURED_AT)
    assert code_of(verifier().check_tc3_head, {}) == "AuthFailure.InvalidAuthorization"
    late = verifier(CAPTURED_AT + 301)
    assert code_of(late.check_tc3_head, written()) == "AuthFailure.SignatureExpire"
    strangers = verifier(secrets={"another": "key"})
    assert code_of(strangers.check_tc3_head, written()) == "AuthFailure.SecretIdNotFound"
