"""The calls that make, change, describe and delete streams.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback import _core, gojson
from keelback.jetstream import advisories, requests, stream_requests
from keelback.jetstream.errors import (
    BAD_REQUEST,
    NOT_EMPTY_REQUEST,
    PURGE_FAILED,
    STREAM_CREATE,
    STREAM_DELETE,
    STREAM_GENERAL,
    STREAM_SEALED,
    STREAM_UPDATE,
)
from keelback.jetstream.registry import Kept
from keelback.jetstream.stream_config import decode_request
from keelback.jetstream.tables import check_supported, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.jetstream.calls import Answer, Called
    from keelback.jetstream.registry import Registry


class StreamCalls:
    """The calls that concern whole streams.

    Args:
        registry: the streams.
        advise: publishes in an account: subject and event.
    """

    def __init__(self, registry: Registry, advise: Callable[[str, str, bytes], None]) -> None:
        self._registry = registry
        self._advise = advise

    def create(self, called: Called, name: str) -> Answer:
        """Make a stream."""
        request = decode_request(called.body)
        with self._registry.changing:
            streams = self._registry.streams(called.account)
            config = stream_requests.create(
                request, name, self._registry.surroundings(called.account)
            )
            kept = streams.get(name)
            if kept is None:
                check_supported(config)
                kept = Kept(config, self._registry.now_ns())
                encoded = gojson.to_json(config.to_json())
                try:
                    table = table_of(config, self._registry.domain)
                    self._registry.store.create(
                        called.account, name, encoded, kept.created_ns, table
                    )
                except _core.CoreError as error:
                    raise STREAM_CREATE.error(err=error) from error
                streams[name] = kept
                self._tell(called.account, name, "create")
        info = self._registry.stream_info(called.account, name, kept)
        # As in nats-server, which names it everywhere else.
        info.pop("domain", None)
        return info | {"did_create": True}

    def update(self, called: Called, name: str) -> Answer:
        """Change the configuration of a stream."""
        request = decode_request(called.body)
        with self._registry.changing:
            around = self._registry.surroundings(called.account)
            config = stream_requests.update(request, name, around)
            check_supported(config)
            kept = self._registry.kept(called.account, name)
            encoded = gojson.to_json(config.to_json())
            try:
                table = table_of(config, self._registry.domain)
                self._registry.store.update(called.account, name, encoded, table)
            except _core.CoreError as error:
                raise STREAM_UPDATE.error(err=error) from error
            kept = Kept(config, kept.created_ns)
            self._registry.streams(called.account)[name] = kept
            self._tell(called.account, name, "modify")
        return self._registry.stream_info(called.account, name, kept)

    def delete(self, called: Called, name: str) -> Answer:
        """Delete a stream."""
        if not requests.is_empty(called.body):
            raise NOT_EMPTY_REQUEST.error()
        with self._registry.changing:
            self._registry.kept(called.account, name)
            try:
                self._registry.store.delete(called.account, name)
            except _core.CoreError as error:
                raise STREAM_DELETE.error(err=error) from error
            del self._registry.streams(called.account)[name]
            self._tell(called.account, name, "delete")
        return {"success": True}

    def _tell(self, account: str, name: str, action: advisories.Action) -> None:
        event = advisories.stream_action(
            name, action, now_ns=self._registry.now_ns(), domain=self._registry.domain
        )
        self._advise(account, *event)

    def purge(self, called: Called, name: str) -> Answer:
        """Remove many messages of a stream."""
        request = requests.PurgeRequest()
        if requests.has_object(called.body):
            request = requests.read_purge(called.body)
            if request.seq > 0 and request.keep > 0:
                raise BAD_REQUEST.error()
        config = self._registry.kept(called.account, name).config
        if config.sealed:
            raise STREAM_SEALED.error()
        if config.deny_purge:
            raise PURGE_FAILED.error(err="stream purge not permitted")
        try:
            purged = self._registry.store.purge(
                called.account,
                name,
                subject=request.filter,
                below_seq=request.seq,
                keep=request.keep,
            )
        except _core.CoreError as error:
            raise STREAM_GENERAL.error(err=error) from error
        return {"success": True, "purged": purged}
