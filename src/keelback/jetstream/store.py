"""What the API asks of the streams that there are: the core's `Store`, or a test's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keelback._core import (
        Backup,
        KeptStream,
        Restoration,
        StoredMessage,
        StreamState,
        StreamTable,
    )


class StreamStore(Protocol):
    """The streams of one server, by account and name. Calls may wait for the disk.

    Raises:
        StoreError: there is no such stream, or the disk refused; from every call with a name.
    """

    def streams(self) -> Sequence[KeptStream]:
        """The streams that outlived the last run."""
        ...

    def create(  # noqa: D102
        self, account: str, name: str, config: bytes, created_ns: int, table: StreamTable
    ) -> None: ...
    def serve(self, account: str, name: str, table: StreamTable) -> None:
        """Let messages into a stream that outlived the last run."""
        ...

    def stop_serving(self, account: str, name: str) -> None:
        """Let no messages into a stream any more, until `serve`."""
        ...

    def update(self, account: str, name: str, config: bytes, table: StreamTable) -> None: ...  # noqa: D102
    def delete(self, account: str, name: str) -> None: ...  # noqa: D102
    def purge(  # noqa: D102
        self, account: str, name: str, *, subject: str = "", below_seq: int = 0, keep: int = 0
    ) -> int: ...
    def remove(self, account: str, name: str, seq: int, *, erase: bool) -> bool: ...  # noqa: D102
    def state(self, account: str, name: str) -> StreamState: ...  # noqa: D102
    def deleted(self, account: str, name: str, at_most: int) -> Sequence[tuple[int, int]]:
        """First and last of each gap."""
        ...

    def subjects(
        self, account: str, name: str, subject: str, offset: int, limit: int
    ) -> tuple[int, Sequence[tuple[str, int]]]:
        """How many subjects match, and a page of them with their messages."""
        ...

    def backup(  # noqa: D102
        self, account: str, name: str, state: bytes, last_seq: int, time_ns: int
    ) -> Backup: ...
    def restore(  # noqa: D102
        self,
        account: str,
        name: str,
        table: StreamTable,
        *,
        created_ns: int,
        message_bytes_max: int,
        ids_from_ns: int,
    ) -> Restoration: ...
    def message(self, account: str, name: str, seq: int) -> StoredMessage | None: ...  # noqa: D102
    def last_message(self, account: str, name: str, subject: str) -> StoredMessage | None: ...  # noqa: D102
    def next_message(  # noqa: D102
        self, account: str, name: str, subject: str, seq: int, time_ns: int | None
    ) -> StoredMessage | None: ...
