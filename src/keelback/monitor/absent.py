"""What a server without clusters, gateways, leaf nodes and JetStream answers for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from keelback.monitor.document import Document
from keelback.monitor.gotext import time_text
from keelback.monitor.query import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query

NO_RAFT_NODES: Final = "No Raft nodes registered"

_Nothing = Mapping[str, int]


class Routez(Document, kw_only=True):
    """The routes to the servers of one cluster."""

    server_id: str
    server_name: str
    now: str
    num_routes: int
    routes: tuple[int, ...]


class Gatewayz(Document, kw_only=True):
    """The gateways to other clusters."""

    server_id: str
    now: str
    outbound_gateways: _Nothing
    inbound_gateways: _Nothing


class Leafz(Document, kw_only=True):
    """The leaf nodes."""

    server_id: str
    now: str
    leafnodes: int
    leafs: tuple[int, ...]


class ApiCounts(Document, kw_only=True):
    """Requests to the API of JetStream."""

    level: int
    total: int
    errors: int


class StoreLimits(Document, kw_only=True):
    """Bytes that JetStream may take."""

    max_memory: int
    max_storage: int


class Jsz(Document, kw_only=True):
    """JetStream: off."""

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
    config: StoreLimits
    streams: int
    consumers: int
    messages: int
    bytes: int
    total: int


def read_routez(query: Query) -> Callable[[Facts], Routez]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    query.subscriptions()
    return routez


def routez(facts: Facts) -> Routez:
    """No routes."""
    return Routez(
        server_id=facts.server_id,
        server_name=facts.server_name,
        now=time_text(facts.now_ns),
        num_routes=0,
        routes=(),
    )


def read_gatewayz(query: Query) -> Callable[[Facts], Gatewayz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    query.subscriptions()
    query.flag("accs")
    return gatewayz


def gatewayz(facts: Facts) -> Gatewayz:
    """No gateways."""
    return Gatewayz(
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        outbound_gateways={},
        inbound_gateways={},
    )


def read_leafz(query: Query) -> Callable[[Facts], Leafz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    query.flag("subs")
    return leafz


def leafz(facts: Facts) -> Leafz:
    """No leaf nodes."""
    return Leafz(server_id=facts.server_id, now=time_text(facts.now_ns), leafnodes=0, leafs=())


def read_jsz(query: Query) -> Callable[[Facts], Jsz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    for name in ("accounts", "streams", "consumers", "direct-consumers", "config"):
        query.flag(name)
    query.integer("offset")
    query.integer("limit")
    leader_only = query.flag("leader-only")
    query.flag("raft")
    query.flag("stream-leader-only")
    return lambda facts: jsz(facts, leader_only=leader_only)


def jsz(facts: Facts, *, leader_only: bool = False) -> Jsz:
    """JetStream is off.

    Raises:
        QueryError: the leader alone was to answer, and there is none.
    """
    if leader_only:
        raise QueryError("filtered response: not leader")
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
        config=StoreLimits(max_memory=0, max_storage=0),
        streams=0,
        consumers=0,
        messages=0,
        bytes=0,
        total=0,
    )


def read_ipqueuesz(query: Query) -> Callable[[Facts], _Nothing]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    query.flag("all")
    return ipqueuesz


def ipqueuesz(_: Facts) -> _Nothing:
    """The queues between nats-server's goroutines have no counterpart here."""
    return {}
