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
    LameDuckSettings,
    LimitSettings,
    LogSettings,
    ServerSettings,
    TlsSettings,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, cast

    from keelback.options import (
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
    limits, log = options.limits, options.log
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
        ),
        auth=compile_auth(options, authenticate),
        system_account=options.system_account,
        tls=None if options.tls is None else _tls(options.tls, optional=options.allow_non_tls),
        log=LogSettings(
            debug=log.debug,
            trace=log.trace,
            logtime=log.logtime,
            utc=log.logtime_utc,
            file=log.log_file,
            to_python=log_to_python,
        ),
        lame_duck=LameDuckSettings(
            duration_s=options.lame_duck.lame_duck_duration,
            grace_period_s=abs(options.lame_duck.lame_duck_grace_period),
        ),
        pid_file=options.pid_file,
        ports_file_dir=options.ports_file_dir,
        config_file=options.config_file,
        config_digest=options.config_digest,
    )


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
    )
