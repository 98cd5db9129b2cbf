"""What must hold after any hostility: the server is there, answers strangers, and is small."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.wire import CONNECT, Connection

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.servers import ServerProcess

MIB = 1024 * 1024

# What one case may leave in a server that stays up: allocator's caches and Go's heap included.
GROWTH_BYTES_MAX = 64 * MIB

_SETTLE_TIME_MAX_S = 15.0
_SETTLE_STEP_S = 0.05


@contextmanager
def unharmed(
    server: ServerProcess, *, growth_bytes_max: int = GROWTH_BYTES_MAX, connect: bytes = CONNECT
) -> Generator[None]:
    """Assert that the server outlives the block and did not hold much more in it at any time.

    Args:
        server: under test.
        growth_bytes_max: most memory that it may take beyond what it holds before the block.
        connect: what lets a well-meaning client in.
    """
    assert_serving(server, connect)
    before = server.usage.resident_bytes()
    server.usage.reset_peak()
    yield
    assert_serving(server, connect)
    growth = server.usage.resident_bytes_peak() - before
    assert growth <= growth_bytes_max, f"grew by {growth / MIB:.1f} MiB"


def assert_serving(server: ServerProcess, connect: bytes = CONNECT) -> None:
    """Assert that the process runs and a new client is answered, messages included."""
    assert server.running, server.log
    with Connection(server.address) as client:
        client.greeted(connect)
        client.send(b"SUB still.here 1\r\nPUB still.here 2\r\nhi\r\n")
        assert client.fence() == [b"MSG still.here 1 2", b"hi"]


def lets_go(server: ServerProcess) -> bool:
    """Wait until the server holds no connection any more; False when it keeps one."""
    deadline = time.monotonic() + _SETTLE_TIME_MAX_S
    while server.usage.connection_count(server.port) > 0:
        if time.monotonic() > deadline:
            return False
        # No event tells that another process has closed a file.
        time.sleep(_SETTLE_STEP_S)
    return True
