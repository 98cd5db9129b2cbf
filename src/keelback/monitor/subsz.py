"""/subsz: the subscriptions of every account, counted and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keelback.monitor.connz import SubscriptionRow, subscription_row
from keelback.monitor.document import Document
from keelback.monitor.gotext import number, time_text
from keelback.monitor.query import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query

PAGE_DEFAULT: Final = 1024


class SublistStats(Document, kw_only=True):
    """What a sublist counts of itself."""

    num_subscriptions: int
    num_cache: int
    num_inserts: int
    num_removes: int
    num_matches: int
    cache_hit_rate: int | float
    max_fanout: int
    avg_fanout: int | float


class Subsz(Document, kw_only=True):
    """The fields of /subsz; `total` is counted only when the subscriptions are listed."""

    server_id: str
    now: str
    num_subscriptions: int
    num_cache: int
    num_inserts: int
    num_removes: int
    num_matches: int
    cache_hit_rate: int | float
    max_fanout: int
    avg_fanout: int | float
    total: int
    offset: int
    limit: int
    subscriptions_list: tuple[SubscriptionRow, ...] = ()


def read_subsz(query: Query) -> Callable[[Facts], Subsz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    subscriptions = query.flag("subs")
    offset, limit = query.integer("offset"), query.integer("limit")
    return lambda facts: subsz(
        facts,
        subscriptions=subscriptions,
        offset=offset,
        limit=limit,
        account=query.text("acc"),
        test=query.text("test"),
    )


def subsz(
    facts: Facts,
    *,
    subscriptions: bool = False,
    offset: int = 0,
    limit: int = PAGE_DEFAULT,
    account: str = "",
    test: str = "",
) -> Subsz:
    """Counts of the sublists, and a page of the subscriptions.

    Args:
        facts: of the server.
        subscriptions: whether they are listed.
        offset: subscriptions before the page.
        limit: most subscriptions on it; 0 or less is 1024.
        account: only this account's.
        test: only those that a message to this subject would reach.

    Raises:
        QueryError: `test` is no subject to publish to.
    """
    if test and not is_literal_subject(test):
        raise QueryError(f"invalid test subject, must be valid publish subject: {test}")
    offset, limit = max(offset, 0), limit if limit > 0 else PAGE_DEFAULT
    stats = facts.plane.sublist_stats(account)
    total, rows = 0, ()
    if subscriptions:
        total, found = facts.plane.subscriptions(
            account=account, test=test, offset=offset, limit=limit
        )
        rows = tuple(subscription_row(each, with_account=True) for each in found)
    return Subsz(
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        num_subscriptions=int(stats["num_subscriptions"]),
        num_cache=int(stats["num_cache"]),
        num_inserts=int(stats["num_inserts"]),
        num_removes=int(stats["num_removes"]),
        num_matches=int(stats["num_matches"]),
        cache_hit_rate=number(stats["cache_hit_rate"]),
        max_fanout=int(stats["max_fanout"]),
        avg_fanout=number(stats["avg_fanout"]),
        total=total,
        offset=offset,
        limit=limit,
        subscriptions_list=rows,
    )


def sublist_stats(stats: Mapping[str, float]) -> SublistStats:
    """The core's counts of one sublist as they stand within another document."""
    return SublistStats(
        num_subscriptions=int(stats["num_subscriptions"]),
        num_cache=int(stats["num_cache"]),
        num_inserts=int(stats["num_inserts"]),
        num_removes=int(stats["num_removes"]),
        num_matches=int(stats["num_matches"]),
        cache_hit_rate=number(stats["cache_hit_rate"]),
        max_fanout=int(stats["max_fanout"]),
        avg_fanout=number(stats["avg_fanout"]),
    )


def is_literal_subject(subject: str) -> bool:
    """Whether one may publish to it: tokens that are neither empty nor wildcards nor spaced."""
    if any(space in subject for space in " \t\n\f\r"):
        return False
    return all(token not in ("", "*", ">") for token in subject.split("."))
