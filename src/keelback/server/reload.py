"""A reload: options read anew take the place of those in force, all of them or none.

What can fail is done first: reading, checking, comparing, compiling, opening. Then the core is
told, step by step, on the control loop, between two turns of the pump: no login is decided by old
rules after the new ones hold.

Source: nats-server 2.15 `server/reload.go`.
"""

from __future__ import annotations

import time

from keelback.auth.gate import compile_gate
from keelback.auth.permissions import PermissionRulesError
from keelback.auth.users import GLOBAL_ACCOUNT
from keelback.errors import ConfigError, KeelbackError, ServerError, UsageError
from keelback.server import files
from keelback.server.accounts import account_tables
from keelback.server.changes import View, changes_between
from keelback.server.info import (
    compile_info,
    compile_limits,
    compile_listener,
    split_host_port,
    tls_material,
)
from keelback.server.log_output import Destination

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from keelback.options import ServerOptions
    from keelback.server.changes import Change
    from keelback.server.lifecycle import Lifecycle
    from keelback.server.settings import ServerSettings

LOG_CHANGES: Final = frozenset(  # one text: ten quoted lines would hide the names
    """
    Trace Debug TraceVerbose TraceHeaders Logtime LogtimeUTC LogFile Syslog RemoteSyslog
    MaxTracedMsgLen log_format
    """.split()  # noqa: SIM905
)
"""Changes for which the log is opened again."""

EXCESS_ERROR: Final = "maximum connections exceeded"
EXCESS_REASON: Final = "Maximum Connections Exceeded"


def reload(server: Lifecycle, read: Callable[[], ServerOptions] | None = None) -> None:
    """Read the options, the way of their source unless told, and put them in force.

    On the control loop.

    Raises:
        ServerError: it was refused, and nothing has changed; the message is nats-server's, and
            is in the log.
    """
    try:
        new = _Prepared(server, read)
    except KeelbackError as error:
        server.log("ERR", f"Failed to reload server configuration: {error}")
        if isinstance(error, ConfigError | UsageError):
            raise ServerError(str(error), hint=error.hint) from error
        raise
    new.put_in_force()


class _Prepared:
    """A reload that nothing speaks against any more."""

    def __init__(self, server: Lifecycle, read: Callable[[], ServerOptions] | None) -> None:
        source = server.source
        if source is None:
            raise ServerError(
                "this server was made of settings, which cannot be read anew",
                hint="make it with keelback.Server(…)",
            )
        self._server = server
        self._source = source
        self._options = (read or source.read)()
        self._settings = source.compile(self._options)
        self._material = tls_material(self._settings.tls)
        self._changes = changes_between(
            View(
                source.options,
                port=server.port,
                tls_material=server.tls_material,
                tls_flags=source.tls_flags,
                has_streams=server.has_streams,
            ),
            View(self._options, port=server.port, tls_material=self._material),
        )
        self._names = frozenset(change.name for change, _ in self._changes)
        self._check_client_advertise()
        self._compile()
        # The last, because it has to be closed again when something fails.
        self._destination = Destination(self._settings.log) if self._names & LOG_CHANGES else None

    def _check_client_advertise(self) -> None:
        advertised = self._settings.client_advertise
        if not advertised:
            return
        try:
            split_host_port(advertised, default_port=self._server.port)
        except ServerError as error:
            problem = f"invalid ClientAdvertise value of {advertised}, err={error}"
            raise ServerError(problem, hint=error.hint) from error

    def _compile(self) -> None:
        server, settings = self._server, self._settings
        problems = list(settings.auth.problems())
        if problems:
            raise ServerError("\n".join(problems))
        try:
            self._gate = compile_gate(settings.auth, server.permissions)
        except PermissionRulesError as error:
            raise ServerError(str(error)) from error
        self._limits = compile_limits(settings)
        self._info = compile_info(
            settings, server.known_keys, port=server.port, ldm=server.is_lame_duck
        )
        self._listener = compile_listener(settings, port=server.port)
        self._renew_monitor = (
            None if settings.tls is None else server.prepare_monitor_certificates(settings.tls)
        )
        self._accounts = account_tables(settings)

    def put_in_force(self) -> None:
        """Tell the core, and the log."""
        server, old = self._server, self._server.settings
        plane = server.plane
        server.settings = self._settings
        server.tls_material = self._material
        self._source.options = self._options
        self._source.tls_flags = None
        plane.set_limits(self._limits)
        plane.set_info(self._info)
        server.change_monitor_access()
        self._renew_tls()
        for change, line in self._changes:
            if self._act(change, old):
                server.log("INF", line)
        if self._destination is not None:
            server.log_output.switch_to(self._destination)
        self._apply_authorization(old)
        self._change_jetstream()
        digest = self._settings.config_digest
        server.log("INF", f"Reloaded server configuration {f'({digest})' if digest else ''}")
        server.config_load_ns = time.time_ns()
        self._drop_unpinned(old)

    def _renew_tls(self) -> None:
        """Certificates, and when TLS begins. Connections that are open stay as they are."""
        # In lame duck mode nothing listens any more, and the mode has no place to go to.
        self._server.plane.set_listener_tls(self._listener)
        if self._renew_monitor is not None:
            self._renew_monitor()

    def _act(self, change: Change, old: ServerSettings) -> bool:
        """Do what goes with a line; whether there is to be one."""
        server, settings = self._server, self._settings
        if change.name == "MaxConn":
            self._close_excess()
        elif change.name == "PidFile":
            if not settings.pid_file:
                return False
            try:
                files.write_pid_file(settings.pid_file)
            except ServerError as error:
                problem = str(error).partition(": ")[2]
                server.log("ERR", f"Failed to write pidfile: {problem}")
        elif change.name == "PortsFileDir":
            if old.ports_file_dir:
                server.ports_file.remove(server.plane)
            server.write_ports_file(server.plane)
        return True

    def _close_excess(self) -> None:
        """Close the youngest connections beyond the limit."""
        plane = self._server.plane
        allowed = max(0, self._settings.limits.max_connections)
        excess = _youngest(plane.connections(), allowed)
        for connection in excess:
            plane.close(connection, EXCESS_REASON, error=EXCESS_ERROR)
        if excess:
            self._server.log(
                "INF", f"Closed {len(excess)} connections to fall within max_connections"
            )

    def _apply_authorization(self, old: ServerSettings) -> None:
        server, settings = self._server, self._settings
        plane = server.plane
        # What was decided by the old rules is handed over now, to be decided again below.
        server.replace_authenticator()
        for gone in sorted(old.auth.accounts - settings.auth.accounts - {GLOBAL_ACCOUNT}):
            if gone != settings.system_account:
                plane.remove_account(gone)
        for table in self._accounts:
            plane.set_account(table)
        plane.set_gate(self._gate)
        plane.reauthorize()

    def _change_jetstream(self) -> None:
        """Switch streams on or off, or change what they may hold."""
        server = self._server
        try:
            server.change_jetstream()
        except ServerError as error:
            server.log("WRN", str(error))
            server.plane.set_info(
                compile_info(
                    self._settings.without_jetstream(),
                    server.known_keys,
                    port=server.port,
                    ldm=server.is_lame_duck,
                )
            )

    def _drop_unpinned(self, old: ServerSettings) -> None:
        before = () if old.tls is None else old.tls.pinned_certs
        pinned = () if self._settings.tls is None else self._settings.tls.pinned_certs
        if not pinned or pinned == before:
            return
        count = self._server.plane.drop_unpinned()
        if count:
            self._server.log("INF", f"Disconnect {count} clients due to pinned certs reload")


def _youngest(connections: Sequence[int], allowed: int) -> Sequence[int]:
    return sorted(connections)[allowed:]
