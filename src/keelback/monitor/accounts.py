"""/accountz and /accstatz: the accounts, one by one and in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback.monitor.document import Document
from keelback.monitor.gotext import time_text
from keelback.monitor.query import QueryError
from keelback.monitor.subsz import SublistStats, sublist_stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keelback import _core
    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query


class AccountDetail(Document, kw_only=True):
    """One account."""

    account_name: str
    update_time: str
    is_system: bool = False
    expired: bool
    complete: bool
    jetstream_enabled: bool
    leafnode_connections: int
    client_connections: int
    subscriptions: int
    name_tag: str = ""
    sublist_stats: SublistStats


class Accountz(Document, kw_only=True):
    """The names of all accounts, or the details of one."""

    server_id: str
    now: str
    system_account: str = ""
    accounts: tuple[str, ...] | None = None
    account_detail: AccountDetail | None = None


class Amount(Document, kw_only=True):
    """Messages and bytes."""

    msgs: int
    bytes: int


class Traffic(Document, kw_only=True):
    """Messages and bytes, all and by kinds of servers."""

    msgs: int
    bytes: int
    gateways: Amount
    routes: Amount
    leafs: Amount


class AccountStat(Document, kw_only=True):
    """One account in numbers."""

    acc: str
    name: str
    conns: int
    leafnodes: int
    total_conns: int
    num_subscriptions: int
    sent: Traffic
    received: Traffic
    slow_consumers: int


class Accstatz(Document, kw_only=True):
    """The accounts in numbers."""

    server_id: str
    now: str
    account_statz: tuple[AccountStat, ...]


def read_accountz(query: Query) -> Callable[[Facts], Accountz]:
    """What a request's parameters ask for."""
    account = query.text("acc")
    return lambda facts: accountz(facts, account=account)


def accountz(facts: Facts, *, account: str = "") -> Accountz:
    """The names of all accounts; with `account` the details of that one.

    Raises:
        QueryError: there is no such account.
    """
    found = facts.plane.accounts()
    document = Accountz(
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        system_account=facts.system_account,
    )
    if not account:
        document.accounts = tuple(each.name for each in found)
        return document
    for each in found:
        if each.name == account:
            document.account_detail = _detail(facts, each)
            return document
    raise QueryError(f"Account {account} does not exist")


def read_accstatz(query: Query) -> Callable[[Facts], Accstatz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    unused = query.flag("unused")
    return lambda facts: accstatz(facts, include_unused=unused)


def accstatz(
    facts: Facts, *, accounts: Sequence[str] = (), include_unused: bool = False
) -> Accstatz:
    """The accounts that have connections, in numbers.

    Args:
        facts: of the server.
        accounts: only these, unless there are none.
        include_unused: those without connections, too.
    """
    return Accstatz(
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        account_statz=tuple(
            account_stat(each)
            for each in facts.plane.accounts()
            if (include_unused or each.connections) and (not accounts or each.name in accounts)
        ),
    )


def account_stat(found: _core.AccountInfo) -> AccountStat:
    """One account in numbers."""
    return AccountStat(
        acc=found.name,
        name=found.name,
        conns=found.connections,
        leafnodes=0,
        # Of this moment, in spite of the name: clients and leaf nodes.
        total_conns=found.connections,
        num_subscriptions=found.subscriptions,
        sent=_traffic(found.sent_msgs, found.sent_bytes),
        received=_traffic(found.received_msgs, found.received_bytes),
        slow_consumers=found.slow_consumers,
    )


def _traffic(msgs: int, size_bytes: int) -> Traffic:
    none = Amount(msgs=0, bytes=0)
    return Traffic(msgs=msgs, bytes=size_bytes, gateways=none, routes=none, leafs=none)


def _detail(facts: Facts, found: _core.AccountInfo) -> AccountDetail:
    return AccountDetail(
        account_name=found.name,
        # What accounts are comes with the configuration.
        update_time=time_text(facts.config_load_ns),
        is_system=found.is_system,
        expired=False,
        complete=True,
        jetstream_enabled=facts.jetstream is not None
        and found.name in facts.jetstream.account_names,
        leafnode_connections=0,
        client_connections=found.connections,
        subscriptions=found.subscriptions,
        name_tag=found.name,
        sublist_stats=sublist_stats(facts.plane.sublist_stats(found.name)),
    )
