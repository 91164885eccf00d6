"""When to ask the device, and how long to wait for the cloud: the numbers of the fallback."""

from dataclasses import dataclass

from faceshape.errors import ParameterError

__all__ = ["FallbackPolicy"]


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
