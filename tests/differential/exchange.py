"""Plays a session against a server and writes down, for each connection and step, what came."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

from tests.support.wire import Connection, FramingError, SilentError, show

if TYPE_CHECKING:
    import random

    from tests.differential.session import Session, Step
    from tests.support.servers import ServerProcess

FENCE_TIMEOUT_S: Final = 5.0
INVALID_SUBJECT: Final = b"-ERR 'Invalid Publish Subject'\r\n"
CHUNKS_WITH_PAUSE_MAX: Final = 10
PING: Final = re.compile(rb"PING(?:[ \t][^\r\n]*)?\r?\n", re.IGNORECASE)
ADVISORY: Final = re.compile(rb"H?MSG \$SYS\.")
QUEUE_SID: Final = re.compile(rb"^(H?MSG \S+ q\d)-\d(?= )")
# What differs between two servers by nature. Their presence is still compared.
VOLATILE: Final = frozenset(
    ("server_id", "host", "port", "client_id", "nonce", "xkey", "go", "client_ip", "version")
)
# What only one of the two servers says of itself.
OF_ONE_SERVER: Final = frozenset(("git_commit", "keelback"))

Answer = tuple[bytes, ...]
Outcome = tuple[tuple[str, Answer], ...]
"""Labels ("step 3, b") with the operations that came; two outcomes can be compared and hashed."""


def hold(session: Session, server: ServerProcess, splits: random.Random) -> Outcome:
    """Play the session, what is sent cut as `splits` says; the normalised answers."""
    return _Exchange(session, server, splits).hold()


class _Exchange:
    def __init__(self, session: Session, server: ServerProcess, splits: random.Random) -> None:
        self._session = session
        self._server = server
        self._splits = splits
        self._pause_s = splits.choice((0.0, 0.0, 0.0, 0.0, 0.0003))
        self._open: dict[int, Connection] = {}
        self._has_acted: set[int] = set()
        self._outcome: list[tuple[str, Answer]] = []

    def hold(self) -> Outcome:
        try:
            for peer in self._session.peers:
                self._open[peer] = Connection(self._server.host, self._server.port)
                self._note(0, peer, self._read(peer, pongs=0, until_info=True))
            for number, step in enumerate(self._session.steps, 1):
                self._step(number, step)
        finally:
            for connection in self._open.values():
                connection.leave()
        return tuple(self._outcome)

    def _step(self, number: int, step: Step) -> None:
        connection = self._open.get(step.peer)
        if connection is not None:
            self._send(connection, step.data)
            if step.last:
                connection.half_close()
                self._note(number, step.peer, self._read(step.peer, pongs=None))
            else:
                pings = sum(1 for op in step.operations if PING.fullmatch(op))
                self._fence(number, step.peer, pings)
        self._has_acted.add(step.peer)
        for peer in tuple(self._open):
            # A connection that has not sent CONNECT may not be allowed to say PING.
            if peer != step.peer and peer in self._has_acted:
                self._fence(number, peer, 0)

    def _fence(self, number: int, peer: int, pings: int) -> None:
        self._open[peer].send(b"PING\r\n")
        self._note(number, peer, self._read(peer, pongs=pings + 1))

    def _send(self, connection: Connection, data: bytes) -> None:
        chunks = _cut(data, self._splits)
        for chunk in chunks:
            connection.send(chunk)
            # Gives the server a chance to read the piece by itself; nothing depends on it.
            time.sleep(self._pause_s if len(chunks) < CHUNKS_WITH_PAUSE_MAX else 0)

    def _note(self, number: int, peer: int, operations: list[bytes]) -> None:
        self._outcome.append((f"step {number}, {'abc'[peer]}", normalise(operations)))

    def _read(self, peer: int, *, pongs: int | None, until_info: bool = False) -> list[bytes]:
        """All operations up to the given number of PONGs, or to the end (`pongs=None`)."""
        connection = self._open[peer]
        operations: list[bytes] = []
        while pongs is None or pongs > 0 or until_info:
            try:
                operation = connection.read_operation(FENCE_TIMEOUT_S)
            except SilentError as error:
                operations.append(b"(silence after " + show(error.unread).encode() + b")")
                operation = None
            except FramingError as error:
                operations.append(f"({error})".encode())
                operation = None
            if operation is None:
                operations.append(b"(end)")
                connection.leave()
                del self._open[peer]
                return operations
            operations.append(operation)
            until_info = until_info and not operation.startswith(b"INFO ")
            if pongs is not None and operation == b"PONG\r\n":
                pongs -= 1
        return operations


def normalise(operations: list[bytes]) -> Answer:
    """The operations without what may differ between two servers that both follow the rules.

    That is: identity in INFO; a server's own PING and advisories, which come when they come; which
    member of a queue group was chosen; the order in which one message reaches several subscriptions
    of one connection; to which of a requester's own subscriptions a 503 is told, when several match
    the reply (that depends on nats-server's cache); and how often in a row a pedantic client is
    told of an invalid subject (nats-server looks at the arguments again, and says so again, when a
    read ends in the payload).
    """
    answers: list[bytes] = []
    run: list[bytes] = []
    for operation in operations:
        if operation == b"PING\r\n" or ADVISORY.match(operation):
            continue
        if operation.startswith((b"MSG ", b"HMSG ")):
            message = QUEUE_SID.sub(rb"\1", operation)
            if message.endswith(b"\r\n\r\n\r\n") and b"\r\nNATS/1.0 503\r\n" in message:
                message = _without_sid(message)
            if run and _without_sid(run[-1]) != _without_sid(message):
                answers += sorted(run)
                run = []
            run.append(message)
            continue
        answers += sorted(run)
        run = []
        if operation == INVALID_SUBJECT and answers[-1:] == [operation]:
            continue
        answers.append(_stable_info(operation) if operation.startswith(b"INFO ") else operation)
    return tuple(answers + sorted(run))


def _without_sid(message: bytes) -> bytes:
    verb, subject, _sid, rest = message.split(b" ", 3)
    return b" ".join((verb, subject, rest))


def _stable_info(operation: bytes) -> bytes:
    document: dict[str, Any] = json.loads(operation[5:])
    stable = {
        key: f"({type(value).__name__})" if key in VOLATILE else value
        for key, value in document.items()
        if key not in OF_ONE_SERVER
    }
    return b"INFO " + json.dumps(stable, sort_keys=True).encode()


def _cut(data: bytes, splits: random.Random) -> list[bytes]:
    """`data` whole, byte by byte, or in a few pieces."""
    way = splits.randrange(4)
    if way == 0 or len(data) < 2:
        return [data] if data else []
    if way == 1 and len(data) < 300:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({splits.randrange(1, len(data)) for _ in range(splits.randint(1, 6))})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
