"""The log: where lines go, and the lines an operator knows from nats-server.

The core writes the lines (`Plane.log`, `Plane.set_log`), so that its own and these keep their
order. Embedded, they go to Python's `logging.getLogger("keelback")` instead, as events.
"""

from __future__ import annotations

import os
import sys
import time

from keelback import _core
from keelback.errors import ServerError
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server import identity
from keelback.server.files import reason_of
from keelback.server.info import join_host_port
from keelback.server.settings import MAX_PAYLOAD_WITHOUT_WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from keelback.auth.nkeys import ServerKeys
    from keelback.server.settings import LogSettings, ServerSettings

LOG_FILE_MODE: Final = 0o640

STANDARD_ERROR: Final = 2

PYTHON_LEVELS: Final = {"TRC": 5, "DBG": 10, "INF": 20, "WRN": 30, "ERR": 40, "FTL": 50}
"""nats-server's levels in Python's numbers; a trace is below `logging.DEBUG`."""


def set_up_log(plane: _core.Plane, settings: LogSettings) -> None:
    """Point the core's log to where the settings say.

    Raises:
        ServerError: the log file cannot be opened.
    """
    if settings.to_python and not settings.file:
        plane.set_log(fd=-1, debug=settings.debug, trace=settings.trace)
        return
    descriptor = open_log_file(settings.file) if settings.file else STANDARD_ERROR
    try:
        plane.set_log(
            fd=descriptor,
            debug=settings.debug,
            trace=settings.trace,
            logtime=settings.logtime,
            utc_offset=0 if settings.utc else time.localtime().tm_gmtoff,
            colour=not settings.file and os.isatty(STANDARD_ERROR),
            pid=os.getpid(),
        )
    finally:
        if settings.file:
            os.close(descriptor)  # the core has a duplicate of its own


def open_log_file(file: str) -> int:
    """A descriptor that appends to the log file.

    Raises:
        ServerError: it cannot be opened.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(file, flags, LOG_FILE_MODE)
    except OSError as error:
        raise ServerError(f"error opening file: open {file}: {reason_of(error)}") from error


def forward_to_python(line: _core.LogLine) -> None:
    """Hand a line of the core to `logging.getLogger("keelback")`."""
    import logging  # noqa: PLC0415

    logging.getLogger("keelback").log(PYTHON_LEVELS.get(line.level, logging.INFO), "%s", line.text)


def print_without_log(text: str) -> None:
    """A line for a person when there is no log to write it to yet."""
    stamp = time.strftime("%Y/%m/%d %H:%M:%S")
    sys.stderr.write(f"{stamp} {text}\n")


def log_start(plane: _core.Plane, settings: ServerSettings, keys: ServerKeys) -> None:
    """The lines before anything is bound."""
    plane.log("INF", "Starting nats-server")
    plane.log("INF", f"  Version:  {NATS_SERVER_VERSION}")
    plane.log("INF", f"  Git:      [{identity.GIT_COMMIT}]")
    plane.log("INF", f"  Keelback: {_core.__version__}")
    plane.log("DBG", f"  Go build: {identity.GO_VERSION}")
    plane.log("INF", f"  Name:     {settings.server_name or keys.server_id}")
    plane.log("INF", f"  ID:       {keys.server_id}")
    if settings.auth.has_plain_passwords:
        plane.log("WRN", "Plaintext passwords detected, use nkeys or bcrypt")
    if settings.config_file:
        digest = f" ({settings.config_digest})" if settings.config_digest else ""
        plane.log("INF", f"Using configuration file: {settings.config_file}{digest}")
    if settings.limits.max_payload > MAX_PAYLOAD_WITHOUT_WARNING:
        plane.log(
            "WRN",
            "Maximum payloads over 8.00 MB are generally discouraged and could lead to "
            "poor performance",
        )
    for warning in settings.warnings:
        plane.log("WRN", warning)


def log_listening(plane: _core.Plane, settings: ServerSettings, port: int) -> None:
    """The lines once clients can connect."""
    address = join_host_port(settings.host, port)
    plane.log("INF", f"Listening for client connections on {address}")
    tls = settings.tls
    if tls is None:
        return
    required = not tls.optional or tls.handshake_first_only
    plane.log("INF", f"TLS {'required' if required else 'available'} for client connections")
    if tls.handshake_first_only:
        plane.log(
            "WRN",
            'Clients that are not using "TLS Handshake First" option will fail to connect',
        )


def listen_failure(settings: ServerSettings, error: OSError) -> str:
    """The fatal line when the address cannot be bound."""
    address = join_host_port(settings.host, max(settings.port, 0))
    return f'Error listening on port: {address}, "listen tcp {address}: bind: {reason_of(error)}"'
