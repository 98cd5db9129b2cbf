"""The `authorization` block: who may connect when there are no accounts, or beside them."""

from __future__ import annotations

from keelback.config.gotext import show
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import DURATION, TEXT, Anything, seconds_of, text_of
from keelback.options.permissions import PermissionOptions, read_permissions
from keelback.options.users import UserOptions, read_users, with_default_permissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value
    from keelback.options.report import Report

TIMEOUT_HIGH_S = 60.0


@options("authorization")
class AuthorizationOptions(Block):
    """Credentials that clients must show. Without any, everybody may connect."""

    user: str = option(
        TEXT,
        default="",
        aliases=("username",),
        reload=Reload.LIVE,
        help="The one user's name; not together with `users` or `token`.",
    )
    password: str = option(
        TEXT,
        default="",
        aliases=("pass",),
        reload=Reload.LIVE,
        is_secret=True,
        help="The one user's password, plain or as a bcrypt hash.",
    )
    token: str = option(
        TEXT,
        default="",
        reload=Reload.LIVE,
        is_secret=True,
        help="A token that every client must show, plain or as a bcrypt hash.",
    )
    users: tuple[UserOptions, ...] = option(
        Anything("a list of users", "[ { user: ann, password: … } ]"),
        default=(),
        reload=Reload.LIVE,
        help="Several users, each with permissions of its own.",
    )
    timeout: float = option(
        DURATION,
        default=0.0,
        default_text="2s; with TLS, `tls.timeout` and 1s more",
        zero_is_default=True,
        minimum=0,
        reload=Reload.NEW_CONNECTIONS,
        help="How long a client may take to authenticate; a plain number is seconds.",
    )
    default_permissions: PermissionOptions | None = option(
        Anything("a map", "{ publish: orders.> }"),
        default=None,
        aliases=("default_permission", "permissions"),
        reload=Reload.LIVE,
        help="Permissions of users that have none of their own.",
    )


KEYS = {key: name for name, o in AuthorizationOptions.options_by_name.items() for key in o.keys}


def read_authorization(value: Value, report: Report) -> tuple[AuthorizationOptions, bool]:
    """Read the block; also whether it has a `users` list, which may be empty.

    Raises:
        ConfigError: it is not a map.
    """
    if not isinstance(value.data, dict):
        raise Anything("a map", "authorization { token: … }").fail(value, "map[string]interface {}")
    found: dict[str, object] = {}
    users: tuple[UserOptions, ...] = ()
    permissions: PermissionOptions | None = None
    for key, item in value.data.items():
        name = KEYS.get(key.lower())
        try:
            if name == "users":
                users = read_users(item, report)
            elif name == "default_permissions":
                permissions = read_permissions(item, report)
            elif name == "timeout":
                found[name] = read_timeout(key, item, report, "authorization")
            elif name is not None:
                found[name] = text_of(item)
            else:
                report.not_known("authorization", key, item, KEYS)
        except ConfigError as error:
            report.errors.append(error)
    found["users"] = with_default_permissions(users, permissions)
    found["default_permissions"] = permissions
    has_users = any(key.lower() == "users" for key in value.data)
    return AuthorizationOptions(**found), has_users  # type: ignore[arg-type]  # read by name


def read_timeout(key: str, value: Value, report: Report, block: str) -> float:
    """Read a block's `timeout`: seconds, or a duration in quotes.

    Raises:
        ConfigError: neither.
    """
    data = value.data
    if isinstance(data, str):
        seconds = seconds_of(value, f"error parsing {block} config, 'timeout' ")
    elif isinstance(data, int | float) and not isinstance(data, bool):
        seconds = float(data)
    else:
        problem = f"error parsing {block} config, 'timeout' wrong type"
        raise ConfigError(value.place, problem, hint='write seconds, or a duration: `"2s"`')
    if seconds > TIMEOUT_HIGH_S and block == "authorization":
        report.warning(
            value.place,
            key,
            f"timeout of {show(data)} ({seconds:f} seconds) is high, consider keeping it under 60 "
            "seconds. possibly caused by unquoted duration; use '1m' instead of 1m, for example",
        )
    return seconds
