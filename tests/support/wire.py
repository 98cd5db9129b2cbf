"""A client's end of a connection, as bytes: opens, sends, cuts what arrives into operations.

Cuts by the framing alone: a line, and for MSG and HMSG the payload that its last number announces.
Says what came, never whether it should have. Sends whatever it is told to, well-formed or not.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

CRLF: Final = b"\r\n"
CONNECT: Final = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"protocol":1}\r\n'
READ_BYTES_MAX: Final = 65_536
WAIT_S: Final = 10.0


class FramingError(Exception):
    """What the server sent is not the protocol: a bare LF, a size that is no number."""


class SilentError(TimeoutError):
    """Nothing whole arrived in time; `unread` are the bytes that did."""

    def __init__(self, unread: bytes) -> None:
        """Keep the bytes that arrived without being a whole operation."""
        super().__init__("nothing arrived in time")
        self.unread = unread


def show(data: bytes, bytes_max: int = 600) -> str:
    """`data` as a script would write it: printable ASCII as it is, the rest escaped."""
    escapes = {0x0D: "\\r", 0x0A: "\\n", 0x09: "\\t", 0x5C: "\\\\"}
    text = "".join(
        escapes.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")
        for byte in data[:bytes_max]
    )
    return text if len(data) <= bytes_max else f"{text}… ({len(data):,} bytes)"


def first_operation(data: bytes) -> int | None:
    """The length in bytes of the first server operation in `data`, or None if it is not whole.

    Raises:
        FramingError: the bytes cannot begin an operation of a server.
    """
    newline = data.find(b"\n")
    if newline < 0:
        return None
    if data[newline - 1 : newline] != b"\r":
        message = f"a line that does not end in CR LF: {show(data[: newline + 1])}"
        raise FramingError(message)
    line_end = newline + 1
    if data[:4].upper() != b"MSG " and data[:5].upper() != b"HMSG ":
        return line_end
    size = data[:newline].split()[-1]
    if not size.isdigit():
        message = f"a message without a size: {show(data[:line_end])}"
        raise FramingError(message)
    end = line_end + int(size) + 2
    if len(data) < end:
        return None
    if data[end - 2 : end] != CRLF:
        message = f"a payload that is not followed by CR LF: {show(data[:end])}"
        raise FramingError(message)
    return end


class Connection:
    """One connection to a server, plain or TLS; blocking, with a deadline on each read.

    Who needs the socket itself (its options, a selector) may use `socket`; bytes that were read
    and not yet asked for are here, not there.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        receive_buffer_bytes: int | None = None,
        source_host: str | None = None,
    ) -> None:
        """Connect.

        Args:
            address: the server's host and port.
            receive_buffer_bytes: bounds what the kernel takes before anybody reads.
            source_host: the address of this machine to connect from.
        """
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if receive_buffer_bytes is not None:
                # Before the connection exists: it decides the window that is offered.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(WAIT_S)
            if source_host is not None:
                self.socket.bind((source_host, 0))
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        self._unread = bytearray()
        self._ended = False
        self.opened_at = time.monotonic()

    def __enter__(self) -> Self:
        """Nothing more: it is connected already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def start_tls(
        self,
        context: ssl.SSLContext,
        server_name: str = "127.0.0.1",
        *,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """Do the client's part of a TLS handshake; from now on all goes through it.

        Args:
            context: what the client trusts, speaks and shows.
            server_name: whose certificate it wants to see.
            session: of an earlier connection, to be resumed.

        Raises:
            OSError: it failed (`ssl.SSLError` when TLS knows why); the connection is closed.
        """
        self.socket.settimeout(WAIT_S)
        plain = self.socket
        try:
            self.socket = context.wrap_socket(plain, server_hostname=server_name, session=session)
        except BaseException:
            plain.close()
            raise

    def send(self, data: bytes) -> None:
        """Send all of `data`. A peer that has closed is no error: what it said is still there."""
        self.socket.settimeout(WAIT_S)
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            self.socket.sendall(data)

    def half_close(self) -> None:
        """Say that no more will be sent; what the server still sends can be read."""
        with contextlib.suppress(OSError):
            # Not a TLS socket's own method: it would give up the session, and so the reading.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def read_operation(self, timeout_s: float = WAIT_S) -> bytes | None:
        """The next operation with its CR LF, or None at the end of the connection.

        Raises:
            SilentError: no whole operation within `timeout_s` seconds.
            FramingError: what arrived is not the protocol.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            length = first_operation(bytes(self._unread))
            if length is not None:
                return self._take(length)
            if self._ended:
                if self._unread:
                    message = f"the connection ended within {show(bytes(self._unread))}"
                    raise FramingError(message)
                return None
            self._receive(deadline)

    def line(self, timeout_s: float = WAIT_S) -> bytes:
        """The next line, without its end; a payload counts as lines like any other.

        Raises:
            SilentError: no whole line within `timeout_s` seconds.
            EOFError: the connection ended first.
        """
        deadline = time.monotonic() + timeout_s
        while (newline := self._unread.find(b"\n")) < 0:
            self._receive_more(deadline)
        return self._take(newline + 1)[:-1].removesuffix(b"\r")

    def exactly(self, count: int, timeout_s: float = WAIT_S) -> bytes:
        """The next `count` bytes.

        Raises:
            SilentError: they did not come within `timeout_s` seconds.
            EOFError: the connection ended first.
        """
        deadline = time.monotonic() + timeout_s
        while len(self._unread) < count:
            self._receive_more(deadline)
        return self._take(count)

    def read_to_end(self, timeout_s: float = WAIT_S) -> bytes:
        """All that still comes until the server closes, in order or by a reset.

        Raises:
            SilentError: the server did not close within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ended:
            self._receive(deadline)
        return self._take(len(self._unread))

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

    def close(self) -> None:
        """Close, at once."""
        self.socket.close()

    def reset(self) -> None:
        """Close with a TCP reset; what was not sent is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def leave(self, timeout_s: float = 2.0) -> bytes:
        """Close in order: half-close and take what is left, so that the server knows of the end.

        Returns:
            What was still unread, a part of an operation too.
        """
        self.half_close()
        try:
            return self.read_to_end(timeout_s)
        except SilentError as error:
            return error.unread
        finally:
            self.close()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    def _receive_more(self, deadline: float) -> None:
        if self._ended:
            message = f"the connection ended after {show(bytes(self._unread))}"
            raise EOFError(message)
        self._receive(deadline)

    def _receive(self, deadline: float) -> None:
        """Take one chunk from the socket. A reset counts as an end: what came before it is kept."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise SilentError(bytes(self._unread))
        self.socket.settimeout(remaining_s)
        try:
            chunk = self.socket.recv(READ_BYTES_MAX)
        except TimeoutError:
            raise SilentError(bytes(self._unread)) from None
        except ConnectionError:
            chunk = b""
        if chunk:
            self._unread += chunk
        else:
            self._ended = True
