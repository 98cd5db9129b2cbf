"""The lines of the log that an operator knows from nats-server, at start and when listening.

The core writes them (`Plane.log`), so that its own and these keep their order. Where they go is
`server.log_output`'s business.
"""

from __future__ import annotations

import sys
import time

from keelback import _core
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server import identity
from keelback.server.files import reason_of
from keelback.server.info import join_host_port
from keelback.server.settings import MAX_PAYLOAD_WITHOUT_WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.auth.nkeys import ServerKeys
    from keelback.server.settings import ServerSettings


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
