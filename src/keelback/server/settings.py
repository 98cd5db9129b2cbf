"""What a configuration means, all options taken together: the input of a server's life cycle.

What was typed is `keelback.options`; `server.compile` leads from there to here. Times are
seconds, sizes are bytes.
"""

from __future__ import annotations

from keelback.auth.record import Record
from keelback.auth.users import AuthRules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal, cast
else:

    def cast(_: str, value: object) -> object:
        """Say a type; `typing` itself costs start-up time."""
        return value


RANDOM_PORT: Final = -1

MAX_PAYLOAD_WITHOUT_WARNING: Final = 8 * 1024 * 1024

TLS_AUTH_EXTRA_S: Final = 1.0
"""With TLS a client may take the TLS timeout and this to authenticate."""


class LimitSettings(Record):
    """What one client may ask of the server; 0 is without limit for the first three."""

    max_connections: int = 65536
    max_subscriptions: int = 0
    max_subscription_tokens: int = 0
    max_payload: int = 1048576
    max_control_line: int = 4096
    max_pending: int = 67108864
    write_deadline_s: float = 10.0
    ping_interval_s: float = 120.0
    ping_max: int = 2
    fast_producer_stall: bool = True
    write_timeout: Literal["default", "close", "retry"] = "default"
    """What becomes of a client whose write took too long; `default` is `close` for clients."""
    sublist_cache: bool = True
    max_closed_clients: int = 10_000
    """How many closed connections are remembered for monitoring."""


class TlsSettings(Record):
    """A listener's TLS; certificates are named by file and read at each start or reload."""

    certificates: tuple[tuple[str, str], ...]
    """(certificate file, key file); the first is the default, others by server name."""
    ca_file: str = ""
    verify: bool = False
    verify_and_map: bool = False
    min_version: Literal["1.2", "1.3"] = "1.2"
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    timeout_s: float = 2.0
    pinned_certs: tuple[str, ...] = ()
    optional: bool = False
    """`allow_non_tls`: the client's first byte decides."""
    handshake_first: bool = False
    handshake_first_fallback_s: float = 0.0
    connection_rate_limit: int = 0
    """Handshakes that are begun in a second; 0 is without limit."""

    @property
    def handshake_first_only(self) -> bool:
        """Whether a client that waits for INFO first waits in vain."""
        return self.handshake_first and self.handshake_first_fallback_s == 0


class LogSettings(Record):
    """What is logged, how a line looks, and where it goes."""

    debug: bool = False
    trace: bool = False
    trace_verbose: bool = False
    """Trace connections of the system account as well."""
    trace_headers: bool = False
    """Of a traced message, show the headers only."""
    max_traced_msg_len: int = 0
    """Bytes of a traced payload that are shown; 0 is all."""
    format: Literal["text", "json"] = "text"
    logtime: bool = True
    utc: bool = False
    file: str = ""
    """Comes before syslog, when both are given."""
    size_limit: int = 0
    """Bytes above which the file is put aside and a new one begun; 0 is without limit."""
    max_files: int = 0
    """Files that are kept, the one in use included; 0 is without limit."""
    syslog: bool = False
    remote_syslog: str = ""
    """`udp://host:port`, `tcp://host:port` or `unix:///path`; comes before `syslog`."""
    to_python: bool = False
    """Without a file: to Python's `logging` (embedded) instead of standard error."""


class LameDuckSettings(Record):
    """How a server that is about to stop sends its clients away."""

    duration_s: float = 120.0
    grace_period_s: float = 10.0


class MonitorSettings(Record):
    """Monitoring over HTTP or HTTPS; at most one of the ports is given."""

    SECRETS = frozenset({"password", "token"})

    host: str = "0.0.0.0"
    http_port: int | None = None
    """None: not over HTTP; -1: one that is free."""
    https_port: int | None = None
    """The same over HTTPS, with the certificates of the server's `tls`."""
    base_path: str = ""
    """As it was written; `root` is what paths begin with."""
    user: str = ""
    """With `password` or `token`, whoever asks must know one of them; without, anybody may."""
    password: str = ""
    token: str = ""
    metrics_connections_max: int = 0
    """Connections that have series of their own in `/metrics`."""
    metrics_subjects_max: int = 0

    @property
    def is_on(self) -> bool:
        """Whether there is monitoring at all."""
        return self.http_port is not None or self.https_port is not None

    @property
    def root(self) -> str:
        """`base_path` with one slash in front, none doubled and none behind; `/` without one."""
        from os.path import normpath  # noqa: PLC0415 - in memory anyhow

        return normpath("/" + self.base_path.lstrip("/"))


class BatchLimits(Record):
    """What batches of messages may take; None and 0 are the core's defaults."""

    inflight_per_stream: int | None = None
    inflight_total: int | None = None
    messages_max: int = 1000
    timeout_s: float = 10.0


class StreamLimits(Record):
    """What one stream or request may take; 0 is without limit. Shown as they were written."""

    max_request_batch: int = 0
    max_ack_pending: int = 0
    max_ha_assets: int = 0
    duplicate_window_s: float = 0.0
    """The longest that a stream may have."""
    default_max_consumers: int = 0
    """0: 1000."""
    max_inflight_per_stream: int = 0
    max_inflight_total: int = 0
    max_batch_msgs: int = 0
    batch_timeout_s: float = 0.0
    """These four: what `batch` in force was made of."""

    @property
    def batch(self) -> BatchLimits:
        """The limits of batches, with the defaults for what was not said."""
        default = BatchLimits()
        return BatchLimits(
            inflight_per_stream=max(self.max_inflight_per_stream, 0) or None,
            inflight_total=max(self.max_inflight_total, 0) or None,
            messages_max=max(self.max_batch_msgs, 0) or default.messages_max,
            timeout_s=max(self.batch_timeout_s, 0.0) or default.timeout_s,
        )


class JetStreamSettings(Record):
    """JetStream: where its store is, and how much it holds. Bytes; seconds."""

    store_dir: str = ""
    """"" is a directory for temporary files."""
    max_memory: int = -1
    """-1: three quarters of the memory."""
    max_file: int = -1
    """-1: three quarters of the free disk."""
    sync_interval_s: float = 0.0
    """0: an acknowledged message is on stable storage."""
    domain: str = ""
    strict: bool = True
    """Refuse requests with fields that are not known."""
    unique_tag: str = ""
    requests_max: int = 10_000
    """Requests that wait; one more, and all that wait are dropped."""
    info_requests_max: int = 10_000
    waiting_bytes_max: int = 128 << 20
    """Published to files and not yet written, of all streams."""
    limits: StreamLimits = StreamLimits()

    @property
    def durable(self) -> bool:
        """Whether an acknowledged message is on stable storage."""
        return not self.sync_interval_s


class AccountJetStreamSettings(Record):
    """What the streams of an account may hold; bytes, -1 is without limit."""

    max_memory: int = -1
    max_file: int = -1
    max_streams: int = -1
    max_consumers: int = -1
    max_bytes_required: bool = False
    memory_max_stream_bytes: int = -1
    file_max_stream_bytes: int = -1


class AccountSettings(Record):
    """An account that the configuration declares, and its limits; -1 is without limit."""

    name: str
    max_connections: int = -1
    max_subscriptions: int = -1
    max_payload: int = -1
    max_leafnodes: int = -1
    jetstream: AccountJetStreamSettings | None = None
    """None: it has no streams."""


class ServerSettings(Record):
    """One server."""

    host: str = "0.0.0.0"  # nats-server's default, which operators rely on
    port: int = 4222
    """-1: one that is free."""
    server_name: str = ""
    """"" takes the server's id."""
    client_advertise: str = ""
    threads: int = 0
    """Reactor threads; 0 takes a default for the processors there are."""
    headers: bool = True
    limits: LimitSettings = LimitSettings()
    auth: AuthRules = AuthRules()
    accounts: tuple[AccountSettings, ...] = ()
    system_account: str = "$SYS"
    """"" is none."""
    tls: TlsSettings | None = None
    log: LogSettings = LogSettings()
    monitor: MonitorSettings = MonitorSettings()
    lame_duck: LameDuckSettings = LameDuckSettings()
    jetstream: JetStreamSettings | None = None
    proxy_protocol: bool = False
    """Clients come through a load balancer that says who they are."""
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    feature_flags: tuple[tuple[str, bool], ...] = ()
    pid_file: str = ""
    ports_file_dir: str = ""
    config_file: str = ""
    config_digest: str = ""
    warnings: tuple[str, ...] = ()
    """What is legal but deserves a line in the log."""

    def without_jetstream(self) -> ServerSettings:
        """The same server without streams."""
        return cast("ServerSettings", self.replace(jetstream=None))

    @property
    def auth_timeout_s(self) -> float:
        """How long a client may take to authenticate."""
        return self.auth.timeout_s
