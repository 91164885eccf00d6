"""The fallback for the SDK's client of asyncio: the same policy, breaker, counts and sources."""

import asyncio
import threading
from types import TracebackType
from typing import Any

from faceshape.tencent.client import IaiClient
from faceshape.tencent.fallback.bounded_calls import BoundedCalls, TooManyCallsError
from faceshape.tencent.fallback.breaker import BreakerState
from faceshape.tencent.fallback.calls import Calls, CloudCall
from faceshape.tencent.fallback.policy import FallbackPolicy
from faceshape.tencent.fallback.verdicts import judge_unwrapped

__all__ = ["AsyncFallbackIaiClient"]


class AsyncFallbackIaiClient:
    """Like `faceshape.tencent.FallbackIaiClient`, for ``iai_client_async.IaiClient`` of the SDK.

    The device works in threads of its own, so the event loop goes on.
    """

    def __init__(self, cloud: Any, local: Any = None, policy: FallbackPolicy | None = None) -> None:
        """Take both clients.

        Args:
            cloud: the SDK's ``iai_client_async.IaiClient``, its retryer and region breaker off.
            local: what stands in for it, a client that blocks; None is
                `faceshape.tencent.IaiClient`.
            policy: None is the default.
        """
        self._cloud = cloud
        self._local = IaiClient(profile=getattr(cloud, "profile", None)) if local is None else local
        self._calls = Calls(policy or FallbackPolicy(), judge_unwrapped)
        self._places = threading.Semaphore(self._calls.policy.max_calls)
        self._local_calls = BoundedCalls(self._calls.policy.max_calls, "faceshape-local")

    def __getattr__(self, name: str) -> Any:
        """Return the cloud client's attribute: its other actions go to the cloud alone."""
        if name.startswith("_"):  # also before __init__ has run, as in a copy
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return getattr(self._cloud, name)

    async def __aenter__(self) -> "AsyncFallbackIaiClient":
        await self._cloud.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._cloud.__aexit__(kind, error, traceback)

    @property
    def state(self) -> BreakerState:
        """Of the circuit breaker: open means that the cloud is not asked."""
        return self._calls.state

    @property
    def counts(self) -> dict[str, int]:
        """As `faceshape.tencent.FallbackIaiClient.counts`."""
        return self._calls.counts

    async def AnalyzeFace(self, request: Any, opts: dict[str, Any] | None = None) -> Any:
        """Find the faces of a picture and their 90 points.

        Args:
            request: an ``AnalyzeFaceRequest``; it is not changed.
            opts: for the SDK's client.

        Returns:
            An ``AnalyzeFaceResponse`` with an attribute ``source``.

        Raises:
            TencentCloudSDKException: the request is wrong, or neither cloud nor device answered.
        """
        return await self._call("AnalyzeFace", request, opts)

    async def DetectFace(self, request: Any, opts: dict[str, Any] | None = None) -> Any:
        """Find the faces of a picture and their rectangles.

        Args:
            request: a ``DetectFaceRequest``; it is not changed.
            opts: for the SDK's client.

        Returns:
            A ``DetectFaceResponse`` with an attribute ``source``.

        Raises:
            TencentCloudSDKException: the request is wrong, or neither cloud nor device answered.
        """
        return await self._call("DetectFace", request, opts)

    async def _call(self, action: str, request: Any, opts: dict[str, Any] | None) -> Any:
        call = self._calls.start(action, request, self._cloud)
        for pause in call.pauses():
            await asyncio.sleep(pause)
            seconds = call.begin()
            if seconds is None:
                break
            try:
                response = await self._attempt(call, action, opts, seconds)
            except Exception as error:  # noqa: BLE001 - the SDK lets anything through
                call.fail(error)
            except BaseException:
                call.abandon()
                raise
            else:
                return call.succeed(response)
        return await self._ask_device(call, action)

    async def _attempt(
        self, call: CloudCall, action: str, opts: dict[str, Any] | None, seconds: float
    ) -> Any:
        if not self._places.acquire(blocking=False):
            raise TooManyCallsError("too many calls to the cloud have not returned")
        call.asked()
        asking = asyncio.ensure_future(getattr(self._cloud, action)(call.request(), opts))
        asking.add_done_callback(lambda _: self._places.release())
        return call.check(await _within(asking, seconds))

    async def _ask_device(self, call: CloudCall, action: str) -> Any:
        call.turn_to_device()
        request = call.request()
        try:
            working = self._local_calls.submit(lambda: getattr(self._local, action)(request))
            response = await _within(asyncio.wrap_future(working), call.seconds_left())
        except Exception as error:  # noqa: BLE001 - somebody else's engine may raise anything
            call.fail_locally(error)
        return call.local_answer(response)


async def _within(work: "asyncio.Future[Any]", seconds: float) -> Any:
    """Return what some work returns, or give it up after so many seconds without waiting for it.

    Raises:
        TimeoutError: the time is over.
    """
    try:
        await asyncio.wait({work}, timeout=seconds)
        if not work.done():
            raise TimeoutError(f"no answer within {seconds:.1f} s")
        return work.result()
    finally:
        if not work.done():
            work.add_done_callback(_forget)
            work.cancel()


def _forget(work: "asyncio.Future[Any]") -> None:
    """Look at how given-up work ended, so that asyncio does not report it as overlooked."""
    if not work.cancelled():
        work.exception()
