"""Data through TLS: large payloads, all sizes around the buffers, and peers that read slowly."""

from __future__ import annotations

import random
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import tls_block
from tests.tls.peers import encrypted, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import Authority, Pair
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer
    from tests.support.wire import Connection

pytestmark = [pytest.mark.both_servers, pytest.mark.timeout(60)]

KIB = 1024
MIB = 1024 * KIB
SMALL_BUFFER_BYTES = 4096


@pytest.fixture
def secret_server(server_pair: Pair, start_server: StartServer) -> ServerProcess:
    """A server with TLS and its defaults."""
    return start_server(tls_block(server_pair))


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def context(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext:
    """A client's TLS, in either version."""
    context = authority.client()
    context.minimum_version = context.maximum_version = request.param
    return context


@pytest.fixture
def publisher(secret_server: ServerProcess, context: ssl.SSLContext) -> Iterator[Connection]:
    """A client that has logged in."""
    with encrypted(secret_server, context) as client:
        log_in(client)
        yield client


@pytest.fixture
def slow_reader(secret_server: ServerProcess, context: ssl.SSLContext) -> Iterator[Connection]:
    """A client whose kernel takes little before it reads, subscribed to `big`."""
    with encrypted(secret_server, context, receive_buffer_bytes=SMALL_BUFFER_BYTES) as client:
        log_in(client)
        client.send(b"SUB big 1\r\n")
        client.fence()
        yield client


def payloads(count: int, size: int) -> list[bytes]:
    """Payloads that differ in every part; the same in each run."""
    dice = random.Random(size)
    return [dice.randbytes(size) for _ in range(count)]


def publish(subject: bytes, payload: bytes) -> bytes:
    """A PUB with its payload."""
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload)


def read_message(client: Connection, subject: bytes) -> bytes:
    """The payload of the next message, read in small steps."""
    verb, found, _, size = client.line().split()
    assert (verb, found) == (b"MSG", subject)
    rest = int(size) + 2
    parts: list[bytes] = []
    while rest > 0:
        part = client.exactly(min(rest, 10_000))
        parts.append(part)
        rest -= len(part)
    return b"".join(parts).removesuffix(b"\r\n")


def test_megabytes_to_a_reader_that_comes_late(
    publisher: Connection, slow_reader: Connection
) -> None:
    """The server takes all 8 MiB before the first byte is read, and keeps them in order."""
    sent = payloads(16, 512 * KIB)
    for payload in sent:
        publisher.send(publish(b"big", payload))
    publisher.fence()
    assert [read_message(slow_reader, b"big") for _ in sent] == sent


def test_megabytes_in_both_directions(publisher: Connection, slow_reader: Connection) -> None:
    """Each answers with what it heard; the one as slow as the other is fast."""
    publisher.send(b"SUB back 1\r\n")
    for payload in payloads(6, 512 * KIB):
        publisher.send(publish(b"big", payload))
        heard = read_message(slow_reader, b"big")
        assert heard == payload
        slow_reader.send(publish(b"back", heard[::-1]))
        assert read_message(publisher, b"back") == payload[::-1]


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        16 * KIB - 20,
        16 * KIB,
        112 * KIB,
        128 * KIB + 1,
        256 * KIB - 1,
        256 * KIB,
        256 * KIB + 1,
        384 * KIB,
        700 * KIB,
        MIB,
    ],
)
def test_nothing_stays_behind_in_the_session(size: int, publisher: Connection) -> None:
    """What follows a payload in the same record is served without another byte being sent."""
    publisher.send(b"SUB whole 1\r\n")
    (payload,) = payloads(1, size)
    for _ in range(3):
        publisher.send(publish(b"whole", payload) + b"PING\r\n")
        assert read_message(publisher, b"whole") == payload
        assert publisher.line() == b"PONG"


def test_a_stream_of_small_records(publisher: Connection, slow_reader: Connection) -> None:
    """Each send is a record of its own: no operation need begin or end with one."""
    (payload,) = payloads(1, 100)
    data = publish(b"big", payload) * 40
    for start in range(0, len(data), 7):
        publisher.send(data[start : start + 7])
    publisher.fence()
    assert [read_message(slow_reader, b"big") for _ in range(40)] == [payload] * 40


def test_many_readers_of_one_message(
    publisher: Connection, secret_server: ServerProcess, authority: Authority
) -> None:
    """Plaintext may be shared between sessions, ciphertext never."""
    sent = payloads(20, 20_000)
    for number in range(4):
        publisher.send(b"SUB crowd.%d 1\r\n" % number)
    with (
        encrypted(secret_server, authority.client()) as one,
        encrypted(secret_server, authority.client()) as other,
    ):
        for client in (one, other):
            log_in(client)
            client.send(b"SUB crowd 1\r\nSUB crowd.* 2\r\n")
            client.fence()
        for payload in sent:
            publisher.send(publish(b"crowd", payload))
        publisher.fence()
        for client in (one, other):
            assert [read_message(client, b"crowd") for _ in sent] == sent


def test_a_reader_that_never_reads_is_cut_off(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair) + 'max_pending: 2MB\nwrite_deadline: "1s"\n')
    with (
        encrypted(server, authority.client()) as publisher,
        encrypted(server, authority.client(), receive_buffer_bytes=SMALL_BUFFER_BYTES) as deaf,
    ):
        log_in(publisher)
        log_in(deaf)
        deaf.send(b"SUB big 1\r\n")
        deaf.fence()
        (payload,) = payloads(1, 512 * KIB)
        for _ in range(16):
            publisher.send(publish(b"big", payload))
        publisher.fence()
        server.wait_for_log("Slow Consumer Detected")
        publisher.fence()
