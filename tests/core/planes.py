"""A core with a listener, and clients of it: no server around it decides anything."""

from __future__ import annotations

import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keelback import _core
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

TIME_MAX_S = 10.0

OPEN = _core.Gate()


def gate(*users: _core.FastUser, **fields: Any) -> _core.Gate:
    """A gate that asks for one of these users."""
    return _core.Gate(required=True, users=list(users), **fields)


def user(name: str, password: str = "pw", account: str = "$G", **fields: Any) -> _core.FastUser:
    """A user by name and password."""
    return _core.FastUser(name=name, password=password, account=account, **fields)


class Running:
    """A plane that listens on the loopback address."""

    def __init__(self, plane: _core.Plane, address: tuple[str, int]) -> None:
        """Keep both."""
        self.plane = plane
        self.address = address
        self._clients: list[Connection] = []

    def connect(self, *, receive_buffer_bytes: int | None = None) -> Connection:
        """A connection that has said nothing; closed in the end."""
        client = Connection(self.address, receive_buffer_bytes=receive_buffer_bytes)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()

    def client(self, **connect: Any) -> Connection:
        """A client that has logged in; `connect` are string fields of its CONNECT."""
        client = self.connect()
        fields = "".join(f',"{name}":"{value}"' for name, value in connect.items())
        client.greeted(b'CONNECT {"verbose":false,"pedantic":false%s}\r\n' % fields.encode())
        return client

    def event(self, kind: type[Any]) -> Any:
        """The next event of this kind; others before it are dropped."""
        deadline = time.monotonic() + TIME_MAX_S
        while True:
            for event in self.plane.take_events(1):
                if isinstance(event, kind):
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no {kind.__name__} came"
            select.select([self.plane.wake_fd], [], [], min(left, 0.1))

    def line(self, text: str) -> str:
        """The next line of the log that contains `text`."""
        while text not in (line := self.event(_core.LogLine).text):
            pass
        return line

    def closed(self, reason: str) -> int:
        """How many connections closed for this reason."""
        return self.plane.stats().get(f"closed:{reason}", 0)


@contextmanager
def running(
    rules: _core.Gate = OPEN,
    *,
    limits: _core.Limits | None = None,
    prepare: Callable[[_core.Plane], object] | None = None,
    **listener: Any,
) -> Generator[Running]:
    """A plane with one thread and one listener; `prepare` is done before it listens."""
    info = _core.ServerInfo(
        server_id="N", server_name="N", version="2.15.1", go="go", host="127.0.0.1", port=0
    )
    plane = _core.Plane(threads=1, limits=limits or _core.Limits(), info=info, gate=rules)
    try:
        if prepare is not None:
            prepare(plane)
        listen = _core.Listener(host="127.0.0.1", port=0, **listener)
        server = Running(plane, plane.listen(listen))
        try:
            yield server
        finally:
            server.close()
    finally:
        plane.shutdown()
