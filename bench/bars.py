"""The workloads of the benchmark and the bar that each has to reach. The only place for both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Sense(Enum):
    """How ours is compared with the genuine server's figure."""

    AT_LEAST = "at least"
    """ours : genuine, a rate; the bar is a floor."""
    TIMES_LESS = "times less"
    """genuine : ours, a cost; the bar is a floor."""
    AT_MOST = "at most"
    """ours : genuine, a cost; the bar is a ceiling."""
    ABSOLUTE = "absolute"
    """Ours alone, in the metric's own unit; the bar is a ceiling."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a workload, the key under which the generator reports it, and its bar."""

    label: str
    key: str
    sense: Sense
    bar: float
    unit: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One row: what the generator is told, what is compared."""

    name: str
    title: str
    arguments: tuple[str, ...]
    metrics: tuple[Metric, ...]
    quick: tuple[str, ...] | None = None
    """Arguments in place of `arguments` when the run is quick."""
    relay: bool = False
    """Whether the relay can serve it too."""
    timed: bool = True
    """Whether it runs for a number of seconds, rather than for what its arguments say."""
    times: int = 1
    """How many times the rounds of others: more where single runs scatter."""
    secured: str = ""
    """How the servers are configured: "password", "tls", or one of `servers.STREAMS`."""
    genuine_secured: str | None = None
    """The same for nats-server, where it is another."""


def wall(bar: float, key: str = "messages_per_second", label: str = "messages/s") -> Metric:
    return Metric(label, key, Sense.AT_LEAST, bar, "/s")


def processor(bar: float) -> Metric:
    return Metric("server's processor time", "server_ns", Sense.TIMES_LESS, bar, "ns")


def ceiling(label: str, key: str, bar: float, unit: str) -> Metric:
    return Metric(label, key, Sense.AT_MOST, bar, unit)


def size_name(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def publish(size: int, wall_bar: float, processor_bar: float) -> Workload:
    return Workload(
        name=f"publish-{size}",
        title=f"publish without subscriber, {size_name(size)}",
        arguments=("publish", "--size", str(size)),
        metrics=(wall(wall_bar), processor(processor_bar)),
        relay=True,
    )


def one_to_one(size: int, wall_bar: float, processor_bar: float) -> Workload:
    return Workload(
        name=f"one-to-one-{size}",
        title=f"one publisher, one subscriber, {size_name(size)}",
        arguments=("one-to-one", "--size", str(size)),
        metrics=(wall(wall_bar), processor(processor_bar)),
        relay=True,
    )


def fanout(subs: int, wall_bar: float, processor_bar: float, *, own_sids: bool) -> Workload:
    return Workload(
        name=f"fanout-{subs}" + ("-own-sids" if own_sids else ""),
        title=f"fan-out to {subs}, 128 B" + (", a sid of its own each" if own_sids else ""),
        arguments=("fanout", "--subs", str(subs), "--size", "128")
        + (("--own-sids",) if own_sids else ()),
        metrics=(wall(wall_bar), processor(processor_bar)),
        relay=True,
    )


def streams(
    name: str,
    title: str,
    arguments: str,
    bar: float,
    *,
    ours: str = "streams",
    genuine: str = "streams",
) -> Workload:
    return Workload(
        name=f"stream-{name}",
        title=title,
        arguments=("stream-publish", *arguments.split()),
        metrics=(wall(bar, label="acknowledged/s"),),
        secured=ours,
        genuine_secured=genuine,
    )


def gets(by: str, title: str) -> Workload:
    arguments = ("stream-get", "--by", by, "--stored")
    return Workload(
        name=f"stream-get-{by}",
        title=title,
        arguments=(*arguments, "1000000"),
        quick=(*arguments, "100000"),
        metrics=(wall(2, label="messages/s"), processor(2)),
        secured="streams",
        genuine_secured="streams",
    )


def tls(size: int) -> Workload:
    return Workload(
        name=f"tls-{size}",
        title=f"TLS one-to-one, {size_name(size)}",
        arguments=("one-to-one", "--size", str(size), "--tls"),
        metrics=(wall(1.5), processor(1.5)),
        secured="tls",
    )


WORKLOADS: tuple[Workload, ...] = (
    publish(16, 6, 8),
    publish(128, 3, 5),
    publish(1024, 1.2, 2.5),
    one_to_one(16, 5, 8),
    one_to_one(128, 3, 5),
    one_to_one(1024, 1.5, 3),
    one_to_one(16384, 1.2, 2),
    fanout(10, 6, 10, own_sids=False),
    fanout(100, 8, 10, own_sids=False),
    Workload(
        name="pairs-4",
        title="4 publishers to 4 subscribers, 128 B",
        arguments=("pairs", "4", "--size", "128"),
        metrics=(wall(3), processor(5)),
        relay=True,
    ),
    Workload(
        name="queue-4",
        title="queue group of 4, 128 B",
        arguments=("queue", "--members", "4", "--size", "128"),
        metrics=(wall(3), processor(5)),
    ),
    fanout(10, 4, 5, own_sids=True),
    fanout(100, 4, 5, own_sids=True),
    Workload(
        name="mixed-subjects",
        title="1,000 subjects, 16 B to 1 KiB, replies and headers on half",
        arguments=("mixed-subjects",),
        metrics=(wall(3), processor(4)),
    ),
    Workload(
        name="churn",
        title="128 B beside 10,000 SUB and UNSUB a second",
        arguments=("churn", "--size", "128", "--rate", "10000"),
        metrics=(wall(2), processor(3)),
    ),
    Workload(
        name="request-reply",
        title="request-reply one at a time, 128 B",
        arguments=("request-reply", "--size", "128"),
        metrics=(
            ceiling("p50", "p50_us", 0.7, "µs"),
            ceiling("p99", "p99_us", 1.0, "µs"),
            processor(2),
        ),
        times=3,
    ),
    Workload(
        name="random-subjects",
        title="no match among 100,000 wildcard subscriptions",
        arguments=("random-subjects", "--wildcards", "100000"),
        metrics=(wall(2), processor(2)),
    ),
    Workload(
        name="subscriptions",
        title="1,000,000 distinct subscriptions",
        arguments=("subscriptions", "1000000"),
        quick=("subscriptions", "100000"),
        metrics=(
            wall(1.2, "inserts_per_second", "inserts/s"),
            wall(1.2, label="matches/s"),
            ceiling("memory for each", "bytes_per_subscription", 0.5, "B"),
        ),
    ),
    Workload(
        name="idle",
        title="10,000 idle connections",
        arguments=("idle", "--connections", "10000"),
        quick=("idle", "--connections", "1000"),
        metrics=(ceiling("memory for each", "bytes_per_connection", 0.15, "B"),),
        timed=False,
    ),
    Workload(
        name="connect",
        title="connections accepted and answered with PONG",
        arguments=("connect", "--connections", "20000"),
        quick=("connect", "--connections", "1000"),
        metrics=(wall(2, label="connections/s"),),
        times=3,
        timed=False,
    ),
    Workload(
        name="logins",
        title="10,000 password logins at once",
        arguments=("logins", "10000"),
        quick=("logins", "1000"),
        metrics=(wall(1, label="logins/s"),),
        timed=False,
        secured="password",
    ),
    tls(128),
    tls(1024),
)

START = Workload(
    name="start",
    title="start: from exec to an open listener",
    arguments=(),
    metrics=(ceiling("time", "ms", 10, "ms"),),
    timed=False,
    times=3,
)

EMBEDDED = Workload(
    name="embedded",
    title="embedded start: from call to an open listener",
    arguments=(),
    metrics=(Metric("time", "ms", Sense.ABSOLUTE, 15, "ms"),),
    timed=False,
    times=3,
)

POLLING = Workload(
    name="polling",
    title="/varz, /connz?subs=1 and /metrics 10 times a second, beside one-to-one 128 B",
    arguments=("one-to-one", "--size", "128"),
    metrics=(
        Metric(
            "reactor threads' time for the polls alone", "added_percent", Sense.ABSOLUTE, 2, "%"
        ),
        Metric(
            "… for a message, beside windows without", "in_turn_percent", Sense.ABSOLUTE, 2, "%"
        ),
        Metric("Python's time for the three", "poll_ms", Sense.ABSOLUTE, 50, "ms"),
    ),
)

PAGES = Workload(
    name="pages",
    title="a page of 1,024 of 10,000 connections",
    arguments=(),
    metrics=(
        ceiling("time", "page_ms", 3, "ms"),
        ceiling("p99 of request-reply meanwhile", "p99_us", 1, "µs"),
    ),
    timed=False,
)

OPENING = Workload(
    name="stream-opening",
    title="opening 10,000,000 messages in 1,000 subjects, beyond an empty store",
    arguments=("stream-publish", "--subjects", "1000", "--messages", "10000000"),
    quick=("stream-publish", "--subjects", "1000", "--messages", "300000"),
    metrics=(
        ceiling("after kill -9 under load", "killed_ms", 0.5, "ms"),
        ceiling("cleanly stopped", "clean_ms", 0.5, "ms"),
        Metric(
            "cleanly stopped and older than its duplicates", "older_ms", Sense.ABSOLUTE, 50, "ms"
        ),
    ),
    timed=False,
)

MEMORY = Workload(
    name="stream-resident",
    title="10,000,000 messages in 1,000 subjects, beyond an empty store",
    arguments=OPENING.arguments,
    quick=OPENING.quick,
    metrics=(ceiling("resident after three idle minutes", "idle_bytes", 0.5, "B"),),
    timed=False,
)

SUBJECTS_MEMORY = Workload(
    name="stream-resident-subjects",
    title="1,000,000 messages in as many subjects, beyond an empty store",
    arguments=("stream-publish", "--subjects", "1000000", "--messages", "1000000"),
    quick=("stream-publish", "--subjects", "100000", "--messages", "100000"),
    metrics=MEMORY.metrics,
    timed=False,
)

ALWAYS = "streams-always"

STREAMS: tuple[Workload, ...] = (
    streams("file", "file stream, durable, 128 B, beside a lazy nats-server", "--size 128", 2),
    streams("file-always", "… beside one that syncs as well", "--size 128", 50, genuine=ALWAYS),
    streams("file-4", "… 4 publishers, beside a lazy one", "--size 128 --publishers 4", 2),
    streams("file-1024", "… 1 KiB, beside a lazy one", "--size 1024", 1.3),
    streams(
        "file-one",
        "… 128 B one at a time, beside one that syncs as well",
        "--size 128 --in-flight 1",
        1.5,
        genuine=ALWAYS,
    ),
    streams(
        "file-100",
        "… 100 streams, 10 publishers, beside a lazy one",
        "--size 128 --streams 100 --publishers 10",
        1.5,
    ),
    streams("lazy", "file stream, both lazy, 128 B", "--size 128", 2.5, ours="streams-lazy"),
    streams("memory", "memory stream, 128 B", "--size 128 --storage memory", 3),
    gets("sequence", "direct get by sequence, of 1,000,000 messages on as many subjects"),
    gets("subject", "… of the last by subject"),
)

STORES = (OPENING, MEMORY, SUBJECTS_MEMORY)

ALL: tuple[Workload, ...] = (*WORKLOADS, *STREAMS, *STORES, START, EMBEDDED, POLLING, PAGES)
