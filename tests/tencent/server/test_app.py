import asyncio
import base64
import concurrent.futures
import contextlib
import gc
import http.client
import io
import json
import logging
import socket
import threading
import time
import tracemalloc
import urllib.parse
from dataclasses import replace

import pytest
from PIL import Image
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303.iai_client_async import IaiClient as AsyncCloudClient

from faceshape.tencent.api import analyze_face
from faceshape.tencent.fetch import FetchPolicy
from faceshape.tencent.server.app import ServerSettings

COUNTS = [21, 8, 8, 8, 8, 22, 13, 1, 1]
GROUPS = (
    "FaceProfile",
    "LeftEye",
    "RightEye",
    "LeftEyeBrow",
    "RightEyeBrow",
    "Mouth",
    "Nose",
    "LeftPupil",
    "RightPupil",
)
SCHEMES = {
    "TC3 POST": {},
    "TC3 GET": {"method": "GET"},
    "TC3 POST, unsigned payload": {"unsigned": True},
    "TC3 GET, unsigned payload": {"method": "GET", "unsigned": True},
    "HmacSHA256 POST": {"sign": "HmacSHA256"},
    "HmacSHA256 GET": {"sign": "HmacSHA256", "method": "GET"},
    "HmacSHA1 POST": {"sign": "HmacSHA1"},
    "HmacSHA1 GET": {"sign": "HmacSHA1", "method": "GET"},
}


@pytest.fixture
def image(make_picture):
    return make_picture()


@pytest.fixture
def open_port(settings, stub, serving):
    """Of a server that accepts any signature."""
    with serving(replace(settings, secrets=None), stub) as number:
        yield number


def ask(port, method="POST", path="/", body=b"", headers=None):
    """Return the JSON of an answer after checking what is true of all of them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    assert response.status == 200
    assert response.getheader("Content-Type") == "application/json"
    return json.loads(content)["Response"]


def headers(**changes):
    return {
        "Content-Type": "application/json",
        "X-TC-Action": "AnalyzeFace",
        "X-TC-Version": "2020-03-03",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }


def code(response):
    return response.get("Error", {}).get("Code", "OK")


@pytest.mark.parametrize("options", SCHEMES.values(), ids=SCHEMES)
def test_unmodified_sdk(port, stub, image, sdk_client, sdk_request, options):
    request = sdk_request(Image=image, Mode=1, FaceModelVersion="2.0", NeedRotateDetection=1)
    response = sdk_client(port, **options).AnalyzeFace(request)
    [shape] = response.FaceShapeSet
    assert [len(getattr(shape, name)) for name in GROUPS] == COUNTS
    assert (response.ImageWidth, response.ImageHeight) == (80, 64)
    assert response.FaceModelVersion == "2.0"
    assert (stub.calls[0].mode, stub.calls[0].rotate) == (1, True)
    params = {"Image": image, "Mode": 1, "FaceModelVersion": "2.0", "NeedRotateDetection": 1}
    expected = analyze_face(params, stub)["Response"]
    assert json.loads(response.to_json_string()) == {
        **expected,
        "RequestId": response.RequestId,
    }


@pytest.mark.parametrize("options", SCHEMES.values(), ids=SCHEMES)
def test_async_sdk(port, image, credential, sdk_profile, sdk_request, options):
    async def call():
        client = AsyncCloudClient(credential, "ap-guangzhou", sdk_profile(port, **options))
        async with client:
            return await client.AnalyzeFace(sdk_request(Image=image))

    response = asyncio.run(call())
    assert len(response.FaceShapeSet) == 2
    assert [len(getattr(response.FaceShapeSet[1], name)) for name in GROUPS] == COUNTS


@pytest.mark.parametrize("options", SCHEMES.values(), ids=SCHEMES)
def test_wrong_key_and_unknown_id(port, image, sdk_client, sdk_request, options):
    from tencentcloud.common.credential import Credential

    client = sdk_client(port, **options)
    right = client.credential
    for credential, expected in (
        (Credential(right.secret_id, "another"), "AuthFailure.SignatureFailure"),
        (Credential("another", right.secret_key), "AuthFailure.SecretIdNotFound"),
    ):
        client.credential = credential
        with pytest.raises(TencentCloudSDKException) as caught:
            client.AnalyzeFace(sdk_request(Image=image))
        assert caught.value.code == expected


def test_real_face_over_the_sdk(settings, engine, portrait, serving, sdk_client, sdk_request):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "JPEG", quality=90)
    text = base64.b64encode(buffer.getvalue()).decode()
    with serving(replace(settings, request_timeout=60.0), engine) as port:
        for options in ({}, {"sign": "HmacSHA256"}):
            response = sdk_client(port, **options).AnalyzeFace(sdk_request(Image=text, Mode=1))
            [shape] = response.FaceShapeSet
            assert [len(getattr(shape, name)) for name in GROUPS] == COUNTS
            assert shape.LeftEye[0].X < shape.LeftPupil[0].X < shape.LeftEye[4].X


def test_endpoint_with_scheme_and_path(port, credential, image, sdk_request, sdk_profile):
    from tencentcloud.iai.v20200303.iai_client import IaiClient

    for endpoint in (f"http://127.0.0.1:{port}", f"127.0.0.1:{port}/faces"):
        profile = sdk_profile(port)
        profile.httpProfile.endpoint = endpoint
        client = IaiClient(credential, "ap-guangzhou", profile)
        assert len(client.AnalyzeFace(sdk_request(Image=image)).FaceShapeSet) == 2


def test_reused_request_and_stale_headers(port, image, sdk_client, sdk_request):
    request = sdk_request(Image=image)
    request.headers = {}
    for options in ({}, {"sign": "HmacSHA256"}, {"method": "GET"}, {"sign": "HmacSHA1"}):
        assert sdk_client(port, **options).AnalyzeFace(request).FaceShapeSet


def test_keep_alive(port, image, stub):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(3):
        connection.request("POST", "/", b"{}", headers())
        first = connection.sock
        assert connection.getresponse().read()
        assert connection.sock is first
        assert first is not None
    connection.close()


@pytest.mark.parametrize(
    ("action", "version", "expected"),
    [
        ("CompareFace", "2020-03-03", "InvalidAction"),
        ("AnalyzeFace", "2019-03-01", "NoSuchVersion"),
    ],
)
@pytest.mark.parametrize("sign", ["TC3-HMAC-SHA256", "HmacSHA256"])
def test_other_actions_and_versions(
    port, credential, sdk_profile, image, action, version, expected, sign
):
    client = CommonClient("iai", version, credential, "", sdk_profile(port, sign=sign))
    with pytest.raises(TencentCloudSDKException) as caught:
        client.call_json(action, {"Image": image})
    assert caught.value.code == expected


def test_multipart_and_octet_stream(port, credential, sdk_profile, image):
    client = CommonClient("iai", "2020-03-03", credential, "", sdk_profile(port))
    with pytest.raises(TencentCloudSDKException) as caught:
        client.call_json("AnalyzeFace", {"Image": image}, options={"IsMultipart": True})
    assert caught.value.code == "InvalidRequest"
    with pytest.raises(TencentCloudSDKException) as caught:
        client.call_octet_stream("AnalyzeFace", {}, b"\xff\xd8")
    assert caught.value.code == "InvalidRequest"


def test_skip_is_refused_unless_any_signature_is_accepted(
    port, open_port, credential, sdk_profile, image
):
    for number in (port, open_port):
        client = CommonClient("iai", "2020-03-03", None, "", sdk_profile(number))
        skip = {"SkipSign": True}
        if number == open_port:
            answer = client.call_json("AnalyzeFace", {"Image": image}, options=skip)
            assert len(answer["Response"]["FaceShapeSet"]) == 2
        else:
            with pytest.raises(TencentCloudSDKException) as caught:
                client.call_json("AnalyzeFace", {"Image": image}, options=skip)
            assert caught.value.code == "AuthFailure.InvalidAuthorization"


def test_any_signature_is_accepted_when_asked_for(open_port, image, sdk_client, sdk_request):
    from tencentcloud.common.credential import Credential

    client = sdk_client(open_port)
    client.credential = Credential("anybody", "anything")
    assert client.AnalyzeFace(sdk_request(Image=image)).FaceShapeSet
    # With curl, too, without any signature.
    body = json.dumps({"Image": image}).encode()
    assert code(ask(open_port, body=body, headers=headers())) == "OK"
    form = {"Image": image, "Action": "AnalyzeFace", "Version": "2020-03-03"}
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    query = urllib.parse.urlencode(form)
    assert code(ask(open_port, body=query.encode(), headers=content)) == "OK"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods(port, method):
    assert code(ask(port, method, body=b"x" * 1000)) == "UnsupportedProtocol"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"text"', b"\xff", b"0", b"1" * 5000, b"[" * 100_000]
)
def test_bodies_that_are_no_objects(open_port, body):
    assert code(ask(open_port, body=body, headers=headers())) == "InvalidParameter"


def test_missing_common_parameters(open_port, image):
    body = json.dumps({"Image": image}).encode()
    for name in ("X-TC-Action", "X-TC-Version"):
        some = headers(X_TC_Language="en-US")
        del some[name]
        response = ask(open_port, body=body, headers=some)
        assert code(response) == "MissingParameter"
        assert name in response["Error"]["Message"]


@pytest.mark.parametrize("body", [b"", b"null", b" null\n", b"{}"])
def test_an_empty_body_is_no_parameters(open_port, body):
    expected = "MissingParameter.ErrorParameterEmpty"
    assert code(ask(open_port, body=body, headers=headers())) == expected


def test_a_name_that_comes_twice(open_port):
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    response = ask(open_port, body=b"Mode=1&Mode=0", headers=content)
    assert code(response) == "InvalidParameter"


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 10 * 1024 * 1024),
        ({"sign": "HmacSHA256"}, 1024 * 1024),
        ({"method": "GET"}, 32 * 1024),
        ({"sign": "HmacSHA1", "method": "GET"}, 32 * 1024),
    ],
)
def test_size_limits(port, sdk_client, sdk_request, options, limit):
    client = sdk_client(port, language="en-US", **options)
    for size, expected in (
        (limit - 2000, "FailedOperation.Image"),
        (limit + 1, "RequestSizeLimitExceeded"),
    ):
        with pytest.raises(TencentCloudSDKException) as caught:
            client.AnalyzeFace(sdk_request(Image="A" * size))
        assert caught.value.code.startswith(expected)
    assert str(limit) in caught.value.message


def test_body_without_a_length_is_bounded_too(open_port):
    chunks = (b"A" * 65536 for _ in range(200))
    response = ask(open_port, body=chunks, headers=headers())
    assert code(response) == "RequestSizeLimitExceeded"


def test_a_body_that_does_not_come(settings, stub, serving):
    with serving(replace(settings, secrets=None, body_timeout=0.2), stub) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest("POST", "/")
        for name, value in headers(Content_Length="100").items():
            connection.putheader(name, value)
        connection.endheaders(b"{")
        response = json.loads(connection.getresponse().read())["Response"]
        connection.close()
    assert code(response) == "FailedOperation.RequestTimeout"


def test_what_does_not_fit_is_refused_at_once(
    settings, stub, serving, image, sdk_client, sdk_request
):
    release = threading.Event()
    stub.action = lambda: release.wait(60)
    with serving(replace(settings, threads=1, queue=2), stub) as port:
        with concurrent.futures.ThreadPoolExecutor(3) as executor:
            held = [
                executor.submit(sdk_client(port).AnalyzeFace, sdk_request(Image=image))
                for _ in range(3)
            ]
            wait_for(lambda: metric(port, "faceshape_requests_in_progress") == 3)
            started = time.monotonic()
            with pytest.raises(TencentCloudSDKException) as caught:
                sdk_client(port).AnalyzeFace(sdk_request(Image=image))
            assert caught.value.code == "RequestLimitExceeded"
            assert time.monotonic() - started < 5
            release.set()
            assert all(future.result(30).FaceShapeSet for future in held)
        assert sdk_client(port).AnalyzeFace(sdk_request(Image=image)).FaceShapeSet


def test_a_timed_out_request_keeps_its_place_until_its_thread_is_back(
    settings, stub, serving, image, sdk_client, sdk_request
):
    release = threading.Event()
    stub.action = lambda: release.wait(60)
    small = replace(settings, threads=1, queue=0, request_timeout=1.0)
    with serving(small, stub) as port:
        client = sdk_client(port)
        for expected in ("FailedOperation.RequestTimeout", "RequestLimitExceeded"):
            with pytest.raises(TencentCloudSDKException) as caught:
                client.AnalyzeFace(sdk_request(Image=image))
            assert caught.value.code == expected

        def is_answered() -> bool:
            try:
                return bool(client.AnalyzeFace(sdk_request(Image=image)).FaceShapeSet)
            except TencentCloudSDKException:
                return False

        release.set()
        wait_for(is_answered)
    assert len(stub.calls) == 2  # what timed out, and the last one


def test_a_waiting_request_whose_time_is_over_never_runs(
    settings, stub, serving, image, sdk_client, sdk_request
):
    release = threading.Event()
    stub.action = lambda: release.wait(60)
    with serving(replace(settings, threads=1, queue=1, request_timeout=0.1), stub) as port:
        for _ in range(2):
            with pytest.raises(TencentCloudSDKException, match="RequestTimeout"):
                sdk_client(port).AnalyzeFace(sdk_request(Image=image))
        release.set()
        wait_for(lambda: code(ask(port, headers=headers())) != "RequestLimitExceeded")
    assert len(stub.calls) == 1


def test_a_client_that_hangs_up_leaves_its_place(
    settings, stub, serving, image, sdk_client, sdk_request
):
    with serving(replace(settings, threads=1, queue=0), stub) as port:
        for _ in range(3):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.putrequest("POST", "/")
            for name, value in headers(Content_Length="100").items():
                connection.putheader(name, value)
            connection.endheaders(b"{")
            connection.close()
        wait_for(lambda: metric(port, "faceshape_requests_in_progress") == 0)
        assert sdk_client(port).AnalyzeFace(sdk_request(Image=image)).FaceShapeSet


def wait_for(condition, seconds=30):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response.status, content


def metric(port, name):
    _, text = get(port, "/metrics")
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_health_and_metrics(port, image, sdk_client, sdk_request):
    assert get(port, "/healthz") == (200, '{"status":"ok"}')
    sdk_client(port).AnalyzeFace(sdk_request(Image=image))
    with pytest.raises(TencentCloudSDKException):
        sdk_client(port).AnalyzeFace(sdk_request())
    assert metric(port, 'faceshape_requests_total{code="OK"}') == 1
    missing = 'faceshape_requests_total{code="MissingParameter.ErrorParameterEmpty"}'
    assert metric(port, missing) == 1
    assert metric(port, "faceshape_request_seconds_count") == 2


def test_logs_hold_neither_pictures_nor_secrets(
    port, image, sdk_client, sdk_request, caplog, credential
):
    with caplog.at_level(logging.DEBUG, logger="faceshape"):
        sdk_client(port, method="GET").AnalyzeFace(sdk_request(Image=image))
        with pytest.raises(TencentCloudSDKException):
            sdk_client(port, sign="HmacSHA1", method="GET").AnalyzeFace(sdk_request(Image="?" * 40))
        wait_for(lambda: len(caplog.records) >= 2)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith("faceshape")
    )
    assert "code=OK" in logged
    assert "code=FailedOperation.ImageDecodeFailed" in logged
    for private in (
        image[:20],
        "Image=",
        "????",
        credential.secret_id,
        credential.secret_key,
        "Signature",
    ):
        assert private not in logged


def test_urls_on_the_server(
    settings, stub, serving, image, sdk_client, sdk_request, picture_server
):
    for urls, expected in (
        (FetchPolicy(), "FailedOperation.ImageDownloadError"),
        (FetchPolicy(allow_urls=True), "FailedOperation.ImageDownloadError"),
        (FetchPolicy(allow_urls=True, allow_private_urls=True), None),
    ):
        with serving(replace(settings, urls=urls), stub) as port:
            request = sdk_request(Url=picture_server(base64.b64decode(image)), Image="ignored")
            if expected is None:
                response = sdk_client(port).AnalyzeFace(request)
                assert (response.ImageWidth, response.ImageHeight) == (80, 64)
            else:
                with pytest.raises(TencentCloudSDKException) as caught:
                    sdk_client(port).AnalyzeFace(request)
                assert caught.value.code == expected


@pytest.fixture
def picture_server():
    """Bytes → the URL at which a loopback server has them."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    content = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content[self.path])))
            self.end_headers()
            self.wfile.write(content[self.path])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()

    def publish(data):
        content["/a.png"] = data
        return f"http://127.0.0.1:{server.server_port}/a.png"

    yield publish
    server.shutdown()
    thread.join()
    server.server_close()


def test_silent_hosts_hold_no_thread_of_other_requests(
    settings, stub, serving, image, sdk_client, sdk_request
):
    urls = FetchPolicy(allow_urls=True, allow_private_urls=True, timeout=30.0)
    silent = socket.create_server(("127.0.0.1", 0), backlog=20)
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
    with (
        serving(replace(settings, threads=1, queue=0, urls=urls), stub) as port,
        concurrent.futures.ThreadPoolExecutor(20) as executor,
    ):
        waiting = [
            executor.submit(sdk_client(port).AnalyzeFace, sdk_request(Url=url)) for _ in range(20)
        ]
        wait_for(lambda: metric(port, "faceshape_requests_in_progress") == 20)
        for _ in range(5):
            assert sdk_client(port).AnalyzeFace(sdk_request(Image=image)).FaceShapeSet
        silent.close()  # and resets what waits
        for one in waiting:
            with pytest.raises(TencentCloudSDKException) as caught:
                one.result(60)
            assert caught.value.code == "FailedOperation.ImageDownloadError"


def test_a_wrong_parameter_is_said_before_anything_is_downloaded(settings, stub, serving):
    urls = FetchPolicy(allow_urls=True, allow_private_urls=True)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        serving(replace(settings, secrets=None, urls=urls), stub) as port,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        body = json.dumps({"Url": url, "Mode": 2}).encode()
        assert code(ask(port, body=body, headers=headers())) == "InvalidParameter.InvalidParameter"
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()


PLAUSIBLE = {
    "Authorization": "TC3-HMAC-SHA256 Credential=AKIDEXAMPLEFAKEFAKEFAKEFAKEFAKE00/{date}/iai/"
    "tc3_request, SignedHeaders=content-type;host, Signature=" + "0" * 64
}


def plausible_headers():
    """The head of a request that is well signed for all that the head can tell."""
    now = time.time()
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    authorization = PLAUSIBLE["Authorization"].format(date=date)
    return {**headers(X_TC_Timestamp=str(int(now))), "Authorization": authorization}


@pytest.mark.parametrize("body", [b"[" * 10_000_000, b'{"a":[' + b"{}," * 3_000_000 + b"{}]}"])
def test_nothing_is_parsed_before_the_signature_is_verified(port, monkeypatch, body):
    monkeypatch.setattr(
        "faceshape.tencent.server.wire._parse_json", lambda _: pytest.fail("parsed")
    )
    assert code(ask(port, body=body, headers=headers())) == "AuthFailure.InvalidAuthorization"
    answer = ask(port, body=body, headers=plausible_headers())
    assert code(answer) == "AuthFailure.SignatureFailure"


def test_a_body_of_millions_of_values_is_not_parsed(open_port):
    for body in (b'{"a":[' + b"{}," * 3_000_000 + b"{}]}", b"[" * 10_000_000):
        assert code(ask(open_port, body=body, headers=headers())) == "InvalidParameter"


@pytest.mark.parametrize(
    "changes",
    [
        {"Authorization": ""},
        {"Authorization": "SKIP"},
        {"X-TC-Timestamp": "1"},
        {"Authorization": PLAUSIBLE["Authorization"].format(date="2020-01-01")},
    ],
)
def test_a_head_that_no_body_can_help_is_answered_without_the_body(port, changes):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/")
    for name, value in {**plausible_headers(), "Content-Length": "5000000", **changes}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = json.loads(connection.getresponse().read())["Response"]
    connection.close()
    assert code(response).startswith("AuthFailure.")


@pytest.mark.parametrize("kind", ["aborted", "a wrong signature", "too slow", "too large"])
def test_what_fails_is_out_of_memory_at_once(settings, stub, serving, kind):
    """Without Python's garbage collector, too: it may not look for a long time."""
    size = 2_000_000
    head = {**plausible_headers(), "Content-Length": str(size), "Host": "x"}
    if kind == "too large":
        del head["Content-Length"]
        head["Transfer-Encoding"] = "chunked"
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    start = f"POST / HTTP/1.1\r\n{lines}\r\n".encode()
    frame = b"%x\r\n" % size + bytes(size) + b"\r\n"
    body = {"a wrong signature": bytes(size), "too large": frame * 6}.get(kind, bytes(size - 1))
    seconds = 0.3 if kind == "too slow" else 30.0
    with serving(replace(settings, body_timeout=seconds), stub) as port:
        assert code(ask(port, headers=headers())).startswith("AuthFailure.")
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(10):
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
                    contextlib.suppress(ConnectionError),
                ):
                    connection.sendall(start + body)
                    if kind != "aborted":
                        assert b"HTTP/1.1 200 OK" in connection.recv(4096)
            del frame, body
            wait_for(lambda: metric(port, "faceshape_requests_in_progress") == 0)
            wait_for(lambda: tracemalloc.get_traced_memory()[0] < size)
        finally:
            tracemalloc.stop()
            gc.enable()


def test_foreign_pages_are_refused_where_no_signature_is_checked(open_port, port):
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    refused = ask(open_port, body=b"{}", headers={**headers(X_TC_Language="en-US"), **foreign})
    assert code(refused) == "UnauthorizedOperation"
    assert "Sec-Fetch-Site" in refused["Error"]["Message"]
    rebound = ask(open_port, body=b"{}", headers=headers(Host="evil.example"))
    assert code(rebound) == "UnauthorizedOperation"
    own = {**headers(), "Origin": f"http://127.0.0.1:{open_port}", "Sec-Fetch-Site": "same-origin"}
    assert code(ask(open_port, body=b"{}", headers=own)).startswith("MissingParameter")
    # A signature cannot be made by a page that has no key.
    assert code(ask(port, body=b"{}", headers={**headers(), **foreign})).startswith("AuthFailure")


def test_settings_travel_as_text_and_show_no_secrets():
    settings = ServerSettings(
        secrets={"id": "the key"}, threads=3, urls=FetchPolicy(allow_urls=True, timeout=2.5)
    )
    assert ServerSettings.from_json(settings.to_json()) == settings
    assert "the key" not in repr(settings)
    anybody = ServerSettings(secrets=None)
    assert ServerSettings.from_json(anybody.to_json()) == anybody


def test_answers_do_not_wait_for_delayed_acknowledgements(open_port):
    """The listener of the tests is one for which asyncio leaves Nagle's algorithm on."""
    connection = http.client.HTTPConnection("127.0.0.1", open_port, timeout=60)
    seconds = []
    for _ in range(21):
        started = time.perf_counter()
        connection.request("POST", "/", b"{}", headers())
        connection.getresponse().read()
        seconds.append(time.perf_counter() - started)
    connection.close()
    assert sorted(seconds)[5] < 0.035  # it would be 0.04 for nearly all
