"""The calls that back a stream up and restore it.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback import gojson
from keelback.jetstream import advisories, requests, stream_requests
from keelback.jetstream.calls import TYPE_PREFIX
from keelback.jetstream.errors import (
    BAD_REQUEST,
    SNAPSHOT_SUBJECT_INVALID,
    STREAM_RESTORE_FAILED,
    STREAM_SNAPSHOT_FAILED,
    ErrorKind,
)
from keelback.jetstream.registry import Kept, state_json
from keelback.jetstream.stream_config import StreamConfig
from keelback.jetstream.subjects import is_literal, is_valid
from keelback.jetstream.tables import check_supported, table_of
from keelback.jetstream.transfers import RESTORE_PREFIX, Place, Transfers

if TYPE_CHECKING:
    from keelback import _core
    from keelback.jetstream.calls import Answer, Called
    from keelback.jetstream.registry import Registry


class TransferCalls:
    """The calls that begin a transfer.

    Args:
        registry: the streams.
        transfers: carries them out; None refuses to.
        message_bytes_max: the longest message that is restored.
    """

    def __init__(
        self, registry: Registry, transfers: Transfers | None, message_bytes_max: int
    ) -> None:
        self._registry = registry
        self._transfers = transfers
        self._message_bytes_max = message_bytes_max

    def back_up(self, called: Called, name: str) -> Answer:
        """Begin to send a stream as an archive."""
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        registry = self._registry
        kept = registry.kept(called.account, name)
        request = requests.read_snapshot(called.body)
        if not (is_valid(request.deliver_subject) and is_literal(request.deliver_subject)):
            raise SNAPSHOT_SUBJECT_INVALID.error()
        transfers = self._free_transfers(STREAM_SNAPSHOT_FAILED)
        found = registry.state(called.account, name)
        state = state_json(found)
        place = Place(called.account, name, called.client())

        def begin() -> _core.Backup:
            text = gojson.to_json(state)
            return registry.store.backup(
                called.account, name, text, found.last_seq, registry.now_ns()
            )

        called.then.append(lambda: transfers.back_up(place, request, state, begin))
        return {"config": kept.config.to_json(), "state": state}

    def restore(self, called: Called, name: str) -> Answer:
        """Begin to take an archive for a stream that is to be."""
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        asked = requests.read_restore(called.body).config or StreamConfig()
        transfers = self._free_transfers(STREAM_RESTORE_FAILED)
        around = self._registry.surroundings(called.account)
        config = stream_requests.restored(asked, name, around)
        check_supported(config)
        place = Place(called.account, name, called.client())
        identity = advisories.new_id()
        restoring = _Restoring(self._registry, called.account, config, self._message_bytes_max)
        transfers.restore(place, identity, restoring)
        return {"deliver_subject": f"{RESTORE_PREFIX}{name}.{identity}"}

    def _free_transfers(self, full: ErrorKind) -> Transfers:
        if self._transfers is None or self._transfers.is_full:
            raise full.error(err="there are as many transfers as there may be")
        return self._transfers


class _Restoring:
    """A stream that becomes one of an account's when its archive has come whole."""

    def __init__(
        self, registry: Registry, account: str, config: StreamConfig, message_bytes_max: int
    ) -> None:
        self._registry = registry
        self._account = account
        self._config = config
        self._message_bytes_max = message_bytes_max
        self._created_ns = 0

    def begin(self) -> _core.Restoration:
        config = self._config
        self._created_ns = self._registry.now_ns()
        return self._registry.store.restore(
            self._account,
            config.name,
            table_of(config, self._registry.domain),
            created_ns=self._created_ns,
            message_bytes_max=self._message_bytes_max,
            ids_from_ns=max(self._created_ns - config.duplicate_window, 0),
        )

    def finish(self, restoration: _core.Restoration) -> bytes:
        config, registry = self._config, self._registry
        text = gojson.to_json(config.to_json())
        with registry.changing:
            restoration.finish(text, table_of(config, registry.domain))
            kept = Kept(config, self._created_ns)
            registry.streams(self._account)[config.name] = kept
        info = registry.stream_info(self._account, config.name, kept)
        info.pop("domain", None)
        return gojson.to_json({"type": f"{TYPE_PREFIX}stream_create_response"} | info)

    def fail(self, error: Exception) -> bytes:
        refused = STREAM_RESTORE_FAILED.error(err=error)
        answer = {"type": f"{TYPE_PREFIX}stream_create_response", "error": refused.to_json()}
        return gojson.to_json(answer)
