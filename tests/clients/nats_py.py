"""nats-py as these tests use it: a connection for the time of a block, and a true fence."""

# The types of nats-py are incomplete: a bare `Future` is among the arguments of `subscribe`.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nats.aio.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.support.servers import ServerProcess

WAIT_S = 10.0


@asynccontextmanager
async def client_of(
    server: ServerProcess, *, allow_reconnect: bool = False, **options: object
) -> AsyncGenerator[Client]:
    """A connected client, closed at the end; when it cannot connect, its socket is closed."""
    client = Client()
    try:
        await client.connect(server.url, allow_reconnect=allow_reconnect, **options)  # type: ignore[arg-type]
    except BaseException:
        # nats-py leaves that to the collector; its `close` would wait for ever after a handshake
        # that failed. The socket itself is closed in the loop's next turn.
        if client._transport:
            client._transport.close()
        await asyncio.sleep(0)
        raise
    try:
        yield client
    finally:
        await client.close()


async def fence(client: Client) -> None:
    """Wait until the server has taken up all that was sent, and all it has sent is here.

    `Client.flush` is no fence: its PING overtakes what the client still buffers.
    """
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    await client.publish(inbox)
    await subscription.next_msg(WAIT_S)
    await subscription.unsubscribe()


async def hears_itself(client: Client) -> bool:
    """One message there and back: whether the client is in."""
    subscription = await client.subscribe("in")
    await client.publish("in", b"here")
    return (await subscription.next_msg(WAIT_S)).data == b"here"
