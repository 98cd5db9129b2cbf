"""Streams that are backed up and restored: archives that go and come in chunks.

Each has a thread of its own, since it waits for the disk and for the other side.
Source: nats-server 2.15 `server/jetstream_api.go`, `streamSnapshot` and `processStreamRestore`.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from keelback import _core
from keelback.jetstream import advisories

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keelback.jetstream.requests import SnapshotRequest

ACK_PREFIX: Final = "$JS.SNAPSHOT.ACK."
RESTORE_PREFIX: Final = "$JS.SNAPSHOT.RESTORE."
SERVED: Final = (f"{ACK_PREFIX}*.*.*.*", f"{RESTORE_PREFIX}*.*")
"""What is to be handed to `Transfers.take`."""

CHUNK_BYTES: Final = 128 << 10
CHUNK_BYTES_MAX: Final = 1 << 20
WINDOW_BYTES: Final = 8 << 20
WINDOW_BYTES_MAX: Final = 32 << 20
BYTES_MIN: Final = 1 << 10

PATIENCE_S: Final = 5.0
"""Without a word from the other side for so long a transfer ends."""

INTEREST_S: Final = 2.0
"""In which somebody must begin to listen to a backup."""

LOOK_S: Final = 0.02
TRANSFERS_MAX: Final = 64
CHUNKS_MAX: Final = 1024
"""That wait for one restoration: whoever sends more does not wait for answers."""


class Wire(Protocol):
    """The part of the core that messages go through."""

    def publish(  # noqa: D102
        self, account: str, subject: str, payload: bytes, *, reply: str = "", headers: bytes = b""
    ) -> None: ...
    def has_interest(self, account: str, subject: str) -> bool: ...  # noqa: D102
    def has_literal_interest(self, account: str, subject: str) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Place:
    """The stream of a transfer, and who asked for it."""

    account: str
    stream: str
    client: Mapping[str, Any]


@dataclass(slots=True)
class _Chunk:
    reply: str
    payload: bytes


class Restoring(Protocol):
    """What a restoration makes, and what becomes of it."""

    def begin(self) -> _core.Restoration:
        """Make the stream that the archive fills."""
        ...

    def finish(self, restoration: _core.Restoration) -> bytes:
        """Have the stream be one: the answer to the last chunk."""
        ...

    def fail(self, error: Exception) -> bytes:
        """The answer to a chunk that could not be taken."""
        ...


class Transfers:
    """The backups and restorations of one server.

    Args:
        wire: publishes, and knows who listens.
        log: level and text.
        domain: of JetStream, "" without one.
        now_ns: the time.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        log: Callable[[Literal["INF", "WRN", "ERR"], str], None],
        domain: str = "",
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._wire = wire
        self._log = log
        self._domain = domain
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._windows: dict[str, threading.Semaphore] = {}
        self._chunks: dict[str, queue.Queue[_Chunk]] = {}
        self._threads: set[threading.Thread] = set()
        self._is_closing = threading.Event()

    @property
    def is_full(self) -> bool:
        """Whether there are as many as there may be."""
        with self._lock:
            return len(self._threads) >= TRANSFERS_MAX

    def close(self) -> None:
        """End all of them; before the core ends."""
        self._is_closing.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def take(self, subject: str, reply: str, payload: bytes) -> None:
        """Take a message to one of `SERVED`. Does not wait."""
        if subject.startswith(ACK_PREFIX):
            window = self._windows.get(subject.split(".")[-3])
            if window is not None:
                window.release()
            return
        chunks = self._chunks.get(subject.rsplit(".", 1)[-1])
        if chunks is not None:
            try:
                chunks.put_nowait(_Chunk(reply, payload))
            except queue.Full:
                # As if it had never come: whoever does not wait learns of it by waiting.
                return

    def back_up(
        self,
        place: Place,
        request: SnapshotRequest,
        state: Mapping[str, Any],
        begin: Callable[[], _core.Backup],
    ) -> None:
        """Send a backup; `begin` gives it."""
        self._start(lambda: self._back_up(place, request, state, begin))

    def restore(self, place: Place, identity: str, restoring: Restoring) -> None:
        """Take the chunks that come for `identity`."""
        self._advise(place, "restore_create", {})
        self._chunks[identity] = queue.Queue(CHUNKS_MAX)
        self._start(lambda: self._restore(place, identity, restoring))

    def _start(self, run: Callable[[], None]) -> None:
        def body() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001  # one transfer must not end in silence
                self._log("ERR", f"JetStream: a transfer failed: {type(error).__name__}")
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=body, name="kb-js-transfer", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _back_up(
        self,
        place: Place,
        request: SnapshotRequest,
        state: Mapping[str, Any],
        begin: Callable[[], _core.Backup],
    ) -> None:
        name = f"stream '{place.account} > {place.stream}'"
        self._log("INF", f"Starting snapshot for {name}")
        started_ns = self._now_ns()
        self._advise(place, "snapshot_create", {"state": state})
        try:
            error = self._send(place, request, begin())
        except _core.StoreError as failure:
            error = str(failure)
            self._end(place, request, f"500 {error}")
        details: dict[str, Any] = {"error": error} if error else {}
        self._advise(place, "snapshot_complete", details, started_ns)
        if error:
            self._log("WRN", f"Snapshot for {name} failed: {error}")
        else:
            self._log("INF", f"Completed snapshot for {name}")

    def _send(self, place: Place, request: SnapshotRequest, backup: _core.Backup) -> str:
        """Send the chunks; why not all of them, or ""."""
        chunk_bytes = _between(request.chunk_size or CHUNK_BYTES, CHUNK_BYTES_MAX)
        window_bytes = _between(request.window_size or WINDOW_BYTES, WINDOW_BYTES_MAX)
        identity = advisories.new_id()
        window = threading.Semaphore(max(window_bytes // chunk_bytes, 1))
        self._windows[identity] = window
        subject = request.deliver_subject
        try:
            self._wait_for_interest(place.account, subject)
            count = 0
            while True:
                if status := self._wait_for_room(place.account, subject, window):
                    self._end(place, request, status)
                    return status.partition(" ")[2].lower()
                chunk = backup.read(chunk_bytes)
                if len(chunk) < chunk_bytes:
                    break
                count += 1
                reply = f"{ACK_PREFIX}{place.stream}.{identity}.{len(chunk)}.{count}"
                self._wire.publish(place.account, subject, chunk, reply=reply)
            if chunk:
                self._wire.publish(place.account, subject, chunk)
            # As nats-server: a backup of one chunk ends without a status.
            self._end(place, request, "204" if count else "")
            return ""
        finally:
            del self._windows[identity]

    def _end(self, place: Place, request: SnapshotRequest, status: str) -> None:
        headers = f"NATS/1.0 {status}\r\n\r\n".encode() if status else b""
        self._wire.publish(place.account, request.deliver_subject, b"", headers=headers)

    def _wait_for_interest(self, account: str, subject: str) -> None:
        # Not by a wildcard: clients have one for all answers long before they ask.
        until = time.monotonic() + INTEREST_S
        while not self._wire.has_literal_interest(account, subject) and time.monotonic() < until:
            if self._is_closing.wait(LOOK_S):
                return

    def _wait_for_room(self, account: str, subject: str, window: threading.Semaphore) -> str:
        """Wait until a chunk may go; the status that ends the backup, or ""."""
        until = time.monotonic() + PATIENCE_S
        while True:
            if self._is_closing.is_set():
                return "500 server shutdown"
            if not self._wire.has_interest(account, subject):
                return "408 No Interest"
            if window.acquire(timeout=LOOK_S):
                return ""
            if time.monotonic() >= until:
                return "408 No Flow Response"

    def _restore(self, place: Place, identity: str, restoring: Restoring) -> None:
        name = f"stream '{place.account} > {place.stream}'"
        self._log("INF", f"Starting restore for {name}")
        started_ns = self._now_ns()
        chunks = self._chunks[identity]
        total = 0
        restoration: _core.Restoration | None = None
        try:
            while True:
                chunk = self._next_chunk(chunks)
                if chunk is None or not chunk.reply:
                    why = "is stalled" if chunk is None else "requires reply subject for each chunk"
                    self._log("WRN", f"restore for {name} {why}")
                    return
                total += len(chunk.payload)
                answer, is_over = b"", not chunk.payload
                try:
                    restoration = restoration or restoring.begin()
                    if is_over:
                        answer = restoring.finish(restoration)
                        self._log("INF", f"Completed restore of {total} bytes for {name}")
                    else:
                        restoration.write(chunk.payload)
                except _core.CoreError as error:
                    answer, is_over = restoring.fail(error), True
                    self._log("WRN", f"Restore failed for {name}: {error}")
                self._wire.publish(place.account, chunk.reply, answer)
                if is_over:
                    return
        finally:
            if restoration is not None:
                restoration.cancel()
            del self._chunks[identity]
            self._advise(place, "restore_complete", {"bytes": total}, started_ns)

    def _next_chunk(self, chunks: queue.Queue[_Chunk]) -> _Chunk | None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self._is_closing.is_set():
            try:
                return chunks.get(timeout=LOOK_S)
            except queue.Empty:
                continue
        return None

    def _advise(
        self,
        place: Place,
        kind: str,
        details: Mapping[str, Any],
        started_ns: int | None = None,
    ) -> None:
        subject, event = advisories.transfer(
            kind,
            place.stream,
            details,
            client=place.client,
            started_ns=started_ns,
            now_ns=self._now_ns(),
            domain=self._domain,
        )
        self._wire.publish(place.account, subject, event)


def _between(count: int, most: int) -> int:
    return min(max(count, BYTES_MIN), most)
