"""What a reload makes of each option that changed: refused, or a line of the log.

The order and the names are those of nats-server's options (`server/opts.go`, `type Options`), so
that of several refused changes the same one is named. What an option means at work is
`server.reload`'s business.
"""

from __future__ import annotations

from keelback.config.gotext import duration_text, float_text
from keelback.errors import ServerError
from keelback.options.accounts import SYSTEM_ACCOUNT
from keelback.options.jetstream import CONCURRENT_IO_DEFAULT, REQUESTS_DEFAULT, SYNC_ALWAYS
from keelback.options.kinds import NANOSECONDS_PER_SECOND
from keelback.server import jetstream_changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import cast

    from keelback.options import ServerOptions
    from keelback.options.flags import Given
else:

    def cast(_: str, value: object) -> object:
        """Say a type; `typing` itself costs start-up time."""
        return value


EXPONENT_MAX = 21

SYNC_INTERVAL_S = 120.0
"""What nats-server takes `always` for, beside it."""


class View:
    """One state of a server's options, as a reload compares two of them.

    Args:
        options: complete, checked.
        port: that it listens on, in place of a free one.
        tls_material: differs when what the TLS files hold differs.
        tls_flags: the flags that made the TLS options; None when none did.
        has_streams: whether JetStream is on; of options that are not in force, to be on.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        port: int,
        tls_material: int = 0,
        tls_flags: Given | None = None,
        has_streams: bool | None = None,
    ) -> None:
        self.options = options
        self.port = options.port or port
        self.tls_material = tls_material
        self.tls_flags = tls_flags
        self.has_streams = options.jetstream.enabled if has_streams is None else has_streams

    def flag(self, name: str) -> str | int | bool | None:
        """The value of a TLS flag."""
        return None if self.tls_flags is None else self.tls_flags.last(name)

    def at(self, path: str) -> object:
        """The option at a dotted path; without a `tls` block, its options have no value."""
        value: object = self.options
        for name in path.split("."):
            value = getattr(value, name, None)
        return value


class Change:
    """One option of nats-server: how it is found, shown and told of.

    `name` is nats-server's; `paths` are the options that it stands for; `line` is what the log
    says, `{}` being the new value, or empty where a change is refused. Where that depends on more,
    `judge` gives the line, "" for none, or raises ServerError.
    """

    __slots__ = ("_value", "judge", "line", "name", "paths", "show")

    def __init__(
        self,
        name: str,
        paths: str = "",
        line: str = "",
        *,
        value: Callable[[View], object] | None = None,
        show: Callable[[object], str] | None = None,
        judge: Callable[[View, View], str] | None = None,
    ) -> None:
        self.name = name
        self.paths = tuple(paths.split())
        self.line = line
        self._value = value
        self.show = show or show_plain
        self.judge = judge

    @property
    def is_refused(self) -> bool:
        """Whether such a change keeps the whole reload from happening."""
        return not self.line and self.judge is not _silently

    def value(self, view: View) -> object:
        """What is compared, and shown."""
        return view.at(self.paths[0]) if self._value is None else self._value(view)


def show_plain(value: object) -> str:
    """A value as Go's `%v` writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value, exponent_max=EXPONENT_MAX)
    return str(value)


def show_duration(value: object) -> str:
    """Seconds as Go writes a duration."""
    assert isinstance(value, int | float)  # noqa: S101  # the table below says so
    return duration_text(round(value * NANOSECONDS_PER_SECOND))


def show_count(value: object) -> str:
    """How many there are."""
    assert isinstance(value, tuple)  # noqa: S101  # as above
    return str(len(value))  # pyright: ignore[reportUnknownArgumentType]


def _show_write_timeout(value: object) -> str:
    return "" if value == "default" else show_plain(value)


def _show_map(value: object) -> str:
    if not isinstance(value, dict):
        return "map[]"
    pairs = sorted(cast("dict[str, object]", value).items())
    return f"map[{' '.join(f'{key}:{show_plain(each)}' for key, each in pairs)}]"


def _http_host(view: View) -> object:
    return view.at("monitor.http_host") or view.options.host


def _tls(name: str, default: object) -> Callable[[View], object]:
    def value(view: View) -> object:
        tls = view.options.tls
        return default if tls is None else getattr(tls, name, default)

    return value


def _tls_config(view: View) -> object:
    tls = view.options.tls
    if tls is None:
        return None
    return (
        *(tls.cert_file, tls.key_file, tls.certs, tls.ca_file, tls.verify, tls.min_version),
        *(tls.cipher_suites, tls.curve_preferences, view.tls_material),
    )


def _nkey_users(view: View) -> object:
    options = view.options
    named = [("", options.authorization.users)]
    named += [(account.name, account.users) for account in options.accounts]
    return sorted(
        (user.nkey, account, repr(user)) for account, users in named for user in users if user.nkey
    )


def _system_account(view: View) -> object:
    name = view.options.system_account
    return "" if name == SYSTEM_ACCOUNT else name


def _sync_interval(view: View) -> object:
    interval = view.options.jetstream.sync_interval
    return SYNC_INTERVAL_S if interval == SYNC_ALWAYS else interval


def _requests_max(view: View) -> int:
    limit = view.options.jetstream.request_queue_limit
    return limit if limit > 0 else REQUESTS_DEFAULT


def _info_requests_max(view: View) -> int:
    limit = view.options.jetstream.info_queue_limit
    return limit if limit > 0 else _requests_max(view)


def _concurrent_io(view: View) -> int:
    return view.options.jetstream.max_concurrent_io or CONCURRENT_IO_DEFAULT


def _silently(_old: View, _new: View) -> str:
    """The change is made, and the log says nothing."""
    return ""


def _always(view: View) -> object:
    """Users and accounts are always applied and told of, as in nats-server: no two are equal."""
    return view


CHANGES: Sequence[Change] = (
    Change("ServerName", "server_name"),
    Change("Host", "host"),
    Change("Port", "port", value=lambda view: view.port),
    # nats-server's own spelling.
    Change("ClientAdvertise", "client_advertise", "Reload: client_advertise = {}"),
    Change("Trace", "log.trace", "Reloaded: trace = {}"),
    Change("Debug", "log.debug", "Reloaded: debug = {}"),
    Change("TraceVerbose", "log.trace_verbose", "Reloaded: trace_verbose = {}"),
    Change("TraceHeaders", "log.trace_headers", "Reloaded: trace_headers = {}"),
    Change("NoSublistCache", "limits.disable_sublist_cache"),
    Change("NoHeaderSupport", "no_header_support"),
    Change("Logtime", "log.logtime", "Reloaded: logtime = {}"),
    Change("LogtimeUTC", "log.logtime_utc", "Reloaded: logtime_utc = {}"),
    Change("MaxConn", "limits.max_connections", "Reloaded: max_connections = {}"),
    Change("MaxSubs", "limits.max_subscriptions"),
    Change("MaxSubTokens", "limits.max_sub_tokens"),
    Change("Nkeys", "", "Reloaded: authorization nkey users", value=_nkey_users),
    Change("Users", "authorization.users", "Reloaded: authorization users", value=_always),
    Change("Accounts", "accounts", "Reloaded: accounts", value=_always),
    Change("NoAuthUser", "no_auth_user"),
    Change("SystemAccount", "system_account", value=_system_account),
    Change("NoSystemAccount", "no_system_account"),
    Change("Username", "authorization.user", "Reloaded: authorization username"),
    Change("Password", "authorization.password", "Reloaded: authorization password"),
    Change("ProxyProtocol", "proxy_protocol"),
    Change("Authorization", "authorization.token", "Reloaded: authorization token"),
    Change(
        "PingInterval",
        "limits.ping_interval",
        "Reloaded: ping_interval = {}",
        show=show_duration,
    ),
    Change("MaxPingsOut", "limits.ping_max", "Reloaded: ping_max = {}"),
    Change("HTTPHost", "monitor.http_host", value=_http_host),
    Change("HTTPPort", "monitor.http_port"),
    Change("HTTPBasePath", "monitor.http_base_path"),
    Change("HTTPSPort", "monitor.https_port"),
    Change("AuthTimeout", "authorization.timeout", "Reloaded: authorization timeout = {}"),
    Change("MaxControlLine", "limits.max_control_line", "Reloaded: max_control_line = {}"),
    Change("MaxPayload", "limits.max_payload", "Reloaded: max_payload = {}"),
    Change("MaxPending", "limits.max_pending"),
    Change(
        "NoFastProducerStall",
        "limits.no_fast_producer_stall",
        "Reloaded: fast producers will {}be stalled",
        show=lambda value: "not " if value else "",
    ),
    Change(
        "JetStream",
        "jetstream.enabled",
        "Reloaded: JetStream",
        value=jetstream_changes.is_on,
        judge=jetstream_changes.switched,
    ),
    Change(
        "NoJetStreamStrict",
        "jetstream.strict",
        value=lambda view: not view.options.jetstream.strict,
    ),
    Change(
        "JetStreamMaxMemory",
        "jetstream.max_memory_store",
        "Reloaded: JetStream max_mem_store = {}",
        judge=jetstream_changes.resized("max_memory_store", "max_mem_store"),
    ),
    Change(
        "JetStreamMaxStore",
        "jetstream.max_file_store",
        "Reloaded: JetStream max_file_store = {}",
        judge=jetstream_changes.resized("max_file_store", "max_file_store"),
    ),
    Change("JetStreamDomain", "jetstream.domain"),
    Change("JetStreamExtHint", "jetstream.extension_hint"),
    Change("JetStreamUniqueTag", "jetstream.unique_tag"),
    Change("JetStreamLimits", "jetstream.limits", "Reloaded: JetStream limits"),
    Change("JetStreamMaxCatchup", "jetstream.max_outstanding_catchup"),
    Change("JetStreamRequestQueueLimit", "jetstream.request_queue_limit", value=_requests_max),
    Change("JetStreamInfoQueueLimit", "jetstream.info_queue_limit", value=_info_requests_max),
    Change("JetStreamMetaCompact", "jetstream.meta_compact", judge=_silently),
    Change("JetStreamMetaCompactSize", "jetstream.meta_compact_size", judge=_silently),
    Change("JetStreamMetaCompactSync", "jetstream.meta_compact_sync", judge=_silently),
    Change("JetStreamConcurrentIOs", "jetstream.max_concurrent_io", value=_concurrent_io),
    Change("StreamMaxBufferedMsgs", "jetstream.max_buffered_msgs"),
    Change("StreamMaxBufferedSize", "jetstream.max_buffered_size"),
    Change(
        "StoreDir", "store_dir", value=jetstream_changes.store_dir, judge=jetstream_changes.moved
    ),
    Change("SyncInterval", "jetstream.sync_interval", value=_sync_interval, show=show_duration),
    Change("SyncAlways", value=lambda view: view.options.jetstream.sync_interval == SYNC_ALWAYS),
    Change("PidFile", "pid_file", "Reloaded: pid_file = {}"),
    Change("PortsFileDir", "ports_file_dir", "Reloaded: ports_file_dir = {}"),
    Change("LogFile", "log.log_file", "Reloaded: log_file = {}"),
    Change("LogSizeLimit", "log.log_size_limit"),
    Change("LogMaxFiles", "log.log_max_num"),
    Change("Syslog", "log.syslog", "Reloaded: syslog = {}"),
    Change("RemoteSyslog", "log.remote_syslog", "Reloaded: remote_syslog = {}"),
    Change("TLSTimeout", "", "Reloaded: tls timeout = {}", value=_tls("timeout", 2.0)),
    Change("TLS", value=lambda view: view.flag("tls") is True),
    Change("TLSVerify", value=lambda view: view.flag("tlsverify") is True),
    Change("TLSMap", value=_tls("verify_and_map", default=False)),
    Change("TLSCert", value=lambda view: view.flag("tlscert") or ""),
    Change("TLSKey", value=lambda view: view.flag("tlskey") or ""),
    Change("TLSCaCert", value=lambda view: view.flag("tlscacert") or ""),
    Change(
        "TLSConfig",
        "tls",
        "Reloaded: tls = {}",
        value=_tls_config,
        show=lambda value: "disabled" if value is None else "enabled",
    ),
    Change(
        "TLSPinnedCerts",
        "",
        "Reloaded: {} pinned_certs",
        value=_tls("pinned_certs", ()),
        show=show_count,
    ),
    Change("TLSRateLimit", value=_tls("connection_rate_limit", 0)),
    Change(
        "TLSHandshakeFirst",
        "",
        "Reloaded: Client TLS handshake first: {}",
        value=_tls("handshake_first", default=False),
    ),
    Change(
        "TLSHandshakeFirstFallback",
        "",
        "Reloaded: Client TLS handshake first fallback delay: {}",
        value=_tls("handshake_first_fallback", 0.0),
        show=show_duration,
    ),
    Change("AllowNonTLS", "allow_non_tls"),
    Change(
        "WriteDeadline",
        "limits.write_deadline",
        "Reloaded: write_deadline = {}",
        show=show_duration,
    ),
    Change("WriteTimeout", "limits.write_timeout", show=_show_write_timeout),
    Change("MaxClosedClients", "limits.max_closed_clients"),
    Change("LameDuckDuration", "lame_duck.lame_duck_duration", show=show_duration),
    Change("LameDuckGracePeriod", "lame_duck.lame_duck_grace_period", show=show_duration),
    Change("MaxTracedMsgLen", "log.max_traced_msg_len", "Reloaded: max_traced_msg_len = {}"),
    Change(
        "ConnectErrorReports",
        "limits.connect_error_reports",
        "Reloaded: connect_error_reports = {}",
    ),
    Change(
        "ReconnectErrorReports",
        "limits.reconnect_error_reports",
        "Reloaded: reconnect_error_reports = {}",
    ),
    Change("Tags", "labels.server_tags", "Reloaded: tags"),
    Change("Metadata", "labels.server_metadata", "Reloaded: metadata"),
    Change("FeatureFlags", "labels.feature_flags", show=_show_map),
    # Keelback's own, by their keys.
    Change("threads", "threads"),
    Change("log_format", "log.log_format", "Reloaded: log_format = {}"),
    Change("monitor_user", "monitor.monitor_user", "Reloaded: monitor_user"),
    Change("monitor_password", "monitor.monitor_password", "Reloaded: monitor_password"),
    Change("monitor_token", "monitor.monitor_token", "Reloaded: monitor_token"),
    Change(
        "metrics_connections_max",
        "monitor.metrics_connections_max",
        "Reloaded: metrics_connections_max = {}",
    ),
    Change(
        "metrics_subjects_max",
        "monitor.metrics_subjects_max",
        "Reloaded: metrics_subjects_max = {}",
    ),
)


def changes_between(old: View, new: View) -> list[tuple[Change, str]]:
    """What is to be told of, in order: each change with its line.

    Raises:
        ServerError: a change that a reload does not make; nothing of it happens.
    """
    found: list[tuple[Change, str]] = []
    for change, before, after in _differences(old, new):
        if change.judge is not None:
            if line := change.judge(old, new):
                found.append((change, line))
            continue
        if change.is_refused and not _is_harmless(change, before, after, new):
            raise ServerError(
                f"config reload not supported for {change.name}: "
                f"old={change.show(before)}, new={change.show(after)}",
                hint="restart the server to change it",
            )
        if not change.is_refused:
            found.append((change, change.line.format(change.show(after))))
    jetstream_changes.check_together(old, new)
    return found


def _differences(old: View, new: View) -> Iterator[tuple[Change, object, object]]:
    for change in CHANGES:
        before, after = change.value(old), change.value(new)
        if before != after:
            yield change, before, after


def _is_harmless(change: Change, before: object, after: object, new: View) -> bool:
    """Whether `no_auth_user` only goes with the user whom it named."""
    if change.name != "NoAuthUser" or not before or after:
        return False
    blocks = (new.options.authorization, *new.options.accounts)
    return all(user.user != before for block in blocks for user in block.users)
