"""`keelback.Server`: the server inside any Python program."""

from __future__ import annotations

import atexit
import os
import weakref

from keelback.errors import ServerError
from keelback.server.compile import compile_settings
from keelback.server.control import NOT_RUNNING
from keelback.server.documents import Documents
from keelback.server.info import join_host_port, split_host_port
from keelback.server.lifecycle import Lifecycle
from keelback.server.source import NO_FILE, Source, read_keywords

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, Final, Self

    from keelback.options import ServerOptions
    from keelback.server.pipe import SyncPipe
    from keelback.server.settings import ServerSettings

LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}

_running: weakref.WeakSet[Server] = weakref.WeakSet()


class Server(Documents):
    """A NATS server in this process.

    Keywords are the keys of the configuration file; blocks are dicts. Durations may be numbers
    of seconds. `port=-1` or `port=0` takes a free one::

        async with keelback.Server(port=-1) as server:
            client = await nats.connect(server.url)

    The same options may come as a mapping, or from a configuration file, over which keywords
    are laid: `keelback.Server(config="server.conf", port=-1)`.

    Without `log_file`, its log goes to `logging.getLogger("keelback")`. Several may run side by
    side. It lives on threads of its own; `start` and `stop` may be called from any thread, more
    than once. A child made by `os.fork` cannot use its parent's server.

    Args:
        options: as a mapping; keywords are laid over it.
        config: a configuration file, in nats-server's language; options are laid over it.
        authenticate: decides who may connect, instead of users in the options: it is given a
            `keelback.ConnectionAttempt` and answers with a `keelback.UserIdentity`, a user's
            name, or None. Sync or async; called on the event loop that the server was entered
            on by `async with`.
        keywords: see `docs/configuration.md`.

    Raises:
        ConfigError: an option is wrong; the message names it.
    """

    _config = ""
    _keywords: Mapping[str, object] = {}  # replaced, never changed
    _authenticate: Callable[..., Any] | None = None

    def __init__(
        self,
        options: Mapping[str, object] | None = None,
        /,
        *,
        config: str | os.PathLike[str] = "",
        authenticate: Callable[..., Any] | None = None,
        **keywords: object,
    ) -> None:
        self._authenticate = authenticate
        self._config = os.fspath(config)
        self._keywords = {**(options or {}), **keywords}
        self._options: ServerOptions | None = read_keywords(self._config, self._keywords)
        self._adopt(self._compile(self._options))

    @classmethod
    def from_settings(cls, settings: ServerSettings) -> Self:
        """A server of settings that were compiled before."""
        server = cls.__new__(cls)
        server._options = None  # noqa: SLF001  # its own
        server._adopt(settings)  # noqa: SLF001
        return server

    def _adopt(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lifecycle: Lifecycle | None = None
        self._process_id = os.getpid()

    def start(self, *, loop: asyncio.AbstractEventLoop | None = None) -> Self:
        """Open the listener; when this returns, clients can connect. Nothing when it runs.

        Args:
            loop: runs the authenticator function; `async with` gives the running one.

        Raises:
            ServerError: it cannot be started; or this is a forked child of its process.
        """
        self._refuse_in_child()
        if self.is_running:
            return self
        lifecycle = Lifecycle(self._settings, source=self._source(), user_loop=loop)
        lifecycle.start()
        lifecycle.run_in_background()
        self._lifecycle = lifecycle
        _running.add(self)
        return self

    def stop(self) -> None:
        """Stop; when this returns, no thread, descriptor or port is left. Nothing when stopped.

        Clients read the end of their stream.

        Raises:
            ServerError: this is a forked child of the server's process.
        """
        self._refuse_in_child()
        if self._lifecycle is not None:
            self._lifecycle.stop()
            _running.discard(self)

    def lame_duck(self) -> None:
        """Send clients away gently, then stop; does not wait (`lame_duck_duration`)."""
        self._refuse_in_child()
        if self._lifecycle is not None:
            self._lifecycle.request_lame_duck()

    def reload(
        self,
        options: Mapping[str, object] | None = None,
        /,
        *,
        config: str | os.PathLike[str] = "",
        **changes: object,
    ) -> None:
        """Put other options in force, without a restart; clients that may stay, stay.

        Without arguments the configuration file is read again. Waits until it is done; may be
        called from any thread. What cannot be changed while a server runs is in
        `docs/configuration.md`.

        Args:
            options: take the place of all that were given before, besides the file.
            config: takes the place of the configuration file.
            changes: laid over the options.

        Raises:
            ServerError: the server does not run, or an option is wrong or cannot be changed;
                then nothing has changed. Or this is a forked child of the server's process.
        """
        lifecycle = self._running_lifecycle()
        file = os.fspath(config) or self._config
        keywords = {**(self._keywords if options is None else options), **changes}
        if not file and options is None and not changes:
            raise ServerError(NO_FILE, hint="or give the options that are to change")
        lifecycle.reload(lambda: read_keywords(file, keywords))
        self._config, self._keywords = file, keywords
        self._options = None if lifecycle.source is None else lifecycle.source.options
        self._settings = lifecycle.settings

    def reload_certificates(self) -> None:
        """Read the files that the `tls` option names again, as after a renewal.

        New connections get the new certificates and authorities; old ones go on. May be called
        from any thread; reads files.

        Raises:
            ServerError: the server does not run or has no TLS; a file cannot be used, then all
                stays as it was; or this is a forked child of the server's process.
        """
        self._running_lifecycle().reload_certificates()

    @property
    def is_running(self) -> bool:
        """Whether clients are served."""
        return self._lifecycle is not None and self._lifecycle.is_running

    @property
    def host(self) -> str:
        """The address it listens on; before the start, the one configured."""
        return self._settings.host if self._lifecycle is None else self._lifecycle.host

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            ServerError: it is a free port that is not chosen yet.
        """
        port = self._settings.port if self._lifecycle is None else self._lifecycle.port
        if port <= 0:
            raise ServerError("the port is chosen when the server starts", hint="call start()")
        return port

    @property
    def url(self) -> str:
        """What a client in this machine connects to: `nats://…`, with TLS `tls://…`."""
        tls = self._settings.tls
        scheme = "tls" if tls is not None and not tls.optional else "nats"
        return f"{scheme}://{join_host_port(LOOPBACK.get(self.host, self.host), self.port)}"

    @property
    def monitor_url(self) -> str:
        """Where its monitoring is served, for this machine: `http://…`; needs `http_port`.

        Raises:
            ServerError: it is not served.
        """
        url = "" if self._lifecycle is None else self._lifecycle.monitor_url
        if not url:
            raise ServerError("monitoring is not served", hint="give `http_port`, and call start()")
        return url

    @property
    def client_url(self) -> str:
        """What clients elsewhere are told to connect to: as `url`, with `client_advertise`."""
        advertised = self._settings.client_advertise
        if not advertised:
            return self.url
        scheme = self.url.partition(":")[0]
        address = join_host_port(*split_host_port(advertised, default_port=self.port))
        return f"{scheme}://{address}"

    @property
    def server_id(self) -> str:
        """The server's public key, `N…`; new at each start."""
        keys = None if self._lifecycle is None else self._lifecycle.keys
        if keys is None:
            raise ServerError("the server's id is made when it starts", hint="call start()")
        return keys.server_id

    async def connect_in_process(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection without a socket, as a stream pair of the running event loop.

        Raises:
            ServerError: the server does not run; or this is a forked child of its process.
        """
        from keelback.server.pipe import open_stream  # noqa: PLC0415

        return await open_stream(self._plane_to_connect_to().open_pipe())

    def connect_in_process_sync(self, *, timeout_s: float | None = None) -> SyncPipe:
        """A connection without a socket for code without an event loop.

        Args:
            timeout_s: that a send or a receive may wait; None waits for ever.

        Raises:
            ServerError: as `connect_in_process`.
        """
        from keelback.server.pipe import SyncPipe  # noqa: PLC0415

        return SyncPipe(self._plane_to_connect_to().open_pipe(), timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A child that leaves its parent's block must neither stop its server nor hide its error.
        if not self._is_in_child:
            self.stop()

    async def __aenter__(self) -> Self:
        import asyncio  # noqa: PLC0415

        return self.start(loop=asyncio.get_running_loop())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        import asyncio  # noqa: PLC0415

        # On another thread: an authenticator function may have to run here before all is closed.
        if not self._is_in_child:
            await asyncio.to_thread(self.stop)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<keelback.Server {state} {self._settings.host}:{self._settings.port}>"

    @property
    def _is_in_child(self) -> bool:
        return os.getpid() != self._process_id

    def _refuse_in_child(self) -> None:
        if self._is_in_child:
            raise ServerError(
                f"this server belongs to process {self._process_id}, of which this one is a fork",
                hint="make a new keelback.Server in the child, or use the spawn start method",
            )

    def _compile(self, options: ServerOptions) -> ServerSettings:
        return compile_settings(options, authenticate=self._authenticate, log_to_python=True)

    def _source(self) -> Source | None:
        if self._options is None:
            return None
        file, keywords = self._config, self._keywords
        return Source(
            self._options,
            compile=self._compile,
            read=lambda: read_keywords(file, keywords),
        )

    def _running_lifecycle(self) -> Lifecycle:
        self._refuse_in_child()
        if self._lifecycle is None:
            raise ServerError(NOT_RUNNING, hint="call start() first")
        return self._lifecycle

    def _plane_to_connect_to(self) -> Any:  # noqa: ANN401  # the core's Plane; kept private
        return self._running_lifecycle().plane


@atexit.register
def _stop_what_runs() -> None:
    """The core's threads must be gone before the interpreter is."""
    for server in list(_running):
        if server.is_running and server._process_id == os.getpid():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            server.stop()
