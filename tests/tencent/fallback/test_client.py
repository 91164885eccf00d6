import copy
import json
import logging
import re
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303 import iai_client, models
from tencentcloud.iai.v20200303.models import AnalyzeFaceResponse

from faceshape.errors import ParameterError
from faceshape.tencent import FallbackIaiClient, FallbackPolicy, IaiClient
from faceshape.tencent.api import respond
from faceshape.tencent.fallback.breaker import BreakerState

FAULTS = ("refused", "reset", "hang", "500", "garbage", "{}")


class CloudStandIn:
    """An HTTP server on a raw socket that can fail in all the ways that networks know."""

    def __init__(self, engine):
        self.engine = engine
        self.fault = None
        self.asked = 0
        self.heals_after = None
        self.port = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads = []
        self.open()

    def open(self):
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0.02)
        self.port = self._listener.getsockname()[1]
        self._closing.clear()
        self._start(self._accept)

    def close(self):
        self._closing.set()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._threads.clear()

    def fail(self, fault):
        if "refused" in (fault, self.fault):
            self.close()
        if self.fault == "refused":
            self.open()
        self.fault = fault

    def _start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with self._listener:
            while not self._closing.is_set():
                try:
                    connection, _ = self._listener.accept()
                except TimeoutError:
                    continue
                self._start(self._serve, connection)

    def _serve(self, connection):
        with connection:
            connection.settimeout(5)
            received = self._read(connection)
            if received is None:
                return
            action, body = received
            with self._lock:
                self.asked += 1
            if self.fault == "hang":
                self._closing.wait(10)
            elif self.fault == "reset":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                answer = self._answer({**json.loads(body), "Action": action})
                if self.asked == self.heals_after:
                    self.fault = None
                connection.sendall(answer)

    def _read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = connection.recv(65536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        [length] = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        while len(body) < length:
            body += connection.recv(65536)
        [action] = re.findall(rb"(?i)^x-tc-action: (\w+)", head, re.MULTILINE)
        return action.decode(), body

    def _answer(self, params):
        status, content = {
            "500": ("500 Internal Server Error", "<html>"),
            "garbage": ("200 OK", "\x00 not JSON"),
            "{}": ("200 OK", "{}"),
        }.get(self.fault, ("200 OK", None))
        if self.fault and content is None:  # a code of the API
            error = {"Code": self.fault, "Message": "message"}
            content = json.dumps({"Response": {"Error": error, "RequestId": "cloud"}})
        elif content is None:
            content = json.dumps(respond(params, self.engine))
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n{content}"
        ).encode()


@pytest.fixture
def cloud(stub):
    stand_in = CloudStandIn(stub)
    yield stand_in
    stand_in.close()


@pytest.fixture
def request_(sdk_request, make_picture):
    return sdk_request(Image=make_picture(), Mode=0)


@pytest.fixture
def build(cloud, stub, sdk_client):
    def make(**policy):
        policy = {
            "cloud_timeout": 10.0,
            "deadline": 60.0,
            "timeout": 0.2,
            "max_requests": 2,
            **policy,
        }
        local = IaiClient(engine=stub)
        return FallbackIaiClient(sdk_client(cloud.port), local, FallbackPolicy(**policy))

    return make


def shapes(response):
    content = json.loads(response.to_json_string())
    del content["RequestId"]
    return content


@pytest.mark.parametrize("fault", FAULTS)
def test_drill(fault, cloud, build, request_, stub, caplog):
    """100 calls to a broken cloud: all answered, as the engine answers; then the cloud is back."""
    caplog.set_level(logging.ERROR)
    breaker_timeout = 0.2
    client = build(cloud_timeout=1.0 if fault == "hang" else 10.0, timeout=breaker_timeout)
    expected = shapes(IaiClient(engine=stub).AnalyzeFace(request_))
    healthy = client.AnalyzeFace(request_)
    assert (healthy.source, shapes(healthy)) == ("cloud", expected)

    cloud.fail(fault)
    started = time.monotonic()
    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(lambda _: client.AnalyzeFace(request_), range(100)))
    assert len(answers) == 100
    assert all(answer.source == "local" for answer in answers)
    assert all(shapes(answer) == expected for answer in answers)
    assert all("ource" not in answer.to_json_string() for answer in answers)
    assert len({answer.RequestId for answer in answers}) == 100
    counts = client.counts
    assert (counts["cloud"], counts["local"]) == (1, 100)
    # Five failures open it, while three other calls are under way; each trial lets two through.
    trials = (time.monotonic() - started) / breaker_timeout + 1
    assert 5 <= counts["cloud.unavailable"] <= 5 + 3 + 2 * trials
    assert counts["cloud.attempts"] == counts["cloud.unavailable"] + 1
    assert cloud.asked <= counts["cloud.attempts"]
    assert client.state is not BreakerState.CLOSED

    cloud.fail(None)
    until = time.monotonic() + 30
    while client.state is not BreakerState.CLOSED:
        assert time.monotonic() < until
        assert shapes(client.AnalyzeFace(request_)) == expected
        time.sleep(0.02)
    back = client.AnalyzeFace(request_)
    assert (back.source, shapes(back)) == ("cloud", expected)


def test_the_real_engine_answers_when_the_cloud_does_not(
    cloud, engine, portrait, sdk_client, sdk_request
):
    import base64
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG")
    request = sdk_request(Image=base64.b64encode(buffer.getvalue()).decode(), Mode=1)
    local = IaiClient(engine=engine)
    cloud.fail("500")
    answer = FallbackIaiClient(sdk_client(cloud.port), local).AnalyzeFace(request)
    assert answer.source == "local"
    assert shapes(answer) == shapes(local.AnalyzeFace(request))


def test_an_open_breaker_asks_nobody(cloud, build, request_):
    client = build(max_fail_num=2, timeout=100.0)
    cloud.fail("500")
    for _ in range(10):
        assert client.AnalyzeFace(request_).source == "local"
    assert cloud.asked == 2
    assert client.state is BreakerState.OPEN


def test_answers_keep_the_type_and_the_request_is_not_changed(cloud, build, request_):
    request_.headers = {"X-TC-TraceId": "mine"}
    before = json.dumps([request_._serialize(), request_.headers])
    client = build()
    for fault, source in ((None, "cloud"), ("500", "local")):
        cloud.fail(fault)
        answer = client.AnalyzeFace(request_)
        assert isinstance(answer, AnalyzeFaceResponse)
        assert type(answer).__name__ == "AnalyzeFaceResponse"
        assert answer.source == source
    assert json.dumps([request_._serialize(), request_.headers]) == before


@pytest.mark.parametrize(
    "code",
    [
        "InvalidParameterValue.NoFaceInPhoto",
        "InvalidParameter",
        "FailedOperation.ImageDecodeFailed",
        "AuthFailure.SignatureExpire",
        "UnauthorizedOperation",
    ],
)
def test_what_is_raised(code, cloud, build, request_):
    client = build(max_fail_num=1)
    cloud.fail(code)
    for _ in range(3):
        with pytest.raises(TencentCloudSDKException) as caught:
            client.AnalyzeFace(request_)
        assert (caught.value.code, caught.value.requestId) == (code, "cloud")
        assert caught.value.source == "cloud"
    assert client.state is BreakerState.CLOSED
    assert cloud.asked == 3
    assert "local" not in client.counts


def test_a_refused_key_may_fall_back(cloud, build, request_, caplog):
    cloud.fail("AuthFailure.SecretIdNotFound")
    client = build(auth_fallback=True)
    assert client.AnalyzeFace(request_).source == "local"
    assert "unauthorized" in caplog.text
    assert client.state is BreakerState.CLOSED


def test_throttling_is_waited_out(cloud, build, request_):
    client = build(throttle_cooldown=2.0, timeout=100.0)
    cloud.fail("RequestLimitExceeded.UinLimitExceeded")
    for _ in range(5):
        assert client.AnalyzeFace(request_).source == "local"
    assert cloud.asked == 1
    cloud.fail(None)
    time.sleep(2.0)
    assert client.AnalyzeFace(request_).source == "cloud"


def test_a_suspended_account_is_loud_and_left_alone(cloud, build, request_, caplog):
    client = build(timeout=0.01)
    cloud.fail("ResourceUnavailable.InArrears")
    for _ in range(5):
        assert client.AnalyzeFace(request_).source == "local"
        time.sleep(0.02)
    assert cloud.asked == 1
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "ResourceUnavailable.InArrears" in record.getMessage()


def test_pictures_that_the_cloud_fails_on(cloud, build, request_, stub):
    cloud.fail("FailedOperation.ImageFacedetectFailed")
    client = build(max_fail_num=1)
    for _ in range(3):
        assert client.AnalyzeFace(request_).source == "local"
    assert client.state is BreakerState.CLOSED
    stub.action = lambda: 1 // 0
    with pytest.raises(TencentCloudSDKException) as caught:
        client.AnalyzeFace(request_)
    assert caught.value.code == "FailedOperation.ImageFacedetectFailed"
    assert caught.value.source == "cloud"
    with pytest.raises(TencentCloudSDKException, match="ImageFacedetectFailed"):
        build(picture_fallback=False).AnalyzeFace(request_)


def test_an_error_of_the_device(cloud, build, sdk_request, make_picture):
    cloud.fail("500")
    with pytest.raises(TencentCloudSDKException) as caught:
        build().AnalyzeFace(sdk_request(Image=make_picture(value=0)))
    assert caught.value.code == "InvalidParameterValue.NoFaceInPhoto"
    assert caught.value.source == "local"
    assert caught.value.__cause__.code == "ServerNetworkError"


@pytest.mark.parametrize("attempts", [1, 3])
def test_no_more_attempts_than_the_policy_says(attempts, cloud, build, request_):
    cloud.fail("500")
    client = build(max_attempts=attempts, retry_pause=0.01, max_fail_num=100)
    for _ in range(4):
        client.AnalyzeFace(request_)
    assert cloud.asked == client.counts["cloud.attempts"] == 4 * attempts


def test_a_retry_that_succeeds(cloud, build, request_):
    cloud.fail("500")
    cloud.heals_after = 1
    answer = build(max_attempts=2, retry_pause=0.01).AnalyzeFace(request_)
    assert answer.source == "cloud"
    assert cloud.asked == 2


def test_an_attempt_that_is_given_up_on_is_never_repeated(cloud, build, request_):
    cloud.fail("hang")
    client = build(max_attempts=3, cloud_timeout=0.1, retry_pause=0.01)
    assert client.AnalyzeFace(request_).source == "local"
    assert cloud.asked == 1


def test_calls_under_way_are_bounded(cloud, build, request_):
    cloud.fail("hang")
    client = build(max_calls=2, cloud_timeout=0.1, max_fail_num=100)
    for _ in range(6):
        assert client.AnalyzeFace(request_).source == "local"
    assert cloud.asked == 2


def test_deadline_of_the_whole_call(cloud, build, request_, stub):
    cloud.fail("hang")
    release = threading.Event()
    stub.action = lambda: release.wait(10)
    started = time.monotonic()
    with pytest.raises(TencentCloudSDKException) as caught:
        build(cloud_timeout=0.1, deadline=0.3).AnalyzeFace(request_)
    assert 0.3 <= time.monotonic() - started < 5.0
    assert caught.value.code == "FailedOperation.RequestTimeout"
    assert caught.value.source == "local"
    release.set()


def test_an_empty_answer_is_none(stub, request_):
    class Cloud:
        def AnalyzeFace(self, _):  # noqa: N802 - the SDK's name
            return AnalyzeFaceResponse()

    client = FallbackIaiClient(Cloud(), IaiClient(engine=stub))
    assert client.AnalyzeFace(request_).source == "local"
    assert client.counts["cloud.unavailable"] == 1


def test_mistakes_of_the_caller_do_not_reach_the_cloud(cloud, build, sdk_request, sdk_client, stub):
    client = build()
    with pytest.raises(TencentCloudSDKException) as caught:
        client.AnalyzeFace(sdk_request(Image=b"bytes"))
    assert caught.value.code == "TypeError"
    with pytest.raises(TencentCloudSDKException) as caught:
        client.AnalyzeFace({"Image": ""})
    assert caught.value.code == "AttributeError"
    without_key = sdk_client(cloud.port)
    without_key.credential = None
    with pytest.raises(TencentCloudSDKException) as caught:
        FallbackIaiClient(without_key, IaiClient(engine=stub)).AnalyzeFace(sdk_request(Image="x"))
    assert caught.value.code == "InvalidCredential"
    assert cloud.asked == 0


def test_a_bug_in_the_cloud_client_is_raised(stub, request_):
    class Cloud:
        def AnalyzeFace(self, _):  # noqa: N802 - the SDK's name
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        FallbackIaiClient(Cloud(), IaiClient(engine=stub)).AnalyzeFace(request_)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cloud_timeout": 0},
        {"cloud_timeout": 20.0, "deadline": 10.0},
        {"max_attempts": 0},
        {"max_calls": 0},
        {"max_fail_num": 0},
        {"max_fail_percent": 0},
        {"max_fail_percent": 1.5},
    ],
)
def test_policies_that_make_no_sense(wrong):
    with pytest.raises(ParameterError):
        FallbackPolicy(**wrong)


@pytest.fixture
def detect(make_picture):
    request = models.DetectFaceRequest()
    request.Image = make_picture(200, 200)
    request.MaxFaceNum = 5
    request.MinFaceSize = 20
    return request


def test_detect_face_falls_back_too(cloud, build, detect, stub):
    client = build(max_fail_num=1, timeout=100.0)
    expected = shapes(IaiClient(engine=stub).DetectFace(detect))
    assert len(expected["FaceInfos"]) == 2
    healthy = client.DetectFace(detect)
    assert (healthy.source, shapes(healthy)) == ("cloud", expected)
    cloud.fail("500")
    local = client.DetectFace(detect)
    assert (local.source, shapes(local)) == ("local", expected)
    assert isinstance(local, models.DetectFaceResponse)
    assert client.state is BreakerState.OPEN  # one breaker for both actions


def test_attributes_are_the_clouds_and_never_made_up(cloud, build, detect):
    detect.NeedFaceAttributes = 1
    cloud.fail("500")
    with pytest.raises(TencentCloudSDKException) as caught:
        build().DetectFace(detect)
    assert caught.value.code == "UnsupportedOperation.UnknowMethod"
    assert caught.value.source == "local"
    assert caught.value.__cause__.code == "ServerNetworkError"


def test_an_empty_answer_of_detect_face_is_none(stub, detect):
    class Cloud:
        def DetectFace(self, _):  # noqa: N802 - the SDK's name
            return models.DetectFaceResponse()

    client = FallbackIaiClient(Cloud(), IaiClient(engine=stub))
    assert client.DetectFace(detect).source == "local"


def test_all_other_actions_and_attributes_are_the_cloud_clients(cloud, build, sdk_client, stub):
    sdk = sdk_client(cloud.port)
    client = FallbackIaiClient(sdk, IaiClient(engine=stub))
    for action in actions_of_the_sdk() - {"AnalyzeFace", "DetectFace"}:
        assert getattr(client, action) == getattr(sdk, action)
    assert (client.region, client.profile, client.credential) == (
        sdk.region,
        sdk.profile,
        sdk.credential,
    )
    with pytest.raises(AttributeError):
        _ = client.NoSuchAction
    with pytest.raises(TencentCloudSDKException) as caught:  # the stand-in knows no such action
        client.CreateGroup(models.CreateGroupRequest())
    assert caught.value.code == "InvalidAction"
    assert client.counts == {}  # not the fallback's business
    assert client.state is BreakerState.CLOSED


def test_a_copy_of_the_client_does_not_recurse(sdk_client, cloud, stub):
    client = FallbackIaiClient(sdk_client(cloud.port), IaiClient(engine=stub))
    assert copy.copy(client).region == client.region


def actions_of_the_sdk():
    return {name for name in vars(iai_client.IaiClient) if name[0].isupper()}
