"""Clients of a server with TLS: how they come in, and whether they do."""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.wire import CONNECT, Connection

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.servers import ServerProcess


@contextmanager
def encrypted(
    server: ServerProcess,
    context: ssl.SSLContext,
    name: str = "127.0.0.1",
    *,
    receive_buffer_bytes: int | None = None,
) -> Generator[Connection]:
    """A connection that has read INFO and done its handshake."""
    with Connection(server.address, receive_buffer_bytes=receive_buffer_bytes) as client:
        client.line()
        client.start_tls(context, name)
        yield client


def session_of(client: Connection) -> ssl.SSLSocket:
    """The TLS socket of a connection after its handshake."""
    assert isinstance(client.socket, ssl.SSLSocket)
    return client.socket


def info(line: bytes) -> dict[str, Any]:
    """The document of an INFO line."""
    verb, _, text = line.partition(b" ")
    assert verb == b"INFO"
    document: dict[str, Any] = json.loads(text)
    return document


def log_in(client: Connection, connect: bytes = CONNECT) -> dict[str, Any]:
    """Send CONNECT and PING; the INFO that follows their PONG, which names the account.

    Raises:
        EOFError: the server closed, after `-ERR` or without a word.
        ssl.SSLError: it refused the certificate.
    """
    client.send(connect + b"PING\r\n")
    line = client.line()
    if line != b"PONG":
        assert line.startswith(b"-ERR"), line
        raise EOFError(line)
    return info(client.line())


def is_refused(
    server: ServerProcess,
    context: ssl.SSLContext,
    connect: bytes = CONNECT,
) -> bool:
    """Whether the server turns a client away, in the handshake or after it.

    With TLS 1.3 a client has done its part of the handshake before its certificate is judged.
    """
    try:
        with encrypted(server, context) as client:
            log_in(client, connect)
    except (ssl.SSLError, ConnectionError, EOFError):
        return True
    return False
