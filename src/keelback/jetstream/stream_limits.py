"""What a server and an account allow their streams together, and whether one more fits.

Source: nats-server 2.15 `server/jetstream.go` (`selectLimits`, `checkLimits`) and
`server/jetstream_api.go` (`jsNonClusteredStreamLimitsCheck`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keelback.jetstream.errors import (
    MAXIMUM_CONSUMERS,
    MAXIMUM_STREAMS,
    MEMORY_EXCEEDED,
    NO_LIMITS,
    STORAGE_EXCEEDED,
)
from keelback.jetstream.stream_config import StreamConfig

UNLIMITED: Final = -1

NO_TIER: Final = ""
"""The key of limits that hold for every number of replicas."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one server gives to streams, and what it has promised to those of all accounts."""

    memory_bytes_max: int
    file_bytes_max: int
    memory_bytes_reserved: int = 0
    file_bytes_reserved: int = 0
    duplicate_window_ns_max: int = 0
    """0 is no limit."""
    clustered: bool = False
    """Whether a stream may have more than one replica."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What an account may have, in all or in one tier; bytes count each replica, but in tiers.

    -1 is no limit, and so is 0 for streams, consumers and the bytes of one stream.
    """

    memory_bytes_max: int = UNLIMITED
    file_bytes_max: int = UNLIMITED
    streams_max: int = UNLIMITED
    consumers_max: int = UNLIMITED
    memory_stream_bytes_max: int = 0
    file_stream_bytes_max: int = 0
    max_bytes_required: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules look at beside the configuration: limits, and the account's streams by name."""

    server: ServerLimits
    limits: Mapping[str, AccountLimits] = field(default_factory=lambda: {NO_TIER: AccountLimits()})
    """By tier (`R1`, `R3`), or all under `NO_TIER`."""
    streams: Mapping[str, StreamConfig] = field(default_factory=dict[str, StreamConfig])


def tier_of(replicas: int) -> str:
    """The tier of streams with so many replicas; 0 counts as 1."""
    return f"R{replicas or 1}"


def select_limits(limits: Mapping[str, AccountLimits], replicas: int) -> tuple[str, AccountLimits]:
    """The limits for a stream with so many replicas, with their key.

    Raises:
        ApiError: none are for it (NO_LIMITS).
    """
    for tier in (NO_TIER, tier_of(replicas)):
        if (selected := limits.get(tier)) is not None:
            return tier, selected
    raise NO_LIMITS.error()


def check_room(config: StreamConfig, around: Surroundings) -> None:
    """Check the limits on how many streams there are, and on what this one reserves.

    The configuration may be as it was requested: without a storage, no bytes are counted.

    Raises:
        ApiError: a limit would be exceeded, or there are none for so many replicas.
    """
    tier, limits = select_limits(around.limits, config.num_replicas)
    others = sum(1 for _ in _others_in(tier, config, around.streams))
    if 0 < limits.streams_max <= others:
        raise MAXIMUM_STREAMS.error()
    check_reservation(config, around, tier, limits)


def check_reservation(
    config: StreamConfig,
    around: Surroundings,
    tier: str,
    limits: AccountLimits,
    reserved_before: int | None = None,
) -> None:
    """Check the limits on consumers and bytes.

    Args:
        config: what is to be.
        around: the limits of the server, and the other streams.
        tier: whose limits these are.
        limits: of the account.
        reserved_before: the bytes that this stream holds already; for a new one, None.

    Raises:
        ApiError: MAXIMUM_CONSUMERS, MEMORY_EXCEEDED or STORAGE_EXCEEDED.
    """
    if 0 < limits.consumers_max < config.max_consumers:
        raise MAXIMUM_CONSUMERS.error()
    reserved = sum(
        _cost(tier, other.num_replicas, other.max_bytes)
        for other in _others_in(tier, config, around.streams)
        if other.storage == config.storage
    )
    # A new stream without a bound needs one byte; one that is changed needs what it grows by.
    growth = 1 if config.max_bytes < 0 else config.max_bytes
    if reserved_before is not None:
        bound = max(config.max_bytes, 0)
        growth = max(bound - max(reserved_before, 0), 0)
        reserved += _cost(tier, config.num_replicas, config.max_bytes - growth)
    reserved += _cost(tier, config.num_replicas, growth)
    server = around.server
    if config.storage == "memory" and (
        0 <= limits.memory_bytes_max < reserved
        or growth + server.memory_bytes_reserved > server.memory_bytes_max
    ):
        raise MEMORY_EXCEEDED.error()
    if config.storage == "file" and (
        0 <= limits.file_bytes_max < reserved
        or growth + server.file_bytes_reserved > server.file_bytes_max
    ):
        raise STORAGE_EXCEEDED.error()


def _others_in(
    tier: str, config: StreamConfig, streams: Mapping[str, StreamConfig]
) -> list[StreamConfig]:
    """The account's other streams that share the limits with this one."""
    own = tier_of(max(config.num_replicas, 1))
    return [
        other
        for other in streams.values()
        if other.name != config.name and (tier == NO_TIER or tier_of(other.num_replicas) == own)
    ]


def _cost(tier: str, replicas: int, max_bytes: int) -> int:
    """What a stream takes of its account's bytes; limits of a tier count one replica."""
    if max_bytes <= 0:
        return 0
    return max_bytes * max(replicas, 1) if tier == NO_TIER else max_bytes
