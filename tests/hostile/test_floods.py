"""Floods: subscriptions without end, and peers that send and never read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.hostile.bounds import MIB, assert_serving, unharmed
from tests.hostile.pushing import push
from tests.support.wire import Connection

if TYPE_CHECKING:
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = pytest.mark.timeout(120)

VERBOSE = b'CONNECT {"verbose":true,"pedantic":false}\r\n'
PENDING_BYTES_MAX = 4 * MIB
# What a server may hold beside what is pending: input being read, caches, Go's unswept heap.
BESIDE_BYTES_MAX = 96 * MIB
SMALL_QUEUES = f'max_pending: {PENDING_BYTES_MAX}\nwrite_deadline: "2s"\n'


def _subscriptions(first: int, count: int, subject: bytes = b"flood.%d") -> bytes:
    numbers = range(first, first + count)
    return b"".join(b"SUB " + subject % number + b" %d\r\n" % number for number in numbers)


@pytest.mark.parametrize("subject", [b"flood.%d", b"flood.%d.>", b"*.%d.*"])
def test_a_flood_of_subscriptions(subject: bytes, server: ServerProcess) -> None:
    count = 100_000
    # Genuine takes about 500 bytes for each; the bound only forbids a multiple of what is sent.
    with unharmed(server, growth_bytes_max=count * 2048), Connection(server.address) as client:
        client.greeted()
        for first in range(0, count, 10_000):
            client.send(_subscriptions(first, 10_000, subject))
            assert client.fence() == []
        assert_serving(server)


def test_one_sid_over_and_over_is_one_subscription(server: ServerProcess) -> None:
    with unharmed(server, growth_bytes_max=16 * MIB), Connection(server.address) as client:
        client.greeted()
        for _ in range(20):
            client.send(b"SUB flood.same 1\r\n" * 10_000)
            assert client.fence() == []
        client.send(b"PUB flood.same 1\r\nx\r\n")
        assert client.fence() == [b"MSG flood.same 1 1", b"x"]


def test_a_flood_of_subscriptions_above_the_limit(start_server: StartServer) -> None:
    server = start_server("max_subscriptions: 1000\n")
    with unharmed(server), Connection(server.address) as client:
        client.greeted()
        refused = 0
        for first in range(0, 50_000, 5000):
            client.send(_subscriptions(first, 5000))
            refused += client.fence().count(b"-ERR 'maximum subscriptions exceeded'")
        assert refused == 49_000


@pytest.mark.parametrize(
    ("connect", "data"),
    [
        (VERBOSE, b"PUB nobody 1\r\nx\r\n" * 5000),
        (VERBOSE, b"PING\r\n" * 10_000),
        (VERBOSE, b"SUB a..b 1\r\n" * 10_000),
        (VERBOSE, b"SUB own 1\r\n" + (b"PUB own 5000\r\n" + b"x" * 5000 + b"\r\n") * 50),
    ],
    ids=["+OK", "PONG", "-ERR", "its own messages"],
)
def test_a_peer_that_never_reads_its_answers(
    connect: bytes, data: bytes, start_server: StartServer
) -> None:
    server = start_server(SMALL_QUEUES)
    bound = PENDING_BYTES_MAX + BESIDE_BYTES_MAX
    with unharmed(server, growth_bytes_max=bound), ExitStack() as stack:
        deaf = stack.enter_context(Connection(server.address))
        deaf.line()
        deaf.send(connect)
        push({deaf: data}, time_max_s=5)
        assert_serving(server)


def test_peers_that_publish_to_each_other_without_reading(start_server: StartServer) -> None:
    server = start_server(SMALL_QUEUES)
    pairs = 8
    bound = 2 * pairs * PENDING_BYTES_MAX + BESIDE_BYTES_MAX
    with unharmed(server, growth_bytes_max=bound), ExitStack() as stack:
        data_of: dict[Connection, bytes] = {}
        for pair in range(pairs):
            for own, other in ((b"left", b"right"), (b"right", b"left")):
                peer = stack.enter_context(Connection(server.address)).greeted()
                peer.send(b"SUB %b.%d 1\r\n" % (own, pair))
                peer.fence()
                data_of[peer] = (b"PUB %b.%d 2000\r\n" % (other, pair) + b"x" * 2000 + b"\r\n") * 50
        peers = list(data_of)
        closed = push(data_of, time_max_s=8)
        assert_serving(server)
        # Reading goes on although nobody reads: the slow one of each pair is cut off.
        for left, right in zip(peers[::2], peers[1::2], strict=True):
            assert left in closed or right in closed
