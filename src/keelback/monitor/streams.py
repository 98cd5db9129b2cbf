"""What monitoring is told of JetStream: facts of the moment, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One stream. `config` and `state` are as the API gives them."""

    name: str
    created: str
    config: Mapping[str, Any]
    state: Mapping[str, Any]
    failure: str = ""
    """Why it takes no messages; "" while it does."""


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An account with streams; bytes, limits of -1 are none."""

    name: str
    memory: int
    file: int
    memory_max: int
    file_max: int
    calls: int
    errors: int
    streams: tuple[StreamFacts, ...]


class LimitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream or request may take, as it was configured; 0 where it was not."""

    max_request_batch: int = 0
    max_ack_pending: int = 0
    max_ha_assets: int = 0
    duplicate_window_s: float = 0.0
    batch_inflight_per_stream: int = 0
    batch_inflight_total: int = 0
    batch_messages: int = 0
    batch_timeout_s: float = 0.0
    default_max_consumers: int = 0


class LeftAlone(msgspec.Struct, frozen=True, kw_only=True):
    """A stream that the store keeps and that nobody is served of."""

    account: str
    stream: str
    has_account: bool
    """Whether the account is configured; then it has no JetStream, or the stream is no stream."""


class JetStreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """JetStream of a server; bytes."""

    max_memory: int
    max_file: int
    store_dir: str
    sync_interval_s: float
    """0: an acknowledged message is on stable storage."""
    domain: str
    strict: bool
    unique_tag: str
    limits: LimitFacts
    api_level: int
    memory: int
    file: int
    reserved_memory: int
    reserved_file: int
    calls: int
    errors: int
    account_names: frozenset[str]
    """Those that have streams, or may have."""
    leader: str
    failure: str
    """Why nothing can be committed; "" while it can."""
    damage: tuple[str, ...]
    """What was not as it was written, when the store was opened."""
    read_left_alone: Callable[[], tuple[LeftAlone, ...]]
    read_accounts: Callable[[], tuple[AccountFacts, ...]]
    """All accounts with all their streams, by name."""
