"""Options as typed and checked → what they mean for a running server."""

from __future__ import annotations

from keelback.auth.users import (
    GLOBAL_ACCOUNT,
    AuthRules,
    NkeyUser,
    PermissionRules,
    ResponseRule,
    User,
)
from keelback.server.settings import (
    RANDOM_PORT,
    AccountJetStreamSettings,
    AccountSettings,
    JetStreamSettings,
    LameDuckSettings,
    LimitSettings,
    LogSettings,
    MonitorSettings,
    ServerSettings,
    StreamLimits,
    TlsSettings,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, cast

    from keelback.options import (
        AccountOptions,
        JetStreamLimitOptions,
        PermissionOptions,
        ServerOptions,
        TlsOptions,
        UserOptions,
    )
else:

    def cast(_: object, value: object) -> object:
        """Say nothing at run time."""
        return value


def compile_settings(
    options: ServerOptions,
    *,
    authenticate: Callable[..., Any] | None = None,
    log_to_python: bool = False,
) -> ServerSettings:
    """What these options mean.

    Args:
        options: complete, checked.
        authenticate: an embedding program's authenticator function.
        log_to_python: without a log file, to Python's `logging` instead of standard error.
    """
    limits, labels = options.limits, options.labels
    return ServerSettings(
        host=options.host,
        port=options.port if options.port > 0 else RANDOM_PORT,
        server_name=options.server_name,
        client_advertise=options.client_advertise,
        threads=options.threads,
        headers=not options.no_header_support,
        limits=LimitSettings(
            max_connections=limits.max_connections,
            max_subscriptions=limits.max_subscriptions,
            max_subscription_tokens=limits.max_sub_tokens,
            max_payload=limits.max_payload,
            max_control_line=limits.max_control_line,
            max_pending=limits.max_pending,
            write_deadline_s=limits.write_deadline,
            ping_interval_s=limits.ping_interval,
            ping_max=limits.ping_max,
            fast_producer_stall=not limits.no_fast_producer_stall,
            write_timeout=cast("Any", limits.write_timeout),
            sublist_cache=not limits.disable_sublist_cache,
            max_closed_clients=limits.max_closed_clients,
        ),
        auth=compile_auth(options, authenticate),
        accounts=tuple(map(_account, options.accounts)),
        system_account=_system_account(options),
        tls=None if options.tls is None else _tls(options.tls, optional=options.allow_non_tls),
        log=_log(options, to_python=log_to_python),
        monitor=_monitor(options),
        jetstream=_jetstream(options),
        lame_duck=LameDuckSettings(
            duration_s=options.lame_duck.lame_duck_duration,
            grace_period_s=abs(options.lame_duck.lame_duck_grace_period),
        ),
        proxy_protocol=options.proxy_protocol,
        tags=labels.server_tags,
        metadata=tuple(labels.server_metadata.items()),
        feature_flags=tuple(labels.feature_flags.items()),
        pid_file=options.pid_file,
        ports_file_dir=options.ports_file_dir,
        config_file=options.config_file,
        config_digest=options.config_digest,
    )


def _log(options: ServerOptions, *, to_python: bool) -> LogSettings:
    log = options.log
    return LogSettings(
        debug=log.debug,
        trace=log.trace,
        trace_verbose=log.trace_verbose,
        trace_headers=log.trace_headers,
        max_traced_msg_len=max(log.max_traced_msg_len, 0),
        format=cast("Any", log.log_format),
        logtime=log.logtime,
        utc=log.logtime_utc,
        file=log.log_file,
        size_limit=log.log_size_limit,
        max_files=log.log_max_num,
        syslog=log.syslog,
        remote_syslog=log.remote_syslog,
        to_python=to_python,
    )


def _monitor(options: ServerOptions) -> MonitorSettings:
    monitor = options.monitor
    return MonitorSettings(
        host=monitor.http_host or options.host,
        http_port=monitor.http_port or None,
        https_port=monitor.https_port or None,
        base_path=monitor.http_base_path,
        user=monitor.monitor_user,
        password=monitor.monitor_password,
        token=monitor.monitor_token,
        metrics_connections_max=monitor.metrics_connections_max,
        metrics_subjects_max=monitor.metrics_subjects_max,
    )


def _jetstream(options: ServerOptions) -> JetStreamSettings | None:
    jetstream = options.jetstream
    if not jetstream.enabled:
        return None
    requests_max = _above_zero(jetstream.request_queue_limit, JetStreamSettings.requests_max)
    return JetStreamSettings(
        store_dir=jetstream.store_dir or options.store_dir,
        max_memory=jetstream.max_memory_store,
        max_file=jetstream.max_file_store,
        sync_interval_s=jetstream.sync_interval,
        domain=jetstream.domain,
        strict=jetstream.strict,
        unique_tag=jetstream.unique_tag.strip().lower(),
        requests_max=requests_max,
        info_requests_max=_above_zero(jetstream.info_queue_limit, requests_max),
        waiting_bytes_max=_above_zero(
            jetstream.max_buffered_size, JetStreamSettings.waiting_bytes_max
        ),
        limits=_stream_limits(jetstream.limits),
    )


def _stream_limits(limits: JetStreamLimitOptions) -> StreamLimits:
    return StreamLimits(
        max_request_batch=limits.max_request_batch,
        max_ack_pending=limits.max_ack_pending,
        max_ha_assets=limits.max_ha_assets,
        duplicate_window_s=limits.duplicate_window,
        default_max_consumers=limits.default_max_consumers,
        max_inflight_per_stream=limits.batch.max_inflight_per_stream,
        max_inflight_total=limits.batch.max_inflight_total,
        max_batch_msgs=limits.batch.max_msgs,
        batch_timeout_s=limits.batch.timeout,
    )


def _above_zero(number: int, default: int) -> int:
    return number if number > 0 else default


def _account_jetstream(account: AccountOptions) -> AccountJetStreamSettings | None:
    jetstream = account.jetstream
    if jetstream is None:
        return None
    return AccountJetStreamSettings(
        max_memory=jetstream.max_memory,
        max_file=jetstream.max_store,
        max_streams=jetstream.max_streams,
        max_consumers=jetstream.max_consumers,
        max_bytes_required=jetstream.max_bytes_required,
        memory_max_stream_bytes=jetstream.memory_max_stream_bytes,
        file_max_stream_bytes=jetstream.store_max_stream_bytes,
    )


def _account(account: AccountOptions) -> AccountSettings:
    limits = account.limits
    return AccountSettings(
        name=account.name,
        max_connections=limits.max_connections,
        max_subscriptions=limits.max_subscriptions,
        max_payload=limits.max_payload,
        max_leafnodes=limits.max_leafnodes,
        jetstream=_account_jetstream(account),
    )


def _system_account(options: ServerOptions) -> str:
    # `no_system_account` is about the one that would be there by itself.
    is_declared = any(account.name == options.system_account for account in options.accounts)
    return "" if options.no_system_account and not is_declared else options.system_account


def compile_auth(
    options: ServerOptions, authenticate: Callable[..., Any] | None = None
) -> AuthRules:
    """Who may connect: the users of `authorization` and of every account in one table."""
    block = options.authorization
    written = [(user, GLOBAL_ACCOUNT) for user in block.users]
    for account in options.accounts:
        written += [(user, account.name) for user in account.users]
    users = tuple(_user(user, account) for user, account in written if not user.nkey)
    keys = tuple(_nkey_user(user, account) for user, account in written if user.nkey)
    return AuthRules(
        users=users or None,
        nkeys=keys or None,
        user=block.user,
        password=block.password,
        token=block.token,
        no_auth_user=options.no_auth_user,
        verify_and_map=options.tls is not None and options.tls.verify_and_map,
        timeout_s=block.timeout,
        accounts_declared=tuple(account.name for account in options.accounts),
        authenticate=authenticate,
    )


def _user(user: UserOptions, account: str) -> User:
    return User(
        name=user.user,
        password=user.password,
        account=account,
        permissions=_permissions(user.permissions),
        connection_types=frozenset(user.allowed_connection_types),
    )


def _nkey_user(user: UserOptions, account: str) -> NkeyUser:
    return NkeyUser(
        nkey=user.nkey,
        account=account,
        permissions=_permissions(user.permissions),
        connection_types=frozenset(user.allowed_connection_types),
    )


def _permissions(options: PermissionOptions | None) -> PermissionRules | None:
    if options is None:
        return None
    publish, subscribe, responses = options.publish, options.subscribe, options.allow_responses
    return PermissionRules(
        publish_allow=None if publish is None else _entries(publish.allow),
        publish_deny=() if publish is None else _entries(publish.deny) or (),
        subscribe_allow=None if subscribe is None else _entries(subscribe.allow),
        subscribe_deny=() if subscribe is None else _entries(subscribe.deny) or (),
        responses=None
        if responses is None
        else ResponseRule(max_messages=responses.max, expires_s=responses.expires),
    )


def _entries(entries: Iterable[tuple[str, str | None]] | None) -> tuple[str, ...] | None:
    if entries is None:
        return None
    return tuple(subject if queue is None else f"{subject} {queue}" for subject, queue in entries)


def _tls(tls: TlsOptions, *, optional: bool) -> TlsSettings:
    pairs = [(tls.cert_file, tls.key_file)] if tls.cert_file else []
    pairs += [(each.cert_file, each.key_file) for each in tls.certs]
    return TlsSettings(
        certificates=tuple(pairs),
        ca_file=tls.ca_file,
        verify=tls.verify,
        verify_and_map=tls.verify_and_map,
        min_version=cast("Any", tls.min_version),
        cipher_suites=tls.cipher_suites,
        curve_preferences=tls.curve_preferences,
        timeout_s=tls.timeout,
        pinned_certs=tls.pinned_certs,
        optional=optional,
        handshake_first=tls.handshake_first,
        handshake_first_fallback_s=tls.handshake_first_fallback,
        connection_rate_limit=tls.connection_rate_limit,
    )
