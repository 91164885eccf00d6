"""The cloud's client with a spare wheel: what the cloud cannot answer is answered on the device."""

import copy
import functools
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from faceshape.errors import ParameterError
from faceshape.tencent.client import IaiClient
from faceshape.tencent.fallback.bounded_calls import BoundedCalls, TooManyCallsError
from faceshape.tencent.fallback.breaker import BreakerState, CircuitBreaker
from faceshape.tencent.fallback.verdicts import Verdict, judge
from faceshape.tencent.models import TencentCloudSDKException

__all__ = ["FallbackIaiClient", "FallbackPolicy"]

Source = Literal["cloud", "local"]

_logger = logging.getLogger(__name__)
_PLAIN = (str, int, float, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackPolicy:
    """When to ask the device, and how long to wait for the cloud. Times are in seconds.

    Attributes:
        deadline: for a call altogether, cloud and device.
        cloud_timeout: for one attempt at the cloud, whatever the SDK's own timeouts are.
        max_attempts: how often one call may ask the cloud at most: each attempt may be charged.
            An attempt that is given up on is never repeated, for the cloud may still work on it.
        retry_pause: between two attempts.
        throttle_cooldown: without the cloud after it said that there are too many requests.
        suspension_cooldown: without the cloud after it named a reason that lies in the account.
        auth_fallback: ask the device also when the cloud refuses the key.
        picture_fallback: ask the device also when the cloud fails on this picture; if the device
            fails, too, the cloud's error counts.
        max_calls: that may be under way at the cloud; more are answered on the device.
        max_fail_num, max_fail_percent, window_interval, timeout, max_requests: see
            `faceshape.tencent.fallback.breaker.CircuitBreaker`.
    """

    deadline: float = 15.0
    cloud_timeout: float = 5.0
    max_attempts: int = 1
    retry_pause: float = 0.2
    throttle_cooldown: float = 1.0
    suspension_cooldown: float = 600.0
    auth_fallback: bool = False
    picture_fallback: bool = True
    max_calls: int = 64
    max_fail_num: int = 5
    max_fail_percent: float = 0.75
    window_interval: float = 300.0
    timeout: float = 60.0
    max_requests: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.cloud_timeout <= self.deadline:
            raise ParameterError("cloud_timeout must be positive and within the deadline")
        if min(self.max_attempts, self.max_calls, self.max_fail_num, self.max_requests) < 1:
            raise ParameterError("numbers of attempts, calls, failures, requests are at least 1")
        if not 0 < self.max_fail_percent <= 1:
            raise ParameterError("max_fail_percent is above 0 and at most 1")


class _NotAskedError(RuntimeError):
    """The breaker is open, or the time is over."""


class FallbackIaiClient:
    """Asks the cloud first and the device when the cloud is not available; thread-safe.

    Each answer and each exception has an attribute ``source``, "cloud" or "local"; the JSON text
    of the answer does not contain it.
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
        self._policy = policy = policy or FallbackPolicy()
        self._breaker = CircuitBreaker(
            policy.max_fail_num,
            policy.max_fail_percent,
            policy.window_interval,
            policy.timeout,
            policy.max_requests,
        )
        self._cloud_calls = BoundedCalls(policy.max_calls, "faceshape-cloud")
        self._local_calls = BoundedCalls(policy.max_calls, "faceshape-local")
        self._counts: Counter[str] = Counter()
        self._counts_lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """Of the circuit breaker: open means that the cloud is not asked."""
        return self._breaker.state

    @property
    def counts(self) -> dict[str, int]:
        """How often what has happened: ``cloud`` and ``local`` count answers by their source.

        ``cloud.attempts`` counts requests to the cloud, ``cloud.VERDICT`` their failures (see
        `faceshape.tencent.fallback.verdicts.Verdict`), ``local.errors`` what the device raised.
        """
        with self._counts_lock:
            return dict(self._counts)

    def AnalyzeFace(self, request: Any) -> Any:
        """Find the faces of a picture and their 90 points.

        Args:
            request: an ``AnalyzeFaceRequest``; it is not changed.

        Returns:
            An ``AnalyzeFaceResponse`` with an attribute ``source``.

        Raises:
            TencentCloudSDKException: the request is wrong, or neither cloud nor device answered.
        """
        deadline = time.monotonic() + self._policy.deadline
        _check_request(request)
        if getattr(self._cloud, "credential", self) is None:
            raise TencentCloudSDKException("InvalidCredential", "the cloud client has none")
        answer = self._ask_cloud(request, deadline)
        if not isinstance(answer, Exception):
            return answer
        return self._ask_local(request, answer, deadline)

    def _ask_cloud(self, request: Any, deadline: float) -> Any:
        """Return the cloud's answer, or the exception because of which to ask the device."""
        failure: Exception = _NotAskedError("the cloud is not asked at present")
        for attempt in range(self._policy.max_attempts):
            if attempt:
                time.sleep(max(0.0, min(self._policy.retry_pause, deadline - time.monotonic())))
            seconds = min(self._policy.cloud_timeout, deadline - time.monotonic())
            permission = self._breaker.acquire() if seconds > 0 else None
            if permission is None:
                break
            try:
                response = self._attempt(request, seconds)
            except TooManyCallsError as error:
                self._breaker.release(permission)
                return error
            except Exception as error:  # the SDK lets anything through; `judge` sorts it
                failure = error
                verdict = judge(error)
                self._report(permission, verdict, error)
                if not self._allows(verdict):
                    _set_source(error, "cloud")
                    raise
                if verdict is not Verdict.UNAVAILABLE or isinstance(error, TimeoutError):
                    break
            else:
                self._breaker.succeed(permission)
                self._count("cloud")
                return _with_source(response, "cloud")
        return failure

    def _attempt(self, request: Any, seconds: float) -> Any:
        mine = copy.deepcopy(request)  # the SDK writes headers into it

        def ask() -> Any:
            self._count("cloud.attempts")
            return self._cloud.AnalyzeFace(mine)

        response = self._cloud_calls.run(ask, seconds)
        if (
            getattr(response, "RequestId", None) is None
            or getattr(response, "FaceShapeSet", None) is None
        ):
            # Something between here and the cloud answered in its place.
            raise TencentCloudSDKException("KeyError", "the answer is empty")
        return response

    def _report(self, permission: int, verdict: Verdict, error: Exception) -> None:
        self._count(f"cloud.{verdict.value}")
        if verdict is Verdict.UNAVAILABLE:
            self._breaker.fail(permission)
        elif verdict is Verdict.THROTTLED:
            self._breaker.trip(permission, self._policy.throttle_cooldown)
        elif verdict is Verdict.SUSPENDED:
            self._breaker.trip(permission, self._policy.suspension_cooldown)
        elif verdict is Verdict.REQUEST:
            self._breaker.succeed(permission)  # a sensible answer
        else:
            self._breaker.release(permission)
        level = logging.ERROR if verdict is Verdict.SUSPENDED else logging.WARNING
        if verdict is not Verdict.REQUEST:
            _logger.log(level, "the cloud is %s: %s", verdict.value, _name(error))

    def _allows(self, verdict: Verdict) -> bool:
        if verdict is Verdict.UNAUTHORIZED:
            return self._policy.auth_fallback
        if verdict is Verdict.PICTURE:
            return self._policy.picture_fallback
        return verdict is not Verdict.REQUEST

    def _ask_local(self, request: Any, failure: Exception, deadline: float) -> Any:
        _logger.info("answered on the device, because of the cloud's %s", _name(failure))
        mine = copy.deepcopy(request)
        try:
            response = self._local_calls.run(
                lambda: self._local.AnalyzeFace(mine), max(0.0, deadline - time.monotonic())
            )
        except Exception as error:  # an engine of somebody else's may raise anything
            self._count("local.errors")
            if judge(failure) is Verdict.PICTURE:
                _set_source(failure, "cloud")
                raise failure from error
            raised = _as_sdk_exception(error)
            _set_source(raised, "local")
            raise raised from failure
        self._count("local")
        return _with_source(response, "local")

    def _count(self, name: str) -> None:
        with self._counts_lock:
            self._counts[name] += 1


def _check_request(request: Any) -> None:
    """Raise what the SDK would, so that its TypeError later on is the answer's."""
    try:
        values = request._serialize().values()
    except AttributeError as error:
        raise TencentCloudSDKException("AttributeError", str(error)) from error
    for value in values:
        if not isinstance(value, _PLAIN):
            message = f"Object of type {type(value).__name__} is not JSON serializable"
            raise TencentCloudSDKException("TypeError", message)


def _as_sdk_exception(error: Exception) -> Exception:
    code = "FailedOperation.RequestTimeout" if isinstance(error, TimeoutError) else None
    code = "RequestLimitExceeded" if isinstance(error, TooManyCallsError) else code
    return error if code is None else _sdk_exception(code, str(error))


def _sdk_exception(code: str, message: str) -> Exception:
    exception: Exception = TencentCloudSDKException(code, message)  # untyped if it is the SDK's
    return exception


def _name(error: Exception) -> str:
    # Without the message: it may be a whole page of a proxy.
    return str(getattr(error, "code", None) or type(error).__name__)


def _set_source(error: Exception, source: Source) -> None:
    error.source = source  # type: ignore[attr-defined]  # errors of the SDK have no such field


def _with_source(response: Any, source: Source) -> Any:
    """Return a copy of a response that has a source.

    The SDK takes all of an object's ``vars`` for fields; a slot is none of them.
    """
    kind = _sourced_class(type(response))  # type: ignore[arg-type]  # a class is hashable
    sourced = kind.__new__(kind)
    vars(sourced).update(vars(response))
    sourced.source = source
    return sourced


@functools.cache
def _sourced_class(kind: type) -> Any:
    return type(kind.__name__, (kind,), {"__slots__": ("source",), "__doc__": kind.__doc__})
