"""Log lines to syslog: the local one, or one that a URL names.

Lines have the form, facility and severities of nats-server's (Go's `log/syslog`). They are sent
by a thread of their own from a bounded queue: a syslog server that does not take them holds up
nothing but its own log.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time

from keelback.errors import ServerError
from keelback.server.files import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LOCAL_SOCKETS: Final = ("/dev/log", "/var/run/syslog", "/var/run/log")

FACILITY_KERN: Final = 0 << 3
FACILITY_DAEMON: Final = 3 << 3
SEVERITIES: Final = {"FTL": 2, "ERR": 3, "WRN": 4, "INF": 5, "TRC": 5, "DBG": 7}

LINES_MAX: Final = 10_000
"""Lines that may wait; further ones are dropped, and counted in a line once there is room."""

CONNECT_TIMEOUT_S: Final = 5.0
SEND_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 2.0
"""How long a stop waits for lines that are still to be sent."""

THREAD_NAME: Final = "kb-syslog"


class Syslog:
    """One connection to a syslog, with what it takes to make it again. Thread-safe.

    Args:
        url: `udp://host:port`, `tcp://host:port` or `unix:/path`; empty for the local one.

    Raises:
        ServerError: the URL names no such network, or nothing answers there.
    """

    def __init__(self, url: str = "") -> None:
        self._network, self._address = _destination(url)
        self._tag = os.path.basename(sys.argv[0]) or "keelback-server"  # noqa: PTH119
        self._host = socket.gethostname()
        self._lines: queue.Queue[tuple[str, str] | None] = queue.Queue(LINES_MAX)
        self._dropped = 0
        try:
            self._socket: socket.socket | None = self._connect()
        except OSError as error:
            raise ServerError(
                f'error connecting to syslog: "{self._told(error)}"',
                hint="is a syslog running there?",
            ) from error
        # A daemon: a program that forgets to stop its server must still be able to end.
        self._thread = threading.Thread(target=self._send_all, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def write(self, level: str, text: str) -> None:
        """Have a line sent; does not wait."""
        try:
            self._lines.put_nowait((level, text))
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Send what waits, as far as that takes no longer than two seconds, and let go."""
        try:
            self._lines.put(None, timeout=CLOSE_TIMEOUT_S)
        except queue.Full:
            return  # nobody reads it: the daemon thread goes with the process
        self._thread.join(CLOSE_TIMEOUT_S)

    def _send_all(self) -> None:
        while (line := self._lines.get()) is not None:
            self._send(*line)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self._send("WRN", f"{dropped} log lines were dropped: syslog took no more")
        if self._socket is not None:
            self._socket.close()

    def _send(self, level: str, text: str) -> None:
        data = self._format(level, text).encode()
        for _ in range(2):  # as Go does: a connection that broke is made anew, once
            try:
                if self._socket is None:
                    self._socket = self._connect()
                self._socket.sendall(data)
            except OSError:
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
            else:
                return

    def _format(self, level: str, text: str) -> str:
        severity = SEVERITIES.get(level, SEVERITIES["INF"])
        sender = f"{self._tag}[{os.getpid()}]: {text}\n"
        now = time.localtime()
        if self._network == "local":
            return f"<{FACILITY_DAEMON | severity}>{_stamp(now)} {sender}"
        if self._network == "unix":
            return f"<{FACILITY_KERN | severity}>{_stamp(now)} {sender}"
        zone = time.strftime("%z", now)
        zone = "Z" if zone in ("+0000", "") else f"{zone[:3]}:{zone[3:]}"
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", now) + zone
        return f"<{FACILITY_KERN | severity}>{moment} {self._host} {sender}"

    def _connect(self) -> socket.socket:
        if self._network == "local":
            return _connect_locally()
        if self._network == "unix":
            return _connect_to(socket.AF_UNIX, socket.SOCK_STREAM, self._address)
        host, port = _host_and_port(self._address)
        kind = socket.SOCK_DGRAM if self._network == "udp" else socket.SOCK_STREAM
        last: OSError = OSError("no such host")
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=kind):
            try:
                return _connect_to(family, kind, address)
            except OSError as error:
                last = error
        raise last

    def _told(self, error: OSError) -> str:
        if self._network == "local":
            return "Unix syslog delivery error"
        if isinstance(error, _AddressError):
            return f"dial {self._network}: {error}"
        return f"dial {self._network} {self._address}: connect: {reason_of(error)}"


class _AddressError(OSError):
    """An address without a port."""


def _destination(url: str) -> tuple[str, str]:
    """The network and the address there.

    Raises:
        ServerError: nats-server's text.
    """
    if not url:
        return "local", ""
    network, _, rest = url.partition(":")
    rest = rest.removeprefix("//")
    if network in ("udp", "tcp"):
        return network, rest.partition("/")[0]
    if network == "unix":
        return "unix", rest
    raise ServerError(
        f'error invalid network type: "{network}"',
        hint="write `udp://host:port`, `tcp://host:port` or `unix:/path`",
    )


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise _AddressError(f"address {address}: missing port in address")
    return host.strip("[]"), int(port)


def _connect_locally() -> socket.socket:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        for path in LOCAL_SOCKETS:
            try:
                return _connect_to(socket.AF_UNIX, kind, path)
            except OSError:
                continue
    raise OSError("no local syslog")


def _connect_to(family: int, kind: int, address: object) -> socket.socket:
    connection = socket.socket(family, kind)
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        connection.connect(address)  # pyright: ignore[reportArgumentType]  # of that family
        connection.settimeout(SEND_TIMEOUT_S)
    except BaseException:
        connection.close()
        raise
    return connection


def _stamp(now: time.struct_time) -> str:
    """`Jan  2 15:04:05`, whatever the locale."""
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[now.tm_mon * 3 - 3 : now.tm_mon * 3]
    return f"{month} {now.tm_mday:2d} {now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
