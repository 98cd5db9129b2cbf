"""One connection to a server with JetStream: requests, publishes, and their answers as bytes."""

from __future__ import annotations

import json
import re
import secrets
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Generator

TIMEOUT_S: Final = 10.0
"""Far above what an answer takes: one that does not come is a failure."""

_TIMES: Final = re.compile(rb'"(created|ts|time|first_ts|last_ts)":"(?!0001)[^"]*"')
_LEADER: Final = re.compile(rb'"leader":"[^"]*"')
_STAMP: Final = re.compile(rb"Nats-Time-Stamp: [^\r]*")


class Answer(NamedTuple):
    """A message that answers: its header block, its payload."""

    headers: bytes
    payload: bytes

    def masked(self) -> Answer:
        """Without what differs from run to run."""
        payload = _LEADER.sub(b'"leader":"N"', _TIMES.sub(rb'"\1":"T"', self.payload))
        return Answer(_STAMP.sub(b"Nats-Time-Stamp: T", self.headers), payload)

    @property
    def ends(self) -> bool:
        """Whether it is the last of several: a status."""
        return self.headers.startswith(b"NATS/1.0 ")


class Session:
    """A client that asks one thing after the other."""

    def __init__(self, host: str, port: int, *, user: str = "") -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)
        # One message after the other: none waits for an acknowledgement of TCP.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = self._socket.makefile("rb")
        self._number = 0
        self._together: list[bytes] | None = None
        self.heard: list[tuple[str, Answer]] = []
        """What came while an answer was waited for, by subject, because of `listen`."""
        # Another session of the same account must not get what this one is answered.
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        options: dict[str, object] = {"verbose": False, "headers": True, "no_responders": True}
        if user:
            options |= {"user": user, "pass": user}
        self._send(f"CONNECT {json.dumps(options)}\r\n".encode())
        self._send(f"SUB {self._inbox}.* 1\r\nPING\r\n".encode())
        while self._input.readline() != b"PONG\r\n":
            pass

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Let go of the connection."""
        self._input.close()
        self._socket.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, subject: str, payload: bytes = b"", headers: bytes = b"") -> Answer:
        """The first answer to a request."""
        self._publish(subject, payload, headers)
        return self._answer()

    def ask_for_many(self, subject: str, payload: bytes = b"") -> list[Answer]:
        """The answers up to the one that ends them."""
        self._publish(subject, payload, b"")
        answers = [self._answer()]
        while not answers[-1].ends:
            answers.append(self._answer())
        return answers

    def listen(self, subject: str) -> None:
        """Hear what is published to a subject."""
        self._send(f"SUB {subject} 2\r\nPING\r\n".encode())
        while self._input.readline() != b"PONG\r\n":
            pass

    def publish(self, subject: str, payload: bytes, headers: bytes, reply: str) -> None:
        """Publish with a reply subject of one's own: see `listen`."""
        self._write(subject, payload, headers, reply)

    @contextmanager
    def in_one_piece(self) -> Generator[None]:
        """What is sent meanwhile is sent at once, when it is complete."""
        self._together = []
        yield
        text, self._together = b"".join(self._together), None
        self._send(text)

    def _publish(self, subject: str, payload: bytes, headers: bytes) -> None:
        self._number += 1
        self._write(subject, payload, headers, f"{self._inbox}.{self._number}")

    def _write(self, subject: str, payload: bytes, headers: bytes, reply: str) -> None:
        if headers:
            block = b"NATS/1.0\r\n" + headers + b"\r\n"
            sizes = f"{len(block)} {len(block) + len(payload)}"
            line = f"HPUB {subject} {reply} {sizes}\r\n".encode()
            self._send(line + block + payload + b"\r\n")
        else:
            line = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
            self._send(line + payload + b"\r\n")

    def _answer(self) -> Answer:
        wanted = f"{self._inbox}.{self._number}".encode()
        while True:
            line = self._input.readline().split()
            if not line:
                raise ConnectionError("the server closed the connection")
            if line[0] not in (b"MSG", b"HMSG"):
                continue
            text = self._input.read(int(line[-1]) + 2)[:-2]
            header_bytes = int(line[-2]) if line[0] == b"HMSG" else 0
            answer = Answer(text[:header_bytes], text[header_bytes:])
            if line[1] == wanted:
                return answer
            self.heard.append((line[1].decode(), answer))

    def _send(self, text: bytes) -> None:
        if self._together is not None:
            self._together.append(text)
            return
        self._socket.sendall(text)
