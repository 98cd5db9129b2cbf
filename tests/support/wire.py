"""A client's end of a connection, as bytes: opens, sends, cuts what arrives into operations.

Cuts by the framing alone: a line, and for MSG and HMSG the payload that its last number announces.
Says what came, never whether it should have.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Final

CRLF: Final = b"\r\n"
READ_BYTES_MAX: Final = 65_536


class FramingError(Exception):
    """What the server sent is not the protocol: a bare LF, a size that is no number."""


class SilentError(Exception):
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
    """One TCP connection to a server, blocking, with a deadline on each read."""

    def __init__(self, host: str, port: int, *, receive_buffer_bytes: int | None = None) -> None:
        """Connect; `receive_buffer_bytes` bounds what the kernel takes before anybody reads."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(10)
        self._socket.connect((host, port))
        self._unread = bytearray()
        self._ended = False
        self.opened_at = time.monotonic()

    def send(self, data: bytes) -> None:
        """Send all of `data`. A peer that has closed is no error: what it said is still there."""
        self._socket.settimeout(10)
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def half_close(self) -> None:
        """Say that no more will be sent; what the server still sends can be read."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def read_operation(self, timeout_s: float) -> bytes | None:
        """The next operation with its CR LF, or None at the end of the connection.

        Raises:
            SilentError: no whole operation within `timeout_s` seconds.
            FramingError: what arrived is not the protocol.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            length = first_operation(bytes(self._unread))
            if length is not None:
                operation = bytes(self._unread[:length])
                del self._unread[:length]
                return operation
            if self._ended:
                if self._unread:
                    message = f"the connection ended within {show(bytes(self._unread))}"
                    raise FramingError(message)
                return None
            self._receive(deadline)

    def read_to_end(self, timeout_s: float) -> bytes:
        """All that still comes until the server closes.

        Raises:
            SilentError: the server did not close within `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ended:
            self._receive(deadline)
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def close(self) -> None:
        """Close, at once."""
        self._socket.close()

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

    def _receive(self, deadline: float) -> None:
        """Take one chunk from the socket. A reset counts as an end: what came before it is kept."""
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise SilentError(bytes(self._unread))
        self._socket.settimeout(remaining_s)
        try:
            chunk = self._socket.recv(READ_BYTES_MAX)
        except TimeoutError:
            raise SilentError(bytes(self._unread)) from None
        except ConnectionError:
            chunk = b""
        if chunk:
            self._unread += chunk
        else:
            self._ended = True
