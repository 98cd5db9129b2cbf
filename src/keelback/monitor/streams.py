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


class JetStreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """JetStream of a server; bytes."""

    max_memory: int
    max_file: int
    store_dir: str
    sync_interval_s: float
    """0: an acknowledged message is on stable storage."""
    domain: str
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
    read_accounts: Callable[[], tuple[AccountFacts, ...]]
    """All accounts with all their streams, by name."""
