"""What options must be together: checked when a server starts, after flags and defaults.

Source: nats-server 2.15 `server/server.go`, `validateOptions`; bounds of single values are ours.
"""

from __future__ import annotations

from keelback.config.gotext import duration_text, quote
from keelback.errors import ConfigError
from keelback.options.accounts import GLOBAL_ACCOUNT
from keelback.options.kinds import NANOSECONDS_PER_SECOND
from keelback.options.log import SYSLOG_SCHEMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keelback.errors import Place
    from keelback.options.fields import Block
    from keelback.options.server import ServerOptions


def check(
    options: ServerOptions, places: Mapping[str, Place], *, names_system_account: bool
) -> list[ConfigError]:
    """Everything that is wrong with a complete set of options; nats-server's texts stand first.

    `names_system_account` is whether the system account was given: it must then be there.
    """
    return [
        *_across_fields(options),
        *(_system_account(options, places) if names_system_account else ()),
        *_bounds(options, places),
        *_certificates(options),
        *_monitoring(options, places),
        *_jetstream(options, places),
        *_syslog(options, places),
    ]


def _across_fields(options: ServerOptions) -> Iterator[ConfigError]:
    limits, lame_duck = options.limits, options.lame_duck
    if lame_duck.lame_duck_grace_period >= lame_duck.lame_duck_duration:
        grace = duration_text(round(lame_duck.lame_duck_grace_period * NANOSECONDS_PER_SECOND))
        whole = duration_text(round(lame_duck.lame_duck_duration * NANOSECONDS_PER_SECOND))
        yield ConfigError(
            None,
            f"lame duck grace period ({grace}) should be strictly lower than "
            f"lame duck duration ({whole})",
            hint="lower `lame_duck_grace_period`",
        )
    if limits.max_payload > limits.max_pending:
        yield ConfigError(
            None,
            f"max_payload ({limits.max_payload}) cannot be higher than "
            f"max_pending ({limits.max_pending})",
            hint="raise `max_pending`, several times above `max_payload`",
        )
    if " " in options.server_name:
        yield ConfigError(None, "server name cannot contain spaces", hint="use `-` or `_`")
    yield from _no_auth_user(options)


def _no_auth_user(options: ServerOptions) -> Iterator[ConfigError]:
    name = options.no_auth_user
    if not name:
        return
    users = [user for block in (options.authorization, *options.accounts) for user in block.users]
    if not users:
        yield ConfigError(
            None,
            f'no_auth_user: "{name}" present, but users/nkeys are not defined',
            hint="name a user of `authorization.users` or of an account",
        )
    elif name not in {user.nkey or user.user for user in users}:
        yield ConfigError(
            None,
            f'no_auth_user: "{name}" not present as user or nkey in authorization block or '
            "account configuration",
        )


def _system_account(options: ServerOptions, places: Mapping[str, Place]) -> Iterator[ConfigError]:
    name = options.system_account
    if name != GLOBAL_ACCOUNT and name not in {account.name for account in options.accounts}:
        yield ConfigError(
            places.get("system_account"),
            "error resolving system account: account missing",
            hint=f"add {name} to `accounts`, or leave `system_account` out",
            names_place=False,
        )


def _jetstream(options: ServerOptions, places: Mapping[str, Place]) -> Iterator[ConfigError]:
    jetstream = options.jetstream
    place = places.get("jetstream")
    domain = jetstream.domain
    if any(char in domain for char in ".*>"):
        problem = "invalid domain name: may not contain ., * or >"
        yield ConfigError(place, problem, hint=f"{quote(domain)} is one token of subjects")
    elif any(char in domain for char in " \t\r\n\f"):
        derived = quote(f"$JS.{domain}.API.>")
        problem = f"invalid domain name: derived {derived} is not a valid subject"
        yield ConfigError(place, problem, hint="a domain has no blanks")
    if jetstream.enabled and any(
        account.jetstream is not None and account.name == options.system_account
        for account in options.accounts
    ):
        yield ConfigError(
            None,
            "Error enabling jetstream on configured accounts: "
            "jetstream can not be enabled on the system account",
            hint=f"leave `jetstream` out of the account {options.system_account}",
        )


def _monitoring(options: ServerOptions, places: Mapping[str, Place]) -> Iterator[ConfigError]:
    monitor = options.monitor
    http, https = monitor.http_port, monitor.https_port
    if http and https:
        yield ConfigError(
            places.get("https_port"),
            f"Can't start monitoring: can't specify both HTTP ({http}) and HTTPs ({https}) ports",
            hint="keep one of them",
            names_place=False,
        )
    elif https and options.tls is None:
        yield ConfigError(
            places.get("https_port"),
            "Can't start monitoring: TLS cert and key required for HTTPS",
            hint="add a `tls` block: monitoring has the same certificates as clients",
            names_place=False,
        )
    if bool(monitor.monitor_user) != bool(monitor.monitor_password):
        given = "monitor_user" if monitor.monitor_user else "monitor_password"
        other = "monitor_password" if monitor.monitor_user else "monitor_user"
        problem = f"{given} without {other} admits nobody"
        yield ConfigError(places.get(given), problem, hint=f"give both, or neither ({other})")


def _syslog(options: ServerOptions, places: Mapping[str, Place]) -> Iterator[ConfigError]:
    url, log = options.log.remote_syslog, options.log
    scheme, colon, _ = url.partition(":")
    if url and not log.log_file and (not colon or scheme.lower() not in SYSLOG_SCHEMES):
        yield ConfigError(
            places.get("remote_syslog"),
            f"error invalid network type: {quote(scheme.lower() if colon else '')}",
            hint="write `udp://host:514`, `tcp://host:514` or `unix:///dev/log`",
            names_place=False,
        )


def _bounds(options: ServerOptions, places: Mapping[str, Place]) -> Iterator[ConfigError]:
    blocks: list[tuple[str, Block]] = [
        (block.block_path, block)
        for block in (
            *(options, options.limits, options.log, options.monitor, options.lame_duck),
            options.jetstream,
            *(options.authorization, *(() if options.tls is None else (options.tls,))),
        )
    ]
    blocks += [(f"accounts.{account.name}.limits", account.limits) for account in options.accounts]
    blocks += [
        (f"accounts.{account.name}.jetstream", account.jetstream)
        for account in options.accounts
        if account.jetstream is not None
    ]
    for block_path, block in blocks:
        for name, described in block.options_by_name.items():
            value = getattr(block, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            least, most = described.minimum, described.maximum
            if (least is None or value >= least) and (most is None or value <= most):
                continue
            path = ".".join(part for part in (block_path, described.key) if part)
            unit = {"duration": " seconds", "bytes": " bytes"}.get(described.unit, "")
            low, high = _plain(least or 0), "" if most is None else _plain(most)
            allowed = f"from {low}{unit}" if most is None else f"from {low} to {high}{unit}"
            place = places.get(name) if block_path == "" else None
            problem = f"{path} is {_plain(value)}, allowed is {allowed}"
            yield ConfigError(place, problem, hint=described.help)


def _plain(number: float) -> str:
    """A number as people write it: no exponent, no trailing zeros."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _certificates(options: ServerOptions) -> Iterator[ConfigError]:
    tls = options.tls
    if tls is not None and not tls.cert_file and not tls.certs:
        yield ConfigError(
            None,
            "missing 'cert_file' in TLS configuration",
            hint="a server with TLS needs `cert_file` and `key_file`, or `certs`",
        )
