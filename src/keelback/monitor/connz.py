"""/connz: one page of the connections, open or closed.

Up to a thousand rows are built for each request: the core has filtered, sorted and cut before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from keelback import _core
from keelback.monitor.document import Document
from keelback.monitor.gotext import rtt_text, time_text, uptime_text
from keelback.monitor.query import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query, State

PAGE_DEFAULT: Final = 1024

Sort = Literal[
    "cid",
    "start",
    "subs",
    "pending",
    "msgs_to",
    "msgs_from",
    "bytes_to",
    "bytes_from",
    "last",
    "idle",
    "uptime",
    "rtt",
    "stop",
    "reason",
]

SORTS: Final[frozenset[str]] = frozenset(get_args(Sort))

GLOBAL_ACCOUNT: Final = "$G"
"""Left out of a connection's `account`."""

REDACTED: Final = "[REDACTED]"

MATCHES_ALL: Final = ">"


class SubscriptionRow(Document, kw_only=True):
    """One subscription, as in /connz and /subsz."""

    account: str = ""
    account_tag: str = ""
    subject: str
    qgroup: str = ""
    sid: str
    msgs: int
    max: int = 0
    cid: int


class CertificateRow(Document, kw_only=True):
    """A certificate that a client presented; digests are hexadecimal SHA-256."""

    subject: str = ""
    spki_sha256: str = ""
    cert_sha256: str = ""


class ConnectionRow(Document, kw_only=True):
    """One connection, in nats-server's order."""

    cid: int
    kind: str = ""
    type: str = ""
    ip: str
    port: int
    start: str
    last_activity: str
    stop: str = ""
    reason: str = ""
    rtt: str = ""
    uptime: str
    idle: str
    pending_bytes: int
    in_msgs: int
    out_msgs: int
    in_bytes: int
    out_bytes: int
    stalls: int = 0
    subscriptions: int
    name: str = ""
    lang: str = ""
    version: str = ""
    tls_version: str = ""
    tls_cipher_suite: str = ""
    tls_peer_certs: tuple[CertificateRow, ...] = ()
    tls_first: bool = False
    authorized_user: str = ""
    account: str = ""
    subscriptions_list: tuple[str, ...] = ()
    subscriptions_list_detail: tuple[SubscriptionRow, ...] = ()
    name_tag: str = ""


class Connz(Document, kw_only=True):
    """A page of connections; `total` counts them before the page was cut."""

    server_id: str
    now: str
    num_connections: int
    total: int
    offset: int
    limit: int
    connections: list[ConnectionRow] | None


def read_connz(query: Query) -> Callable[[Facts], Connz]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    sort = query.text("sort")
    auth = query.flag("auth")
    subscriptions, detail = query.subscriptions()
    offset, limit = query.integer("offset"), query.integer("limit")
    cid = query.unsigned("cid")
    state = query.state()
    return lambda facts: connz(
        facts,
        sort=sort,
        auth=auth,
        subscriptions=subscriptions,
        subscriptions_detail=detail,
        offset=offset,
        limit=limit,
        cid=cid,
        state=state,
        user=query.text("user"),
        account=query.text("acc"),
        mqtt_client=query.text("mqtt_client"),
    )


def connz(
    facts: Facts,
    *,
    sort: str = "",
    auth: bool = False,
    subscriptions: bool = False,
    subscriptions_detail: bool = False,
    offset: int = 0,
    limit: int = PAGE_DEFAULT,
    cid: int = 0,
    state: State = "open",
    user: str = "",
    account: str = "",
    mqtt_client: str = "",
    filter_subject: str = "",
) -> Connz:
    """One page of connections.

    Args:
        facts: of the server.
        sort: by what, "" for cid; cid, start, uptime and reason ascend, all else descends.
        auth: whether users, accounts and certificates are told.
        subscriptions: whether each one's subjects are listed.
        subscriptions_detail: whether its subscriptions are, in place of the subjects.
        offset: connections before the page.
        limit: most connections on it; 0 or less is 1024.
        cid: one connection alone, unless 0.
        state: open ones, closed ones or both.
        user: only this user's.
        account: only this account's.
        mqtt_client: only the one with this MQTT client id.
        filter_subject: only those with a subscription that meets it; needs an account.

    Raises:
        QueryError: the options do not go together; the text is nats-server's.
    """
    _check(sort, state, account, filter_subject)
    limit = limit if limit > 0 else PAGE_DEFAULT
    page = Connz(
        server_id=facts.server_id,
        now=time_text(facts.now_ns),
        num_connections=0,
        total=0,
        offset=max(offset, 0),
        limit=1 if cid else limit,
        connections=[],
    )
    if account and all(each.name != account for each in facts.plane.accounts()):
        page.server_id, page.connections = "", None  # as nats-server answers
        return page
    plane = facts.plane
    page.total, found = plane.connection_page(
        _core.ConnectionQuery(
            state=state,
            sort=cast("Sort", sort or "cid"),
            offset=page.offset,
            limit=page.limit,
            cid=cid,
            user=user,
            account=account,
            filter_subject="" if filter_subject == MATCHES_ALL else filter_subject,
            subscriptions=subscriptions or subscriptions_detail,
        )
    )
    plane.ping_unmeasured()
    if mqtt_client:
        return page  # no connection is of MQTT
    now_ns = facts.now_ns
    page.connections = rows = [_row(each, now_ns) for each in found]
    page.num_connections = len(rows)
    if auth:
        _tell_who(rows, found)
    if subscriptions_detail:
        for row, each in zip(rows, found, strict=True):
            row.subscriptions_list_detail = tuple(
                subscription_row(one, with_account=bool(each.stop_ns))
                for one in each.subscription_list
            )
    elif subscriptions:
        for row, each in zip(rows, found, strict=True):
            row.subscriptions_list = tuple(one.subject for one in each.subscription_list)
    return page


def subscription_row(found: _core.SubscriptionInfo, *, with_account: bool) -> SubscriptionRow:
    """One subscription; where many accounts are mixed, with its account."""
    account = found.account if with_account else ""
    return SubscriptionRow(
        account=account,
        account_tag=account,
        subject=found.subject,
        qgroup=found.queue,
        sid=found.sid,
        msgs=found.msgs,
        max=found.max,
        cid=found.connection,
    )


def _check(sort: str, state: State, account: str, filter_subject: str) -> None:
    if sort and sort not in SORTS:
        raise QueryError(f"invalid sorting option: {sort}")
    if sort in ("stop", "reason") and state != "closed":
        raise QueryError(f"sort by {sort} only valid on closed connections")
    if filter_subject and filter_subject != MATCHES_ALL and not account:
        raise QueryError("filter by subject only valid with account filtering")


def _row(found: _core.ConnectionInfo, now_ns: int) -> ConnectionRow:
    start_ns, active_ns, stop_ns = found.start_ns, found.last_activity_ns, found.stop_ns
    end_ns = stop_ns or now_ns
    return ConnectionRow(
        cid=found.cid,
        kind="Client",
        type="nats",
        ip=found.ip,
        port=found.port,
        start=time_text(start_ns),
        last_activity=time_text(active_ns),
        stop=time_text(stop_ns) if stop_ns else "",
        reason=found.reason,
        rtt=rtt_text(found.rtt_ns),
        uptime=uptime_text(end_ns - start_ns),
        idle=uptime_text(end_ns - active_ns),
        pending_bytes=found.pending_bytes,
        in_msgs=found.in_msgs,
        out_msgs=found.out_msgs,
        in_bytes=found.in_bytes,
        out_bytes=found.out_bytes,
        stalls=found.stalls,
        subscriptions=found.subscriptions,
        name=found.name,
        lang=found.lang,
        version=found.version,
        tls_version=found.tls_version,
        tls_cipher_suite=found.tls_cipher_suite,
        tls_first=found.tls_first,
    )


def _tell_who(rows: Sequence[ConnectionRow], found: Sequence[_core.ConnectionInfo]) -> None:
    for row, each in zip(rows, found, strict=True):
        row.authorized_user = user_name(each.user)
        if each.account != GLOBAL_ACCOUNT:
            row.account = row.name_tag = each.account
        elif not each.stop_ns:  # of closed ones nats-server leaves out this, too
            row.name_tag = each.account
        if each.certificates:
            from keelback.monitor.certificates import certificate_rows  # noqa: PLC0415  # heavy

            row.tls_peer_certs = certificate_rows(tuple(each.certificates))


def user_name(label: str) -> str:
    """The user of a label (`user:bob`, `nkey:U…`, `token`); a token is a secret."""
    kind, colon, name = label.partition(":")
    if kind == "token":
        return REDACTED
    return name if colon else label
