"""The boundary: all that Python may know of the Rust core.

Python hands down compiled tables and takes up batches of events; no Python runs for a message.
Every call releases the GIL and none waits for I/O, except those whose docstring says so.
Times are seconds, sizes are bytes. Records are immutable and take keywords only.
"""

from collections.abc import Callable
from typing import Final, Literal, final

__all__ = [
    "AccountInfo",
    "AccountTable",
    "Admission",
    "AuthRequest",
    "Backup",
    "BatchAbandoned",
    "ConnectionInfo",
    "ConnectionQuery",
    "CoreError",
    "DiskTurned",
    "FastUser",
    "Gate",
    "KeptStream",
    "Limits",
    "Listener",
    "LogFull",
    "LogLine",
    "Permissions",
    "Pipe",
    "Plane",
    "Refusal",
    "Request",
    "Restoration",
    "ServerInfo",
    "SlowConsumer",
    "Store",
    "StoreError",
    "StoreReport",
    "StoredMessage",
    "StoredStream",
    "StreamState",
    "StreamTable",
    "SubscriptionInfo",
    "TlsConfig",
    "__version__",
    "look_at_store",
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
    client_ip: str
    """Empty, with port 0, for a connection of the same process."""
    client_port: int
    account: str
    name: str
    subject: str
    """Of the oldest of the messages that could not wait any more, or, at the write deadline, of
    the one that waited first; empty when not known.
    """
    pending_bytes: int
    reason: str

@final
class BatchAbandoned:
    """A batch of messages was given up before it was complete."""

    account: str
    stream: str
    batch: str
    """Its id."""
    reason: Literal["timeout", "large", "incomplete", "unsupported"]

@final
class DiskTurned:
    """A disk takes nothing any more, or does again."""

    account: str
    stream: str
    """Whose disk it is; both are empty for the log of all streams."""
    why: str
    """Why it takes nothing; empty when it does again."""

@final
class Request:
    """A message to a subject that Python serves (`Plane.serve_requests`).

    `reply` is "" and `headers` empty when it has none; `connection` is 0 when the server published
    it. Requests that gather unanswered are dropped beyond 10,000, or 64 MiB.
    """

    account: str
    subject: str
    reply: str
    headers: bytes
    payload: bytes
    connection: int

class StoreError(CoreError):
    """There is no such stream, or the disk refused; the message says which."""

@final
class StreamTable:
    """What the core must know of a stream. 0 is without limit, and so is -1 of `max_msg_size`.

    `transform` is `(source, destination)`, `republish` has `headers_only` behind that.

    Raises:
        CoreError: a transform that cannot be.
    """

    def __new__(
        cls,
        *,
        storage: Literal["file", "memory"],
        subjects: list[str],
        first_seq: int = 0,
        max_msgs: int = 0,
        max_bytes: int = 0,
        max_msgs_per_subject: int = 0,
        max_age_ns: int = 0,
        discard: Literal["old", "new", "new_per_subject"] = "old",
        duplicate_window_ns: int = 0,
        delete_marker_ttl_ns: int = 0,
        compress: bool = False,
        max_msg_size: int = ...,
        no_ack: bool = False,
        sealed: bool = False,
        allow_rollup: bool = False,
        allow_ttl: bool = False,
        allow_direct: bool = False,
        allow_counter: bool = False,
        allow_schedules: bool = False,
        allow_atomic: bool = False,
        allow_batched: bool = False,
        domain: str = "",
        transform: tuple[str, str] | None = None,
        republish: tuple[str, str, bool] | None = None,
    ) -> StreamTable: ...

@final
class KeptStream:
    """What a store remembers of a stream: `config` is what `Store.create` was given."""

    account: str
    name: str
    config: bytes
    created_ns: int

@final
class StreamState:
    """What a stream shows of itself. Counts, sequences, bytes, nanoseconds since 1970.

    `failure` says why it takes no messages, and is "" while it does.
    """

    messages: int
    bytes: int
    first_seq: int
    first_time_ns: int | None
    last_seq: int
    last_time_ns: int | None
    subjects: int
    deleted: int
    lost_messages: int
    lost_bytes: int
    failure: str

@final
class StoredMessage:
    """A message of a stream; `headers` is the block as on the wire, empty without one."""

    seq: int
    subject: str
    headers: bytes
    payload: bytes
    time_ns: int

@final
class Store:
    """The streams of one server (`Plane.open_store`). Calls wait for the disk.

    Raises:
        StoreError: there is no such stream, or the disk refused; then it is as before.
    """

    def streams(self) -> list[KeptStream]: ...
    def create(
        self, account: str, name: str, config: bytes, created_ns: int, table: StreamTable
    ) -> None: ...
    def serve(self, account: str, name: str, table: StreamTable) -> None:
        """Let messages into a stream that the store had when it was opened."""

    def stop_serving(self, account: str, name: str) -> None:
        """Let no messages into a stream any more, until `serve`; what it holds stays."""

    def update(self, account: str, name: str, config: bytes, table: StreamTable) -> None: ...
    def delete(self, account: str, name: str) -> None: ...
    def purge(
        self, account: str, name: str, *, subject: str = "", below_seq: int = 0, keep: int = 0
    ) -> int:
        """Remove messages: of a subject, below a sequence, all but the newest; says how many."""

    def remove(self, account: str, name: str, seq: int, *, erase: bool) -> bool:
        """Remove one message, and overwrite it with `erase`; False if there is none."""

    def state(self, account: str, name: str) -> StreamState: ...
    def deleted(self, account: str, name: str, at_most: int) -> list[tuple[int, int]]:
        """The first gaps between the first and the last message: first and last sequence each."""

    def subjects(
        self, account: str, name: str, subject: str, offset: int, limit: int
    ) -> tuple[int, list[tuple[str, int]]]:
        """How many subjects match, and a page of them with their messages, in their order."""

    def message(self, account: str, name: str, seq: int) -> StoredMessage | None: ...
    def last_message(self, account: str, name: str, subject: str) -> StoredMessage | None: ...
    def next_message(
        self, account: str, name: str, subject: str, seq: int, time_ns: int | None
    ) -> StoredMessage | None:
        """The first message of a subject from a sequence and a time on; "" is any subject."""

    def backup(self, account: str, name: str, state: bytes, last_seq: int, time_ns: int) -> Backup:
        """Begin a backup of the messages up to `last_seq`; `state` is JSON: that of the stream."""

    def restore(
        self,
        account: str,
        name: str,
        table: StreamTable,
        *,
        created_ns: int,
        message_bytes_max: int,
        ids_from_ns: int,
    ) -> Restoration:
        """Make a stream of an archive that comes in pieces.

        Until `Restoration.finish` it takes nothing, and is in `streams` without a configuration.

        Args:
            account: whose it is.
            name: of the stream.
            table: what it is to be.
            created_ns: when it was made.
            message_bytes_max: the longest message that is taken.
            ids_from_ns: ids of older messages are not remembered.
        """

    def usage(self, account: str) -> tuple[int, int]:
        """Bytes that an account's streams hold in memory and in files."""

    def usage_of_all(self) -> tuple[int, int]:
        """Bytes that all streams hold in memory and in files."""

    def set_limits(self, memory: int, file: int) -> None:
        """What all streams may hold together (bytes); a negative number is no limit.

        Where there is more, publishers get "insufficient resources" (10023).
        """

    def set_account_limits(self, account: str, memory: int, file: int) -> None:
        """What the streams of an account may hold together (bytes), as `set_limits`.

        A message that would not fit gets "resource limits exceeded for account" (10002).
        """

    def set_batch_limits(
        self,
        *,
        open_of_stream: int | None = None,
        open_of_all: int | None = None,
        messages: int,
        timeout_ns: int,
    ) -> None:
        """How many batches may be incomplete, of how many messages, how long without one."""

    def failure(self) -> str:
        """Why the log took nothing the last time; "" when it did."""

    def damage(self) -> list[str]:
        """What was not as it was written when the store was opened, by file."""

@final
class StoredStream:
    """A stream of a store that is looked at. Counts, bytes, nanoseconds since 1970."""

    account: str
    name: str
    created_ns: int
    messages: int
    bytes: int
    first_seq: int
    last_seq: int
    subjects: int
    deleted: int
    folder: str
    files: int
    file_bytes: int

@final
class StoreReport:
    """What is in a store that nobody has open."""

    store: str
    """Its number; zeros if it could not be opened for its damage."""
    version: int
    """Of its format."""
    streams: list[StoredStream]
    log_files: int
    log_bytes: int
    bytes: int
    """Of all files."""
    records: int
    """That were read and checked; 0 if they were not to be."""
    damage: list[str]
    """What is not as it was written, each by its file."""

def look_at_store(
    directory: str, *, verify: bool = False, progress: Callable[[int, int], object] | None = None
) -> StoreReport:
    """Look at a store that nobody has open; with `verify` every record is read.

    Nothing of it changes. `progress` gets the bytes that were read, of how many.

    Raises:
        StoreError: another process has it open, its version is not known, or the disk refused.
    """

@final
class Backup:
    """A backup that is under way: an archive as nats-server 2.15 writes it."""

    def read(self, bytes: int) -> bytes:  # noqa: A002  # named so in the core
        """The next bytes of the archive; fewer at its end. It waits for the disk.

        Raises:
            StoreError: a message cannot be read.
        """

@final
class Restoration:
    """A restoration that is under way. It leaves nothing unless it is finished.

    Raises:
        StoreError: the archive cannot be read, or cannot be stored; from `write` and `finish`.
    """

    def write(self, piece: bytes) -> None:
        """Take the next piece; wait for room."""

    def finish(self, config: bytes, table: StreamTable) -> None:
        """Have the archive end: the stream begins to take messages."""

    def cancel(self) -> None:
        """End it, with all that there is of the stream."""

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
class SubscriptionInfo:
    """A subscription at one moment."""

    account: str
    subject: str
    queue: str
    sid: str
    msgs: int
    max: int
    """Messages after which it ends; 0 is without limit."""
    connection: int

@final
class ConnectionInfo:
    """A connection at one moment. Points in time are nanoseconds since 1970, 0 when not known.

    Messages and bytes count from the server's side: `in_msgs` are those that the client published.
    """

    cid: int
    kind: Literal["tcp", "in_process"]
    ip: str
    """Empty, with port 0, for a connection of the same process."""
    port: int
    start_ns: int
    last_activity_ns: int
    stop_ns: int
    """0 while it is open."""
    reason: str
    """Why it closed; empty while it is open."""
    rtt_ns: int
    pending_bytes: int
    in_msgs: int
    out_msgs: int
    in_bytes: int
    out_bytes: int
    stalls: int
    """Times that a publisher waited for it."""
    subscriptions: int
    name: str
    lang: str
    version: str
    tls_version: str
    """`1.2` or `1.3`; empty without TLS."""
    tls_cipher_suite: str
    """As Go names it; empty without TLS."""
    tls_first: bool
    certificates: list[bytes]
    """The peer's chain, DER, leaf first; not kept of closed connections."""
    user: str
    """The label of its admission, or what CONNECT claims: `user:bob`, `nkey:U…`, `token`."""
    account: str
    subscription_list: list[SubscriptionInfo]
    """When asked for. At most 1,048,576 in a page; of a closed connection the first 32, and 1 KiB
    of their texts."""

@final
class ConnectionQuery:
    """Which connections a page has, in which order; the meaning is nats-server's.

    `cid`, `start`, `uptime` and `reason` ascend, the others descend; equal ones follow their cid,
    closed ones the order of their end. A negative offset is 0, a limit of 0 or less 1024. `user` is
    a name without the kind (a token's is `[REDACTED]`). `filter_subject` may have wildcards; it
    leaves those open connections that have a subscription which meets it.

    Raises:
        CoreError: the message is nats-server's: `sort by stop only valid on closed connections`,
            `filter by subject only valid with account filtering`.
    """

    def __new__(
        cls,
        *,
        state: Literal["open", "closed", "all"] = "open",
        sort: Literal[
            "cid",
            "start",
            "subs",
            "pending",
            "msgs_to",
            "msgs_from",
            "bytes_to",
            "bytes_from",
            "last",
            "idle",
            "uptime",
            "rtt",
            "stop",
            "reason",
        ] = "cid",
        offset: int = 0,
        limit: int = 1024,
        cid: int = 0,
        user: str = "",
        account: str = "",
        filter_subject: str = "",
        subscriptions: bool = False,
    ) -> ConnectionQuery: ...

@final
class AccountInfo:
    """An account at one moment; messages and bytes since start, of connections gone too."""

    name: str
    is_system: bool
    connections: int
    """Open ones. Those that have not said CONNECT count in `$G`."""
    total_connections: int
    """With leaf nodes."""
    subscriptions: int
    sent_msgs: int
    """To its clients."""
    sent_bytes: int
    received_msgs: int
    """From its clients."""
    received_bytes: int
    slow_consumers: int

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

    def set_listener_tls(self, listener: Listener) -> bool:
        """Put the TLS of `listener` in force: its certificates, and the mode on its port.

        For connections that are accepted from now on; the socket stays open, and all else of
        `listener` is left out. False when nothing listens on that port.
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

        What Python served in it (`serve_requests`) it serves no more.

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

    def open_store(
        self,
        directory: str,
        *,
        durable: bool = True,
        waiting_bytes_max: int = 134217728,
        log_file_bytes: int = 67108864,
    ) -> Store:
        """Open the store of this server's streams, one at a time; `shutdown` closes it, too.

        Without `durable` an acknowledgement may come before what it promises is on stable storage.
        When more waits to be written than `waiting_bytes_max`, publishers are refused. The log has
        a file of `log_file_bytes` in use, and one ready.

        Raises:
            StoreError: it is in use, damaged, of another version, or no store.
        """

    def close_store(self) -> None:
        """End the streams: what waits is committed, and another may open the store. Waits for it.

        Calls of the `Store` fail from now on.
        """

    def open_pipe(self) -> Pipe: ...
    def serve_requests(self, account: str, subject: str) -> None:
        """Have `take_events` give the messages to a subject, which may have wildcards.

        Raises:
            CoreError: no such subject can be.
        """

    def has_interest(self, account: str, subject: str) -> bool:
        """Whether somebody in the account would get what is published to a subject."""

    def has_literal_interest(self, account: str, subject: str) -> bool:
        """Whether somebody in the account is subscribed to a subject itself, by no wildcard."""

    def publish(
        self, account: str, subject: str, payload: bytes, *, reply: str = "", headers: bytes = ...
    ) -> None:
        """Publish a message of the server's own; from any thread.

        `headers` is a whole block, with its first line and the blank one. An account that is gone
        hears nothing.

        Raises:
            CoreError: nobody can publish to this subject.
        """

    def take_events(
        self, at_most: int = 1024
    ) -> list[
        AuthRequest | SlowConsumer | Request | BatchAbandoned | DiskTurned | LogFull | LogLine
    ]:
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
        slow_consumers, stale_connections, stalls and stalled_clients (the same: times that a
        publisher waited), pending_bytes, and `closed:<reason>` for each reason.
        """

    def connection_page(self, query: ConnectionQuery) -> tuple[int, list[ConnectionInfo]]:
        """A page, and how many connections there are before `user` and `filter_subject` choose.

        With subscriptions it waits for the reactor threads, a second at most; what did not come in
        time is missing.
        """

    def accounts(self) -> list[AccountInfo]:
        """All accounts, by name."""

    def sublist_stats(self, account: str = "") -> dict[str, float]:
        """What was subscribed and matched in an account, or in all of them.

        num_subscriptions, num_inserts, num_removes, num_matches (match results looked for beyond a
        connection's last one), cache_hit_rate, and of the match results that caches hold now:
        num_cache, max_fanout, avg_fanout. It waits for the reactor threads, a second at most.
        """

    def subscriptions(
        self, *, account: str = "", test: str = "", offset: int = 0, limit: int = 1024
    ) -> tuple[int, list[SubscriptionInfo]]:
        """A page of subscriptions, and how many there are.

        With `test`, those whom a message on that subject reaches. Accounts follow each other as
        they were made; within one the order means nothing, and pages fit each other for as long as
        nothing changes.

        Raises:
            CoreError: `test` is no subject to publish to.
        """

    def ping_unmeasured(self) -> None:
        """PING the clients that gave a `lang` and whose round-trip time is not known."""

    def set_closed_limit(self, max_closed: int) -> None:
        """How many closed connections are remembered; 10,000 until told otherwise."""

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
