"""`ServerOptions`: all that one server is told, complete, with every default in its place."""

from __future__ import annotations

from os import fspath

from keelback.options.accounts import SYSTEM_ACCOUNT, AccountOptions
from keelback.options.authorization import AuthorizationOptions
from keelback.options.fields import Block, Reload, option, options
from keelback.options.jetstream import JetStreamOptions
from keelback.options.kinds import FILE, FLAG, HOST_PORT, INTEGER, NESTED, SERVER_NAME, TEXT
from keelback.options.labels import LabelOptions
from keelback.options.lame_duck import LameDuckOptions
from keelback.options.limits import LimitOptions
from keelback.options.log import LogOptions
from keelback.options.monitor import MonitorOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from typing import cast

    from keelback.options.tls import TlsOptions
else:

    def cast(_: str, value: object) -> object:
        """Say a type; `typing` itself costs start-up time."""
        return value


PORT_DEFAULT = 4222
PORT_RANDOM = -1
THREADS_MAX = 64


@options("")
class ServerOptions(Block):
    """One server. Immutable; seconds and bytes; see each field's help."""

    host: str = option(
        TEXT,
        default="0.0.0.0",
        aliases=("net",),
        zero_is_default=True,
        help="The address that clients connect to. `listen` gives host and port at once.",
    )
    port: int = option(
        INTEGER,
        default=PORT_DEFAULT,
        zero_is_default=True,
        minimum=PORT_RANDOM,
        maximum=65535,
        help="The port that clients connect to; -1 takes a free one.",
    )
    client_advertise: str = option(
        HOST_PORT,
        default="",
        reload=Reload.NEW_CONNECTIONS,
        help="The address that clients are told to connect to, in place of host and port.",
    )
    server_name: str = option(
        SERVER_NAME, default="", default_text="the server's id", help="The server's unique name."
    )
    threads: int = option(
        INTEGER,
        default=0,
        default_text="by the number of cores",
        minimum=0,
        maximum=THREADS_MAX,
        help="Reactor threads that read and write connections. Keelback's own.",
    )
    pid_file: str = option(
        FILE,
        default="",
        aliases=("pidfile",),
        reload=Reload.LIVE,
        help="The file to write the process id to.",
    )
    ports_file_dir: str = option(
        FILE,
        default="",
        reload=Reload.LIVE,
        help="The directory to write a file with the ports in use to.",
    )
    store_dir: str = option(
        FILE,
        default="",
        aliases=("storedir",),
        help="The directory of streams, as `store_dir` of `jetstream`; give one of the two.",
    )
    no_header_support: bool = option(
        FLAG, default=False, help="Refuse messages with headers, as servers before 2.2 did."
    )
    allow_non_tls: bool = option(
        FLAG, default=False, help="Serve clients without TLS, too, where a `tls` block is given."
    )
    no_auth_user: str = option(
        TEXT,
        default="",
        help="The user that a client without credentials is; one of the users, or its nkey.",
    )
    system_account: str = option(
        TEXT,
        default=SYSTEM_ACCOUNT,
        aliases=("system",),
        zero_is_default=True,
        help="The account in which the server speaks of itself.",
    )
    no_system_account: bool = option(
        FLAG,
        default=False,
        aliases=("no_system", "no_sys_acc"),
        help="Have no system account, unless `system_account` names one.",
    )
    proxy_protocol: bool = option(
        FLAG,
        default=False,
        help="Expect the PROXY protocol (version 1 or 2) of a load balancer before each client's "
        "first byte.",
    )
    limits: LimitOptions = option(NESTED, default=LimitOptions(), help="Limits of a connection.")
    log: LogOptions = option(NESTED, default=LogOptions(), help="What is logged, and where.")
    lame_duck: LameDuckOptions = option(
        NESTED, default=LameDuckOptions(), help="How clients are sent away."
    )
    monitor: MonitorOptions = option(NESTED, default=MonitorOptions(), help="Monitoring over HTTP.")
    labels: LabelOptions = option(NESTED, default=LabelOptions(), help="Tags and metadata.")
    jetstream: JetStreamOptions = option(
        NESTED, default=JetStreamOptions(), help="Streams, and where they are."
    )
    tls: TlsOptions | None = option(NESTED, default=None, help="TLS; None is without.")
    authorization: AuthorizationOptions = option(
        NESTED, default=AuthorizationOptions(timeout=2.0), help="Users without accounts."
    )
    accounts: tuple[AccountOptions, ...] = option(
        NESTED, default=(), help="Accounts and their users."
    )
    config_file: str = option(NESTED, default="", help="The file that was read, if any.")
    config_digest: str = option(NESTED, default="", help="The digest of its content.")

    @staticmethod
    def read(
        config: str | PathLike[str] | Mapping[str, object] | None = None, **keywords: object
    ) -> ServerOptions:
        """Read options from a configuration file or a mapping, and from keywords.

        Keywords come over what `config` says, as flags come over a file; a keyword that is a
        block (`tls`, `authorization`, `accounts`) replaces the whole block.

        Raises:
            ConfigError: with everything that is wrong.
        """
        if config is None:
            return ServerOptions.from_mapping(keywords)
        if isinstance(config, str) or hasattr(config, "__fspath__"):
            return ServerOptions.from_file(cast("str", config), keywords)
        return ServerOptions.from_mapping(cast("Mapping[str, object]", config), keywords)

    @staticmethod
    def from_mapping(
        mapping: Mapping[str, object], overrides: Mapping[str, object] | None = None
    ) -> ServerOptions:
        """Read options from Python data: the keys, types and errors of a configuration file.

        Durations may be numbers of seconds. A key is named by its path in errors. `overrides`
        come over what the mapping says.

        Raises:
            ConfigRejected: with everything that is wrong.
        """
        from keelback.options.load import load_mapping  # noqa: PLC0415 - it builds this class

        return load_mapping(mapping, overrides).resolved()

    @staticmethod
    def from_file(
        path: str | PathLike[str], overrides: Mapping[str, object] | None = None
    ) -> ServerOptions:
        """Read options from a configuration file; `overrides` come over what it says.

        Raises:
            ConfigError: with everything that is wrong.
        """
        from keelback.options.load import load_file  # noqa: PLC0415 - it builds this class

        return load_file(fspath(path), overrides).resolved()


def flat_blocks() -> tuple[type[Block], ...]:
    """The blocks whose keys stand at the top level of a file."""
    return (
        ServerOptions,
        LimitOptions,
        LogOptions,
        MonitorOptions,
        LabelOptions,
        LameDuckOptions,
    )
