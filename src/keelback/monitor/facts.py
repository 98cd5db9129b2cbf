"""`Facts`: all that monitoring is told of its server. Every document is a function of them.

Each request is given the facts of its moment; the counters are asked of the core's snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keelback import _core
    from keelback.monitor.streams import JetStreamFacts

PROTOCOL: Final = 1

NO_FEATURES: Final[Mapping[str, bool]] = {
    "js_ack_fc_v2": False,
    "js_api_reply_v2": False,
    "js_raft_delete_range": False,
    "js_snapshot_sources": False,
}
"""The feature flags of nats-server 2.15, as they are here: all are JetStream's."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What the process takes of its machine."""

    memory_bytes: int
    cpu_percent: float
    cores: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One server at one moment. Times are nanoseconds since 1970 UTC, 0 is not known."""

    plane: _core.Plane
    now_ns: int
    usage: Usage

    server_id: str
    server_name: str
    version: str
    git_commit: str
    go: str
    host: str
    """As clients are told."""
    port: int
    connect_urls: tuple[str, ...] = ()

    start_ns: int
    config_load_ns: int
    config_digest: str = ""
    is_ready: bool = True
    """Whether the client listener is open; it is not in lame duck mode."""

    auth_required: bool = False
    tls_required: bool = False
    tls_verify: bool = False
    tls_certificate_end_ns: int = 0
    """When the certificate of the client listener is valid no more."""
    max_connections: int = 65536
    max_subscriptions: int = 0
    max_control_line: int = 4096
    max_payload: int = 1048576
    max_pending: int = 67108864
    ping_interval_s: float = 120.0
    ping_max: int = 2
    auth_timeout_s: float = 2.0
    tls_timeout_s: float = 2.0
    write_deadline_s: float = 10.0
    write_timeout: str = ""
    """`close` or `retry` where it was configured."""
    system_account: str = "$SYS"
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = {}
    features: Mapping[str, bool] = {}

    http_host: str = ""
    http_port: int = 0
    https_port: int = 0
    http_base_path: str = ""
    requests: Mapping[str, int] = {}
    """Requests that each path of the monitoring port has received."""
    slow_consumers: tuple[_core.SlowConsumer, ...] = ()
    """The last that were cut off, oldest first."""
    connections_max: int = 0
    """Most connections that have series of their own in `/metrics`; 0 is none."""
    jetstream: JetStreamFacts | None = None
    """None: there is none."""
    wants_jetstream: bool = False
    """Whether it is configured; it may have failed to start at a reload."""
    subjects_max: int = 0
    """Most subjects that have series of their own in `/metrics`; 0 is none."""
