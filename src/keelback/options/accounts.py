"""The `accounts` block: users that share subjects only with users of the same account."""

from __future__ import annotations

from keelback.config.gotext import quote, show
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import TEXT, Anything
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


KEYS = ("nkey", "users", "default_permissions")
UNSUPPORTED_KEYS = (
    "imports",
    "exports",
    "jetstream",
    "mappings",
    "maps",
    "limits",
    "msg_trace",
    "trace_dest",
)


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
    for key, item in fields.items():
        lower = key.lower()
        try:
            if lower == "nkey":
                nkey = _read_nkey(item)
            elif lower == "users":
                users = read_users(item, report, names_place=False)
            elif lower == "default_permissions":
                permissions = read_permissions(item, report)
            elif lower in UNSUPPORTED_KEYS:
                report.unsupported(key, item)
            else:
                report.unknown(key, item, KEYS)
        except ConfigError as error:
            report.errors.append(error)
    return AccountOptions(
        name=name,
        nkey=nkey,
        users=with_default_permissions(users, permissions),
        default_permissions=permissions,
    )


def _read_nkey(value: Value) -> str:
    if isinstance(value.data, str) and is_public_nkey(value.data, ACCOUNT):
        return value.data
    shown = quote(value.data) if isinstance(value.data, str) else show(value.data)
    hint = "an account's public nkey has 56 characters and begins with A"
    problem = f"Not a valid public nkey for an account: {shown}"
    raise ConfigError(value.place, problem, hint=hint)
