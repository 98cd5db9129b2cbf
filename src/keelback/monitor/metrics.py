"""/metrics: the Prometheus text format, under the names that boards and alert rules know.

The names of prometheus-nats-exporter, as if it ran beside the server with `-varz -connz -subsz
-healthz -accstatz -accountz -jsz`; and the short `nats_…` names. Its quirk is kept: the totals of
`gnatsd_connz_…` are those of the first page of 1,024 connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from keelback import _core
from keelback.monitor.connz import PAGE_DEFAULT
from keelback.monitor.document import to_dict
from keelback.monitor.gotext import NS_PER_MS, NS_PER_US
from keelback.monitor.healthz import healthz
from keelback.monitor.subsz import subsz
from keelback.monitor.varz import varz

if TYPE_CHECKING:
    from keelback.monitor.facts import Facts
    from keelback.monitor.streams import StreamFacts

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["gauge", "counter"]
Labels = tuple[tuple[str, str], ...]

LABELLED: Final = frozenset({"server_id", "server_name", "version", "domain", "leader", "name"})
"""Texts that become a label `value` of a gauge that is 1; other texts are left out."""

JWT_LIMITS: Final = (
    "subs",
    "data",
    "payload",
    "imports",
    "exports",
    "wildcards",
    "conn",
    "leaf",
)
"""Of accounts; they come from their JWTs, and are 0 for accounts without."""

SUBSCRIPTIONS_READ_MAX: Final = 65536
"""Subscriptions that are looked through for subjects; the rest have no series."""

SHORT_NAMES: Final[tuple[tuple[str, str, Kind, str], ...]] = (
    ("nats_connections", "connections", "gauge", "Client connections of now."),
    ("nats_subscriptions", "subscriptions", "gauge", "Subscriptions of now."),
    ("nats_in_msgs", "in_msgs", "counter", "Messages received from clients."),
    ("nats_out_msgs", "out_msgs", "counter", "Messages sent to clients."),
    ("nats_in_bytes", "in_bytes", "counter", "Bytes of payload received from clients."),
    ("nats_out_bytes", "out_bytes", "counter", "Bytes of payload sent to clients."),
    ("nats_slow_consumers", "slow_consumers", "counter", "Clients cut off as slow consumers."),
)


class Exposition:
    """Samples, gathered by name: the format wants those of one name side by side."""

    def __init__(self) -> None:
        self._families: dict[str, list[str]] = {}

    def add(
        self,
        name: str,
        value: float,
        labels: Labels = (),
        *,
        kind: Kind = "gauge",
        about: str = "",
    ) -> None:
        """One sample. The kind and the help of a name are those of its first."""
        lines = self._families.get(name)
        if lines is None:
            lines = [f"# HELP {name} {about or name}\n", f"# TYPE {name} {kind}\n"]
            self._families[name] = lines
        shown = _rendered(labels)
        lines.append(f"{name}{{{shown}}} {value}\n" if shown else f"{name} {value}\n")

    def text(self) -> bytes:
        """The page."""
        return "".join(line for lines in self._families.values() for line in lines).encode()


def metrics(facts: Facts) -> bytes:
    """The page of this moment."""
    page = Exposition()
    server: Labels = (("server_id", facts.server_id),)
    whole = to_dict(varz(facts))
    _flatten(page, "gnatsd_varz", whole, server)
    page.add("gnatsd_varz_start", facts.start_ns // NS_PER_MS, server)
    page.add("gnatsd_varz_config_load_time", facts.config_load_ns // NS_PER_MS, server)
    _flatten(page, "gnatsd_subsz", to_dict(subsz(facts)), server)
    _connections(page, facts, server)
    _health(page, facts, server)
    _accounts(page, facts, server)
    _jetstream(page, facts)
    for name, field, kind, about in SHORT_NAMES:
        page.add(name, whole[field], server, kind=kind, about=about)
    _slow_consumers(page, facts, server)
    if facts.subjects_max > 0:
        _subjects(page, facts, server)
    return page.text()


def _flatten(page: Exposition, prefix: str, document: Mapping[str, Any], server: Labels) -> None:
    """Each number of a document, nested names joined; booleans and lists are left out."""
    for key, value in document.items():
        name = f"{prefix}_{key.replace('/', '_').strip('_')}".rstrip("_")
        if isinstance(value, Mapping):
            _flatten(page, name, cast("Mapping[str, Any]", value), server)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            page.add(name, value, server)
        elif isinstance(value, str) and key in LABELLED:
            page.add(name, 1, (*server, ("value", value)))


def _connections(page: Exposition, facts: Facts, server: Labels) -> None:
    total, found = facts.plane.connection_page(_core.ConnectionQuery(limit=PAGE_DEFAULT))
    for name, value in (
        ("num_connections", len(found)),
        ("total", total),
        ("offset", 0),
        ("limit", PAGE_DEFAULT),
        ("pending_bytes", sum(each.pending_bytes for each in found)),
        ("subscriptions", sum(each.subscriptions for each in found)),
    ):
        page.add(f"gnatsd_connz_{name}", value, server)
    for name, value in (
        ("in_bytes", sum(each.in_bytes for each in found)),
        ("out_bytes", sum(each.out_bytes for each in found)),
        ("in_msgs", sum(each.in_msgs for each in found)),
        ("out_msgs", sum(each.out_msgs for each in found)),
    ):
        page.add(f"gnatsd_connz_{name}", value, server, kind="counter")
    for each in found[: max(facts.connections_max, 0)]:
        _connection(page, facts, each, server)


def _slow_consumers(page: Exposition, facts: Facts, server: Labels) -> None:
    for each in facts.slow_consumers:
        labels: Labels = (
            *server,
            ("cid", str(each.connection)),
            ("ip", each.client_ip),
            ("account", each.account),
            ("name", each.name),
            ("subject", each.subject),
            ("reason", each.reason),
        )
        about = "Bytes that waited for one of the last slow consumers when it was cut off."
        page.add("nats_slow_consumer_pending_bytes", each.pending_bytes, labels, about=about)


def _connection(
    page: Exposition, facts: Facts, found: _core.ConnectionInfo, server: Labels
) -> None:
    labels: Labels = (
        *server,
        ("cid", str(found.cid)),
        ("kind", "Client"),
        ("type", "nats"),
        ("ip", found.ip),
        ("port", str(found.port)),
        ("name", found.name),
        ("name_tag", found.account),
        ("account", found.account),
        ("account_id", found.account),
        ("lang", found.lang),
        ("version", found.version),
        ("tls_version", found.tls_version),
        ("tls_cipher_suite", found.tls_cipher_suite),
    )
    for name, value in (
        ("pending_bytes", found.pending_bytes),
        ("subscriptions", found.subscriptions),
        ("in_bytes", found.in_bytes),
        ("out_bytes", found.out_bytes),
        ("in_msgs", found.in_msgs),
        ("out_msgs", found.out_msgs),
        ("start", found.start_ns // NS_PER_MS),
        ("last_activity", found.last_activity_ns // NS_PER_MS),
        ("rtt", found.rtt_ns // NS_PER_US),
        ("uptime", (facts.now_ns - found.start_ns) // NS_PER_MS),
        ("idle", (facts.now_ns - found.last_activity_ns) // NS_PER_MS),
    ):
        page.add(f"gnatsd_connz_{name}", value, labels)


def _health(page: Exposition, facts: Facts, server: Labels) -> None:
    less = healthz(facts, with_streams=False).status
    for variant, status in (
        ("healthz", healthz(facts).status),
        ("healthz_js_enabled_only", less),
        ("healthz_js_server_only", less),
    ):
        is_ok = status == "ok"
        page.add(f"gnatsd_{variant}_status", 0 if is_ok else 1, server)
        page.add(f"gnatsd_{variant}_status_value", 1 if is_ok else 0, (*server, ("value", status)))


def _accounts(page: Exposition, facts: Facts, server: Labels) -> None:
    enabled = frozenset[str]() if facts.jetstream is None else facts.jetstream.account_names
    for each in facts.plane.accounts():
        name: Labels = (("account_id", each.name), ("account_name", each.name))
        labels: Labels = (*server, ("account", each.name), *name)
        for metric, value in (
            ("current_connections", each.connections),
            ("total_connections", each.connections),
            ("subscriptions", each.subscriptions),
            ("leaf_nodes", 0),
            ("sent_messages", each.sent_msgs),
            ("sent_bytes", each.sent_bytes),
            ("received_messages", each.received_msgs),
            ("received_bytes", each.received_bytes),
            ("slow_consumers", each.slow_consumers),
        ):
            page.add(f"gnatsd_accstatz_{metric}", value, labels)
        labels = (*server, *name)
        for metric, value in (
            ("client_connections", each.connections),
            ("leafnode_connections", 0),
            ("subscriptions", each.subscriptions),
            ("is_system", int(each.is_system)),
            ("expired", 0),
            ("complete", 1),
            ("jetstream_enabled", int(each.name in enabled)),
            *((f"limit_{limit}", 0) for limit in JWT_LIMITS),
        ):
            page.add(f"gnatsd_accountz_{metric}", value, labels)


def _jetstream(page: Exposition, facts: Facts) -> None:
    found = facts.jetstream
    server: Labels = (
        ("server_id", facts.server_id),
        ("server_name", facts.server_name),
        ("cluster", ""),
        ("domain", "" if found is None else found.domain),
        ("meta_leader", ""),
        ("is_meta_leader", "true"),
    )
    accounts = () if found is None else found.read_accounts()
    streams = [stream for account in accounts for stream in account.streams]
    page.add("jetstream_server_jetstream_disabled", int(found is None), server)
    for name, value in (
        ("total_streams", len(streams)),
        ("total_consumers", 0),
        ("total_messages", sum(each.state["messages"] for each in streams)),
        ("total_message_bytes", sum(each.state["bytes"] for each in streams)),
        ("max_memory", 0 if found is None else found.max_memory),
        ("max_storage", 0 if found is None else found.max_file),
    ):
        page.add(f"jetstream_server_{name}", value, server)
    for account in accounts:
        labels: Labels = (
            *server,
            ("account", account.name),
            ("account_name", account.name),
            ("account_id", account.name),
        )
        for name, value in (
            ("max_memory", account.memory_max),
            ("max_storage", account.file_max),
            ("storage_used", account.file),
            ("memory_used", account.memory),
        ):
            page.add(f"jetstream_account_{name}", value, labels)
        for stream in account.streams:
            _stream(page, facts, stream, labels)


def _stream(page: Exposition, facts: Facts, stream: StreamFacts, account: Labels) -> None:
    labels: Labels = (
        *account,
        ("stream_name", stream.name),
        ("stream_leader", facts.server_name),
        ("is_stream_leader", "true"),
        ("stream_raft_group", ""),
    )
    config, state = stream.config, stream.state
    for name, value in (
        ("total_messages", state["messages"]),
        ("limit_messages", config["max_msgs"]),
        ("total_bytes", state["bytes"]),
        ("limit_bytes", config["max_bytes"]),
        ("first_seq", state["first_seq"]),
        ("last_seq", state["last_seq"]),
        ("consumer_count", state["consumer_count"]),
        ("subject_count", state.get("num_subjects", 0)),
    ):
        page.add(f"jetstream_stream_{name}", value, labels)
    about = "Whether a stream takes no messages because its disk does not."
    page.add("nats_stream_failing", int(bool(stream.failure)), labels, about=about)


def _subjects(page: Exposition, facts: Facts, server: Labels) -> None:
    """Subscriptions and what they were sent, by account and subject."""
    _, found = facts.plane.subscriptions(limit=SUBSCRIPTIONS_READ_MAX)
    by_subject: dict[tuple[str, str], list[int]] = {}
    for each in found:
        key = (each.account, each.subject)
        counts = by_subject.get(key)
        if counts is None:
            if len(by_subject) >= facts.subjects_max:
                continue
            counts = by_subject[key] = [0, 0]
        counts[0] += 1
        counts[1] += each.msgs
    for (account, subject), (count, msgs) in by_subject.items():
        labels = (*server, ("account", account), ("subject", subject))
        page.add("nats_subject_subscriptions", count, labels, about="Subscriptions of a subject.")
        page.add(
            "nats_subject_delivered_msgs",
            msgs,
            labels,
            about="Messages delivered to the subject's subscriptions of now.",
        )


@lru_cache(maxsize=64)
def _rendered(labels: Labels) -> str:
    """Labels between braces. Most samples have the same as the one before: a third of a page."""
    return ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
