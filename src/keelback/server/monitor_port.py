"""The monitoring port: bound before clients can connect, served once the control loop runs.

What comes in between waits in the socket's backlog, so that "Server is ready" is true of it, too,
and neither aiohttp nor ssl stands between a start and its listener.
"""

from __future__ import annotations

from keelback.errors import ServerError
from keelback.server.files import ANY_ADDRESSES, client_urls, reason_of
from keelback.server.info import join_host_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from typing import Final

    from keelback.monitor.access import Access
    from keelback.monitor.http import Monitor
    from keelback.server.lifecycle import Lifecycle
    from keelback.server.monitor_tls import MonitorTls
    from keelback.server.settings import MonitorSettings, ServerSettings, TlsSettings

BACKLOG: Final = 128

THREADS: Final = 2
"""That build documents: a large page keeps a small one waiting no longer than need be."""


class MonitorPort:
    """The port of one server.

    Raises:
        ServerError: it cannot be bound; the message is nats-server's.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings.monitor
        self._tls = settings.tls
        self.scheme = "http" if settings.monitor.http_port is not None else "https"
        _check(settings)
        self._socket: socket.socket | None = self._bind()
        self.port: int = self._socket.getsockname()[1]
        self._pool: ThreadPoolExecutor | None = None
        self._monitor: Monitor | None = None
        self._access: Access | None = None
        self._front: MonitorTls | None = None

    @property
    def address(self) -> str:
        """`host:port`, the host as configured."""
        return join_host_port(self._settings.host, self.port)

    @property
    def urls(self) -> list[str]:
        """URLs under which it is reached."""
        return client_urls(self.scheme, self._settings.host, self.port)

    async def start(self, lifecycle: Lifecycle) -> None:
        """Serve; on the control loop. Its imports run on a thread, beside logins.

        Raises:
            OSError, ServerError: the certificates cannot be used.
        """
        import asyncio  # noqa: PLC0415
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        self._pool = pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kb-monitor")
        loop = asyncio.get_running_loop()
        tls = self._tls
        monitor = await loop.run_in_executor(pool, self._make, lifecycle, pool)
        listening, self._socket = self._socket, None
        if listening is not None:
            self._monitor = monitor
            # What a reload changed while the thread was at it.
            self.change_access(self._settings)
            if self._tls is not None and self._tls is not tls:
                self.prepare_certificates(self._tls)()
            await monitor.start(listening, None if self._front is None else self._front.front)

    async def stop(self) -> None:
        """Close the port and let its threads go; on the control loop."""
        self.close()
        monitor, self._monitor = self._monitor, None
        if monitor is not None:
            await monitor.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """Close the socket that was never served."""
        listening, self._socket = self._socket, None
        if listening is not None:
            listening.close()

    def change_access(self, settings: MonitorSettings) -> None:
        """Each request from now on is asked for what these settings name; on the control loop."""
        self._settings = settings
        if self._access is not None:
            self._access.change(
                user=settings.user, password=settings.password, token=settings.token
            )

    def prepare_certificates(self, tls: TlsSettings) -> Callable[[], None]:
        """Read the certificates as their files are now; the result has new handshakes use them.

        Raises:
            ServerError: one cannot be used.
        """
        front = self._front
        try:
            prepared = None if front is None else front.prepare(tls)
        except OSError as error:
            raise ServerError(f"monitoring cannot use the certificate: {error}") from error

        def put_in_force() -> None:
            self._tls = tls
            if prepared is not None:
                prepared()

        return put_in_force

    def _make(self, lifecycle: Lifecycle, pool: ThreadPoolExecutor) -> Monitor:
        from keelback.monitor.access import Access  # noqa: PLC0415  # heavy, all three
        from keelback.monitor.http import Monitor  # noqa: PLC0415

        settings = self._settings
        if self.scheme == "https" and self._tls is not None:
            from keelback.server.monitor_tls import MonitorTls  # noqa: PLC0415  # ssl

            self._front = MonitorTls(self._tls)
        self._access = Access(user=settings.user, password=settings.password, token=settings.token)
        return Monitor(
            lifecycle.facts.now,
            access=self._access,
            base_path=settings.base_path,
            log=lifecycle.log,
            executor=pool,
        )

    def _bind(self) -> socket.socket:
        """A listening socket; for any address of both families, as Go does.

        Raises:
            ServerError: it cannot be bound.
        """
        import socket  # noqa: PLC0415  # for servers with this port only

        settings = self._settings
        host, port = settings.host, max(self._wanted_port, 0)
        try:
            if host in ANY_ADDRESSES and socket.has_dualstack_ipv6():
                return socket.create_server(
                    ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
                )
            found = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, address = found[0][0], found[0][4]
            return socket.create_server(address, family=family, backlog=BACKLOG)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            # The name's own fault, or the address's.
            is_name = isinstance(error, socket.gaierror)
            why = f"lookup {host}: no such host" if is_name else f"bind: {reason_of(error)}"
            raise ServerError(
                "Can't start monitoring: can't listen to the monitor port: "
                f"listen tcp {join_host_port(host, port)}: {why}",
                hint="is another server using the port? -1 takes one that is free",
            ) from error

    @property
    def _wanted_port(self) -> int:
        wanted = self._settings.http_port
        if wanted is None:
            wanted = self._settings.https_port
        return wanted or 0


def _check(settings: ServerSettings) -> None:
    monitor = settings.monitor
    if monitor.http_port is not None and monitor.https_port is not None:
        raise ServerError(
            f"Can't start monitoring: can't specify both HTTP ({monitor.http_port}) "
            f"and HTTPs ({monitor.https_port}) ports"
        )
    if monitor.https_port is not None and (settings.tls is None or not settings.tls.certificates):
        raise ServerError("Can't start monitoring: TLS cert and key required for HTTPS")
