"""What a configuration means, all options taken together: the input of a server's life cycle.

What was typed is `keelback.options`; `server.compile` leads from there to here. Times are
seconds, sizes are bytes.
"""

from __future__ import annotations

from keelback.auth.record import Record
from keelback.auth.users import AuthRules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal

RANDOM_PORT: Final = -1

MAX_PAYLOAD_WITHOUT_WARNING: Final = 8 * 1024 * 1024

TLS_AUTH_EXTRA_S: Final = 1.0
"""With TLS a client may take the TLS timeout and this to authenticate."""


class LimitSettings(Record):
    """What one client may ask of the server; 0 is without limit for the first three."""

    max_connections: int = 65536
    max_subscriptions: int = 0
    max_subscription_tokens: int = 0
    max_payload: int = 1048576
    max_control_line: int = 4096
    max_pending: int = 67108864
    write_deadline_s: float = 10.0
    ping_interval_s: float = 120.0
    ping_max: int = 2
    fast_producer_stall: bool = True


class TlsSettings(Record):
    """A listener's TLS; certificates are named by file and read at each start or reload."""

    certificates: tuple[tuple[str, str], ...]
    """(certificate file, key file); the first is the default, others by server name."""
    ca_file: str = ""
    verify: bool = False
    verify_and_map: bool = False
    min_version: Literal["1.2", "1.3"] = "1.2"
    cipher_suites: tuple[str, ...] = ()
    curve_preferences: tuple[str, ...] = ()
    timeout_s: float = 2.0
    pinned_certs: tuple[str, ...] = ()
    optional: bool = False
    """`allow_non_tls`: the client's first byte decides."""
    handshake_first: bool = False
    handshake_first_fallback_s: float = 0.0

    @property
    def handshake_first_only(self) -> bool:
        """Whether a client that waits for INFO first waits in vain."""
        return self.handshake_first and self.handshake_first_fallback_s == 0


class LogSettings(Record):
    """What is logged, how a line looks, and where it goes."""

    debug: bool = False
    trace: bool = False
    logtime: bool = True
    utc: bool = False
    file: str = ""
    to_python: bool = False
    """Without a file: to Python's `logging` (embedded) instead of standard error."""
    size_limit: int = 0
    max_files: int = 0
    syslog: bool = False
    remote_syslog: str = ""
    json: bool = False
    trace_system: bool = False


class LameDuckSettings(Record):
    """How a server that is about to stop sends its clients away."""

    duration_s: float = 120.0
    grace_period_s: float = 10.0


class ServerSettings(Record):
    """One server."""

    host: str = "0.0.0.0"  # nats-server's default, which operators rely on
    port: int = 4222
    """-1: one that is free."""
    server_name: str = ""
    """"" takes the server's id."""
    client_advertise: str = ""
    threads: int = 0
    """Reactor threads; 0 takes a default for the processors there are."""
    headers: bool = True
    limits: LimitSettings = LimitSettings()
    auth: AuthRules = AuthRules()
    system_account: str = "$SYS"
    tls: TlsSettings | None = None
    log: LogSettings = LogSettings()
    lame_duck: LameDuckSettings = LameDuckSettings()
    pid_file: str = ""
    ports_file_dir: str = ""
    config_file: str = ""
    config_digest: str = ""
    warnings: tuple[str, ...] = ()
    """What is legal but deserves a line in the log."""

    @property
    def auth_timeout_s(self) -> float:
        """How long a client may take to authenticate."""
        return self.auth.timeout_s
