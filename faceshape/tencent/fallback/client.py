"""The cloud's client with a spare wheel: what the cloud cannot answer is answered on the device."""

import time
from typing import Any

from faceshape.tencent.client import IaiClient
from faceshape.tencent.fallback.bounded_calls import BoundedCalls
from faceshape.tencent.fallback.breaker import BreakerState
from faceshape.tencent.fallback.calls import Calls, CloudCall
from faceshape.tencent.fallback.policy import FallbackPolicy

__all__ = ["FallbackIaiClient"]


class FallbackIaiClient:
    """Asks the cloud first and the device when the cloud is not available; thread-safe.

    It is a whole client: what the device cannot do, all other actions and attributes, is the cloud
    client's own. Each answer and each exception of AnalyzeFace and DetectFace has an attribute
    ``source``, "cloud" or "local"; the JSON text of the answer does not contain it.
    """

    def __init__(self, cloud: Any, local: Any = None, policy: FallbackPolicy | None = None) -> None:
        """Take both clients.

        Args:
            cloud: the SDK's ``IaiClient``. Leave its retryer and its region breaker off: the
                policy counts attempts, and both are broken in the SDK (see the README).
            local: what stands in for it; None is `faceshape.tencent.IaiClient`.
            policy: None is the default.
        """
        self._cloud = cloud
        self._local = IaiClient(profile=getattr(cloud, "profile", None)) if local is None else local
        self._calls = Calls(policy or FallbackPolicy())
        self._cloud_calls = BoundedCalls(self._calls.policy.max_calls, "faceshape-cloud")
        self._local_calls = BoundedCalls(self._calls.policy.max_calls, "faceshape-local")

    def __getattr__(self, name: str) -> Any:
        """Return the cloud client's attribute: its other actions go to the cloud alone."""
        if name.startswith("_"):  # also before __init__ has run, as in a copy
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return getattr(self._cloud, name)

    @property
    def state(self) -> BreakerState:
        """Of the circuit breaker: open means that the cloud is not asked."""
        return self._calls.state

    @property
    def counts(self) -> dict[str, int]:
        """How often what has happened: ``cloud`` and ``local`` count answers by their source.

        ``cloud.attempts`` counts requests to the cloud, ``cloud.VERDICT`` their failures (see
        `faceshape.tencent.fallback.verdicts.Verdict`), ``local.errors`` what the device raised.
        """
        return self._calls.counts

    def AnalyzeFace(self, request: Any) -> Any:
        """Find the faces of a picture and their 90 points.

        Args:
            request: an ``AnalyzeFaceRequest``; it is not changed.

        Returns:
            An ``AnalyzeFaceResponse`` with an attribute ``source``.

        Raises:
            TencentCloudSDKException: the request is wrong, or neither cloud nor device answered.
        """
        return self._call("AnalyzeFace", request)

    def DetectFace(self, request: Any) -> Any:
        """Find the faces of a picture and their rectangles.

        The device computes neither attributes nor quality: where the cloud is not available, a
        request that wants them raises UnsupportedOperation.UnknowMethod.

        Args:
            request: a ``DetectFaceRequest``; it is not changed.

        Returns:
            A ``DetectFaceResponse`` with an attribute ``source``.

        Raises:
            TencentCloudSDKException: the request is wrong, or neither cloud nor device answered.
        """
        return self._call("DetectFace", request)

    def _call(self, action: str, request: Any) -> Any:
        call = self._calls.start(action, request, self._cloud)
        for pause in call.pauses():
            time.sleep(pause)
            seconds = call.begin()
            if seconds is None:
                break
            try:
                response = self._attempt(call, action, seconds)
            except Exception as error:  # noqa: BLE001 - the SDK lets anything through
                call.fail(error)
            except BaseException:
                call.abandon()
                raise
            else:
                return call.succeed(response)
        return self._ask_device(call, action)

    def _attempt(self, call: CloudCall, action: str, seconds: float) -> Any:
        request = call.request()

        def ask() -> Any:
            call.asked()
            return getattr(self._cloud, action)(request)

        return call.check(self._cloud_calls.run(ask, seconds))

    def _ask_device(self, call: CloudCall, action: str) -> Any:
        call.turn_to_device()
        request = call.request()
        try:
            response = self._local_calls.run(
                lambda: getattr(self._local, action)(request), call.seconds_left()
            )
        except Exception as error:  # noqa: BLE001 - somebody else's engine may raise anything
            call.fail_locally(error)
        return call.local_answer(response)
