"""Load for the promises' figures: a publisher that counts what the server took, and subscribers.

The publisher sends blocks made beforehand, each followed by a PING, and counts PONGs: what it
counts has passed through the server. System calls are all that its thread does, so that the
server is what is measured and not Python.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tests.support.servers import ServerProcess

PAYLOAD_BYTES = 128
_BLOCK_MESSAGES = 1000
_STEP_S = 0.02
_READ_BYTES = 1 << 20
# Small, and set by hand: what a deaf peer's kernel takes is not the server's to hold.
_DEAF_RECEIVE_BUFFER_BYTES = 4096


class Publisher:
    """Publishes to some subjects in turn, as fast as the server takes it, in a thread."""

    def __init__(self, server: ServerProcess, subjects: Sequence[str]) -> None:
        self._client = Connection(server.address).greeted()
        payload = b"x" * PAYLOAD_BYTES
        messages = [
            b"PUB %b %d\r\n%b\r\n" % (subject.encode(), PAYLOAD_BYTES, payload)
            for subject in subjects
        ]
        turns = -(-_BLOCK_MESSAGES // len(messages))
        self._block = b"".join(messages * turns) + b"PING\r\n"
        self._block_messages = turns * len(messages)
        self._answered = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="publisher")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()
        self._client.close()

    @property
    def passed(self) -> int:
        """Messages that the server has taken so far."""
        return self._answered * self._block_messages

    def rate(self, window_s: float) -> float:
        """Messages taken per second, over the next `window_s` seconds."""
        before, start = self.passed, time.monotonic()
        time.sleep(window_s)
        return (self.passed - before) / (time.monotonic() - start)

    def _run(self) -> None:
        connection = self._client.socket
        connection.settimeout(0)
        block, offset, tail = memoryview(self._block), 0, b""
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while not self._stopping:
                for _, events in selector.select(_STEP_S):
                    if events & selectors.EVENT_READ:
                        chunk = tail + connection.recv(_READ_BYTES)
                        self._answered += chunk.count(b"PONG\r\n")
                        # A PONG may come in two parts.
                        tail = chunk[chunk.rfind(b"\n") + 1 :]
                        if chunk == b"":
                            return
                    if events & selectors.EVENT_WRITE:
                        offset = (offset + connection.send(block[offset:])) % len(block)


@contextmanager
def readers(server: ServerProcess, subjects: Sequence[str]) -> Generator[None]:
    """One subscriber for each of `subjects` that reads all it gets, in one thread."""
    clients = [_subscriber(server, subject) for subject in subjects]
    stopping = threading.Event()

    def drain() -> None:
        # MSG_TRUNC on TCP: the kernel drops the bytes without copying them.
        scratch = bytearray(_READ_BYTES)
        with selectors.DefaultSelector() as selector:
            for client in clients:
                client.socket.settimeout(0)
                selector.register(client.socket, selectors.EVENT_READ)
            while not stopping.is_set():
                for key, _ in selector.select(_STEP_S):
                    connection: socket.socket = key.fileobj  # type: ignore[assignment]
                    if connection.recv_into(scratch, _READ_BYTES, socket.MSG_TRUNC) == 0:
                        selector.unregister(connection)

    thread = threading.Thread(target=drain, name="readers")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        for client in clients:
            client.close()


@contextmanager
def deaf(server: ServerProcess, subjects: Sequence[str]) -> Generator[None]:
    """One subscriber for each of `subjects` that never reads."""
    clients = [
        _subscriber(server, subject, receive_buffer_bytes=_DEAF_RECEIVE_BUFFER_BYTES)
        for subject in subjects
    ]
    try:
        yield
    finally:
        for client in clients:
            client.reset()


def cut_off_after(server: ServerProcess, descriptors: int, time_max_s: float) -> float:
    """Wait until the server has no more than `descriptors` open, as its deaf peers are cut off.

    Returns:
        Seconds until then, or `time_max_s` when it keeps them longer.
    """
    start = time.monotonic()
    while server.usage.descriptor_count() > descriptors:
        if time.monotonic() - start >= time_max_s:
            return time_max_s
        time.sleep(_STEP_S / 4)
    return time.monotonic() - start


def _subscriber(
    server: ServerProcess, subject: str, receive_buffer_bytes: int | None = None
) -> Connection:
    client = Connection(server.address, receive_buffer_bytes=receive_buffer_bytes).greeted()
    client.send(b"SUB %b 1\r\nPING\r\n" % subject.encode())
    # The PONG may stand behind megabytes of messages: it is enough that something comes.
    client.socket.recv(1, socket.MSG_PEEK)
    return client
