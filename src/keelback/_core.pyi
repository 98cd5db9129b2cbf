"""The boundary: all that Python may know of the Rust core.

Python hands down compiled tables and takes up batches of events; no Python runs for a message.
Every call releases the GIL and none waits for I/O, except those whose docstring says so.
Times are seconds, sizes are bytes. Records are immutable and take keywords only.
"""

from typing import Final, Literal, final

__all__ = [
    "AccountTable",
    "Admission",
    "AuthRequest",
    "CoreError",
    "FastUser",
    "Gate",
    "Limits",
    "Listener",
    "LogFull",
    "LogLine",
    "Permissions",
    "Pipe",
    "Plane",
    "Refusal",
    "ServerInfo",
    "SlowConsumer",
    "TlsConfig",
    "__version__",
]

__version__: Final[str]

class CoreError(Exception):
    """The core refused what Python asked for; the message says why."""

@final
class Limits:
    """What one client may ask of the server; 0 or None is without limit where it says so.

    `write_timeout`: a client that took too little for `write_deadline` is closed, or with
    `"retry"` gets as long again, unless it took nothing at all. Without `sublist_cache` a match
    result is remembered only for a connection's last subject. `trace_headers` traces headers in
    place of payloads.
    """

    def __new__(
        cls,
        *,
        max_connections: int = 65536,
        max_subscriptions: int = 0,
        max_subscription_tokens: int = 0,
        max_payload: int = 1048576,
        max_control_line: int = 4096,
        max_pending: int = 67108864,
        write_deadline: float = 10.0,
        ping_interval: float = 120.0,
        ping_max: int = 2,
        auth_timeout: float = 2.0,
        fast_producer_stall: bool = True,
        max_traced: int = 0,
        write_timeout: Literal["default", "close", "retry"] = "default",
        sublist_cache: bool = True,
        trace_headers: bool = False,
    ) -> Limits: ...

@final
class ServerInfo:
    """What INFO says of the server, for every connection the same.

    The core adds what belongs to one (`client_id`, `client_ip`, `nonce`, `connect_info` and its
    fields).
    """

    def __new__(
        cls,
        *,
        server_id: str,
        server_name: str,
        version: str,
        go: str,
        git_commit: str = ...,
        host: str,
        port: int,
        headers: bool = True,
        auth_required: bool = False,
        tls_required: bool = False,
        tls_verify: bool = False,
        tls_available: bool = False,
        max_payload: int = 1048576,
        jetstream: bool = False,
        nonce: bool = False,
        cluster: str = ...,
        domain: str = ...,
        connect_urls: list[str] = ...,
        ldm: bool = False,
        api_level: int = 0,
        xkey: str = ...,
        keelback: str = ...,
    ) -> ServerInfo: ...

@final
class Permissions:
    """One user's permissions, compiled; immutable, shared by connections.

    `publish_allow` and `subscribe_allow` are None when all is allowed, and may be empty lists
    (then nothing is). A subscribe entry is `(subject, queue)`, `queue` None for a plain one.
    `responses` is `(max_messages, expires_seconds)`; negative numbers are without limit.
    """

    def __new__(
        cls,
        *,
        publish_allow: list[str] | None = None,
        publish_deny: list[str] = ...,
        subscribe_allow: list[tuple[str, str | None]] | None = None,
        subscribe_deny: list[tuple[str, str | None]] = ...,
        responses: tuple[int, float] | None = None,
    ) -> Permissions:
        """Raises CoreError: a subject is invalid; the message names it."""

@final
class FastUser:
    """A user whom the core may admit by itself: a plain password, or none asked for."""

    def __new__(
        cls,
        *,
        name: str,
        password: str,
        account: str,
        permissions: Permissions | None = None,
        connection_types: list[str] = ...,
    ) -> FastUser: ...

@final
class Gate:
    """How a CONNECT is decided, as far as that needs no thought.

    In this order:
    1. `required` False: everybody is admitted to `default_account` (`$G` unless given) without
       permissions.
    2. CONNECT with `nkey` (when `ask_nkey`), or any CONNECT when `ask_all`: Python is asked.
    3. `users` not empty, or `ask_users` not empty, and a `user` given: a name in `users` is
       compared here (constant time); a name in `ask_users` is asked of Python; another name is
       refused.
    4. No credential at all and `anonymous` set: admitted as that user.
    5. `token` set: compared here; `ask_token`: asked of Python (bcrypt).
    6. Refused.

    A connection that is asked about is not read from until `Plane.admit` or `Plane.refuse`.
    With `anonymous` set, a client need not send CONNECT at all; `anonymous_ask` then says that
    Python decides about a CONNECT without credentials (and about one that was never sent).
    """

    def __new__(
        cls,
        *,
        required: bool = False,
        default_account: str = ...,
        users: list[FastUser] = ...,
        ask_users: list[str] = ...,
        ask_nkey: bool = False,
        ask_all: bool = False,
        token: str | None = None,
        ask_token: bool = False,
        anonymous: FastUser | None = None,
        anonymous_ask: bool = False,
    ) -> Gate: ...

@final
class AccountTable:
    """One account: a subject space, and what its clients may have. -1 is without limit.

    Of these limits and the server's the lower one holds for a client.
    """

    def __new__(
        cls,
        *,
        name: str,
        max_connections: int = ...,
        max_subscriptions: int = ...,
        max_payload: int = ...,
    ) -> AccountTable: ...

@final
class TlsConfig:
    """A listener's TLS, compiled.

    `certificates` are `(chain, private key)`, PEM; the first is the default, others by server
    name. `client_roots` is PEM too.

    Raises:
        CoreError: PEM that does not parse, key and certificate that do not match, or a suite or
            curve that is not supported; the message names it.
    """

    def __new__(
        cls,
        *,
        certificates: list[tuple[bytes, bytes]],
        client_roots: bytes | None = None,
        verify: bool = False,
        request_client_certificate: bool = False,
        min_version: Literal["1.2", "1.3"] = "1.2",
        cipher_suites: list[str] = ...,
        curve_preferences: list[str] = ...,
        timeout: float = 2.0,
        pinned: list[str] = ...,
    ) -> TlsConfig: ...

@final
class Listener:
    """Where and how clients connect.

    `tls_mode`: `"off"`, `"required"`, `"available"` (allow_non_tls: the first byte decides),
    `"first"` (handshake before INFO; with `first_fallback` seconds the plain INFO is sent when no
    handshake began by then, after which `first_or_plain` lets the first byte decide).
    `proxy_protocol`: a balancer may say first whose connection it hands on; what AuthRequest and
    INFO tell of the client is then from there. `connection_rate_limit`: TLS handshakes that begin
    in a second at most, 0 without limit.
    """

    def __new__(
        cls,
        *,
        host: str,
        port: int,
        tls: TlsConfig | None = None,
        tls_mode: Literal["off", "required", "available", "first"] = "off",
        first_fallback: float = 0.0,
        first_or_plain: bool = False,
        proxy_protocol: bool = False,
        connection_rate_limit: int = 0,
    ) -> Listener: ...

@final
class AuthRequest:
    """A CONNECT that Python must decide. Strings are "" when absent."""

    connection: int
    kind: Literal["tcp", "in_process"]
    client_ip: str
    client_port: int
    tls: bool
    nonce: str
    user: str
    password: str
    token: str
    nkey: str
    signature: str
    jwt: str
    name: str
    lang: str
    version: str
    reload: bool
    """The client is in; may it stay, and as whom? (`Plane.reauthorize`)"""
    certificates: list[bytes]
    """The peer's chain, DER, leaf first; empty without TLS client certificate."""

@final
class SlowConsumer:
    """A connection was cut off because it did not take its data."""

    connection: int
    account: str
    name: str
    pending_bytes: int
    reason: str

@final
class LogFull:
    """The log file grew beyond `size_limit`; told once, until `Plane.set_log` is called again."""

@final
class LogLine:
    """A line of the core's log while no log file is set (`Plane.set_log`)."""

    level: Literal["INF", "WRN", "ERR", "DBG", "TRC"]
    text: str

@final
class Admission:
    """The answer yes. `label` is how logs name the user: `user:bob`, `nkey:U…`, `token`."""

    def __new__(
        cls,
        *,
        connection: int,
        account: str,
        label: str,
        permissions: Permissions | None = None,
    ) -> Admission: ...

@final
class Refusal:
    """The answer no; the client reads `-ERR 'Authorization Violation'`.

    With the reason Client Closed it reads nothing: so a user is closed that is there no more.
    """

    def __new__(cls, *, connection: int, reason: str = "Authentication Failure") -> Refusal: ...

@final
class Pipe:
    """The client's end of an in-process connection: a bounded memory pipe, in the client protocol.

    Non-blocking; `fileno()` is readable (an eventfd) while `recv` has bytes, or after room came
    back to a pipe that `send` found full.
    """

    def fileno(self) -> int: ...
    def send(self, data: bytes) -> int:
        """Bytes taken, possibly 0. Raises BrokenPipeError when the server closed."""
    def recv(self, at_most: int = 65536) -> bytes | None:
        """Bytes, `b""` at the end of the stream, None when there are none yet."""
    def close(self) -> None: ...

@final
class Plane:
    """The running data plane of one server. Thread-safe."""

    def __new__(cls, *, threads: int = 0, limits: Limits, info: ServerInfo, gate: Gate) -> Plane:
        """`threads` 0 takes a default for the cores there are. Starts the reactor threads."""

    wake_fd: int
    """Readable (eventfd) when `take_events` has something."""

    def listen(self, listener: Listener) -> tuple[str, int]:
        """Bind, listen and start to accept; returns the address bound.

        Raises:
            OSError: the address cannot be bound.
        """

    def stop_listening(self) -> None: ...
    def set_limits(self, limits: Limits) -> None: ...
    def set_info(self, info: ServerInfo, *, announce: bool = False) -> None:
        """Replace INFO for new connections; `announce` sends it to clients of protocol 1."""

    def set_gate(self, gate: Gate) -> None: ...
    def set_tls(self, tls: TlsConfig) -> None:
        """New handshakes use it; running connections keep theirs."""

    def drop_unpinned(self) -> int:
        """Close connections whose key is not pinned by the TLS now set; how many there are."""

    def set_account(self, table: AccountTable) -> None:
        """Make an account, or change the one of that name.

        Lower limits hold for its running clients at once; who has more connections or
        subscriptions than that keeps them, the latter until `reauthorize`.
        """

    def remove_account(self, name: str) -> None:
        """Let nobody into an account any more; the next `reauthorize` closes who is in it.

        Raises:
            CoreError: it is `$G` or the system account.
        """

    def reauthorize(self) -> None:
        """Decide again about each connection: the end of a reload, behind `set_gate` and accounts.

        By the CONNECT that it sent and the gate in force, or by Python (`AuthRequest.reload`).
        A user that is gone or moved to another account is closed in silence (Client Closed);
        one whose credentials are no longer valid, and a client that has not logged in where it
        must, with an Authorization Violation. For all others permissions are replaced, and
        subscriptions that they no longer allow are taken away.
        """

    def set_system_account(self, name: str) -> None:
        """Make the account of this name the system account, in place of `$SYS`."""

    def open_pipe(self) -> Pipe: ...
    def take_events(
        self, at_most: int = 1024
    ) -> list[AuthRequest | SlowConsumer | LogFull | LogLine]:
        """Take the oldest events, as many as there are or `at_most`."""

    def admit(self, admissions: list[Admission]) -> None: ...
    def refuse(self, refusals: list[Refusal]) -> None: ...
    def close(self, connection: int, reason: str, *, error: str = ...) -> None:
        """Close one connection; `reason` is a closed reason as `/connz` names it.

        The client reads `-ERR 'error'` first, if one is given; the log has it too.
        """

    def connections(self) -> list[int]: ...
    def stats(self) -> dict[str, int]:
        """Counters of the server.

        connections, total_connections, subscriptions, in_msgs, out_msgs, in_bytes, out_bytes,
        slow_consumers, stalls, pending_bytes, and `closed:<reason>` for each reason.
        """

    def set_log(
        self,
        *,
        fd: int = ...,
        debug: bool = False,
        trace: bool = False,
        trace_system: bool = False,
        logtime: bool = True,
        utc_offset: int = 0,
        colour: bool = False,
        pid: int = 0,
        json: bool = False,
        size_limit: int = 0,
        written: int = 0,
    ) -> None:
        """Write log lines to `fd` (duplicated); -1 delivers them as `LogLine` events instead.

        `utc_offset` is what local time is ahead of UTC, in seconds; 0 writes UTC. `json` writes
        one object a line: `time` (RFC 3339), `level` (`info`, `warn`, `error`, `fatal`, `debug`,
        `trace`), `pid`, `message`. `written` is the size of the file, which is told as `LogFull`
        when it grows beyond `size_limit` (bytes; 0 is never). `trace_system` traces the server's
        own connections too: in-process ones of the system account.
        """

    def log(self, level: Literal["INF", "WRN", "ERR", "FTL", "DBG", "TRC"], text: str) -> None: ...
    def shutdown(self) -> None:
        """Close every connection (reason Server Shutdown) and join the threads; waits for them."""
