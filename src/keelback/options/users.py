"""Users as written in `authorization` and in `accounts`."""

from __future__ import annotations

from keelback.config.gotext import quote, show
from keelback.config.tree import go_type
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options, replaced
from keelback.options.kinds import TEXT, Anything, text_of
from keelback.options.nkeys import USER, is_public_nkey
from keelback.options.permissions import PermissionOptions, read_permissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from keelback.config.tree import Value
    from keelback.options.report import Report

CONNECTION_TYPES = (
    "STANDARD",
    "WEBSOCKET",
    "LEAFNODE",
    "LEAFNODE_WS",
    "MQTT",
    "MQTT_WS",
    "IN_PROCESS",
)


@options("users")
class UserOptions(Block):
    """One user: a name with a password, or an nkey."""

    user: str = option(
        TEXT, default="", aliases=("username",), reload=Reload.LIVE, help="The user's name."
    )
    password: str = option(
        TEXT,
        default="",
        aliases=("pass",),
        reload=Reload.LIVE,
        is_secret=True,
        help="The password, plain or as a bcrypt hash.",
    )
    nkey: str = option(
        TEXT,
        default="",
        reload=Reload.LIVE,
        help="The user's public nkey (`U…`), in place of name and password.",
    )
    permissions: PermissionOptions | None = option(
        Anything("a map", "{ publish: orders.> }"),
        default=None,
        aliases=("permission", "authorization"),
        default_text="the block's `default_permissions`",
        reload=Reload.LIVE,
        help="What the user may publish and subscribe.",
    )
    allowed_connection_types: tuple[str, ...] = option(
        Anything("a list of connection types", '["STANDARD"]'),
        default=(),
        aliases=("connection_types", "clients"),
        default_text="all",
        reload=Reload.LIVE,
        help=f"How the user may connect: {', '.join(CONNECTION_TYPES)}.",
    )


USER_KEYS = {key: name for name, o in UserOptions.options_by_name.items() for key in o.keys}


def read_users(
    value: Value, report: Report, *, names_place: bool = True
) -> tuple[UserOptions, ...]:
    """Read a list of users; what is wrong with one does not hide what is wrong with the next.

    `names_place` is whether nats-server's message has the place when it is no list.
    """
    if not isinstance(value.data, list):
        problem = f"Expected users field to be an array, got {show(value.data)}"
        hint = "write `users: [ { user: …, password: … } ]`"
        error = ConfigError(value.place, problem, hint=hint, names_place=names_place)
        report.errors.append(error)
        return ()
    users: list[UserOptions] = []
    for item in value.data:
        if not isinstance(item.data, dict):
            shown = show(item.data)
            report.error(item.place, f"Expected user entry to be a map/struct, got {shown}")
            continue
        try:
            users.append(_read_user(item, item.data, report))
        except ConfigError as error:
            report.errors.append(error)
    return tuple(users)


def with_default_permissions(
    users: Sequence[UserOptions], permissions: PermissionOptions | None
) -> tuple[UserOptions, ...]:
    """Give `permissions` to those users that have none of their own."""
    return tuple(
        replaced(user, permissions=permissions) if user.permissions is None else user
        for user in users
    )


def _read_user(entry: Value, fields: dict[str, Value], report: Report) -> UserOptions:
    found: dict[str, object] = {}
    place = entry.place
    for key, item in fields.items():
        place = item.place
        name = USER_KEYS.get(key.lower())
        if name == "permissions":
            found[name] = read_permissions(item, report)
        elif name == "allowed_connection_types":
            found[name] = _read_connection_types(item, report)
        elif name is not None:
            found[name] = text_of(item)
        else:
            report.not_known("users", key, item, USER_KEYS)
    user = UserOptions(**found)  # type: ignore[arg-type]  # read by name just above
    if not user.nkey and not user.user:
        # nats-server names the last field that it read.
        hint = "every user needs `user` or `nkey`"
        raise ConfigError(place, "User entry requires a user", hint=hint)
    if user.nkey and not is_public_nkey(user.nkey, USER):
        hint = "a user's public nkey has 56 characters and begins with U (not the seed, SU…)"
        raise ConfigError(place, "Not a valid public nkey for a user", hint=hint)
    if user.nkey and (user.user or user.password):
        raise ConfigError(place, "Nkey users do not take usernames or passwords")
    return user


def _read_connection_types(value: Value, report: Report) -> tuple[str, ...]:
    if isinstance(value.data, str):
        items = [value]
    elif isinstance(value.data, list):
        items = value.data
    else:
        problem = f"error parsing allowed connection types: unsupported type {go_type(value.data)}"
        report.error(value.place, problem)
        return ()
    types: list[str] = []
    unknown: list[str] = []
    for item in items:
        if not isinstance(item.data, str):
            what = go_type(item.data)
            problem = f"error parsing allowed connection types: unsupported type in array {what}"
            report.error(item.place, problem)
        elif item.data.upper() in CONNECTION_TYPES:
            types.append(item.data.upper())
        else:
            unknown.append(quote(item.data.upper()))
    if unknown:
        hint = f"there are {', '.join(CONNECTION_TYPES)}"
        report.error(value.place, f"invalid connection types [{' '.join(unknown)}]", hint=hint)
    return tuple(dict.fromkeys(types))
