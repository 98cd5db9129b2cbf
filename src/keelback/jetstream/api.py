"""JetStream's API: from a request on `$JS.API.>` to its answer, for a server alone.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from keelback import _core, gojson
from keelback.jetstream import advisories, api_level, requests, stream_requests
from keelback.jetstream.errors import (
    BAD_REQUEST,
    CONSUMER_CREATE,
    CONSUMER_NOT_FOUND,
    MESSAGE_DELETE_FAILED,
    NO_MESSAGE_FOUND,
    NOT_EMPTY_REQUEST,
    NOT_ENABLED_FOR_ACCOUNT,
    PURGE_FAILED,
    SEQUENCE_NOT_FOUND,
    STREAM_CREATE,
    STREAM_DELETE,
    STREAM_GENERAL,
    STREAM_NOT_FOUND,
    STREAM_SEALED,
    STREAM_UPDATE,
    ApiError,
)
from keelback.jetstream.gotime import nanoseconds_of
from keelback.jetstream.stream_config import StreamConfig, decode_config, decode_request
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits, ServerLimits, Surroundings
from keelback.jetstream.subjects import any_collide
from keelback.jetstream.tables import check_supported, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keelback.jetstream.store import StreamStore

    Answer = dict[str, Any]

PREFIX: Final = "$JS.API."

SERVED: Final = (
    "INFO",
    "STREAM.>",
    "CONSUMER.NAMES.*",
    "CONSUMER.LIST.*",
    "CONSUMER.INFO.*.*",
    "CONSUMER.DELETE.*.*",
    "CONSUMER.CREATE.>",
    "CONSUMER.DURABLE.CREATE.*.*",
)
"""What an API answers, behind the prefix. Who asks for anything else has no responders."""

TYPE_PREFIX: Final = "io.nats.jetstream.api.v1."

NAMES_LIMIT: Final = 1024
LIST_LIMIT: Final = 256
SUBJECTS_LIMIT: Final = 100_000
DELETED_MAX: Final = 1_000_000
"""Deleted sequences that an answer lists; there may be as many as there are numbers."""


@dataclass(frozen=True, slots=True)
class Called:
    """A request, taken apart."""

    account: str
    subject: str
    headers: bytes
    body: bytes


@dataclass(slots=True)
class Kept:
    """A stream as the API remembers it."""

    config: StreamConfig
    created_ns: int


@dataclass(slots=True)
class Account:
    """An account with JetStream: its limits, its streams, how often its API was called."""

    limits: Mapping[str, AccountLimits] = field(default_factory=lambda: {NO_TIER: AccountLimits()})
    streams: dict[str, Kept] = field(default_factory=dict[str, Kept])
    calls: int = 0
    errors: int = 0


def _nobody_listens(_account: str, _subject: str, _event: bytes) -> None:
    """Advise nobody."""


class Api:
    """The API of one server. Thread-safe; a call waits for the disk.

    Args:
        store: the streams.
        limits: what the server gives to streams.
        server_name: the name in answers.
        version: of nats-server, whose behaviour this is.
        domain: of JetStream, "" without one.
        now_ns: the time.
        advise: publishes in an account: subject and event.
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
        advise: Callable[[str, str, bytes], None] = _nobody_listens,
    ) -> None:
        self._store = store
        self._limits = limits
        self._server_name = server_name
        self._version = version
        self._domain = domain
        self._now_ns = now_ns
        self._advise = advise
        self._accounts: dict[str, Account] = {}
        # Held while streams are made, changed or deleted.
        self._changing = threading.Lock()
        self._calls: Mapping[str, tuple[str, Callable[[Called, str], Answer]]] = {
            "INFO": ("account_info_response", self._account_info),
            "STREAM.CREATE": ("stream_create_response", self._create),
            "STREAM.UPDATE": ("stream_update_response", self._update),
            "STREAM.DELETE": ("stream_delete_response", self._delete),
            "STREAM.INFO": ("stream_info_response", self._info),
            "STREAM.NAMES": ("stream_names_response", self._names),
            "STREAM.LIST": ("stream_list_response", self._list),
            "STREAM.PURGE": ("stream_purge_response", self._purge),
            "STREAM.MSG.GET": ("stream_msg_get_response", self._get_message),
            "STREAM.MSG.DELETE": ("stream_msg_delete_response", self._delete_message),
            "CONSUMER.NAMES": ("consumer_names_response", self._consumer_names),
            "CONSUMER.LIST": ("consumer_list_response", self._consumer_list),
            "CONSUMER.INFO": ("consumer_info_response", self._no_consumer),
            "CONSUMER.DELETE": ("consumer_delete_response", self._no_consumer),
            "CONSUMER.CREATE": ("consumer_create_response", self._refuse_consumer),
            "CONSUMER.DURABLE.CREATE": ("consumer_create_response", self._refuse_consumer),
        }

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Those that have JetStream, by name."""
        return self._accounts

    def reserved(self) -> tuple[int, int]:
        """Bytes that streams in memory, and in files, may grow to."""
        memory = file = 0
        for account in list(self._accounts.values()):
            for kept in list(account.streams.values()):
                bound = max(kept.config.max_bytes, 0)
                if kept.config.storage == "memory":
                    memory += bound
                else:
                    file += bound
        return memory, file

    def add_account(self, name: str, limits: Mapping[str, AccountLimits] | None = None) -> None:
        """Enable an account, before it is served."""
        self._accounts[name] = Account(limits or {NO_TIER: AccountLimits()})

    def take_up(self) -> list[str]:
        """Serve the streams that outlived the last run; names those that cannot be, and why."""
        problems: list[str] = []
        for kept in self._store.streams():
            account = self._accounts.get(kept.account)
            if account is None:
                problems.append(f"'{kept.account} > {kept.name}': the account has no JetStream")
                continue
            try:
                config = decode_config(kept.config)
                self._store.serve(kept.account, kept.name, table_of(config, self._domain))
            except (ApiError, _core.CoreError) as error:
                problems.append(f"'{kept.account} > {kept.name}': {error}")
                continue
            account.streams[kept.name] = Kept(config, kept.created_ns)
        return problems

    def answer(self, account: str, subject: str, headers: bytes, body: bytes) -> bytes | None:
        """The answer to a request; None for one that gets none.

        An account that was not added is told that it has no JetStream.
        """
        operation, name = self._operation(subject)
        call = self._calls.get(operation)
        owner = self._accounts.get(account)
        if call is None:
            return None
        kind, act = call
        answer: Answer = {"type": TYPE_PREFIX + kind}
        try:
            if owner is None:
                raise NOT_ENABLED_FOR_ACCOUNT.error()
            api_level.check_required(_header(headers, api_level.REQUIRED_LEVEL_HEADER))
            answer |= act(Called(account, subject, headers, body), name)
        except ApiError as error:
            if owner is not None:
                owner.calls += 1
                owner.errors += 1
            answer["error"] = error.to_json()
            answer |= _EMPTY.get(kind, {})
        else:
            # As in nats-server: what is read is no call.
            owner.calls += operation != "STREAM.MSG.GET"
        return gojson.to_json(answer)

    def _operation(self, subject: str) -> tuple[str, str]:
        """What a subject asks for, and of which stream."""
        own = f"$JS.{self._domain}.API."
        if self._domain and subject.startswith(own):
            subject = PREFIX + subject.removeprefix(own)
        tokens = subject.removeprefix(PREFIX).split(".")
        whole = ".".join(tokens)
        if whole in _WITHOUT_STREAM:
            return whole, ""
        if tokens[0] == "CONSUMER":
            count = 3 if tokens[1:2] == ["DURABLE"] else 2
            return ".".join(tokens[:count]), "".join(tokens[count : count + 1])
        for count in (2, 3):
            if len(tokens) == count + 1:
                return ".".join(tokens[:count]), tokens[count]
        return "", ""

    def _streams(self, account: str) -> dict[str, Kept]:
        return self._accounts[account].streams

    def _kept(self, account: str, name: str) -> Kept:
        kept = self._streams(account).get(name)
        if kept is None:
            raise STREAM_NOT_FOUND.error()
        return kept

    def _surroundings(self, account: str) -> Surroundings:
        owner = self._accounts[account]
        memory, file = self.reserved()
        limits = self._limits
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

    def _account_info(self, called: Called, _: str) -> Answer:
        owner = self._accounts[called.account]
        used = {"memory": 0, "file": 0}
        reserved = {"memory": 0, "file": 0}
        for name, kept in owner.streams.items():
            storage = "memory" if kept.config.storage == "memory" else "file"
            used[storage] += self._state(called.account, name).bytes
            reserved[storage] += max(kept.config.max_bytes, 0)
        limits = owner.limits.get(NO_TIER, AccountLimits())
        answer: Answer = {
            "memory": used["memory"],
            "storage": used["file"],
            "reserved_memory": reserved["memory"],
            "reserved_storage": reserved["file"],
            "streams": len(owner.streams),
            "consumers": 0,
            "limits": {
                "max_memory": limits.memory_bytes_max,
                "max_storage": limits.file_bytes_max,
                "max_streams": limits.streams_max,
                "max_consumers": limits.consumers_max,
                "max_ack_pending": -1,
                "memory_max_stream_bytes": limits.memory_stream_bytes_max or -1,
                "storage_max_stream_bytes": limits.file_stream_bytes_max or -1,
                "max_bytes_required": limits.max_bytes_required,
            },
        }
        if self._domain:
            answer["domain"] = self._domain
        answer["api"] = {
            "level": api_level.API_LEVEL,
            "total": owner.calls,
            "errors": owner.errors,
        }
        return answer

    def _create(self, called: Called, name: str) -> Answer:
        request = decode_request(called.body)
        with self._changing:
            streams = self._streams(called.account)
            config = stream_requests.create(request, name, self._surroundings(called.account))
            kept = streams.get(name)
            if kept is None:
                check_supported(config)
                kept = Kept(config, self._now_ns())
                encoded = gojson.to_json(config.to_json())
                try:
                    table = table_of(config, self._domain)
                    self._store.create(called.account, name, encoded, kept.created_ns, table)
                except _core.CoreError as error:
                    raise STREAM_CREATE.error(err=error) from error
                streams[name] = kept
                self._tell(called.account, name, "create")
        info = self._stream_info(called.account, name, kept)
        # As in nats-server, which names it everywhere else.
        info.pop("domain", None)
        return info | {"did_create": True}

    def _update(self, called: Called, name: str) -> Answer:
        request = decode_request(called.body)
        with self._changing:
            around = self._surroundings(called.account)
            config = stream_requests.update(request, name, around)
            check_supported(config)
            kept = self._kept(called.account, name)
            encoded = gojson.to_json(config.to_json())
            try:
                table = table_of(config, self._domain)
                self._store.update(called.account, name, encoded, table)
            except _core.CoreError as error:
                raise STREAM_UPDATE.error(err=error) from error
            kept = Kept(config, kept.created_ns)
            self._streams(called.account)[name] = kept
            self._tell(called.account, name, "modify")
        return self._stream_info(called.account, name, kept)

    def _delete(self, called: Called, name: str) -> Answer:
        if not requests.is_empty(called.body):
            raise NOT_EMPTY_REQUEST.error()
        with self._changing:
            self._kept(called.account, name)
            try:
                self._store.delete(called.account, name)
            except _core.CoreError as error:
                raise STREAM_DELETE.error(err=error) from error
            del self._streams(called.account)[name]
            self._tell(called.account, name, "delete")
        return {"success": True}

    def _tell(self, account: str, name: str, action: advisories.Action) -> None:
        event = advisories.stream_action(name, action, now_ns=self._now_ns(), domain=self._domain)
        self._advise(account, *event)

    def _info(self, called: Called, name: str) -> Answer:
        request = requests.InfoRequest()
        if requests.has_object(called.body):
            request = requests.read_info(called.body)
        kept = self._kept(called.account, name)
        info = self._stream_info(called.account, name, kept)
        paged = {"total": 0, "offset": 0, "limit": 0}
        state = info["state"]
        if request.deleted_details:
            deleted = self._deleted(called.account, name)
            if deleted:
                consumers = state.pop("consumer_count")
                state |= {"deleted": deleted, "consumer_count": consumers}
        if request.subjects_filter:
            self._add_subjects(called.account, name, request, state, paged)
        info["cluster"] = {"leader": self._server_name}
        order = ("config", "created", "state", "domain", "cluster", "ts")
        return paged | {key: info[key] for key in order if key in info}

    def _add_subjects(
        self,
        account: str,
        name: str,
        request: requests.InfoRequest,
        state: Answer,
        paged: dict[str, int],
    ) -> None:
        offset = max(request.offset, 0)
        total, page = self._store.subjects(
            account, name, request.subjects_filter, offset, SUBJECTS_LIMIT
        )
        if total == 0:
            return
        paged |= {"total": total, "offset": min(offset, total), "limit": SUBJECTS_LIMIT}
        rest = {
            key: state.pop(key)
            for key in ("num_deleted", "deleted", "lost", "consumer_count")
            if key in state
        }
        if page:
            state["subjects"] = dict(page)
        state |= rest

    def _deleted(self, account: str, name: str) -> list[int]:
        found: list[int] = []
        for first, last in self._store.deleted(account, name, DELETED_MAX):
            room = DELETED_MAX - len(found)
            found.extend(range(first, min(last + 1, first + room)))
            if len(found) >= DELETED_MAX:
                break
        return found

    def _names(self, called: Called, _: str) -> Answer:
        request = requests.ListRequest()
        if requests.has_object(called.body):
            request = requests.read_names(called.body)
        names = self._chosen(called.account, request.subject)
        offset = min(max(request.offset, 0), len(names))
        page = names[offset : offset + NAMES_LIMIT]
        return {
            "total": len(names),
            "offset": offset,
            "limit": NAMES_LIMIT,
            "streams": page or None,
        }

    def _list(self, called: Called, _: str) -> Answer:
        request = requests.ListRequest()
        if requests.has_object(called.body):
            request = requests.read_list(called.body)
        names = self._chosen(called.account, request.subject)
        offset = min(max(request.offset, 0), len(names))
        infos: list[Answer] = []
        for name in names[offset : offset + LIST_LIMIT]:
            kept = self._streams(called.account).get(name)
            if kept is not None:
                infos.append(self._stream_info(called.account, name, kept, is_listed=True))
        return {
            "total": len(names),
            "offset": offset,
            "limit": LIST_LIMIT,
            "streams": infos,
        }

    def _chosen(self, account: str, subject: str) -> list[str]:
        streams = dict(self._streams(account))
        return sorted(
            name
            for name, kept in streams.items()
            if not subject or any_collide((subject,), kept.config.subjects)
        )

    def _purge(self, called: Called, name: str) -> Answer:
        request = requests.PurgeRequest()
        if requests.has_object(called.body):
            request = requests.read_purge(called.body)
            if request.seq > 0 and request.keep > 0:
                raise BAD_REQUEST.error()
        config = self._kept(called.account, name).config
        if config.sealed:
            raise STREAM_SEALED.error()
        if config.deny_purge:
            raise PURGE_FAILED.error(err="stream purge not permitted")
        try:
            purged = self._store.purge(
                called.account,
                name,
                subject=request.filter,
                below_seq=request.seq,
                keep=request.keep,
            )
        except _core.CoreError as error:
            raise STREAM_GENERAL.error(err=error) from error
        return {"success": True, "purged": purged}

    def _delete_message(self, called: Called, name: str) -> Answer:
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        request = requests.read_delete_message(called.body)
        config = self._kept(called.account, name).config
        if config.sealed:
            raise STREAM_SEALED.error()
        if config.deny_delete:
            raise MESSAGE_DELETE_FAILED.error(err="message delete not permitted")
        try:
            removed = self._store.remove(
                called.account, name, request.seq, erase=not request.no_erase
            )
        except _core.CoreError as error:
            return _uncounted(MESSAGE_DELETE_FAILED.error(err=error))
        if not removed:
            return _uncounted(self._missing(called.account, name, request.seq))
        return {"success": True}

    def _missing(self, account: str, name: str, seq: int) -> ApiError:
        """Why there was nothing to delete; the words are those of nats-server's stores."""
        state = self._state(account, name)
        if self._kept(account, name).config.storage == "memory":
            return SEQUENCE_NOT_FOUND.error(seq=seq)
        if seq > state.last_seq:
            return MESSAGE_DELETE_FAILED.error(err="stream store EOF")
        if seq < max(state.first_seq, 1):
            return MESSAGE_DELETE_FAILED.error(err="no message found")
        return SEQUENCE_NOT_FOUND.error(seq=seq)

    def _get_message(self, called: Called, name: str) -> Answer:
        if requests.is_empty(called.body):
            raise BAD_REQUEST.error()
        request = requests.read_get_message(called.body)
        if request.batch > 0 or request.max_bytes > 0 or _conflicts(request):
            raise BAD_REQUEST.error()
        self._kept(called.account, name)
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
        store = self._store
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

    def _consumer_names(self, called: Called, name: str) -> Answer:
        self._kept(called.account, name)
        return {"total": 0, "offset": 0, "limit": NAMES_LIMIT, "consumers": []}

    def _consumer_list(self, called: Called, name: str) -> Answer:
        self._kept(called.account, name)
        return {"total": 0, "offset": 0, "limit": LIST_LIMIT, "consumers": []}

    def _no_consumer(self, called: Called, name: str) -> Answer:
        self._kept(called.account, name)
        raise CONSUMER_NOT_FOUND.error()

    def _refuse_consumer(self, called: Called, name: str) -> Answer:
        self._kept(called.account, name)
        raise CONSUMER_CREATE.error(err="keelback does not support consumers yet")

    def _state(self, account: str, name: str) -> _core.StreamState:
        try:
            return self._store.state(account, name)
        except _core.CoreError as error:
            raise STREAM_NOT_FOUND.error() from error

    def _stream_info(
        self, account: str, name: str, kept: Kept, *, is_listed: bool = False
    ) -> Answer:
        config = kept.config
        if not is_listed:
            config = stream_requests.answered(config, self._version)
        answer: Answer = {
            "config": config.to_json(),
            "created": gojson.time_text(kept.created_ns),
            "state": state_json(self._state(account, name)),
        }
        if self._domain:
            answer["domain"] = self._domain
        answer["ts"] = gojson.time_text(self._now_ns())
        return answer


_WITHOUT_STREAM: Final = frozenset({"INFO", "STREAM.NAMES", "STREAM.LIST"})

_EMPTY: Final[Mapping[str, Answer]] = {
    "stream_info_response": {"total": 0, "offset": 0, "limit": 0},
    "stream_names_response": {"total": 0, "offset": 0, "limit": 0, "streams": None},
    "stream_list_response": {"total": 0, "offset": 0, "limit": 0, "streams": []},
    "stream_purge_response": {"purged": 0},
    "consumer_names_response": {"total": 0, "offset": 0, "limit": 0, "consumers": []},
    "consumer_list_response": {"total": 0, "offset": 0, "limit": 0, "consumers": []},
}
"""What stands beside an error: Go's fields that have no value to be left out by."""


def _uncounted(error: ApiError) -> Answer:
    """An error that nats-server does not count as one of the API."""
    return {"error": error.to_json()}


def state_json(state: _core.StreamState) -> Answer:
    """The state of a stream as the API and monitoring give it."""
    answer: Answer = {
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


def _header(headers: bytes, name: str) -> str:
    """The first value of a header; "" without it."""
    for line in headers.split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key == name.encode():
            return value.lstrip(b" ").decode(errors="replace")
    return ""
