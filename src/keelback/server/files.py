"""The pid file and the ports file: how scripts find a server."""

# pathlib takes longer to import than the rest of the start takes: `os` it is.
# ruff: noqa: PTH105, PTH108, PTH118, PTH119, PTH123
from __future__ import annotations

import os
import sys

from keelback.errors import ServerError
from keelback.server.info import join_host_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback import _core

PID_FILE_MODE = 0o600

ANY_ADDRESSES = ("0.0.0.0", "::", "")  # compared with, not bound


def write_pid_file(file: str) -> None:
    """Write the process id in decimal, without a newline; it stays when the server stops.

    Raises:
        ServerError: the file cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PID_FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(str(os.getpid()))
    except OSError as error:
        raise ServerError(f"Could not write pidfile: open {file}: {reason_of(error)}") from error


def ports_file_path(directory: str, executable: str) -> str:
    """`<directory>/<executable>_<pid>.ports`."""
    return os.path.join(directory, f"{os.path.basename(executable)}_{os.getpid()}.ports")


def write_ports_file(path: str, urls: dict[str, list[str]]) -> None:
    """Write URLs by kind of listener (`nats`, `monitoring`, …) as JSON.

    It appears whole or not at all: whoever waits for the file may read it at once.

    Raises:
        OSError: the file cannot be written.
    """
    import json  # noqa: PLC0415  # for this file only

    unfinished = f"{path}.tmp"
    with open(unfinished, "w", encoding="utf-8") as opened:
        json.dump(urls, opened, separators=(",", ":"))
    os.replace(unfinished, path)


class PortsFile:
    """The ports file of one server, from its writing to its removal."""

    def __init__(self) -> None:
        self._path = ""

    def write(self, directory: str, urls: dict[str, list[str]], plane: _core.Plane) -> None:
        """Write it; a failure is a line in the log, as the server runs anyway."""
        path = ports_file_path(directory, sys.argv[0] or "keelback-server")
        try:
            write_ports_file(path, urls)
        except OSError as error:
            plane.log("ERR", f"Error writing ports file ({path}): open {path}: {reason_of(error)}")
        else:
            self._path = path

    def remove(self, plane: _core.Plane) -> None:
        """Remove it if it is there."""
        path, self._path = self._path, ""
        if not path:
            return
        try:
            os.unlink(path)
        except OSError as error:
            reason = f"remove {path}: {reason_of(error)}"
            plane.log("ERR", f"Error cleaning up ports file {path}: {reason}")


def client_urls(scheme: str, host: str, port: int) -> list[str]:
    """URLs under which a listener is reached: each address of the machine when bound to any."""
    hosts = own_addresses() if host in ANY_ADDRESSES else [host]
    return [f"{scheme}://{join_host_port(each, port)}" for each in hosts]


def own_addresses() -> list[str]:
    """The machine's addresses that it can find out without asking the network; loopback first."""
    import socket  # noqa: PLC0415

    found: dict[str, None] = {"127.0.0.1": None}
    # A datagram socket that is connected sends nothing, but knows which address it would use.
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                found[probe.getsockname()[0]] = None
        except OSError:
            continue  # no address of that family
    return list(found)


def reason_of(error: OSError) -> str:
    """The system's reason in the spelling that Go prints."""
    reason = os.strerror(error.errno) if error.errno else error.strerror or str(error)
    return reason.lower()
