"""Settings → what streams may hold, of the server and of each account; whether it fits together.

Source: nats-server 2.15 `server/jetstream.go`, `sufficientResources`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keelback.auth.users import GLOBAL_ACCOUNT
from keelback.jetstream.errors import MEMORY_EXCEEDED, STORAGE_EXCEEDED
from keelback.jetstream.stream_limits import AccountLimits, ServerLimits
from keelback.server.settings import AccountJetStreamSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keelback.jetstream.errors import ErrorKind
    from keelback.server.settings import JetStreamSettings, ServerSettings

NS_PER_S: Final = 1_000_000_000


def server_limits(
    settings: JetStreamSettings, directory: str, *, before: ServerLimits | None = None
) -> ServerLimits:
    """What the server gives to streams.

    Args:
        settings: what was configured.
        directory: where the store is.
        before: what it gave; what the machine has is not measured anew.
    """
    memory, file = settings.max_memory, settings.max_file
    if memory < 0:
        memory = _memory_bytes() if before is None else before.memory_bytes_max
    if file < 0:
        file = _disk_bytes(directory) if before is None else before.file_bytes_max
    window_ns = max(round(settings.limits.duplicate_window_s * NS_PER_S), 0)
    return ServerLimits(memory, file, duplicate_window_ns_max=window_ns)


def with_room_of(limits: ServerLimits, reserved: tuple[int, int]) -> ServerLimits:
    """The same, with the bytes in memory and in files that streams reserved."""
    return replace(limits, memory_bytes_reserved=reserved[0], file_bytes_reserved=reserved[1])


def account_limits(held: AccountJetStreamSettings) -> AccountLimits:
    """What the streams of an account may be."""
    return AccountLimits(
        memory_bytes_max=held.max_memory,
        file_bytes_max=held.max_file,
        streams_max=held.max_streams,
        consumers_max=held.max_consumers,
        memory_stream_bytes_max=max(held.memory_max_stream_bytes, 0),
        file_stream_bytes_max=max(held.file_max_stream_bytes, 0),
        max_bytes_required=held.max_bytes_required,
    )


def accounts_with_streams(settings: ServerSettings) -> dict[str, AccountJetStreamSettings]:
    """The accounts that have JetStream: the global one, where no others are declared."""
    declared = [each for each in settings.accounts if each.name != settings.system_account]
    if not declared:
        return {GLOBAL_ACCOUNT: AccountJetStreamSettings()}
    return {each.name: each.jetstream for each in declared if each.jetstream is not None}


def missing_room(
    wanted: AccountLimits,
    held: AccountLimits | None,
    others: Iterable[AccountLimits],
    server: ServerLimits,
) -> ErrorKind | None:
    """Why the server has not what an account is to be given; None where it has.

    Args:
        wanted: the limits that the account is to have.
        held: those that it has; None where it has none.
        others: those of the other accounts.
        server: what there is, and what streams reserved of it.
    """
    reserved = (server.memory_bytes_reserved, server.file_bytes_reserved)
    most = (server.memory_bytes_max, server.file_bytes_max)
    before = (0, 0) if held is None else _bounds(held)
    promised = [before, *map(_bounds, others)]
    for each, kind in enumerate((MEMORY_EXCEEDED, STORAGE_EXCEEDED)):
        growth = _bounds(wanted)[each] - before[each]
        taken = max(reserved[each], sum(bounds[each] for bounds in promised))
        if growth > 0 and taken + growth > most[each]:
            return kind
    return None


def _bounds(limits: AccountLimits) -> tuple[int, int]:
    """Bytes in memory and in files that an account is promised."""
    return max(limits.memory_bytes_max, 0), max(limits.file_bytes_max, 0)


def _memory_bytes() -> int:
    """Three quarters of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 * 3


def _disk_bytes(directory: str) -> int:
    """Three quarters of what is free where the store is."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize // 4 * 3


_LOG_FILE_BYTES: Final = 64 << 20
_LOG_FILE_BYTES_MIN: Final = 1 << 20
_LOG_FILES: Final = 16
"""A disk has room for so many at least: two of them are there always."""


def log_file_bytes(directory: str) -> int:
    """The length of a log file: on a small disk most of the room is left to streams."""
    found = Path(directory)
    try:
        while not found.exists():
            found = found.parent
        disk = os.statvfs(found)
    except OSError:
        return _LOG_FILE_BYTES  # who opens the store is told why it cannot be
    share = disk.f_blocks * disk.f_frsize // _LOG_FILES
    whole = share // _LOG_FILE_BYTES_MIN * _LOG_FILE_BYTES_MIN
    return min(_LOG_FILE_BYTES, max(_LOG_FILE_BYTES_MIN, whole))
