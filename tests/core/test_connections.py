"""What the core counts of connections that come and go."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import pytest

from keelback import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keelback._core import Pipe, Plane

CONNECT = b'CONNECT {"verbose":false}\r\n'
TIME_MAX_S = 10.0


@pytest.fixture
def plane() -> Iterator[Plane]:
    """The data plane of a running server."""
    with Server(port=-1) as server:
        yield server._plane_to_connect_to()


def fence(pipe: Pipe) -> bytes:
    """All that comes up to the answer to a PING."""
    pipe.send(b"PING\r\n")
    got = b""
    while not got.endswith(b"PONG\r\n"):
        assert select.select([pipe.fileno()], [], [], TIME_MAX_S)[0]
        got += pipe.recv() or b""
    return got


def until_count(plane: Plane, name: str, count: int) -> None:
    """Wait until a counter has this value."""
    deadline = time.monotonic() + TIME_MAX_S
    while plane.stats()[name] != count:
        assert time.monotonic() < deadline, f"{name} is {plane.stats()[name]}, not {count}"
        time.sleep(0.001)


def test_a_connection_that_closes_takes_its_subscriptions_along(plane: Plane) -> None:
    pipes = [plane.open_pipe() for _ in range(3)]
    for pipe in pipes:
        pipe.send(CONNECT + b"SUB a.b 1\r\nSUB a.* 2\r\nSUB > queue 3\r\n")
        fence(pipe)
    assert plane.stats()["subscriptions"] == 9
    for left, pipe in enumerate(pipes[:-1], start=1):
        pipe.close()
        until_count(plane, "connections", 3 - left)
        until_count(plane, "subscriptions", 9 - 3 * left)
    pipes[-1].send(b"PUB a.b 1\r\nx\r\n")
    assert fence(pipes[-1]).count(b"MSG a.b") == 3


def test_traffic_is_counted_also_of_connections_that_are_gone(plane: Plane) -> None:
    pipe = plane.open_pipe()
    pipe.send(CONNECT + b"SUB a 1\r\n" + b"PUB a 5\r\nhello\r\n" * 4)
    fence(pipe)
    pipe.close()
    until_count(plane, "connections", 0)
    stats = plane.stats()
    assert (stats["in_msgs"], stats["in_bytes"]) == (4, 20)
    assert (stats["out_msgs"], stats["out_bytes"]) == (4, 20)
