"""JetStream's API: from a request on `$JS.API.>` to its answer, for a server alone.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from keelback import _core, gojson
from keelback.jetstream import api_level
from keelback.jetstream.calls import TYPE_PREFIX, Answer, Call, Called
from keelback.jetstream.consumer_calls import ConsumerCalls
from keelback.jetstream.errors import NOT_ENABLED_FOR_ACCOUNT, ApiError
from keelback.jetstream.info_calls import InfoCalls
from keelback.jetstream.json_kinds import reading
from keelback.jetstream.message_calls import MessageCalls
from keelback.jetstream.registry import Account, Kept, Registry
from keelback.jetstream.stream_calls import StreamCalls
from keelback.jetstream.stream_config import decode_config
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits
from keelback.jetstream.tables import table_of
from keelback.jetstream.transfer_calls import TransferCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keelback.jetstream.store import StreamStore
    from keelback.jetstream.stream_limits import ServerLimits
    from keelback.jetstream.transfers import Transfers

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
        transfers: backs up and restores; None refuses to.
        message_bytes_max: the longest message that is restored.
        is_strict: refuse requests with fields that are not known.
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
        transfers: Transfers | None = None,
        message_bytes_max: int = 1 << 20,
        is_strict: bool = True,
    ) -> None:
        self._is_strict = is_strict
        self._registry = Registry(
            store,
            limits=limits,
            server_name=server_name,
            version=version,
            domain=domain,
            now_ns=now_ns,
        )
        self._asked_before = (0, 0)
        info = InfoCalls(self._registry)
        streams = StreamCalls(self._registry, advise)
        messages = MessageCalls(self._registry)
        transfer = TransferCalls(self._registry, transfers, message_bytes_max)
        consumers = ConsumerCalls(self._registry)
        self._calls: Mapping[str, tuple[str, Call]] = {
            "INFO": ("account_info_response", info.account),
            "STREAM.CREATE": ("stream_create_response", streams.create),
            "STREAM.UPDATE": ("stream_update_response", streams.update),
            "STREAM.DELETE": ("stream_delete_response", streams.delete),
            "STREAM.INFO": ("stream_info_response", info.stream),
            "STREAM.NAMES": ("stream_names_response", info.names),
            "STREAM.LIST": ("stream_list_response", info.list),
            "STREAM.PURGE": ("stream_purge_response", streams.purge),
            "STREAM.SNAPSHOT": ("stream_snapshot_response", transfer.back_up),
            "STREAM.RESTORE": ("stream_restore_response", transfer.restore),
            "STREAM.MSG.GET": ("stream_msg_get_response", messages.get),
            "STREAM.MSG.DELETE": ("stream_msg_delete_response", messages.delete),
            "CONSUMER.NAMES": ("consumer_names_response", consumers.names),
            "CONSUMER.LIST": ("consumer_list_response", consumers.list),
            "CONSUMER.INFO": ("consumer_info_response", consumers.find),
            "CONSUMER.DELETE": ("consumer_delete_response", consumers.find),
            "CONSUMER.CREATE": ("consumer_create_response", consumers.create),
            "CONSUMER.DURABLE.CREATE": ("consumer_create_response", consumers.create),
        }

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Those that have JetStream, by name."""
        return self._registry.accounts

    def asked(self) -> tuple[int, int]:
        """Calls of all accounts, and how many failed; those of accounts that are gone, too."""
        calls, errors = self._asked_before
        accounts = list(self._registry.accounts.values())
        calls += sum(account.calls for account in accounts)
        return calls, errors + sum(account.errors for account in accounts)

    def reserved(self) -> tuple[int, int]:
        """Bytes that streams in memory, and in files, may grow to."""
        return self._registry.reserved()

    def set_limits(self, limits: ServerLimits) -> None:
        """Change what the server gives to streams; those that there are stay as they are."""
        self._registry.limits = limits

    def add_account(self, name: str, limits: Mapping[str, AccountLimits] | None = None) -> None:
        """Enable an account, before its streams are taken up."""
        self._registry.accounts[name] = Account(limits or {NO_TIER: AccountLimits()})

    def set_account_limits(self, name: str, limits: Mapping[str, AccountLimits]) -> None:
        """Change what an account that has JetStream may have."""
        self._registry.accounts[name].limits = limits

    def remove_account(self, name: str) -> None:
        """Take JetStream from an account: its streams take nothing; those in memory are gone.

        Raises:
            StoreError: a stream in memory could not be deleted.
        """
        registry = self._registry
        with registry.changing:
            gone = registry.accounts[name]
            calls, errors = self._asked_before
            self._asked_before = (calls + gone.calls, errors + gone.errors)
            del registry.accounts[name]
            for stream, kept in gone.streams.items():
                if kept.config.storage == "memory":
                    registry.store.delete(name, stream)
                else:
                    registry.store.stop_serving(name, stream)

    def take_up(self, name: str) -> list[str]:
        """Serve the streams that the store has of an account; names those that cannot be, and why.

        The account was added before.
        """
        problems: list[str] = []
        account = self._registry.accounts[name]
        for kept in self._registry.store.streams():
            if kept.account != name:
                continue
            if not kept.config:
                # A restoration that did not come to its end.
                self._registry.store.delete(kept.account, kept.name)
                continue
            try:
                config = decode_config(kept.config)
                self._registry.store.serve(
                    kept.account, kept.name, table_of(config, self._registry.domain)
                )
            except (ApiError, _core.CoreError) as error:
                problems.append(f"'{kept.account} > {kept.name}': {error}")
                continue
            account.streams[kept.name] = Kept(config, kept.created_ns)
        return problems

    def left_alone(self) -> list[tuple[str, str]]:
        """The account and name of each stream that the store keeps and nobody is served of."""
        accounts = self._registry.accounts
        return [
            (kept.account, kept.name)
            for kept in self._registry.store.streams()
            if kept.config
            and (kept.account not in accounts or kept.name not in accounts[kept.account].streams)
        ]

    def answer(
        self,
        account: str,
        subject: str,
        headers: bytes,
        body: bytes,
        *,
        client: Callable[[], Mapping[str, Any]] | None = None,
        then: list[Callable[[], None]] | None = None,
    ) -> bytes | None:
        """The answer to a request; None for one that gets none.

        An account that was not added is told that it has no JetStream.

        Args:
            account: of who asks.
            subject: of the request.
            headers: their block.
            body: the payload.
            client: tells who asks.
            then: gets what is to be done when the answer was sent.
        """
        operation, name = self._operation(subject)
        call = self._calls.get(operation)
        owner = self._registry.accounts.get(account)
        if call is None:
            return None
        kind, act = call
        answer: Answer = {"type": TYPE_PREFIX + kind}
        try:
            if owner is None:
                raise NOT_ENABLED_FOR_ACCOUNT.error()
            api_level.check_required(_header(headers, api_level.REQUIRED_LEVEL_HEADER))
            who = client or (lambda: {"acc": account})
            called = Called(account, subject, headers, body, who, [] if then is None else then)
            with reading(strictly=self._is_strict):
                answer |= act(called, name)
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
        own = f"$JS.{self._registry.domain}.API."
        if self._registry.domain and subject.startswith(own):
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


_WITHOUT_STREAM: Final = frozenset({"INFO", "STREAM.NAMES", "STREAM.LIST"})

_EMPTY: Final[Mapping[str, Answer]] = {
    "stream_info_response": {"total": 0, "offset": 0, "limit": 0},
    "stream_names_response": {"total": 0, "offset": 0, "limit": 0, "streams": None},
    "stream_list_response": {"total": 0, "offset": 0, "limit": 0, "streams": []},
    "stream_purge_response": {"purged": 0},
    "stream_restore_response": {"deliver_subject": ""},
    "consumer_names_response": {"total": 0, "offset": 0, "limit": 0, "consumers": []},
    "consumer_list_response": {"total": 0, "offset": 0, "limit": 0, "consumers": []},
}
"""What stands beside an error: Go's fields that have no value to be left out by."""


def _header(headers: bytes, name: str) -> str:
    """The first value of a header; "" without it."""
    for line in headers.split(b"\r\n")[1:]:
        key, colon, value = line.partition(b":")
        if colon and key == name.encode():
            return value.lstrip(b" ").decode(errors="replace")
    return ""
