import anyio
import pytest
from starlette.requests import ClientDisconnect

from faceshape.tencent.protocol_errors import BusyError, DeadlineError, RequestSizeError
from faceshape.tencent.server import bodies as module
from faceshape.tencent.server.bodies import Bodies, Body


def sender(*chunks, after=0.0):
    """Return ASGI's receive for a body of these parts; None is a client that hangs up."""
    left = list(chunks)

    async def receive():
        await anyio.sleep(after)
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": left != []}

    return receive


def unfinished(*chunks):
    """As `sender`, but there is always more to come."""
    left = list(chunks)

    async def receive():
        if not left:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": left.pop(0), "more_body": True}

    return receive


@pytest.fixture
def bodies():
    return Bodies(most=4, most_bytes=1000, least_rate=1000, seconds=30.0)


def test_a_body_is_counted_until_the_end_of_its_context(bodies):
    async def run():
        with Body(bodies) as body:
            assert await body.read(sender(b"ab", b"", b"cde"), 5) == b"abcde"
            assert bodies.held == 5
            body.forget()
            assert bodies.held == 5
        assert bodies.held == 0

    anyio.run(run)


@pytest.mark.parametrize(
    ("receive", "limit", "error"),
    [
        (lambda: sender(b"abc", b"def"), 5, RequestSizeError),
        (lambda: sender(b"x" * 1001), 10_000, BusyError),
        (lambda: sender(b"abc", None), 5, ClientDisconnect),
    ],
)
def test_nothing_is_held_after_a_failure(bodies, receive, limit, error):
    async def run():
        with Body(bodies) as body, pytest.raises(error):
            await body.read(receive(), limit)
        assert bodies.held == 0
        assert not bodies._reading

    anyio.run(run)


def test_a_body_must_keep_up_with_the_least_rate(bodies, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.3)

    async def run():
        with Body(bodies) as body, pytest.raises(DeadlineError):
            await body.read(sender(*[b"a"] * 500, after=0.01), 1000)
        with Body(bodies) as body:
            assert len(await body.read(sender(*[b"a" * 50] * 16, after=0.03), 1000)) == 800

    anyio.run(run)


def test_where_there_are_too_many_the_slowest_goes(bodies):
    async def run():
        refused = []

        async def slow(number):
            with Body(bodies) as body:
                try:
                    await body.read(unfinished(b"[" * number), 1000)
                except BusyError:
                    refused.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(slow, number)
                await anyio.sleep(0.01)
            for _ in range(2):
                with Body(bodies) as body:
                    assert await body.read(sender(b"{}"), 1000) == b"{}"
            await anyio.sleep(0.01)
            assert refused == [0]  # for the first of the two; then there was room
            tasks.cancel_scope.cancel()
        assert bodies.held == 0

    anyio.run(run)


def test_slower_bodies_make_room_for_the_bytes_of_others(bodies):
    async def run():
        ended = []

        async def slow(number, size):
            with Body(bodies) as body:
                try:
                    await body.read(unfinished(b"[" * size), 1000)
                except BusyError:
                    ended.append(number)

        async with anyio.create_task_group() as tasks:
            for number, size in enumerate((100, 500, 200)):
                tasks.start_soon(slow, number, size)
                await anyio.sleep(0.01)
            with Body(bodies) as body:
                assert len(await body.read(sender(b"a", b"x" * 599), 1000)) == 600
                assert bodies.held == 800
                # What waits for its answer makes no room for others, and nobody goes in vain.
                with Body(bodies) as too_large, pytest.raises(BusyError):
                    await too_large.read(sender(b"a", b"x" * 499), 1000)
                await anyio.sleep(0.01)
            assert ended == [0, 1]
            tasks.cancel_scope.cancel()

    anyio.run(run)


def test_at_the_servers_end_bodies_have_little_time_left(bodies, monkeypatch):
    monkeypatch.setattr(module, "_LAST_SECONDS", 0.1)

    async def run():
        async def half():
            with Body(bodies) as body, pytest.raises(DeadlineError):
                # Whatever still comes does not prolong it.
                await body.read(sender(*[b"x"] * 900, after=0.02), 1000)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(half)
            await anyio.sleep(0.05)
            with anyio.fail_after(5):
                bodies.hurry()
                while bodies._reading:
                    await anyio.sleep(0.01)

    anyio.run(run)
