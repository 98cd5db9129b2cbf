"""The genuine server and our functions, asked the same: what each answers to a request.

An answer is the `error` or the `config` of the response, as bytes, so that the order of keys, the
form of numbers and the escapes count too.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from keelback.jetstream.api_level import REQUIRED_LEVEL_HEADER, check_required
from keelback.jetstream.errors import ApiError
from keelback.jetstream.stream_config import decode_request
from keelback.jetstream.stream_limits import (
    NO_TIER,
    AccountLimits,
    ServerLimits,
    Surroundings,
)
from keelback.jetstream.stream_requests import ConsumerUse, answered, create, update
from keelback.monitor.document import NO_INDENT, to_json
from tests.support.wire import CRLF, Connection

if TYPE_CHECKING:
    from keelback.jetstream.stream_config import StreamConfig
    from tests.support.servers import ServerProcess

Verb = Literal["CREATE", "UPDATE", "DELETE"]
Account = Literal["A", "B"]

MEGABYTE: Final = 1 << 20
SERVER_MEMORY: Final = 64 * MEGABYTE
SERVER_FILE: Final = 256 * MEGABYTE
NARROW_WINDOW_NS: Final = 90_000_000_000

_PASSWORDS: Final = {"A": "a", "B": "b"}

ACCOUNT_LIMITS: Final[dict[Account, AccountLimits]] = {
    "A": AccountLimits(),
    "B": AccountLimits(
        memory_bytes_max=MEGABYTE,
        file_bytes_max=2 * MEGABYTE,
        streams_max=3,
        consumers_max=10,
        memory_stream_bytes_max=MEGABYTE // 2,
        file_stream_bytes_max=3 * MEGABYTE // 2,
        max_bytes_required=True,
    ),
}


def config_text(*, narrow: bool) -> str:
    """The configuration of a server; a narrow one bounds the duplicate window."""
    limited = ACCOUNT_LIMITS["B"]
    window = "limits { duplicate_window: 90s }" if narrow else ""
    return f"""
    jetstream {{
      store_dir: "jetstream", max_mem: {SERVER_MEMORY}, max_file: {SERVER_FILE}
      {window}
    }}
    accounts {{
      A {{ jetstream: enabled, users: [{{user: A, password: a}}] }}
      B {{
        jetstream: {{
          max_mem: {limited.memory_bytes_max}, max_file: {limited.file_bytes_max}
          max_streams: {limited.streams_max}, max_consumers: {limited.consumers_max}
          mem_max_stream_bytes: {limited.memory_stream_bytes_max}
          disk_max_stream_bytes: {limited.file_stream_bytes_max}
          max_bytes_required: true
        }}
        users: [{{user: B, password: b}}]
      }}
    }}
    """


@dataclass(frozen=True)
class Request:
    """One request: `stream` is the token in its subject, `body` JSON or what to write as JSON."""

    verb: Verb
    stream: str
    body: bytes | dict[str, Any] = b""
    level: str = ""
    """The level of the API that it asks for by its header."""

    @property
    def payload(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Genuine:
    """An account of a running nats-server, over one connection."""

    def __init__(self, server: ServerProcess, account: Account) -> None:
        self._connection = Connection(server.address)
        self.version: str = json.loads(self._connection.line()[len(b"INFO ") :])["version"]
        connect = {
            "verbose": False,
            "headers": True,
            "user": account,
            "pass": _PASSWORDS[account],
        }
        greeting = f"CONNECT {json.dumps(connect)}\r\nSUB _INBOX.> 1\r\n"
        self._connection.send(greeting.encode())
        self._numbers = itertools.count(1)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, request: Request) -> bytes:
        """The `error` or the `config` of the answer; b"" when it has neither."""
        subject = f"STREAM.{request.verb}.{request.stream}"
        raw = self._request(subject, request.payload, request.level)
        if (at := raw.find(b'"error":')) >= 0:
            text = raw[at + len(b'"error":') :].decode()
            return text[: json.JSONDecoder().raw_decode(text)[1]].encode()
        if (at := raw.find(b'"config":')) >= 0:
            return raw[at + len(b'"config":') : raw.rindex(b',"created":')]
        return b""

    def clear(self) -> None:
        """Delete all streams."""
        names: list[str] | None = json.loads(self._request("STREAM.NAMES", b""))["streams"]
        for name in names or ():
            self._request(f"STREAM.DELETE.{name}", b"")

    def make_consumer(self, stream: str, name: str, config: dict[str, Any]) -> None:
        """Create a durable consumer."""
        body = {"stream_name": stream, "config": {"durable_name": name} | config}
        answer = json.loads(
            self._request(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", json.dumps(body).encode())
        )
        assert "error" not in answer, answer

    def _request(self, subject: str, body: bytes, level: str = "") -> bytes:
        inbox = f"_INBOX.{next(self._numbers)}"
        verb, sizes = "PUB", f"{len(body)}"
        if level:
            headers = f"NATS/1.0\r\n{REQUIRED_LEVEL_HEADER}: {level}\r\n\r\n".encode()
            body = headers + body
            verb, sizes = "HPUB", f"{len(headers)} {len(body)}"
        head = f"{verb} $JS.API.{subject} {inbox} {sizes}\r\n".encode()
        self._connection.send(head + body + CRLF)
        while True:
            operation = self._connection.read_operation()
            assert operation is not None, "the server closed the connection"
            if operation.startswith(b"MSG "):
                return operation[operation.index(CRLF) + 2 : -2]
            if operation.startswith(b"PING"):
                self._connection.send(b"PONG\r\n")
            assert not operation.startswith(b"-ERR"), operation


class Ours:
    """An account as our functions see it: the streams that they let be."""

    def __init__(self, account: Account, version: str, *, narrow: bool) -> None:
        self._account: Account = account
        self._version = version
        self._narrow = narrow
        self.streams: dict[str, StreamConfig] = {}
        self.consumers: list[ConsumerUse] = []
        """Of whichever stream is changed."""

    def ask(self, request: Request) -> bytes:
        """The `error` or the `config` of our answer; b"" when it has neither."""
        if request.verb == "DELETE":
            self.streams.pop(request.stream)
            return b""
        around = self._surroundings()
        try:
            check_required(request.level)
            body = decode_request(request.payload)
            if request.verb == "CREATE":
                config = create(body, request.stream, around)
            else:
                config = update(body, request.stream, around, self.consumers)
        except ApiError as error:
            return to_json(error.to_json(), indent=NO_INDENT)
        self.streams[config.name] = config
        return to_json(answered(config, self._version).to_json(), indent=NO_INDENT)

    def _surroundings(self) -> Surroundings:
        server = ServerLimits(
            memory_bytes_max=SERVER_MEMORY,
            file_bytes_max=SERVER_FILE,
            memory_bytes_reserved=self._reserved("memory"),
            file_bytes_reserved=self._reserved("file"),
            duplicate_window_ns_max=NARROW_WINDOW_NS if self._narrow else 0,
        )
        return Surroundings(server, {NO_TIER: ACCOUNT_LIMITS[self._account]}, dict(self.streams))

    def _reserved(self, storage: str) -> int:
        return sum(
            max(stream.max_bytes, 0)
            for stream in self.streams.values()
            if stream.storage == storage
        )
