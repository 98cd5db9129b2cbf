"""/varz: the server as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from keelback.monitor import jsz
from keelback.monitor.document import Document
from keelback.monitor.facts import PROTOCOL
from keelback.monitor.gotext import NS_PER_S, number, time_text, uptime_text

if TYPE_CHECKING:
    from keelback.monitor.facts import Facts


class Empty(Document, kw_only=True):
    """`{}`: of a part of the server that is not in use."""


class KindCounts(Document, kw_only=True):
    """A counter for each kind of connection."""

    clients: int
    routes: int
    gateways: int
    leafs: int


class DiskWaits(Document, kw_only=True):
    """Waits for a turn at the disk."""

    waiters: int
    waits: int
    wait_time: int
    max_wait_time: int


class JetStreamVarz(Document, kw_only=True):
    """JetStream; `{}` when it is off."""

    config: jsz.Config | None = None
    stats: jsz.Stats | None = None
    limits: jsz.Limits | None = None


class Varz(Document, kw_only=True):
    """The fields of /varz, in nats-server's order; durations in nanoseconds."""

    server_id: str
    server_name: str
    version: str
    proto: int
    git_commit: str = ""
    go: str
    host: str
    port: int
    auth_required: bool = False
    tls_required: bool = False
    tls_verify: bool = False
    connect_urls: tuple[str, ...] = ()
    max_connections: int
    max_subscriptions: int = 0
    ping_interval: int
    ping_max: int
    http_host: str
    http_port: int
    http_base_path: str
    https_port: int
    auth_timeout: int | float
    max_control_line: int
    max_payload: int
    max_pending: int
    cluster: Empty
    gateway: Empty
    leaf: Empty
    mqtt: Empty
    websocket: Empty
    jetstream: JetStreamVarz
    tls_timeout: int | float
    write_deadline: int
    write_timeout: str = ""
    start: str
    now: str
    uptime: str
    mem: int
    cores: int
    gomaxprocs: int
    cpu: int | float
    connections: int
    total_connections: int
    routes: int
    remotes: int
    leafnodes: int
    in_msgs: int
    in_bytes: int
    in_client_msgs: int
    in_client_bytes: int
    out_msgs: int
    out_bytes: int
    out_client_msgs: int
    out_client_bytes: int
    slow_consumers: int
    stale_connections: int
    stalled_clients: int
    subscriptions: int
    http_req_stats: Mapping[str, int]
    config_load_time: str
    config_digest: str
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] | None = None
    feature_flags: Mapping[str, bool] | None = None
    system_account: str = ""
    slow_consumer_stats: KindCounts
    stale_connection_stats: KindCounts
    disk_io_wait_stats: DiskWaits
    tls_cert_not_after: str = ""


_EMPTY = Empty()


def varz(facts: Facts) -> Varz:
    """The server as it is now."""
    counts = facts.plane.stats()
    return Varz(
        server_id=facts.server_id,
        server_name=facts.server_name,
        version=facts.version,
        proto=PROTOCOL,
        git_commit=facts.git_commit,
        go=facts.go,
        host=facts.host,
        port=facts.port,
        auth_required=facts.auth_required,
        tls_required=facts.tls_required,
        tls_verify=facts.tls_verify,
        connect_urls=facts.connect_urls,
        max_connections=facts.max_connections,
        max_subscriptions=facts.max_subscriptions,
        ping_interval=_nanoseconds(facts.ping_interval_s),
        ping_max=facts.ping_max,
        http_host=facts.http_host,
        http_port=facts.http_port,
        http_base_path=facts.http_base_path,
        https_port=facts.https_port,
        auth_timeout=number(facts.auth_timeout_s),
        max_control_line=facts.max_control_line,
        max_payload=facts.max_payload,
        max_pending=facts.max_pending,
        cluster=_EMPTY,
        gateway=_EMPTY,
        leaf=_EMPTY,
        mqtt=_EMPTY,
        websocket=_EMPTY,
        jetstream=_jetstream(facts),
        tls_timeout=number(facts.tls_timeout_s),
        write_deadline=_nanoseconds(facts.write_deadline_s),
        write_timeout=facts.write_timeout,
        start=time_text(facts.start_ns),
        now=time_text(facts.now_ns),
        uptime=uptime_text(facts.now_ns - facts.start_ns),
        mem=facts.usage.memory_bytes,
        cores=facts.usage.cores,
        gomaxprocs=facts.usage.cores,
        cpu=number(facts.usage.cpu_percent),
        connections=counts["connections"],
        total_connections=counts["total_connections"],
        routes=0,
        remotes=0,
        leafnodes=0,
        in_msgs=counts["in_msgs"],
        in_bytes=counts["in_bytes"],
        # Clients are all the connections that there are.
        in_client_msgs=counts["in_msgs"],
        in_client_bytes=counts["in_bytes"],
        out_msgs=counts["out_msgs"],
        out_bytes=counts["out_bytes"],
        out_client_msgs=counts["out_msgs"],
        out_client_bytes=counts["out_bytes"],
        slow_consumers=counts["slow_consumers"],
        stale_connections=counts["stale_connections"],
        stalled_clients=counts["stalled_clients"],
        subscriptions=counts["subscriptions"],
        # Go writes the keys of a map in order.
        http_req_stats=dict(sorted(facts.requests.items())),
        config_load_time=time_text(facts.config_load_ns),
        config_digest=facts.config_digest,
        tags=facts.tags,
        metadata=dict(sorted(facts.metadata.items())) or None,
        feature_flags=dict(sorted(facts.features.items())) or None,
        system_account=facts.system_account,
        slow_consumer_stats=_of_clients(counts["slow_consumers"]),
        stale_connection_stats=_of_clients(counts["stale_connections"]),
        disk_io_wait_stats=DiskWaits(waiters=0, waits=0, wait_time=0, max_wait_time=0),
        tls_cert_not_after=_time_or_nothing(facts.tls_certificate_end_ns),
    )


def _jetstream(facts: Facts) -> JetStreamVarz:
    found = facts.jetstream
    if found is None:
        return JetStreamVarz()
    return JetStreamVarz(
        config=jsz.configured(found), stats=jsz.stats(found), limits=jsz.limits(found)
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def _of_clients(count: int) -> KindCounts:
    return KindCounts(clients=count, routes=0, gateways=0, leafs=0)


def _time_or_nothing(since_1970_ns: int) -> str:
    return time_text(since_1970_ns) if since_1970_ns else ""
