"""The calls that read and delete single messages.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from keelback import _core, gojson
from keelback.jetstream import requests
from keelback.jetstream.errors import (
    BAD_REQUEST,
    MESSAGE_DELETE_FAILED,
    NO_MESSAGE_FOUND,
    SEQUENCE_NOT_FOUND,
    STREAM_SEALED,
    ApiError,
)
from keelback.jetstream.gotime import nanoseconds_of

if TYPE_CHECKING:
    from keelback.jetstream.calls import Answer, Called
    from keelback.jetstream.registry import Registry


class MessageCalls:
    """The calls that concern single messages."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def delete(self, called: Called, name: str) -> Answer:
        """Remove a message."""
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        request = requests.read_delete_message(called.body)
        config = self._registry.kept(called.account, name).config
        if config.sealed:
            raise STREAM_SEALED.error()
        if config.deny_delete:
            raise MESSAGE_DELETE_FAILED.error(err="message delete not permitted")
        try:
            removed = self._registry.store.remove(
                called.account, name, request.seq, erase=not request.no_erase
            )
        except _core.CoreError as error:
            return _uncounted(MESSAGE_DELETE_FAILED.error(err=error))
        if not removed:
            return _uncounted(self._missing(called.account, name, request.seq))
        return {"success": True}

    def _missing(self, account: str, name: str, seq: int) -> ApiError:
        """Why there was nothing to delete; the words are those of nats-server's stores."""
        state = self._registry.state(account, name)
        if self._registry.kept(account, name).config.storage == "memory":
            return SEQUENCE_NOT_FOUND.error(seq=seq)
        if seq > state.last_seq:
            return MESSAGE_DELETE_FAILED.error(err="stream store EOF")
        if seq < max(state.first_seq, 1):
            return MESSAGE_DELETE_FAILED.error(err="no message found")
        return SEQUENCE_NOT_FOUND.error(seq=seq)

    def get(self, called: Called, name: str) -> Answer:
        """Read a message."""
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        request = requests.read_get_message(called.body)
        if request.batch > 0 or request.max_bytes > 0 or _conflicts(request):
            raise BAD_REQUEST.error()
        self._registry.kept(called.account, name)
        found = self._find(called.account, name, request)
        if found is None:
            raise NO_MESSAGE_FOUND.error()
        message: Answer = {"subject": found.subject, "seq": found.seq}
        if found.headers and not request.no_hdr:
            message["hdrs"] = base64.b64encode(found.headers).decode()
        if found.payload:
            message["data"] = base64.b64encode(found.payload).decode()
        message["time"] = gojson.time_text(found.time_ns)
        return {"message": message}

    def _find(
        self, account: str, name: str, request: requests.GetMessageRequest
    ) -> _core.StoredMessage | None:
        start_ns = None if request.start_time is None else nanoseconds_of(request.start_time)
        store = self._registry.store
        try:
            if request.next_by_subj:
                return store.next_message(
                    account, name, request.next_by_subj, request.seq, start_ns
                )
            if start_ns is not None:
                return store.next_message(account, name, "", 0, start_ns)
            if request.seq:
                return store.message(account, name, request.seq)
            return store.last_message(account, name, request.last_by_subj)
        except _core.CoreError:
            return None


def _uncounted(error: ApiError) -> Answer:
    """An error that nats-server does not count as one of the API."""
    return {"error": error.to_json()}


def _conflicts(request: requests.GetMessageRequest) -> bool:
    by_seq, by_last, by_next = request.seq > 0, request.last_by_subj, request.next_by_subj
    by_time = request.start_time is not None
    return bool(
        (by_seq and by_last)
        or not (by_seq or by_last or by_next or by_time)
        or (by_seq and by_time)
        or (by_time and by_last)
        or (by_last and by_next)
    )
