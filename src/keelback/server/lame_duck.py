"""Lame duck mode: a server that is about to stop sends its clients away, a few at a time.

Source: nats-server 2.15 `server/server.go`, `lameDuckMode`, and the NATS docs
under "Lame Duck Mode".
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from typing import Final

    from keelback._core import Plane
    from keelback.server.settings import LameDuckSettings

GAP_MAX_S: Final = 1.0
"""Between two closed clients; ten clients are not spread over two minutes."""

GAP_MIN_S: Final = 0.001
"""A shorter gap is no gap to an event loop: several clients are closed at once instead."""

DURATION_LEFT_MIN_S: Final = 1.0
"""What closing takes when the grace period leaves nothing of the duration."""

CLOSED_REASON: Final = "Server Shutdown"


async def send_clients_away(
    plane: Plane,
    settings: LameDuckSettings,
    *,
    sleep: Callable[[float], Awaitable[None]],
    random: Callable[[], float],
) -> None:
    """Wait the grace period, then close the clients that there are, spread over the rest.

    The listener is closed and clients were told (INFO `ldm`) before. Returns at once when there
    are no clients, else after the last one was closed.

    Args:
        plane: the core.
        settings: how long.
        sleep: seconds; cancelled when the server is stopped meanwhile.
        random: from 0 to below 1; spreads the gaps, so that many servers do not act in step.
    """
    # Those of now: no new ones can come, and who leaves by himself need not be closed.
    connections = plane.connections()
    if not connections:
        return
    await sleep(settings.grace_period_s)
    plane.log("INF", "Closing existing clients")
    left_s = settings.duration_s - settings.grace_period_s
    if left_s <= 0:
        left_s = DURATION_LEFT_MIN_S
    # A whole number of clients at a time, and the gap that makes them last as long as they should.
    batch_count = max(1, math.ceil(GAP_MIN_S * len(connections) / left_s))
    gap_s = min(GAP_MAX_S, left_s * batch_count / len(connections))
    for position, batch in enumerate(_batches(connections, batch_count)):
        if position:
            await sleep(gap_s * (1 + random()) / 2)
        for connection in batch:
            plane.close(connection, CLOSED_REASON)


def _batches(connections: Sequence[int], count: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(connections), count):
        yield connections[first : first + count]
