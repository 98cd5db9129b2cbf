"""What a server without clusters, gateways and leaf nodes answers for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from keelback.monitor.document import Document
from keelback.monitor.gotext import time_text

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
