"""The accounts that have JetStream, and their streams: where all calls look things up."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keelback import _core, gojson
from keelback.jetstream import stream_requests
from keelback.jetstream.errors import NOT_ENABLED_FOR_ACCOUNT, STREAM_NOT_FOUND
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits, ServerLimits, Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keelback.jetstream.store import StreamStore
    from keelback.jetstream.stream_config import StreamConfig


@dataclass(slots=True)
class Kept:
    """A stream as it is remembered."""

    config: StreamConfig
    created_ns: int


@dataclass(slots=True)
class Account:
    """An account with JetStream: its limits, its streams, how often its API was called."""

    limits: Mapping[str, AccountLimits] = field(default_factory=lambda: {NO_TIER: AccountLimits()})
    streams: dict[str, Kept] = field(default_factory=dict[str, Kept])
    calls: int = 0
    errors: int = 0


class Registry:
    """The accounts and streams of one server. Thread-safe.

    Args:
        store: the streams.
        limits: what the server gives to streams.
        server_name: the name in answers.
        version: of nats-server, whose behaviour this is.
        domain: of JetStream, "" without one.
        now_ns: the time.
    """

    def __init__(
        self,
        store: StreamStore,
        *,
        limits: ServerLimits,
        server_name: str,
        version: str,
        domain: str = "",
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.store = store
        self.limits = limits
        self.server_name = server_name
        self.domain = domain
        self.now_ns = now_ns
        self.accounts: dict[str, Account] = {}
        self.changing = threading.Lock()
        """Held while streams are made, changed or deleted."""
        self._version = version

    def reserved(self) -> tuple[int, int]:
        """Bytes that streams in memory, and in files, may grow to."""
        memory = file = 0
        for account in list(self.accounts.values()):
            for kept in list(account.streams.values()):
                bound = max(kept.config.max_bytes, 0)
                if kept.config.storage == "memory":
                    memory += bound
                else:
                    file += bound
        return memory, file

    def owner(self, account: str) -> Account:
        """An account.

        Raises:
            ApiError: it has no JetStream; a reload may have taken it away.
        """
        owner = self.accounts.get(account)
        if owner is None:
            raise NOT_ENABLED_FOR_ACCOUNT.error()
        return owner

    def streams(self, account: str) -> dict[str, Kept]:
        """Those of an account, by name.

        Raises:
            ApiError: the account has no JetStream.
        """
        return self.owner(account).streams

    def kept(self, account: str, name: str) -> Kept:
        """A stream.

        Raises:
            ApiError: there is none of this name.
        """
        kept = self.streams(account).get(name)
        if kept is None:
            raise STREAM_NOT_FOUND.error()
        return kept

    def surroundings(self, account: str) -> Surroundings:
        """What a new configuration has to fit into."""
        owner = self.owner(account)
        memory, file = self.reserved()
        limits = self.limits
        return Surroundings(
            server=ServerLimits(
                memory_bytes_max=limits.memory_bytes_max,
                file_bytes_max=limits.file_bytes_max,
                memory_bytes_reserved=memory,
                file_bytes_reserved=file,
                duplicate_window_ns_max=limits.duplicate_window_ns_max,
            ),
            limits=owner.limits,
            streams={name: kept.config for name, kept in owner.streams.items()},
        )

    def state(self, account: str, name: str) -> _core.StreamState:
        """What a stream holds.

        Raises:
            ApiError: there is none of this name.
        """
        try:
            return self.store.state(account, name)
        except _core.CoreError as error:
            raise STREAM_NOT_FOUND.error() from error

    def stream_info(
        self, account: str, name: str, kept: Kept, *, is_listed: bool = False
    ) -> dict[str, Any]:
        """What the API tells of a stream."""
        config = kept.config
        if not is_listed:
            config = stream_requests.answered(config, self._version)
        answer: dict[str, Any] = {
            "config": config.to_json(),
            "created": gojson.time_text(kept.created_ns),
            "state": state_json(self.state(account, name)),
        }
        if self.domain:
            answer["domain"] = self.domain
        answer["ts"] = gojson.time_text(self.now_ns())
        return answer


def state_json(state: _core.StreamState) -> dict[str, Any]:
    """The state of a stream as the API and monitoring give it."""
    answer: dict[str, Any] = {
        "messages": state.messages,
        "bytes": state.bytes,
        "first_seq": state.first_seq,
        "first_ts": gojson.time_text(state.first_time_ns),
        "last_seq": state.last_seq,
        "last_ts": gojson.time_text(state.last_time_ns),
    }
    if state.subjects:
        answer["num_subjects"] = state.subjects
    if state.deleted:
        answer["num_deleted"] = state.deleted
    if state.lost_messages:
        answer["lost"] = {"msgs": None, "bytes": state.lost_bytes}
    answer["consumer_count"] = 0
    return answer
