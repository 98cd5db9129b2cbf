"""The PROXY protocol in front of clients, as nats-server 2.15.1 takes it."""

from __future__ import annotations

import ssl
import struct
from typing import Any

import pytest

from keelback import _core
from tests.core.planes import gate, running
from tests.support.certificates import Authority, new_authority
from tests.support.wire import CONNECT, Connection
from tests.tls.peers import info

HEADER = b"PROXY TCP4 10.0.0.1 10.0.0.2 1111 4222\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BINARY = SIGNATURE + struct.pack(
    ">BBH4s4sHH", 0x21, 0x11, 12, bytes([10, 0, 0, 7]), bytes([10, 0, 0, 8]), 1234, 4222
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom both sides trust."""
    return new_authority(tmp_path_factory.mktemp("tls"))


def told_ip(client: Connection) -> str | None:
    """The address that the INFO behind a CONNECT tells."""
    client.send(CONNECT + b"PING\r\n")
    assert client.line() == b"PONG"
    ip: str | None = info(client.line()).get("client_ip")
    return ip


@pytest.mark.parametrize(
    ("header", "ip"),
    [
        (HEADER, "10.0.0.1"),
        (BINARY, "10.0.0.7"),
        (b"PROXY TCP6 2001:db8::1 ::1 1111 4222\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (SIGNATURE + b"\x20\x00\x00\x00", "127.0.0.1"),
        (b"", "127.0.0.1"),
    ],
)
def test_a_client_is_who_the_header_says(header: bytes, ip: str) -> None:
    with running(proxy_protocol=True) as server:
        whole = server.connect()
        assert "client_ip" not in info(whole.line())
        whole.send(header)
        assert told_ip(whole) == ip
        # Byte by byte, each in a packet of its own.
        parts = server.connect()
        parts.line()
        for byte in header:
            parts.send(bytes([byte]))
        assert told_ip(parts) == ip


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", "invalid PROXY protocol header: TCP4 with IPv6 address"),
        (b"PROXY " + b"x" * 120, "invalid PROXY protocol header: v1 line too long"),
        (SIGNATURE + b"\x31\x11\x00\x0c", "invalid PROXY protocol header: invalid version 0x30"),
    ],
)
def test_a_header_that_is_none_closes_without_a_word(header: bytes, problem: str) -> None:
    with running(proxy_protocol=True) as server:
        client = server.connect()
        client.line()
        client.send(header)
        assert client.read_to_end() == b""
        assert server.line("PROXY").endswith(f": {problem}")
        assert server.closed("Protocol Violation") == 1


def test_who_says_nothing_in_time_is_closed() -> None:
    with running(proxy_protocol=True) as server:
        ended, silent = server.connect(), server.connect()
        ended.line()
        ended.send(b"PROXY TCP4 1")
        ended.half_close()
        assert ended.read_to_end() == b""
        assert server.line("PROXY").endswith(": failed to read v1 line: EOF")
        silent.line()
        assert silent.read_to_end() == b""
        assert server.closed("Protocol Violation") == 2


def test_python_is_asked_about_the_client_that_the_header_names() -> None:
    asking = _core.Gate(required=True, ask_all=True)
    with running(asking, proxy_protocol=True) as server:
        client = server.connect()
        client.line()
        client.send(HEADER + CONNECT)
        request = server.event(_core.AuthRequest)
        assert (request.client_ip, request.client_port) == ("10.0.0.1", 1111)


@pytest.mark.parametrize("mode", ["required", "available", "first"])
@pytest.mark.parametrize("header", [HEADER, b""])
def test_tls_begins_behind_the_header(authority: Authority, mode: Any, header: bytes) -> None:
    pair = authority.issue("server")
    tls = _core.TlsConfig(certificates=[(pair.certificate.read_bytes(), pair.key.read_bytes())])
    with running(tls=tls, tls_mode=mode, proxy_protocol=True) as server:
        client = server.connect()
        client.send(header)
        if mode != "first":
            assert "client_ip" not in info(client.line())
        client.start_tls(ssl.create_default_context(cafile=str(authority.file)))
        if mode == "first":
            client.line()
        assert told_ip(client) == ("10.0.0.1" if header else "127.0.0.1")


def test_plain_text_is_taken_behind_the_header_where_tls_is_optional(authority: Authority) -> None:
    pair = authority.issue("server")
    tls = _core.TlsConfig(certificates=[(pair.certificate.read_bytes(), pair.key.read_bytes())])
    with running(tls=tls, tls_mode="available", proxy_protocol=True) as server:
        for header, ip in ((HEADER, "10.0.0.1"), (b"", "127.0.0.1")):
            client = server.connect()
            client.line()
            client.send(header)
            assert told_ip(client) == ip


def test_who_must_log_in_has_the_time_for_it_behind_the_header() -> None:
    limits = _core.Limits(auth_timeout=0.05)
    with running(gate(), limits=limits, proxy_protocol=True) as server:
        client = server.connect()
        client.line()
        client.send(HEADER)
        assert client.read_to_end() == b"-ERR 'Authentication Timeout'\r\n"
