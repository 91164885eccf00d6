"""The fallback for the SDK's client of asyncio, against the same stand-in of the cloud."""

import asyncio
import json
import time

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.iai.v20200303 import models
from tencentcloud.iai.v20200303.iai_client_async import IaiClient as AsyncCloudClient

from faceshape.tencent import AsyncFallbackIaiClient, FallbackPolicy, IaiClient
from faceshape.tencent.fallback.breaker import BreakerState
from tests.tencent.fallback.test_client import FAULTS, CloudStandIn, shapes


@pytest.fixture
def cloud(stub):
    stand_in = CloudStandIn(stub)
    yield stand_in
    stand_in.close()


@pytest.fixture
def request_(sdk_request, make_picture):
    return sdk_request(Image=make_picture(), Mode=0)


@pytest.fixture
def ask(cloud, stub, credential, sdk_profile):
    """Run a coroutine function with a client."""

    def run(work, local=None, **policy):
        policy = {"cloud_timeout": 10.0, "deadline": 60.0, "timeout": 100.0, **policy}

        async def main():
            sdk = AsyncCloudClient(credential, "ap-guangzhou", sdk_profile(cloud.port))
            device = local or IaiClient(engine=stub)
            async with AsyncFallbackIaiClient(sdk, device, FallbackPolicy(**policy)) as client:
                return await work(client)

        return asyncio.run(main())

    return run


@pytest.mark.parametrize("fault", FAULTS)
def test_drill(fault, cloud, ask, request_, stub):
    """Calls to a broken cloud, many at a time: all answered, as the engine answers."""
    expected = shapes(IaiClient(engine=stub).AnalyzeFace(request_))

    async def work(client):
        healthy = await client.AnalyzeFace(request_)
        await asyncio.to_thread(cloud.fail, fault)
        broken = await asyncio.gather(*(client.AnalyzeFace(request_) for _ in range(20)))
        return healthy, broken, client.state, client.counts

    healthy, broken, state, counts = ask(work, cloud_timeout=1.0 if fault == "hang" else 10.0)
    assert (healthy.source, shapes(healthy)) == ("cloud", expected)
    assert [answer.source for answer in broken] == ["local"] * 20
    assert all(shapes(answer) == expected for answer in broken)
    assert isinstance(broken[0], models.AnalyzeFaceResponse)
    assert "ource" not in broken[0].to_json_string()
    assert state is BreakerState.OPEN
    assert (counts["cloud"], counts["local"]) == (1, 20)
    assert counts["cloud.unavailable"] >= 5


def test_the_breaker_closes_again(cloud, ask, request_):
    async def work(client):
        cloud.fail("500")
        for _ in range(3):
            await client.AnalyzeFace(request_)
        assert client.state is BreakerState.OPEN
        cloud.fail(None)
        await asyncio.sleep(0.2)
        return await client.AnalyzeFace(request_)

    answer = ask(work, max_fail_num=2, timeout=0.1, max_requests=1)
    assert answer.source == "cloud"


def test_detect_face_and_options(cloud, ask, make_picture):
    request = models.DetectFaceRequest()
    request.Image = make_picture(200, 200)
    request.MinFaceSize = 20

    async def work(client):
        answers = [await client.DetectFace(request, {"Endpoint": ""})]
        cloud.fail("500")
        answers.append(await client.DetectFace(request))
        request.NeedFaceAttributes = 1
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.DetectFace(request)
        return answers, caught.value

    answers, error = ask(work)
    assert [answer.source for answer in answers] == ["cloud", "local"]
    assert shapes(answers[0]) == shapes(answers[1])
    assert (error.code, error.source) == ("UnsupportedOperation.UnknowMethod", "local")


@pytest.mark.parametrize(
    "code",
    ["InvalidParameterValue.NoFaceInPhoto", "InvalidParameter", "AuthFailure.SignatureExpire"],
)
def test_what_is_raised(code, cloud, ask, request_):
    cloud.fail(code)

    async def work(client):
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.AnalyzeFace(request_)
        return caught.value, client.state, client.counts

    error, state, counts = ask(work, max_fail_num=1)
    assert (error.code, error.requestId, error.source) == (code, "cloud", "cloud")
    assert state is BreakerState.CLOSED
    assert "local" not in counts


def test_an_error_of_the_device(cloud, ask, sdk_request, make_picture):
    cloud.fail("500")

    async def work(client):
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.AnalyzeFace(sdk_request(Image=make_picture(value=0)))
        return caught.value

    error = ask(work)
    assert (error.code, error.source) == ("InvalidParameterValue.NoFaceInPhoto", "local")
    assert error.__cause__.code == "ServerNetworkError"


def test_other_actions_are_the_clouds(cloud, ask):
    async def work(client):
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.CreateGroup(models.CreateGroupRequest())
        assert client.region == "ap-guangzhou"
        return caught.value, client.counts

    error, counts = ask(work)
    assert error.code == "InvalidAction"
    assert counts == {}


def test_deadlines_and_the_loop_goes_on(cloud, ask, request_, stub):
    """Cloud and device hang: the call ends in time, and the loop is free all the while."""
    import threading

    cloud.fail("hang")
    release = threading.Event()
    stub.action = lambda: release.wait(10)

    async def work(client):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        started = time.monotonic()
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.AnalyzeFace(request_)
        ticking.cancel()
        return caught.value, time.monotonic() - started, ticks

    error, seconds, ticks = ask(work, cloud_timeout=0.1, deadline=0.4)
    release.set()
    assert (error.code, error.source) == ("FailedOperation.RequestTimeout", "local")
    assert 0.4 <= seconds < 5
    assert ticks >= 5


def test_calls_under_way_are_bounded(cloud, ask, request_):
    cloud.fail("hang")

    async def work(client):
        # The third asks the device at once, the others after their time: it is bounded, too.
        answers = await asyncio.gather(*(client.AnalyzeFace(request_) for _ in range(3)))
        return [answer.source for answer in answers], client.counts["cloud.attempts"]

    sources, attempts = ask(work, max_calls=2, cloud_timeout=0.3, max_fail_num=100)
    assert sources == ["local"] * 3
    assert attempts == 2


def test_a_cancelled_call_gives_back_its_permission(cloud, ask, request_):
    """A trial of the half-open breaker that is cancelled must not keep it half-open for ever."""

    async def work(client):
        cloud.fail("500")
        await client.AnalyzeFace(request_)
        cloud.fail("hang")
        await asyncio.sleep(0.15)
        for _ in range(3):
            call = asyncio.create_task(client.AnalyzeFace(request_))
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        cloud.fail(None)
        return await client.AnalyzeFace(request_)

    answer = ask(work, max_fail_num=1, timeout=0.1, max_requests=1)
    assert answer.source == "cloud"


def test_mistakes_of_the_caller_do_not_reach_the_cloud(cloud, ask, sdk_request):
    async def work(client):
        with pytest.raises(TencentCloudSDKException) as caught:
            await client.AnalyzeFace(sdk_request(Image=b"bytes"))
        return caught.value

    assert ask(work).code == "TypeError"
    assert cloud.asked == 0


def test_the_request_is_not_changed(cloud, ask, request_):
    request_.headers = {"X-TC-TraceId": "mine"}
    before = json.dumps([request_._serialize(), request_.headers])
    ask(lambda client: client.AnalyzeFace(request_))
    assert json.dumps([request_._serialize(), request_.headers]) == before
