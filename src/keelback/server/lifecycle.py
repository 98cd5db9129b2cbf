"""The life of one server: start, lame duck, stop. The same embedded and as a command.

States only ever go forward: new, running, lame duck, stopping, stopped.
"""

from __future__ import annotations

import threading
import time

from keelback import _core
from keelback.auth.gate import compile_gate
from keelback.auth.nkeys import ServerKeys
from keelback.auth.permissions import PermissionRulesError, PermissionTable
from keelback.errors import ServerError
from keelback.server import files, log
from keelback.server.accounts import account_tables
from keelback.server.control import NOT_RUNNING, ControlLoop
from keelback.server.info import (
    compile_info,
    compile_limits,
    compile_listener,
    compile_tls,
    tls_material,
)
from keelback.server.log_output import Destination, LogOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from keelback.auth.authenticator import Authenticator
    from keelback.monitor.streams import JetStreamFacts
    from keelback.options import ServerOptions
    from keelback.server.facts import FactsSource
    from keelback.server.jetstream import JetStream
    from keelback.server.monitor_port import MonitorPort
    from keelback.server.pump import JetStreamEvent, Pump
    from keelback.server.settings import ServerSettings, TlsSettings
    from keelback.server.source import Source


class Lifecycle:
    """One server. Thread-safe; `start`, `request_lame_duck` and `stop` may be called repeatedly.

    Args:
        settings: what the server is.
        source: where the options came from, for a reload; None for settings made by hand.
        make_plane: makes the core; tests give their own.
        user_loop: the embedding program's event loop, for an authenticator function.
        sleep: seconds, for lame duck; asyncio's when None.
        random: from 0 to below 1, for lame duck; Python's when None.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        source: Source | None = None,
        make_plane: Callable[..., _core.Plane] | None = None,
        user_loop: asyncio.AbstractEventLoop | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.settings = settings
        self.source = source
        self.tls_material = 0
        self.host = settings.host
        self.port = max(settings.port, 0)
        self.keys: ServerKeys | None = None
        self._make_plane = make_plane or _core.Plane
        self._user_loop = user_loop
        self._sleep = sleep
        self._random = random
        self._plane: _core.Plane | None = None
        self._log_output: LogOutput | None = None
        self._pump: Pump | None = None
        self.permissions = PermissionTable()
        self.ports_file = files.PortsFile()
        self._control = ControlLoop(self._serve, after=self._shut_down)
        self._stop_wanted: asyncio.Event | None = None
        self._is_lame_duck = False
        self._has_control = False
        self._monitor: MonitorPort | None = None
        self._jetstream: JetStream | None = None
        self._facts: FactsSource | None = None
        self.start_ns = 0
        """When it was started, in nanoseconds since 1970."""
        self.config_load_ns = 0
        """When its configuration, certificates included, was last read."""
        self.has_log = False
        """Whether the log is open, and so tells why a start failed."""
        # Guards the step from running to stopped; held while the core stops.
        self._lock = threading.Lock()
        self._is_stopped = False

    @property
    def plane(self) -> _core.Plane:
        """The running core.

        Raises:
            ServerError: the server does not run.
        """
        if self._plane is None or self._is_stopped:
            raise ServerError(NOT_RUNNING, hint="call start() first")
        return self._plane

    @property
    def log_output(self) -> LogOutput:
        """Where the log of the running core goes.

        Raises:
            ServerError: the server was not started.
        """
        if self._log_output is None:
            raise ServerError(NOT_RUNNING, hint="call start() first")
        return self._log_output

    @property
    def known_keys(self) -> ServerKeys:
        """The server's keys.

        Raises:
            ServerError: the server was not started.
        """
        if self.keys is None:
            raise ServerError(NOT_RUNNING, hint="call start() first")
        return self.keys

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._plane is not None and not self._is_stopped

    @property
    def is_lame_duck(self) -> bool:
        """Whether it is sending its clients away."""
        return self._is_lame_duck

    @property
    def facts(self) -> FactsSource:
        """What it tells monitoring."""
        if self._facts is None:
            from keelback.server.facts import FactsSource  # noqa: PLC0415  # msgspec

            self._facts = FactsSource(self)
        return self._facts

    def start(self) -> None:
        """Open the listener; when this returns, clients can connect.

        The control loop is not needed for that: it follows (`run`, `run_in_background`).

        Raises:
            ServerError: it cannot be started; the message says why, and is in the log.
        """
        settings = self.settings
        self._check(settings)
        self.start_ns = self.config_load_ns = time.time_ns()
        self.keys = ServerKeys.generate()
        try:
            gate = compile_gate(settings.auth, self.permissions)
        except PermissionRulesError as error:
            raise ServerError(str(error)) from error
        plane = self._make_plane(
            threads=settings.threads,
            limits=compile_limits(settings),
            info=compile_info(settings, self.keys, port=self.port),
            gate=gate,
        )
        self._log_output = LogOutput(plane)
        try:
            self._log_output.switch_to(Destination(settings.log))
            self.has_log = True
            log.log_start(plane, settings, self.keys)
            self._open(plane, self.keys)
        except BaseException:
            plane.shutdown()
            if self._monitor is not None:
                self._monitor.close()
            self._forward_log(plane, self._log_output)
            raise
        self._plane = plane

    def run(self) -> None:
        """Serve on the calling thread until the server is to stop; then stop it."""
        self._has_control = True
        self._control.run()

    def run_in_background(self) -> None:
        """Serve on a thread of its own until the server is to stop; then stop it."""
        self._has_control = True
        self._control.start_thread()

    def post(self, callback: Callable[[], object]) -> None:
        """Have the control loop call this soon, or when it begins. For signal handlers, too."""
        self._control.post(callback)

    def reload_certificates(self) -> None:
        """Read the certificates again; new connections get them, old ones go on.

        Raises:
            ServerError: the server does not run or has no TLS, or a file cannot be used; then
                all stays as it was.
        """
        plane, tls = self.plane, self.settings.tls
        if tls is None:
            raise ServerError("the server has no TLS", hint="start it with a `tls` block")
        material = tls_material(tls)
        compiled, renew_monitor = compile_tls(tls), self.prepare_monitor_certificates(tls)
        plane.set_tls(compiled)
        renew_monitor()
        self.config_load_ns = time.time_ns()
        self.tls_material = material
        plane.log("INF", "Reloaded: tls = enabled")

    def reload(self, read: Callable[[], ServerOptions] | None = None) -> None:
        """Put options in force that are read anew; waits until they are. From any thread.

        Args:
            read: reads them; the source's own way when None.

        Raises:
            ServerError: the server does not run, or the reload was refused; then nothing has
                changed, and the log says why.
        """
        from keelback.server.reload import reload  # noqa: PLC0415  # not needed to start

        def act() -> None:
            reload(self, read)

        if not self.is_running:
            raise ServerError(NOT_RUNNING, hint="call start() first")
        self._control.call(act)

    def prepare_monitor_certificates(self, tls: TlsSettings) -> Callable[[], None]:
        """Read the monitoring port's certificates; the result has new handshakes use them.

        Raises:
            ServerError: one cannot be used.
        """
        return _nothing if self._monitor is None else self._monitor.prepare_certificates(tls)

    def change_monitor_access(self) -> None:
        """Have monitoring ask for what the settings of now name; on the control loop."""
        if self._monitor is not None:
            self._monitor.change_access(self.settings.monitor)

    def replace_authenticator(self) -> None:
        """Have logins decided by the settings of now, also those under way; on the control loop."""
        if self._pump is not None:
            self._pump.replace_authenticator(self._new_authenticator())

    @property
    def slow_consumers(self) -> tuple[_core.SlowConsumer, ...]:
        """The last clients that were cut off as slow consumers, oldest first."""
        return () if self._pump is None else tuple(self._pump.slow_consumers)

    @property
    def monitor_url(self) -> str:
        """Where monitoring is served; empty where it is not."""
        return "" if self._monitor is None else self._monitor.urls[0]

    def request_stop(self) -> None:
        """Have the server stop soon; does not wait. For signal handlers, too."""
        self._control.post(self._want_stop)

    def request_lame_duck(self) -> None:
        """Have the server send its clients away and then stop; does not wait."""
        self._control.post(self._begin_lame_duck)

    def stop(self) -> None:
        """Stop, and wait until no thread, descriptor or port of the server is left."""
        if self._plane is None:
            return
        if not self._has_control:
            self._shut_down()
            return
        self.request_stop()
        self._control.join()

    def write_ports_file(self, plane: _core.Plane) -> None:
        """Write the ports file, if there is to be one."""
        settings = self.settings
        if not settings.ports_file_dir:
            return
        tls = settings.tls
        scheme = "tls" if tls is not None and not tls.optional else "nats"
        urls = {"nats": files.client_urls(scheme, self.host, self.port)}
        if self._monitor is not None:
            urls["monitoring"] = self._monitor.urls
        self.ports_file.write(settings.ports_file_dir, urls, plane)

    def log(self, level: str, text: str) -> None:
        """Write a line to the log."""
        self.plane.log(level, text)  # pyright: ignore[reportArgumentType]  # the levels are ours

    def _check(self, settings: ServerSettings) -> None:
        problems = list(settings.auth.problems())
        limits = settings.limits
        if limits.max_payload > limits.max_pending:
            problems.append(
                f"max_payload ({limits.max_payload}) cannot be higher than "
                f"max_pending ({limits.max_pending})"
            )
        if problems:
            raise ServerError("\n".join(problems))

    def _open(self, plane: _core.Plane, keys: ServerKeys) -> None:
        settings = self.settings
        try:
            if settings.pid_file:
                files.write_pid_file(settings.pid_file)
            for table in account_tables(settings):
                plane.set_account(table)
            if settings.system_account:
                plane.set_system_account(settings.system_account)
            plane.set_closed_limit(settings.limits.max_closed_clients)
            self._open_jetstream(plane, keys)
            self._open_monitor(plane)
            listener = compile_listener(settings)
            self.tls_material = tls_material(settings.tls)
            try:
                self.host, self.port = plane.listen(listener)
            except OSError as error:
                raise ServerError(log.listen_failure(settings, error)) from error
        except ServerError as error:
            plane.log("FTL", str(error))
            raise
        if settings.port <= 0:
            plane.set_info(compile_info(settings, keys, port=self.port))
        log.log_listening(plane, settings, self.port)
        self.write_ports_file(plane)
        plane.log("INF", "Server is ready")

    def _open_jetstream(self, plane: _core.Plane, keys: ServerKeys) -> None:
        if self.settings.jetstream is not None:
            self._make_jetstream(plane, keys).open(self.settings)

    def _make_jetstream(self, plane: _core.Plane, keys: ServerKeys) -> JetStream:
        from keelback.server.jetstream import JetStream  # noqa: PLC0415  # msgspec

        server_name = self.settings.server_name or keys.server_id
        self._jetstream = JetStream(plane, server_name=server_name, server_id=keys.server_id)
        return self._jetstream

    @property
    def has_streams(self) -> bool:
        """Whether JetStream is on; configured, it may have failed to start at a reload."""
        return self._jetstream is not None and self._jetstream.is_on

    def change_jetstream(self) -> None:
        """Have JetStream be as the settings of now say; on the control loop.

        Raises:
            ServerError: it is to be on, and cannot be; then it is off.
        """
        jetstream = self._jetstream
        if jetstream is None and self.settings.jetstream is not None:
            jetstream = self._make_jetstream(self.plane, self.known_keys)
        if jetstream is not None:
            jetstream.change(self.settings)

    def jetstream_facts(self) -> JetStreamFacts | None:
        """What monitoring is told of JetStream; None when it is off."""
        return None if self._jetstream is None else self._jetstream.facts()

    def _open_monitor(self, plane: _core.Plane) -> None:
        if not self.settings.monitor.is_on:
            return
        from keelback.server.monitor_port import MonitorPort  # noqa: PLC0415

        self._monitor = port = MonitorPort(self.settings)
        plane.log("INF", f"Starting {port.scheme} monitor on {port.address}")
        plane.log("INF", f"Monitoring: {self.monitor_url}/")

    async def _start_monitor(self, plane: _core.Plane) -> None:
        """On the control loop; a port that fails leaves the server running."""
        if self._monitor is None:
            return
        try:
            await self._monitor.start(self)
        except Exception as error:  # noqa: BLE001  # whatever it is, clients come first
            plane.log("ERR", f"Can't start monitoring: {type(error).__name__}: {error}")

    async def _serve(self) -> None:
        """The control loop's life."""
        import asyncio  # noqa: PLC0415

        from keelback.server.pump import Pump  # noqa: PLC0415

        plane = self.plane
        self._stop_wanted = asyncio.Event()
        self._pump = pump = Pump(
            plane, self._new_authenticator(), self.log_output, self._answer_request
        )
        try:
            pump.attach(asyncio.get_running_loop())
            starting = asyncio.create_task(self._start_monitor(plane))
            await self._stop_wanted.wait()
            starting.cancel()
        except Exception as error:
            plane.log("ERR", f"The control loop failed: {type(error).__name__}: {error}")
            raise
        finally:
            if self._monitor is not None:
                await self._monitor.stop()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await pump.detach()
            pump.close()

    def _answer_request(self, request: JetStreamEvent) -> None:
        if self._jetstream is not None:
            self._jetstream.handle(request)

    def _new_authenticator(self) -> Authenticator:
        from keelback.auth.authenticator import Authenticator  # noqa: PLC0415  # brings asyncio

        plane = self.plane
        return Authenticator(
            self.settings.auth, self.permissions, log=plane.log, loop=self._user_loop
        )

    def _want_stop(self) -> None:
        if self._stop_wanted is not None:
            self._stop_wanted.set()

    def _begin_lame_duck(self) -> None:
        """On the control loop."""
        import asyncio  # noqa: PLC0415

        if self._is_lame_duck or not self.is_running or self.keys is None:
            return
        self._is_lame_duck = True
        plane = self.plane
        plane.log("INF", "Entering lame duck mode, stop accepting new clients")
        plane.stop_listening()
        info = compile_info(self.settings, self.keys, port=self.port, ldm=True)
        plane.set_info(info, announce=True)
        task = asyncio.get_running_loop().create_task(self._be_lame_duck())
        task.add_done_callback(lambda _: self._want_stop())

    async def _be_lame_duck(self) -> None:
        import asyncio  # noqa: PLC0415
        import random  # noqa: PLC0415

        from keelback.server.lame_duck import send_clients_away  # noqa: PLC0415

        await send_clients_away(
            self.plane,
            self.settings.lame_duck,
            sleep=self._sleep or asyncio.sleep,
            random=self._random or random.random,
        )

    def _shut_down(self) -> None:
        with self._lock:
            if self._is_stopped or self._plane is None:
                return
            plane = self._plane
            plane.log("INF", "Initiating Shutdown...")
            plane.stop_listening()
            if self._monitor is not None:
                self._monitor.close()
            self.ports_file.remove(plane)
            if self._jetstream is not None:
                self._jetstream.stop_answering()
            plane.shutdown()
            plane.log("INF", "Server Exiting..")
            self.forward_log()
            self._is_stopped = True

    def forward_log(self) -> None:
        """Hand on the lines that nobody will take any more, and let their destination go."""
        if self._log_output is not None and self._plane is not None:
            self._forward_log(self._plane, self._log_output)

    @staticmethod
    def _forward_log(plane: _core.Plane, output: LogOutput) -> None:
        while events := plane.take_events():
            for event in events:
                if isinstance(event, _core.LogLine):
                    output.forward(event)
        output.close()


def _nothing() -> None:
    """There is no monitoring port."""
