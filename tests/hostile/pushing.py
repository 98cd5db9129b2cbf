"""Peers that send as much as is taken and never read, several at once in one thread."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.wire import Connection

# As long as this nothing more was taken from anybody: the server has stopped reading them.
_STILL_S = 1.0


def push(data_of: Mapping[Connection, bytes], *, time_max_s: float) -> set[Connection]:
    """Send each client's data over and over, without reading.

    Ends when all are closed, when nobody's bytes are taken any more, or after `time_max_s`.
    Which of them is the server's choice; it must not be out of memory.

    Returns:
        The clients whose connection the server closed.
    """
    closed: set[Connection] = set()
    views = {client: memoryview(data) for client, data in data_of.items()}
    offsets = dict.fromkeys(views, 0)
    deadline = time.monotonic() + time_max_s
    with selectors.DefaultSelector() as selector:
        for client in views:
            client.socket.settimeout(0)
            selector.register(client.socket, selectors.EVENT_WRITE, client)
        while selector.get_map() and time.monotonic() < deadline:
            ready = selector.select(_STILL_S)
            if not ready:
                break
            for key, _ in ready:
                client: Connection = key.data
                try:
                    sent = client.socket.send(views[client][offsets[client] :])
                except BlockingIOError:
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    closed.add(client)
                    selector.unregister(client.socket)
                    continue
                offsets[client] = (offsets[client] + sent) % len(views[client])
    return closed
