"""The `accounts` block: users that share subjects only with users of the same account."""

from __future__ import annotations

from keelback.config.gotext import quote, show
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.jetstream import AccountJetStreamOptions, read_account_jetstream
from keelback.options.kinds import SMALL_INTEGER, TEXT, Anything
from keelback.options.nkeys import ACCOUNT, is_public_nkey
from keelback.options.permissions import PermissionOptions, read_permissions
from keelback.options.users import UserOptions, read_users, with_default_permissions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value
    from keelback.errors import Place
    from keelback.options.report import Report

GLOBAL_ACCOUNT = "$G"
SYSTEM_ACCOUNT = "$SYS"


@options("accounts.<name>.limits")
class AccountLimitOptions(Block):
    """What all clients of one account may use together; -1 is without limit."""

    max_connections: int = option(
        SMALL_INTEGER,
        default=-1,
        aliases=("max_conn",),
        unit="connections",
        minimum=-1,
        reload=Reload.LIVE,
        help="Most client connections of the account.",
    )
    max_subscriptions: int = option(
        SMALL_INTEGER,
        default=-1,
        aliases=("max_subs",),
        unit="subscriptions",
        minimum=-1,
        reload=Reload.LIVE,
        help="Most subscriptions of each connection of the account.",
    )
    max_payload: int = option(
        SMALL_INTEGER,
        default=-1,
        aliases=("max_pay",),
        unit="bytes",
        minimum=-1,
        reload=Reload.LIVE,
        help="Largest payload that a client of the account may publish.",
    )
    max_leafnodes: int = option(
        SMALL_INTEGER,
        default=-1,
        aliases=("max_leafs",),
        unit="connections",
        minimum=-1,
        reload=Reload.LIVE,
        help="Most leaf nodes of the account; there are none yet.",
    )


LIMIT_KEYS = {
    key: name for name, o in AccountLimitOptions.options_by_name.items() for key in o.keys
}


@options("accounts.<name>")
class AccountOptions(Block):
    """One account. Its key in the file is its name."""

    name: str = option(
        TEXT, default="", key="<name>", default_text="its key", help="The account's name."
    )
    nkey: str = option(
        TEXT, default="", reload=Reload.LIVE, help="The account's public nkey (`A…`)."
    )
    users: tuple[UserOptions, ...] = option(
        Anything("a list of users", "[ { user: ann, password: … } ]"),
        default=(),
        reload=Reload.LIVE,
        help="The account's users.",
    )
    default_permissions: PermissionOptions | None = option(
        Anything("a map", "{ publish: orders.> }"),
        default=None,
        reload=Reload.LIVE,
        help="Permissions of users that have none of their own.",
    )
    limits: AccountLimitOptions = option(
        Anything("a map", "{ max_connections: 100 }"),
        default=AccountLimitOptions(),
        default_text="no limits",
        reload=Reload.LIVE,
        help="Limits of the account as a whole.",
    )
    jetstream: AccountJetStreamOptions | None = option(
        Anything("`enabled` or a map", "enabled"),
        default=None,
        default_text="no streams",
        help="Whether the account has streams, and how much they may hold.",
    )


KEYS = ("nkey", "users", "default_permissions", "limits", "jetstream")


def read_accounts(
    value: Value, report: Report
) -> tuple[tuple[AccountOptions, ...], dict[str, Place]]:
    """Read the accounts, and where each has its `users`."""
    if isinstance(value.data, list):
        return _read_names(value.data, report), {}
    if not isinstance(value.data, dict):
        hint = f"write `accounts {{ NAME {{ users: [ … ] }} }}`; this is {show(value.data)}"
        report.error(value.place, "Expected map entries for accounts", hint=hint)
        return (), {}
    accounts: list[AccountOptions] = []
    places: dict[str, Place] = {}
    for name, item in value.data.items():
        if item.is_variable:
            continue
        if not isinstance(item.data, dict):
            hint = f"write `{name} {{ users: [ … ] }}`"
            report.error(item.place, "Expected map entries for accounts", hint=hint)
        elif name == GLOBAL_ACCOUNT:
            report.error(item.place, f"{quote(name)} is a Reserved Account")
        else:
            accounts.append(_read_account(name, item.data, report))
            users = [field for key, field in item.data.items() if key.lower() == "users"]
            places[name] = (users or [item])[-1].place
    return tuple(accounts), places


def _read_names(items: list[Value], report: Report) -> tuple[AccountOptions, ...]:
    names: dict[str, None] = {}
    for item in items:
        name = item.data
        if not isinstance(name, str):
            report.errors.append(TEXT.fail(item, "string"))
        elif name == GLOBAL_ACCOUNT:
            report.error(item.place, f"{quote(name)} is a Reserved Account")
        elif name in names:
            report.error(item.place, f"Duplicate Account Entry: {name}")
        else:
            names[name] = None
    return tuple(AccountOptions(name=name) for name in names)


def _read_account(name: str, fields: dict[str, Value], report: Report) -> AccountOptions:
    nkey = ""
    users: tuple[UserOptions, ...] = ()
    permissions: PermissionOptions | None = None
    limits = AccountLimitOptions()
    jetstream: AccountJetStreamOptions | None = None
    for key, item in fields.items():
        lower = key.lower()
        try:
            if lower == "nkey":
                nkey = _read_nkey(item)
            elif lower == "users":
                users = read_users(item, report, names_place=False)
            elif lower == "default_permissions":
                permissions = read_permissions(item, report)
            elif lower == "limits":
                limits = _read_limits(item, report)
            elif lower == "jetstream":
                jetstream = read_account_jetstream(item, report)
            else:
                report.not_known("accounts.<name>", key, item, KEYS)
        except ConfigError as error:
            report.errors.append(error)
    return AccountOptions(
        name=name,
        nkey=nkey,
        users=with_default_permissions(users, permissions),
        default_permissions=permissions,
        limits=limits,
        jetstream=jetstream,
    )


def _read_limits(value: Value, report: Report) -> AccountLimitOptions:
    if not isinstance(value.data, dict):
        problem = f"Expected account limits to be a map/struct, got {show(value.data)}"
        raise ConfigError(value.place, problem, hint="write `limits { max_connections: 100 }`")
    found: dict[str, object] = {}
    for key, item in value.data.items():
        name = LIMIT_KEYS.get(key.lower())
        if name is not None:
            kind = AccountLimitOptions.options_by_name[name].kind
            try:
                found[name] = kind.read(key, item, report)
            except ConfigError as error:
                report.errors.append(error)
        elif not item.is_variable:
            problem = f"Unknown field {quote(key)} parsing account limits"
            report.unknown(key, item, LIMIT_KEYS, problem=problem)
    return AccountLimitOptions(**found)  # type: ignore[arg-type]  # read by name just above


def _read_nkey(value: Value) -> str:
    if isinstance(value.data, str) and is_public_nkey(value.data, ACCOUNT):
        return value.data
    shown = quote(value.data) if isinstance(value.data, str) else show(value.data)
    hint = "an account's public nkey has 56 characters and begins with A"
    problem = f"Not a valid public nkey for an account: {shown}"
    raise ConfigError(value.place, problem, hint=hint)
