import threading

import pytest

from faceshape.tencent.fallback.breaker import BreakerState, CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(
        max_fail_num=3,
        max_fail_percent=0.5,
        window_interval=100,
        timeout=10,
        max_requests=2,
        clock=clock,
    )


def fail(breaker, times=1):
    for _ in range(times):
        breaker.fail(breaker.acquire())


def succeed(breaker, times=1):
    for _ in range(times):
        breaker.succeed(breaker.acquire())


def test_failures_in_a_row_open_it(breaker):
    succeed(breaker, 20)
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker)
    assert breaker.state is BreakerState.OPEN
    assert breaker.acquire() is None


def test_frequent_failures_open_it(breaker):
    for _ in range(2):
        fail(breaker)
        succeed(breaker)
    assert breaker.state is BreakerState.CLOSED  # two of four
    fail(breaker)
    assert breaker.state is BreakerState.OPEN  # three of five


def test_rare_failures_do_not(breaker):
    for _ in range(10):
        succeed(breaker, 2)
        fail(breaker)
    assert breaker.state is BreakerState.CLOSED


def test_a_new_window_counts_anew(breaker, clock):
    fail(breaker, 2)
    clock.now = 100
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker)
    assert breaker.state is BreakerState.OPEN


def test_it_tries_again_after_the_timeout_and_closes_on_success(breaker, clock):
    fail(breaker, 3)
    clock.now = 9.9
    assert breaker.acquire() is None
    clock.now = 10
    assert breaker.state is BreakerState.HALF_OPEN
    first, second = breaker.acquire(), breaker.acquire()
    assert breaker.acquire() is None  # as many as have to succeed
    breaker.succeed(first)
    assert breaker.acquire() is None
    breaker.succeed(second)
    assert breaker.state is BreakerState.CLOSED
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED  # earlier failures are forgotten


def test_one_failure_on_trial_opens_it_again(breaker, clock):
    fail(breaker, 3)
    clock.now = 10
    succeed(breaker)
    fail(breaker)
    assert breaker.state is BreakerState.OPEN
    clock.now = 19.9
    assert breaker.acquire() is None
    clock.now = 20
    succeed(breaker, 2)
    assert breaker.state is BreakerState.CLOSED


def test_a_released_permission_on_trial_can_be_had_again(breaker, clock):
    fail(breaker, 3)
    clock.now = 10
    for _ in range(5):
        permission = breaker.acquire()
        assert permission is not None
        breaker.release(permission)
    assert breaker.state is BreakerState.HALF_OPEN


def test_tripping_opens_it_for_the_given_time(breaker, clock):
    breaker.trip(breaker.acquire(), 50)
    clock.now = 49.9
    assert breaker.state is BreakerState.OPEN
    clock.now = 50
    assert breaker.state is BreakerState.HALF_OPEN


def test_late_reports_say_nothing(breaker, clock):
    old = [breaker.acquire() for _ in range(4)]
    fail(breaker, 3)
    clock.now = 10
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.fail(old[0])
    breaker.trip(old[1], 1000)
    breaker.release(old[2])
    breaker.succeed(old[3])
    assert breaker.state is BreakerState.HALF_OPEN
    succeed(breaker)
    assert breaker.state is BreakerState.HALF_OPEN  # old[3] did not count
    succeed(breaker)
    assert breaker.state is BreakerState.CLOSED


def test_many_threads_on_trial_get_no_more_than_allowed(breaker, clock):
    fail(breaker, 3)
    clock.now = 10
    granted = []
    barrier = threading.Barrier(16)

    def ask():
        barrier.wait(5)
        granted.append(breaker.acquire())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(permission is not None for permission in granted) == 2
