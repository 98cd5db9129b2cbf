"""/jsz: JetStream as a whole, its accounts, their streams.

Source: nats-server 2.15 `server/monitor.go`, `Jsz`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from keelback.monitor.document import Document
from keelback.monitor.gotext import NS_PER_S, time_text
from keelback.monitor.query import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query
    from keelback.monitor.streams import AccountFacts, JetStreamFacts, StreamFacts

LIMIT_DEFAULT: Final = 1024
SYNC_INTERVAL_DEFAULT_S: Final = 120
CONSUMERS_DEFAULT: Final = 1000
_UINT64: Final = 1 << 64


class ApiCounts(Document, kw_only=True):
    """Requests to the API."""

    level: int
    total: int
    errors: int


class Stats(Document, kw_only=True):
    """What is held, reserved and asked."""

    memory: int
    storage: int
    reserved_memory: int
    reserved_storage: int
    accounts: int
    ha_assets: int
    api: ApiCounts


class Config(Document, kw_only=True):
    """What JetStream was configured to be; nanoseconds."""

    max_memory: int
    max_storage: int
    store_dir: str = ""
    sync_interval: int = 0
    sync_always: bool = False
    domain: str = ""
    compress_ok: bool = False
    unique_tag: str = ""
    strict: bool = False


class Limits(Document, kw_only=True):
    """Limits of one stream or request; nanoseconds."""

    max_request_batch: int = 0
    max_ack_pending: int = 0
    max_ha_assets: int = 0
    max_duplicate_window: int = 0
    max_batch_inflight_per_stream: int = 0
    max_batch_inflight_total: int = 0
    max_batch_size: int = 0
    max_batch_timeout: int = 0
    default_max_consumers: int = 0


class StreamDetail(Document, kw_only=True):
    """One stream."""

    name: str
    created: str
    cluster: Mapping[str, str]
    config: Mapping[str, Any] | None = None
    state: Mapping[str, Any]


class AccountDetail(Document, kw_only=True):
    """One account, with its streams if they were asked for."""

    name: str
    id: str
    memory: int
    storage: int
    reserved_memory: int
    reserved_storage: int
    accounts: int
    ha_assets: int
    api: ApiCounts
    stream_detail: tuple[StreamDetail, ...] = ()


class Jsz(Document, kw_only=True):
    """JetStream."""

    memory: int
    storage: int
    reserved_memory: int
    reserved_storage: int
    accounts: int
    ha_assets: int
    api: ApiCounts
    server_id: str
    now: str
    disabled: bool = False
    config: Config
    limits: Limits | None = None
    streams: int
    streams_leader: int = 0
    consumers: int
    messages: int
    bytes: int
    account_details: tuple[AccountDetail, ...] = ()
    total: int


def read_jsz(query: Query) -> Callable[[Facts], Jsz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    accounts, streams, consumers = map(query.flag, ("accounts", "streams", "consumers"))
    query.flag("direct-consumers")
    config = query.flag("config")
    offset, limit = query.integer("offset"), query.integer("limit")
    leader_only = query.flag("leader-only")
    raft = query.flag("raft")
    query.flag("stream-leader-only")
    account = query.text("acc")
    return lambda facts: jsz(
        facts,
        account=account,
        accounts=accounts,
        streams=streams or consumers,
        config=config,
        offset=offset,
        limit=limit,
        raft=raft,
        leader_only=leader_only,
    )


def jsz(
    facts: Facts,
    *,
    account: str = "",
    accounts: bool = False,
    streams: bool = False,
    config: bool = False,
    offset: int = 0,
    limit: int = 0,
    raft: bool = False,
    leader_only: bool = False,
) -> Jsz:
    """JetStream at this moment.

    Args:
        facts: of the server.
        account: details of this one alone.
        accounts: details of accounts.
        streams: details of streams, and so of accounts.
        config: the configuration of each stream.
        offset: accounts that are left out, in the order of their names.
        limit: most accounts; 0 is 1024, a negative number is no limit.
        raft: how many streams are led here.
        leader_only: no answer of a server that leads nothing.

    Raises:
        QueryError: the leader alone was to answer, and there is none.
    """
    found = facts.jetstream
    if found is None:
        if leader_only:
            raise QueryError("filtered response: not leader")
        return _off(facts)
    all_accounts = found.read_accounts()
    all_streams = [stream for each in all_accounts for stream in each.streams]
    chosen = [each for each in all_accounts if each.name == account]
    if not chosen and (accounts or (streams and not account)):
        chosen = _page(all_accounts, max(offset, 0), limit or LIMIT_DEFAULT)
    whole = stats(found)
    return Jsz(
        memory=whole.memory,
        storage=whole.storage,
        reserved_memory=whole.reserved_memory,
        reserved_storage=whole.reserved_storage,
        accounts=whole.accounts,
        ha_assets=0,
        api=whole.api,
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        config=configured(found),
        limits=limits(found),
        streams=len(all_streams),
        streams_leader=len(all_streams) if raft else 0,
        consumers=0,
        messages=sum(stream.state["messages"] for stream in all_streams),
        bytes=sum(stream.state["bytes"] for stream in all_streams),
        account_details=tuple(
            _account(each, found.leader, streams=streams, config=config) for each in chosen
        ),
        total=len(all_accounts),
    )


def limits(found: JetStreamFacts) -> Limits:
    """What one stream or request may take."""
    known = found.limits
    return Limits(
        max_request_batch=known.max_request_batch,
        max_ack_pending=known.max_ack_pending,
        max_ha_assets=known.max_ha_assets,
        max_duplicate_window=round(known.duplicate_window_s * NS_PER_S),
        max_batch_inflight_per_stream=known.batch_inflight_per_stream,
        max_batch_inflight_total=known.batch_inflight_total,
        max_batch_size=known.batch_messages,
        max_batch_timeout=round(known.batch_timeout_s * NS_PER_S),
        default_max_consumers=known.default_max_consumers or CONSUMERS_DEFAULT,
    )


def configured(found: JetStreamFacts) -> Config:
    """What JetStream was configured to be."""
    is_always = not found.sync_interval_s
    return Config(
        max_memory=found.max_memory,
        max_storage=found.max_file,
        store_dir=found.store_dir,
        sync_interval=round((found.sync_interval_s or SYNC_INTERVAL_DEFAULT_S) * NS_PER_S),
        sync_always=is_always,
        domain=found.domain,
        compress_ok=True,
        unique_tag=found.unique_tag,
        strict=found.strict,
    )


def stats(found: JetStreamFacts) -> Stats:
    """What is held, reserved and asked."""
    return Stats(
        memory=found.memory,
        storage=found.file,
        reserved_memory=found.reserved_memory,
        reserved_storage=found.reserved_file,
        accounts=len(found.account_names),
        ha_assets=0,
        api=ApiCounts(level=found.api_level, total=found.calls, errors=found.errors),
    )


def _off(facts: Facts) -> Jsz:
    return Jsz(
        memory=0,
        storage=0,
        reserved_memory=0,
        reserved_storage=0,
        accounts=0,
        ha_assets=0,
        api=ApiCounts(level=0, total=0, errors=0),
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        disabled=True,
        config=Config(max_memory=0, max_storage=0),
        streams=0,
        consumers=0,
        messages=0,
        bytes=0,
        total=0,
    )


def _page(accounts: tuple[AccountFacts, ...], offset: int, limit: int) -> list[AccountFacts]:
    ordered = sorted(accounts, key=lambda each: each.name)
    return ordered if limit < 0 else ordered[offset : offset + limit]


def _account(found: AccountFacts, leader: str, *, streams: bool, config: bool) -> AccountDetail:
    return AccountDetail(
        name=found.name,
        id=found.name,
        memory=found.memory,
        storage=found.file,
        # As nats-server has it: its limits as unsigned numbers.
        reserved_memory=found.memory_max % _UINT64,
        reserved_storage=found.file_max % _UINT64,
        accounts=0,
        ha_assets=0,
        api=ApiCounts(level=0, total=found.calls, errors=found.errors),
        stream_detail=tuple(
            _stream(each, leader, config=config) for each in found.streams if streams
        ),
    )


def _stream(found: StreamFacts, leader: str, *, config: bool) -> StreamDetail:
    return StreamDetail(
        name=found.name,
        created=found.created,
        cluster={"leader": leader},
        config=found.config if config else None,
        state=found.state,
    )
