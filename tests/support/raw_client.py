"""A client that sends whatever bytes it is told to, well-formed or not.

Knows lines, `PING`/`PONG` as a fence, and how a connection may end. It does not parse messages.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1}\r\n'

_WAIT_S = 10.0
_CHUNK_BYTES = 65536


class RawClient:
    """One TCP connection; every wait is bounded by `wait_s`."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        wait_s: float = _WAIT_S,
        receive_buffer_bytes: int | None = None,
        source_host: str | None = None,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(wait_s)
        if receive_buffer_bytes is not None:
            # Before the connection exists: it decides the window that is offered.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if source_host is not None:
            self.socket.bind((source_host, 0))
        self.socket.connect(address)
        self._inbound = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.socket.sendall(data)

    def send_what_is_taken(self, data: bytes) -> None:
        """Send `data`, and mind it not that the server closes the connection meanwhile."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def line(self) -> bytes:
        """The next line, without its CR LF.

        Raises:
            EOFError: the connection ended first.
        """
        while b"\n" not in self._inbound:
            chunk = self._receive()
            if not chunk:
                message = f"the connection ended after {self._inbound!r}"
                raise EOFError(message)
            self._inbound += chunk
        line, _, self._inbound = self._inbound.partition(b"\n")
        return line.removesuffix(b"\r")

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            EOFError: the connection ended first.
        """
        chunks = [self._inbound]
        missing = count - len(self._inbound)
        while missing > 0:
            chunk = self._receive()
            if not chunk:
                message = f"the connection ended {missing} bytes early"
                raise EOFError(message)
            chunks.append(chunk)
            missing -= len(chunk)
        whole = b"".join(chunks)
        self._inbound = whole[count:]
        return whole[:count]

    def greeted(self, connect: bytes = CONNECT) -> Self:
        """Read the server's INFO, send `connect`, and wait for the answer to a PING."""
        assert self.line().startswith(b"INFO ")
        self.send(connect)
        self.fence()
        return self

    def fence(self) -> list[bytes]:
        """Send a PING and return the lines that came before its PONG, later INFO left out."""
        self.send(b"PING\r\n")
        lines: list[bytes] = []
        while (line := self.line()) != b"PONG":
            if line == b"PING":
                self.send(b"PONG\r\n")
            elif not line.startswith(b"INFO "):
                lines.append(line)
        return lines

    def until_closed(self) -> bytes:
        """All that comes until the server closes the connection, in order or by a reset.

        Raises:
            TimeoutError: it does not.
        """
        chunks = [self._inbound]
        self._inbound = b""
        while chunk := self._receive():
            chunks.append(chunk)
        return b"".join(chunks)

    def reset(self) -> None:
        """Close at once with a TCP reset; what was not sent is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(_CHUNK_BYTES)
        except (ConnectionResetError, BrokenPipeError):
            # The server closed while bytes of ours were still unread there.
            return b""
