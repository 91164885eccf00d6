import asyncio
import gc
import threading
import weakref

import pytest

from faceshape.tencent.protocol_errors import BusyError, DeadlineError
from faceshape.tencent.server.pool import BoundedPool, threads_at_work


@pytest.fixture
def pool():
    pool = BoundedPool("test", threads=2, queue=1)
    yield pool
    pool.close()
    assert not threads_at_work(10)


async def run(pool, function, seconds=20.0):
    with pool.enter() as place:
        return await place.run(function, seconds)


def test_results_and_errors(pool):
    async def both():
        assert await run(pool, lambda: 3) == 3
        with pytest.raises(ZeroDivisionError):
            await run(pool, lambda: 1 / 0)

    asyncio.run(both())


def test_places_are_bounded(pool):
    async def fill():
        places = [pool.enter() for _ in range(3)]
        with pytest.raises(BusyError):
            pool.enter()
        for place in places:
            with place:
                pass
        pool.enter()

    asyncio.run(fill())


def test_a_pool_is_stuck_while_all_threads_are_past_their_time(pool):
    release = threading.Event()

    async def stick():
        for stuck in (False, True):
            with pytest.raises(DeadlineError):
                await run(pool, lambda: release.wait(60), 0.1)
            assert pool.stuck is stuck
        # What waits in vain does not count, and there is a place for it.
        with pytest.raises(DeadlineError):
            await run(pool, lambda: pytest.fail("it runs"), 0.1)
        assert threads_at_work(0.01)
        release.set()
        while pool.stuck:
            await asyncio.sleep(0.01)
        assert await run(pool, lambda: 3) == 3

    asyncio.run(stick())


@pytest.fixture
def looking_ahead():
    pool = BoundedPool("ahead", threads=1, queue=2, ahead=1)
    yield pool
    pool.close()
    assert not threads_at_work(10)


async def run_in_turn(pool, prepare, function, seconds=20.0):
    with pool.enter() as place:
        turn = place.turn()

        def work():
            prepare()
            with turn:
                return function()

        return await place.run(work, seconds)


def test_one_works_while_the_next_is_made_ready(looking_ahead):
    both_ready, working = threading.Barrier(2), threading.Lock()

    def alone():
        assert working.acquire(blocking=False)
        both_ready.wait(10)  # the other one comes here from `prepare`
        working.release()
        return 3

    async def go():
        first = run_in_turn(looking_ahead, lambda: None, alone)
        second = run_in_turn(looking_ahead, lambda: both_ready.wait(10), lambda: working.locked())
        assert await asyncio.gather(first, second) == [3, False]

    asyncio.run(go())


def test_who_is_ready_too_late_never_gets_a_turn(looking_ahead):
    works, release, ready = threading.Event(), threading.Event(), threading.Event()

    def work():
        works.set()
        return release.wait(60)

    async def go():
        first = asyncio.ensure_future(run_in_turn(looking_ahead, lambda: None, work))
        while not works.is_set():
            await asyncio.sleep(0.01)
        with pytest.raises(DeadlineError):
            await run_in_turn(looking_ahead, ready.set, lambda: pytest.fail("it runs"), 0.2)
        assert ready.is_set()
        assert not looking_ahead.stuck  # whose turn it is has time left
        release.set()
        assert await first
        assert await run_in_turn(looking_ahead, lambda: None, lambda: 3) == 3

    asyncio.run(go())


def test_closing_waits_for_nothing():
    release = threading.Event()
    pool = BoundedPool("test", threads=1, queue=1)

    async def close():
        works = asyncio.ensure_future(run(pool, lambda: release.wait(60)))
        await asyncio.sleep(0.1)
        pool.close()
        assert threads_at_work(0.01)
        release.set()
        await works

    asyncio.run(close())
    assert not threads_at_work(10)


class Request:
    """Something that can be watched."""


@pytest.mark.parametrize("seconds", [20.0, 0.05])
def test_nothing_of_a_failed_request_waits_for_the_garbage_collector(pool, seconds):
    release = threading.Event()
    if seconds > 1:
        release.set()

    def fail(request):
        release.wait(60)
        raise ValueError(request)

    async def go():
        request = Request()
        reference = weakref.ref(request)
        work = [lambda request=request: fail(request)]
        del request
        with pytest.raises((ValueError, DeadlineError)) as caught:
            await run(pool, work.pop(), seconds)
        del caught
        release.set()
        return reference

    gc.collect()
    gc.disable()
    try:
        reference = asyncio.run(go())
        pool.close()
        threads_at_work(10)
        assert reference() is None
    finally:
        gc.enable()
