"""An in-process connection: the core's memory pipe as an asyncio stream pair and as a plain one.

Both speak bytes of the client protocol; who speaks them is the caller's matter.
"""

from __future__ import annotations

import asyncio
import select
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from keelback._core import Pipe

READ_BYTES: Final = 65536

READS_A_TURN: Final = 16
"""A firehose must leave the loop to others once a megabyte."""

OUTBOUND_HIGH_BYTES: Final = 65536
"""Above this `StreamWriter.drain` waits; the pipe itself holds more."""

RETRY_S: Final = 0.005
"""While reading is paused, the pipe's signal of new room cannot be told from that of bytes that
nobody wants yet: it is looked at this often instead."""


async def open_stream(
    pipe: Pipe, *, limit: int = 2**16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader and a writer like those of `asyncio.open_connection`."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = PipeTransport(pipe, protocol, loop)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class PipeTransport(asyncio.Transport):
    """asyncio's transport over a `Pipe`. Belongs to one event loop."""

    def __init__(
        self, pipe: Pipe, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__({"peername": "in-process"})
        self._pipe = pipe
        self._protocol = protocol
        self._loop = loop
        self._outbound = bytearray()
        self._high_bytes = OUTBOUND_HIGH_BYTES
        self._is_reading = True
        self._is_closing = False
        self._is_lost = False
        self._has_paused_writer = False
        self._retry: asyncio.TimerHandle | None = None
        self._protocol.connection_made(self)
        self._loop.add_reader(pipe.fileno(), self._on_ready)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep what the pipe does not take."""
        if self._is_closing or not data:
            return
        self._outbound += data
        self._send()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """No: the pipe closes as a whole."""
        return False

    def pause_reading(self) -> None:
        """The protocol has enough."""
        if self._is_reading and not self._is_lost:
            self._is_reading = False
            self._loop.remove_reader(self._pipe.fileno())
            self._retry_later()

    def resume_reading(self) -> None:
        """The protocol wants more."""
        if not self._is_reading and not self._is_lost:
            self._is_reading = True
            self._loop.add_reader(self._pipe.fileno(), self._on_ready)
            # What came meanwhile may have been signalled already.
            self._loop.call_soon(self._on_ready)

    def is_reading(self) -> bool:
        """Whether bytes are handed on."""
        return self._is_reading and not self._is_closing

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Bytes that the pipe did not take yet."""
        return len(self._outbound)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        """Above `high` bytes the writer is paused until all are sent."""
        self._high_bytes = OUTBOUND_HIGH_BYTES if high is None else high

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand bytes to another protocol from now on."""
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is handed bytes."""
        return self._protocol

    def close(self) -> None:
        """Close once everything is sent."""
        if self._is_closing:
            return
        self._is_closing = True
        if not self._outbound:
            self._lose(None)

    def abort(self) -> None:
        """Close now; what is not sent is lost."""
        self._is_closing = True
        self._lose(None)

    def _on_ready(self) -> None:
        if self._is_lost:
            return
        if self._outbound:
            self._send()
        for _ in range(READS_A_TURN):
            if not self._is_reading or self._is_closing:
                return
            data = self._pipe.recv(READ_BYTES)
            if data is None:
                return
            if not data:
                self._end()
                return
            self._protocol.data_received(data)
        self._loop.call_soon(self._on_ready)

    def _end(self) -> None:
        # The server closed the whole pipe: what is unsent has nobody to read it.
        keep_open = self._protocol.eof_received()
        self._is_closing = True
        if keep_open:
            self._loop.remove_reader(self._pipe.fileno())
        self._lose(None)

    def _send(self) -> None:
        try:
            while self._outbound:
                taken = self._pipe.send(bytes(self._outbound))
                if not taken:
                    break
                del self._outbound[:taken]
        except BrokenPipeError as error:
            self._is_closing = True
            self._lose(error)
            return
        self._control_writer()
        if not self._outbound and self._is_closing:
            self._lose(None)
        elif self._outbound and not self._is_reading:
            self._retry_later()

    def _control_writer(self) -> None:
        if len(self._outbound) > self._high_bytes and not self._has_paused_writer:
            self._has_paused_writer = True
            self._protocol.pause_writing()
        elif not self._outbound and self._has_paused_writer:
            self._has_paused_writer = False
            self._protocol.resume_writing()

    def _retry_later(self) -> None:
        if self._outbound and self._retry is None:
            self._retry = self._loop.call_later(RETRY_S, self._retry_now)

    def _retry_now(self) -> None:
        self._retry = None
        if self._outbound and not self._is_lost:
            self._send()

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._outbound.clear()
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._pipe.fileno())
        self._loop.call_soon(self._finish, error)

    def _finish(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
        self._pipe.close()


class SyncPipe:
    """An in-process connection for code without an event loop; like a socket with a timeout.

    One thread may send while another receives.
    """

    def __init__(self, pipe: Pipe, *, timeout_s: float | None = None) -> None:
        self._pipe = pipe
        self._timeout_s = timeout_s

    def settimeout(self, timeout_s: float | None) -> None:
        """Seconds that `recv` and `sendall` may wait; None waits for ever."""
        self._timeout_s = timeout_s

    def sendall(self, data: bytes) -> None:
        """Send everything.

        Raises:
            TimeoutError: the server took nothing for that long.
            BrokenPipeError: the server closed.
        """
        rest = memoryview(data)
        while rest:
            taken = self._pipe.send(bytes(rest))
            rest = rest[taken:]
            if rest and not taken:
                self._wait("the server takes no more")

    def recv(self, at_most: int = READ_BYTES) -> bytes:
        """Some bytes, `b""` at the end.

        Raises:
            TimeoutError: none came for that long.
        """
        while True:
            data = self._pipe.recv(at_most)
            if data is not None:
                return data
            self._wait("the server sends nothing")

    def close(self) -> None:
        """Close; the server sees the end."""
        self._pipe.close()

    def fileno(self) -> int:
        """Readable when there may be something to do."""
        return self._pipe.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _wait(self, what: str) -> None:
        poll = select.poll()
        poll.register(self._pipe.fileno(), select.POLLIN)
        begin = monotonic()
        timeout: Any = None if self._timeout_s is None else self._timeout_s * 1000
        if not poll.poll(timeout):
            raise TimeoutError(f"{what} (waited {monotonic() - begin:.3f}s)")
