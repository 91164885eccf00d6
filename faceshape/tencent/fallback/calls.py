"""One call to the cloud, attempt by attempt: what is allowed, what is counted, what follows.

Nothing here waits: the client that blocks and the client of asyncio do that in their own ways.
"""

import copy
import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn

from faceshape.tencent.fallback.bounded_calls import TooManyCallsError
from faceshape.tencent.fallback.breaker import BreakerState, CircuitBreaker
from faceshape.tencent.fallback.policy import FallbackPolicy
from faceshape.tencent.fallback.verdicts import Verdict, judge
from faceshape.tencent.models import TencentCloudSDKException

__all__ = ["Calls", "CloudCall", "Source"]

Source = Literal["cloud", "local"]

_logger = logging.getLogger(__name__)
_PLAIN = (str, int, float, type(None))

# Action → the field that an answer of the cloud has; the actions that the device answers, too.
_ANSWERS = {"AnalyzeFace": "FaceShapeSet", "DetectFace": "FaceInfos"}


class _NotAskedError(RuntimeError):
    """The breaker is open, or the time is over."""


class Calls:
    """What all calls of a client share: the breaker and the counts. Thread-safe."""

    def __init__(
        self, policy: FallbackPolicy, judge: Callable[[Exception], Verdict] = judge
    ) -> None:
        """Start with a closed breaker.

        Args:
            policy: the numbers.
            judge: tells who is to blame for what the cloud's client raised.
        """
        self.policy = policy
        self.judge = judge
        self.breaker = CircuitBreaker(
            policy.max_fail_num,
            policy.max_fail_percent,
            policy.window_interval,
            policy.timeout,
            policy.max_requests,
        )
        self._counts: Counter[str] = Counter()
        self._counts_lock = threading.Lock()

    @property
    def state(self) -> BreakerState:
        """Of the circuit breaker."""
        return self.breaker.state

    @property
    def counts(self) -> dict[str, int]:
        """How often what has happened."""
        with self._counts_lock:
            return dict(self._counts)

    def count(self, name: str) -> None:
        """Add one to a count."""
        with self._counts_lock:
            self._counts[name] += 1

    def start(self, action: str, request: Any, cloud: Any) -> "CloudCall":
        """Return a call whose time runs from now.

        Raises:
            TencentCloudSDKException: the request cannot be sent, or the client has no credential.
        """
        _check_request(request)
        if getattr(cloud, "credential", self) is None:
            raise TencentCloudSDKException("InvalidCredential", "the cloud client has none")
        return CloudCall(self, action, request)


class CloudCall:
    """One call: up to ``max_attempts`` at the cloud, then the device.

    Use it so: for each pause of `pauses`, wait, `begin`, ask the cloud, and report with `succeed`,
    `fail` or `abandon`. After the last pause, or where `begin` returned None, ask the device.
    """

    def __init__(self, calls: Calls, action: str, request: Any) -> None:
        self._calls = calls
        self._policy = calls.policy
        self._deadline = time.monotonic() + calls.policy.deadline
        self._action = action
        self._request = request
        self._permission = 0
        self._over = False
        self._failure: Exception = _NotAskedError("the cloud is not asked at present")

    def request(self) -> Any:
        """Return a copy to send, for the SDK writes headers into what it gets."""
        return copy.deepcopy(self._request)

    def pauses(self) -> Iterator[float]:
        """Yield the seconds to wait before each attempt."""
        for attempt in range(self._policy.max_attempts):
            if self._over:
                return
            yield min(self._policy.retry_pause, self.seconds_left()) if attempt else 0.0

    def begin(self) -> float | None:
        """Return how many seconds an attempt may take, or None: make none."""
        seconds = min(self._policy.cloud_timeout, self.seconds_left())
        permission = self._calls.breaker.acquire() if seconds > 0 else None
        if permission is None:
            return None
        self._permission = permission
        return seconds

    def succeed(self, response: Any) -> Any:
        """Return the cloud's answer with its source."""
        self._calls.breaker.succeed(self._permission)
        self._calls.count("cloud")
        return _with_source(response, "cloud")

    def fail(self, error: Exception) -> None:
        """Take note of a failed attempt; raise it if the device is not to be asked instead."""
        self._failure = error
        if isinstance(error, TooManyCallsError):
            self._over = True
            self.abandon()
            return
        verdict = self._calls.judge(error)
        self._report(verdict, error)
        if not self._allows(verdict):
            _set_source(error, "cloud")
            raise error
        # What was given up on may still be worked on, and charged.
        self._over = verdict is not Verdict.UNAVAILABLE or isinstance(error, TimeoutError)

    def abandon(self) -> None:
        """Take note that an attempt says nothing about the cloud."""
        self._calls.breaker.release(self._permission)

    def check(self, response: Any) -> Any:
        """Return a response of the cloud.

        Raises:
            TencentCloudSDKException: something between here and the cloud answered in its place.
        """
        fields = ("RequestId", _ANSWERS[self._action])
        if any(getattr(response, name, None) is None for name in fields):
            raise TencentCloudSDKException("KeyError", "the answer is empty")
        return response

    def asked(self) -> None:
        """Take note that a request goes to the cloud."""
        self._calls.count("cloud.attempts")

    def seconds_left(self) -> float:
        """Return the seconds until the deadline of the call, cloud and device."""
        return max(0.0, self._deadline - time.monotonic())

    def turn_to_device(self) -> None:
        """Say in the log why the device is asked."""
        _logger.info("answered on the device, because of the cloud's %s", _name(self._failure))

    def local_answer(self, response: Any) -> Any:
        """Return the device's answer with its source."""
        self._calls.count("local")
        return _with_source(response, "local")

    def fail_locally(self, error: Exception) -> NoReturn:
        """Raise what says best that the device failed, too."""
        self._calls.count("local.errors")
        if self._calls.judge(self._failure) is Verdict.PICTURE:
            _set_source(self._failure, "cloud")
            raise self._failure from error
        raised = _as_sdk_exception(error)
        _set_source(raised, "local")
        raise raised from self._failure

    def _report(self, verdict: Verdict, error: Exception) -> None:
        breaker, permission = self._calls.breaker, self._permission
        self._calls.count(f"cloud.{verdict.value}")
        if verdict is Verdict.UNAVAILABLE:
            breaker.fail(permission)
        elif verdict is Verdict.THROTTLED:
            breaker.trip(permission, self._policy.throttle_cooldown)
        elif verdict is Verdict.SUSPENDED:
            breaker.trip(permission, self._policy.suspension_cooldown)
        elif verdict is Verdict.REQUEST:
            breaker.succeed(permission)  # a sensible answer
        else:
            breaker.release(permission)
        level = logging.ERROR if verdict is Verdict.SUSPENDED else logging.WARNING
        if verdict is not Verdict.REQUEST:
            _logger.log(level, "the cloud is %s: %s", verdict.value, _name(error))

    def _allows(self, verdict: Verdict) -> bool:
        if verdict is Verdict.UNAUTHORIZED:
            return self._policy.auth_fallback
        if verdict is Verdict.PICTURE:
            return self._policy.picture_fallback
        return verdict is not Verdict.REQUEST


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
