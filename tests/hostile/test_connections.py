"""Hostile connections: silent, slow, half-closed, reset, too many, and garbage instead of TLS."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.hostile.bounds import MIB, assert_serving, descriptors_return, unharmed
from tests.support.raw_client import CONNECT, RawClient

if TYPE_CHECKING:
    from tests.support.certificates import Certificates
    from tests.support.processes import ServerProcess
    from tests.support.target import StartServer

pytestmark = pytest.mark.timeout(120)

KNOWN = b'CONNECT {"verbose":false,"user":"a","pass":"b"}\r\n'
UNAUTHENTICATED_BYTES_MAX = 64 * 1024


def test_thousands_of_connections_that_never_speak(start_server: StartServer) -> None:
    count = 2000
    server = start_server("authorization { user: a, password: b, timeout: 60 }\n")
    descriptors = server.descriptor_count()
    bound = count * UNAUTHENTICATED_BYTES_MAX
    with unharmed(server, growth_bytes_max=bound, connect=KNOWN), ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(RawClient(server.address)).line()
        assert_serving(server, KNOWN)
    assert descriptors_return(server, descriptors)


def test_connections_that_never_speak_are_closed(start_server: StartServer) -> None:
    server = start_server("authorization { user: a, password: b, timeout: 0.5 }\n")
    with unharmed(server, connect=KNOWN), ExitStack() as stack:
        silent = [stack.enter_context(RawClient(server.address)) for _ in range(200)]
        for client in silent:
            assert b"-ERR 'Authentication Timeout'" in client.until_closed()


def test_a_connect_byte_by_byte_does_not_outlast_the_timeout(start_server: StartServer) -> None:
    server = start_server("authorization { user: a, password: b, timeout: 0.5 }\n")
    endless = b'CONNECT {"verbose":false,"name":"' + b"x" * 3000
    with unharmed(server, connect=KNOWN), RawClient(server.address) as client:
        client.line()
        start = time.monotonic()
        client.socket.settimeout(0.02)
        for byte in endless:
            client.send_what_is_taken(bytes([byte]))
            try:
                said = client.line()
            except TimeoutError:
                # The pause between two bytes: nothing was said.
                continue
            break
        else:
            pytest.fail("the server waited for all of it")
        assert said == b"-ERR 'Authentication Timeout'"
        assert time.monotonic() - start < 10


def test_a_connect_in_single_bytes_is_understood(server: ServerProcess) -> None:
    with unharmed(server), RawClient(server.address) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.line()
        for byte in CONNECT + b"SUB a 1\r\nPUB a 2\r\nhi\r\n":
            client.send(bytes([byte]))
        assert client.fence() == [b"MSG a 1 2", b"hi"]


@pytest.mark.parametrize(
    "last_words",
    [b"", b"PUB a 5\r\nhe", b"SUB a 1\r\nPUB a", b"PING\r\n", b'CONNECT {"a":'],
    ids=["nothing", "half a payload", "half a line", "a ping", "half a connect"],
)
def test_half_closed_connections_are_let_go(last_words: bytes, server: ServerProcess) -> None:
    descriptors = server.descriptor_count()
    with unharmed(server), ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(RawClient(server.address)).greeted()
            client.send(last_words)
            client.socket.shutdown(socket.SHUT_WR)
            client.until_closed()
        # Our ends are still open: it is the server that let go.
        assert descriptors_return(server, descriptors)


def test_resets_in_the_middle_of_messages(server: ServerProcess) -> None:
    descriptors = server.descriptor_count()
    with unharmed(server):
        for number in range(500):
            client = RawClient(server.address)
            client.greeted()
            client.send(b"SUB a 1\r\nPUB a 100000\r\n" + b"x" * (number * 50))
            client.reset()
    assert descriptors_return(server, descriptors)


def test_payloads_that_are_announced_and_never_sent(server: ServerProcess) -> None:
    """A size is a stranger's word: memory follows what arrives, not what is announced."""
    with unharmed(server, growth_bytes_max=128 * MIB), ExitStack() as stack:
        for _ in range(1000):
            client = stack.enter_context(RawClient(server.address)).greeted()
            client.send(b"PUB a 1048576\r\nx")


def test_more_connections_than_allowed(start_server: StartServer) -> None:
    server = start_server("max_connections: 50\n")
    descriptors = server.descriptor_count()
    with unharmed(server):
        with ExitStack() as stack:
            for _ in range(50):
                stack.enter_context(RawClient(server.address)).greeted()
            for _ in range(500):
                with RawClient(server.address) as refused:
                    refused.line()
                    assert b"-ERR 'maximum connections exceeded'" in refused.until_closed()
        assert descriptors_return(server, descriptors)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x40\x00" + b"\xff" * 16384,
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 508,
        b"\x16\x03\x01\x00\x00" * 1000,
        b"\x80\x2e\x01\x00\x02" + b"\x00" * 40,
        b"\x00" * 5000,
        bytes(range(256)) * 100,
        CONNECT + b"PING\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=[
        "huge record",
        "short hello",
        "empty hello",
        "empty records",
        "SSL 2",
        "NUL",
        "every byte",
        "plain NATS",
        "HTTP",
    ],
)
def test_garbage_instead_of_tls(
    garbage: bytes, start_server: StartServer, certificates: Certificates
) -> None:
    block = certificates.configuration().replace("tls {", "tls { timeout: 1,")
    server = start_server(block)
    descriptors = server.descriptor_count()
    for _ in range(50):
        with RawClient(server.address) as client:
            client.line()
            client.send_what_is_taken(garbage)
            with suppress(OSError):
                # It may be closed already; otherwise the server has now heard all there is.
                client.socket.shutdown(socket.SHUT_WR)
            assert b"PONG" not in client.until_closed()
    assert descriptors_return(server, descriptors)
    assert server.is_running()
    _assert_serving_tls(server, certificates)


def test_a_tls_handshake_that_stops_half_way_is_closed(
    start_server: StartServer, certificates: Certificates
) -> None:
    block = certificates.configuration().replace("tls {", "tls { timeout: 0.5,")
    server = start_server(block)
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(server.address)) for _ in range(100)]
        for client in clients:
            client.line()
            client.send(b"\x16\x03\x01\x02\x00\x01")
        for client in clients:
            client.until_closed()
    _assert_serving_tls(server, certificates)


def _assert_serving_tls(server: ServerProcess, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    with RawClient(server.address) as client:
        client.line()
        client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
        client.send(CONNECT)
        assert client.fence() == []
