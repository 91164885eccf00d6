"""What SDKs and proxies do differently from the Python SDK, and what the log says when it fails."""

import http.client
import json
import logging
import socket
import time
import urllib.parse
from dataclasses import replace

import pytest
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20180301.iai_client import IaiClient as OldClient
from tencentcloud.iai.v20180301.models import AnalyzeFaceRequest as OldRequest
from tencentcloud.iai.v20200303.models import DetectFaceRequest

from tests.tencent.conftest import SECRET_ID, SECRET_KEY, picture


@pytest.fixture
def open_port(settings, stub, serving):
    """Of a server that accepts any signature."""
    with serving(replace(settings, secrets=None, any_host=True), stub) as number:
        yield number


def exchange(port, request):
    """Send bytes on a connection of their own and return status, head and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    return answer.status, str(answer.headers).lower(), json.loads(body)


def plain_call(target, method="POST", body=b"null"):
    return (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "X-TC-Action: AnalyzeFace\r\nX-TC-Version: 2020-03-03\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def code_of(answer):
    return answer["Response"].get("Error", {}).get("Code", "OK")


@pytest.mark.parametrize(
    "target",
    [
        "http://faceshape/",
        "http://faceshape",
        "http://faceshape?",
        "http://127.0.0.1:8360/",
        "HTTPS://faceshape/any/path",
        "http://[::1]:8360/?",
        "/any/path",
    ],
)
def test_absolute_targets(open_port, target):
    body = json.dumps({"Image": picture()}).encode()
    status, head, answer = exchange(open_port, plain_call(target, body=body))
    assert status == 200
    assert "content-type: application/json\n" in head
    assert code_of(answer) == "OK"


@pytest.mark.parametrize("target", ["http://faceshape/healthz", "/healthz"])
def test_absolute_targets_reach_other_paths_too(open_port, target):
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    assert exchange(open_port, request)[::2] == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("OPTIONS", "*"),
        ("OPTIONS", "/"),
        ("CONNECT", "faceshape:443"),
        ("PUT", "http://faceshape/"),
        ("TRACE", "/"),
    ],
)
def test_all_methods_are_answered_in_the_contract(open_port, method, target):
    request = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nX-TC-Language: en-US\r\n\r\n"
    status, head, answer = exchange(open_port, request.encode())
    # 200 would tell a client of CONNECT that the bytes from now on are a tunnel's.
    assert status == (405 if method == "CONNECT" else 200)
    assert "content-type: application/json" in head
    assert code_of(answer) == "UnsupportedProtocol"
    assert answer["Response"]["Error"]["Message"].startswith("The HTTP(S) request")


def test_null_is_an_empty_request(open_port):
    answer = exchange(open_port, plain_call("/"))[2]
    assert code_of(answer) == "MissingParameter.ErrorParameterEmpty"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sign", ["HmacSHA1", "HmacSHA256"])
def test_the_language_may_be_a_parameter(port, sdk_client, sdk_request, sign, method):
    """API 2017 has it there, and nowhere else."""
    client = sdk_client(port, sign=sign, method=method, language="en-US")
    black = picture(value=0)
    for key, words in ((SECRET_KEY, "There is no face"), ("wrong", "The signature is wrong")):
        client.credential = Credential(SECRET_ID, key)
        with pytest.raises(TencentCloudSDKException) as caught:
            client.AnalyzeFace(sdk_request(Image=black))
        assert caught.value.message.startswith(words)
    chinese = sdk_client(port, sign=sign, method=method)
    chinese.credential = Credential(SECRET_ID, "wrong")
    with pytest.raises(TencentCloudSDKException, match="签名错误"):
        chinese.AnalyzeFace(sdk_request(Image=black))


def test_the_language_of_a_query_that_is_no_get(open_port):
    request = b"PUT /?Language=en-US HTTP/1.1\r\nHost: localhost\r\n\r\n"
    message = exchange(open_port, request)[2]["Response"]["Error"]["Message"]
    assert message.startswith("The HTTP(S) request")


@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA256"])
def test_the_version_of_2018(port, credential, sdk_profile, sign):
    client = OldClient(credential, "", sdk_profile(port, sign=sign))
    request = OldRequest()
    request.Image = picture()
    response = client.AnalyzeFace(request)
    assert [len(shape.Mouth) for shape in response.FaceShapeSet] == [22, 22]
    common = CommonClient("iai", "2018-03-01", credential, "", sdk_profile(port, sign=sign))
    answer = common.call_json("DetectFace", {"Image": picture(), "MinFaceSize": 1})
    assert len(answer["Response"]["FaceInfos"]) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"])
def test_detect_face(port, sdk_client, sign, method):
    client = sdk_client(port, sign=sign, method=method)
    request = DetectFaceRequest()
    request.Image = picture(200, 200)
    request.MaxFaceNum, request.MinFaceSize = 5, 20
    response = client.DetectFace(request)
    assert len(response.FaceInfos) == 2
    assert response.FaceInfos[0].Width >= response.FaceInfos[1].Width
    assert response.FaceInfos[0].FaceAttributesInfo.Hair.Length == 0
    request.NeedFaceAttributes = 1
    with pytest.raises(TencentCloudSDKException) as caught:
        client.DetectFace(request)
    assert caught.value.code == "UnsupportedOperation.UnknowMethod"


def test_actions_of_others_are_unknown(port, credential, sdk_profile):
    client = CommonClient("iai", "2020-03-03", credential, "", sdk_profile(port))
    for action in ("CompareFace", "AnalyzeDenseLandmarks", "DetectFaces"):
        with pytest.raises(TencentCloudSDKException) as caught:
            client.call_json(action, {"Image": picture()})
        assert caught.value.code == "InvalidAction"


def test_the_log_says_why_a_signature_was_refused(port, sdk_client, sdk_request, caplog):
    client = sdk_client(port)
    with caplog.at_level(logging.INFO, logger="faceshape.access"):
        for credential in (Credential(SECRET_ID, "wrong"), Credential("unknown", SECRET_KEY)):
            client.credential = credential
            with pytest.raises(TencentCloudSDKException) as caught:
                client.AnalyzeFace(sdk_request(Image=picture()))
            assert caught.value.message in ("签名错误。", "密钥不存在。")  # the cloud's own words
        until = time.monotonic() + 30
        while len(caplog.records) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
    failure, unknown = (record.getMessage() for record in caplog.records)
    assert "code=AuthFailure.SignatureFailure" in failure
    assert "/iai/tc3_request" in failure
    assert f"127.0.0.1:{port}" in failure
    assert "SecretId" in unknown
    for secret in (SECRET_KEY, SECRET_ID, "wrong", "unknown"):
        assert secret not in failure + unknown


def test_a_line_break_in_a_host_does_not_break_the_log(open_port, port, caplog):
    """Headers cannot hold one, but a form's parameters can."""
    form = {
        "Action": "AnalyzeFace",
        "Version": "2020-03-03",
        "SecretId": SECRET_ID,
        "Nonce": "1",
        "Timestamp": str(int(time.time())),
        "SignatureMethod": "Hmac\nSHA256",
        "Signature": "x\ny",
    }
    body = urllib.parse.urlencode(form)
    request = (
        "POST / HTTP/1.1\r\nHost: h\xe9\x85\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
    with caplog.at_level(logging.INFO, logger="faceshape.access"):
        answer = exchange(port, request.encode("latin-1"))[2]
        until = time.monotonic() + 30
        while not caplog.records:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert code_of(answer) == "AuthFailure.SignatureFailure"
    [line] = [record.getMessage() for record in caplog.records]
    assert line.isprintable()


def test_headers_are_capped_and_looked_up_once(port):
    """A head of 220 KB that names 50,000 signed headers once cost a minute of processor time."""
    now = int(time.time())
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: 2\r\nX-TC-Action: AnalyzeFace\r\nX-TC-Timestamp: {now}\r\n"
        f"Authorization: TC3-HMAC-SHA256 Credential={SECRET_ID}/"
        f"{time.strftime('%Y-%m-%d', time.gmtime(now))}/iai/tc3_request, "
        f"SignedHeaders=content-type;host{{names}}, Signature={'0' * 64}\r\n"
        "{headers}z:\r\n\r\n{{{{}}}}"
    )
    for names, headers, code in (
        (";z" * 50_000, "a:\r\n" * 30_000, "RequestSizeLimitExceeded"),
        (";z" * 5_000, "a:\r\n" * 5_000, "AuthFailure.InvalidAuthorization"),
        ("", "a:\r\n" * 5_000, "AuthFailure.SignatureFailure"),
    ):
        request = head.format(names=names, headers=headers).encode()
        started = time.process_time()
        answer = exchange(port, request)[2]
        seconds = time.process_time() - started  # the server is a thread of this process
        assert code_of(answer) == code
        assert seconds < 10  # it would be a minute; the machine may be busy
