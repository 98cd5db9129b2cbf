"""From a tree or Python data to a `Draft`, and from it to `ServerOptions`.

The first is what was typed, the second what it means together.

The draft keeps only what was given, so that flags can be laid over a file before defaults and
checks across fields apply, as nats-server does it.
"""

from __future__ import annotations

from keelback.config.digest import digest
from keelback.config.gotext import quote
from keelback.config.parser import parse_file, parse_text
from keelback.config.tree import Value, go_type
from keelback.errors import ConfigError, ConfigRejected, Place
from keelback.options.accounts import read_accounts
from keelback.options.authorization import AuthorizationOptions, read_authorization
from keelback.options.checks import check
from keelback.options.fields import Block, Option, replaced
from keelback.options.jetstream import JetStreamOptions, read_jetstream
from keelback.options.report import Report
from keelback.options.server import NESTED, ServerOptions, flat_blocks
from keelback.options.tls import read_tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar, cast

    from keelback.options.accounts import AccountOptions
    from keelback.options.tls import TlsOptions

    B = TypeVar("B", bound=Block)
else:

    def cast(_: str, value: object) -> object:
        """Say a type; `typing` itself costs start-up time."""
        return value


ADDRESS_KEYS = {
    # key: the options that its host and its port are
    "listen": ("host", "port"),
    "http": ("http_host", "http_port"),
    "https": ("http_host", "https_port"),
}
BLOCK_KEYS = ("tls", "authorization", "accounts", "jetstream")
READ_APART = ("authorization", "jetstream")
"""Blocks whose keys are not those of the top level."""
OPTIONS_BY_KEY: dict[str, Option] = {
    key: described
    for block in flat_blocks()
    for described in block.options_by_name.values()
    if described.kind is not NESTED
    for key in described.keys
}
KNOWN_KEYS = (*OPTIONS_BY_KEY, *ADDRESS_KEYS, *BLOCK_KEYS)


class Draft:
    """What was typed: the options of the top level by name, and the blocks that were given."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.places: dict[str, Place] = {}
        self.tls: TlsOptions | None = None
        self.authorization = AuthorizationOptions()
        self.jetstream = JetStreamOptions()
        self.accounts: tuple[AccountOptions, ...] = ()
        self.config_file = ""
        self.config_digest = ""
        self.warnings: tuple[ConfigError, ...] = ()

    def resolved(self) -> ServerOptions:
        """Fill in the defaults and check what only makes sense together.

        Raises:
            ConfigRejected: with everything that is wrong.
        """
        authorization = self.authorization
        if not authorization.timeout:
            timeout = (self.tls.timeout or TLS_TIMEOUT_S) + 1.0 if self.tls else AUTH_TIMEOUT_S
            authorization = replaced(authorization, timeout=timeout)
        if self.values.get("trace_verbose") or self.values.get("trace_headers"):
            self.values["trace"] = True
        tls = self.tls
        if tls is not None and not tls.timeout:
            tls = replaced(tls, timeout=TLS_TIMEOUT_S)
        nested = {
            name: self._block(type(described.default))
            for name, described in ServerOptions.options_by_name.items()
            if isinstance(described.default, Block) and name not in READ_APART
        }
        options = self._block(
            ServerOptions,
            **nested,
            tls=tls,
            authorization=authorization,
            accounts=self.accounts,
            jetstream=self.jetstream,
            config_file=self.config_file,
            config_digest=self.config_digest,
        )
        errors = check(options, self.places, names_system_account=self._names_system_account)
        if errors:
            raise ConfigRejected(errors, self.warnings)
        # Port 0 asks the system for a free one; typed, 0 stands for the default.
        return replaced(options, port=0) if options.port < 0 else options

    @property
    def _names_system_account(self) -> bool:
        return bool(self.values.get("system_account"))

    def _block(self, block: type[B], **more: object) -> B:
        values = {
            name: self.values[name]
            for name, described in block.options_by_name.items()
            if name in self.values and (self.values[name] or not described.zero_is_default)
        }
        return block(**values, **more)


TLS_TIMEOUT_S = 2.0
AUTH_TIMEOUT_S = 2.0


def load_file(path: str, overrides: Mapping[str, object] | None = None) -> Draft:
    """Read a configuration file, and lay Python data over it; a block replaces the file's.

    Raises:
        ConfigSyntaxError: it cannot be read.
        ConfigRejected: with everything that is wrong in it, and its warnings.
    """
    tree = parse_file(path)
    assert isinstance(tree.data, dict)  # noqa: S101 - a whole file is a map
    draft = _read_tree(Value(_overlaid(tree.data, overrides), tree.place), path)
    draft.config_file = path
    draft.config_digest = digest(tree)
    return draft


def load_text(text: str | bytes) -> Draft:
    """Read a configuration that is at hand; raises as `load_file` does."""
    return _read_tree(parse_text(text), "")


def load_mapping(
    mapping: Mapping[str, object], overrides: Mapping[str, object] | None = None
) -> Draft:
    """Read options from Python data, others laid over it; raises as `load_file` does."""
    return _read_tree(Value(_overlaid(_mapping_data(mapping), overrides), Place("")), None)


def _overlaid(pairs: dict[str, Value], overrides: Mapping[str, object] | None) -> dict[str, Value]:
    if not overrides:
        return pairs
    # What is read last counts, so that overrides also win over other names of the same key.
    replaced_keys = {key.lower() for key in overrides}
    kept = {key: item for key, item in pairs.items() if key.lower() not in replaced_keys}
    return {**kept, **_mapping_data(overrides)}


def _mapping_data(mapping: Mapping[str, object]) -> dict[str, Value]:
    return {key: _from_python(item, key) for key, item in mapping.items()}


def _from_python(item: object, path: str) -> Value:
    place = Place(path)
    if isinstance(item, str | bool | int | float):
        return Value(item, place)
    if isinstance(item, dict):
        pairs = cast("dict[object, object]", item).items()
        return Value({str(key): _from_python(each, f"{path}.{key}") for key, each in pairs}, place)
    if isinstance(item, list | tuple):
        items = enumerate(cast("list[object]", item))
        return Value([_from_python(each, f"{path}[{number}]") for number, each in items], place)
    if hasattr(item, "__fspath__"):
        return Value(str(item), place)
    hint = "give str, bool, int, float, a list, a dict or a path"
    raise ConfigRejected([ConfigError(place, f"unsupported type {type(item).__name__}", hint=hint)])


def _read_tree(tree: Value, file: str | None) -> Draft:
    report = Report()
    reader = _Reader(report)
    assert isinstance(tree.data, dict)  # noqa: S101 - a whole file is a map
    if not tree.data and file is not None:
        problem = f"{file}: config has no values or is empty"
        report.warnings.append(ConfigError(None, problem))
    for key, value in tree.data.items():
        try:
            reader.read(key, value)
        except ConfigError as error:
            report.errors.append(error)
    report.raise_errors()
    reader.draft.warnings = tuple(report.warnings)
    return reader.draft


class _Reader:
    """Reads the top level in the order of the file; later blocks are checked against earlier."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.draft = Draft()
        self._user_names: set[str] = set()
        self._has_store_dir = False

    def read(self, key: str, value: Value) -> None:
        """Read one pair.

        Raises:
            ConfigError: what is wrong with it.
        """
        lower = key.lower()
        described = OPTIONS_BY_KEY.get(lower)
        if described is not None:
            if described.name == "system_account" and not isinstance(value.data, str):
                raise ConfigError(value.place, "system account name must be a string")
            if described.name == "store_dir":
                self._take_store_dir(value)
            self.draft.values[described.name] = described.kind.read(key, value, self.report)
            self.draft.places[described.name] = value.place
        elif lower in ADDRESS_KEYS:
            for name, part in zip(ADDRESS_KEYS[lower], read_listen(lower, value), strict=True):
                self.draft.values[name] = part
                self.draft.places[name] = value.place
        elif lower == "tls":
            self.draft.tls = read_tls(value, self.report)
        elif lower == "authorization":
            self._read_authorization(value)
        elif lower == "accounts":
            self._read_accounts(value)
        elif lower == "jetstream":
            self._read_jetstream(value)
        else:
            self.report.not_known("", key, value, KNOWN_KEYS, describe=_describe)

    def _read_jetstream(self, value: Value) -> None:
        self.draft.jetstream = read_jetstream(value, self.report, self._take_store_dir)
        self.draft.places["jetstream"] = value.place

    def _take_store_dir(self, value: Value) -> None:
        if self._has_store_dir:
            hint = "keep the one in `jetstream`"
            raise ConfigError(value.place, "Duplicate 'store_dir' configuration", hint=hint)
        self._has_store_dir = True

    def _read_authorization(self, value: Value) -> None:
        authorization, has_users = read_authorization(value, self.report)
        self.draft.authorization = authorization
        has_single = bool(authorization.user or authorization.password)
        if has_single and authorization.token:
            raise ConfigError(value.place, "Cannot have a user/pass and token")
        if has_users or self._user_names:
            if authorization.user:
                problem = "Can not have a single user/pass and a users array"
                raise ConfigError(value.place, problem, hint="make the single user one of `users`")
            if authorization.token:
                raise ConfigError(value.place, "Can not have a token and a users array")
        self._take_names(authorization.users, value.place)

    def _read_accounts(self, value: Value) -> None:
        accounts, places = read_accounts(value, self.report)
        self.draft.accounts = accounts
        authorization = self.draft.authorization
        for account in accounts:
            place = places.get(account.name, value.place)
            if account.users and authorization.user:
                problem = "Can not have a single user/pass and accounts"
                self.report.error(place, problem, hint="make the single user one of an account's")
            elif account.users and authorization.token:
                self.report.error(place, "Can not have a token and accounts")
            else:
                self._take_names(account.users, place)

    def _take_names(self, users: tuple[Block, ...], place: Place) -> None:
        # A name is taken once in the whole server: it decides the account.
        for user in users:
            name, nkey = str(vars(user)["user"]), str(vars(user)["nkey"])
            if (nkey or name) in self._user_names:
                what = "nkey" if nkey else "user"
                self.report.error(place, f"Duplicate {what} {quote(nkey or name)} detected")
            self._user_names.add(nkey or name)


def _describe(key: str) -> str:
    described = OPTIONS_BY_KEY.get(key)
    if described is None:
        return ""
    default = f", default {described.shown_default}" if described.shown_default else ""
    return f" ({described.kind.name}{default})"


def read_listen(key: str, value: Value) -> tuple[str, int]:
    """Read an address, such as `listen`: a port, or host and port.

    Raises:
        ConfigError: neither.
    """
    data = value.data
    example = 4222 if key == "listen" else 8222
    hint = f'write `{key}: {example}` or `{key}: "0.0.0.0:{example}"`'
    if isinstance(data, int) and not isinstance(data, bool):
        return "", data
    if not isinstance(data, str):
        problem = f"expected port or host:port, got {go_type(data)}"
        raise ConfigError(value.place, problem, hint=hint)
    host, colon, port = data.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        is_host = "[" not in host and "]" not in host
    else:
        is_host = not any(char in host for char in ":[]")
    if not colon or not is_host or any(char in port for char in "[]"):
        problem = f"could not parse address string {quote(data)}"
        raise ConfigError(value.place, problem, hint=hint)
    digits = port[1:] if port[:1] in ("+", "-") else port
    if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > 18:  # noqa: PLR2004
        raise ConfigError(value.place, f"could not parse port {quote(port)}", hint=hint)
    return host, int(port)
