"""In-process connections as asyncio streams and as a plain pipe."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from keelback.server.pipe import OUTBOUND_HIGH_BYTES, SyncPipe, open_stream
from tests.unit.fake_core import Pipe


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scenario()

    asyncio.run(bounded())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # what is awaited is the loop's own next turn
        await asyncio.sleep(0)


def test_bytes_arrive_in_order_and_the_end_is_seen() -> None:
    async def scenario() -> None:
        pipe = Pipe()
        reader, writer = await open_stream(pipe)
        pipe.feed(b"MSG a 1 2\r\n")
        pipe.feed(b"hi\r\n")
        assert await reader.readline() == b"MSG a 1 2\r\n"
        assert await reader.readexactly(4) == b"hi\r\n"
        pipe.feed(b"")
        assert await reader.read() == b""
        await writer.wait_closed()
        assert pipe.is_closed

    run(scenario)


def test_a_full_pipe_keeps_the_rest_and_makes_drain_wait() -> None:
    async def scenario() -> None:
        pipe = Pipe(room_bytes=10)
        _, writer = await open_stream(pipe)
        data = bytes(range(256)) * 1024
        assert len(data) > OUTBOUND_HIGH_BYTES
        writer.write(data)
        drained = asyncio.create_task(writer.drain())
        await asyncio.sleep(0)
        assert pipe.sent == data[:10]
        assert not drained.done()
        pipe.make_room(len(data))
        await drained
        assert pipe.sent == data
        writer.close()
        await writer.wait_closed()

    run(scenario)


def test_closing_sends_what_is_left_first() -> None:
    async def scenario() -> None:
        pipe = Pipe(room_bytes=2)
        _, writer = await open_stream(pipe)
        writer.write(b"PING\r\n")
        writer.close()
        await asyncio.sleep(0)
        assert not pipe.is_closed
        pipe.make_room(100)
        await writer.wait_closed()
        assert pipe.sent == b"PING\r\n"
        assert pipe.is_closed

    run(scenario)


def test_a_reader_that_has_enough_stops_the_reading() -> None:
    async def scenario() -> None:
        pipe = Pipe()
        reader, writer = await open_stream(pipe, limit=1024)
        for _ in range(50):
            pipe.feed(b"x" * 1000)
        for _ in range(20):
            await asyncio.sleep(0)
        assert pipe._inbound, "everything was read although nobody wants it"
        assert len(await reader.readexactly(50_000)) == 50_000
        writer.close()
        await writer.wait_closed()

    run(scenario)


def test_room_is_found_while_reading_is_paused() -> None:
    async def scenario() -> None:
        pipe = Pipe(room_bytes=1)
        _, writer = await open_stream(pipe, limit=16)
        pipe.feed(b"x" * 1000)
        await until(lambda: not writer.transport.is_reading())
        writer.write(b"PING\r\n")
        pipe.make_room(100)
        await until(lambda: pipe.sent == b"PING\r\n")
        writer.transport.abort()
        await writer.wait_closed()

    run(scenario)


def test_writing_to_a_server_that_is_gone_breaks_the_connection() -> None:
    async def scenario() -> None:
        pipe = Pipe()
        _, writer = await open_stream(pipe)
        pipe.is_server_closed = True
        writer.write(b"PING\r\n")
        with pytest.raises(ConnectionError):
            await writer.wait_closed()

    run(scenario)


def test_the_plain_pipe_waits_for_bytes_and_for_room() -> None:
    pipe = Pipe(room_bytes=3)
    with SyncPipe(pipe, timeout_s=5) as connection:
        feeding = threading.Timer(0.01, lambda: (pipe.feed(b"+OK\r\n"), pipe.make_room(100)))
        feeding.start()
        assert connection.recv() == b"+OK\r\n"
        connection.sendall(b"PING\r\n")
        assert pipe.sent == b"PING\r\n"
        pipe.feed(b"")
        assert connection.recv() == b""
        feeding.join()
    assert pipe.is_closed


def test_the_plain_pipe_gives_up_in_time() -> None:
    connection = SyncPipe(Pipe(room_bytes=0), timeout_s=0.01)
    with pytest.raises(TimeoutError, match="sends nothing"):
        connection.recv()
    with pytest.raises(TimeoutError, match="takes no more"):
        connection.sendall(b"x")
    connection.close()
