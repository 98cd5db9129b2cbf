"""A client that backs streams up and restores them, as the `nats` command does."""

# The types of nats-py are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import nats

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from nats.aio.client import Client

WAIT_S: Final = 20.0


@asynccontextmanager
async def client_at(url: str) -> AsyncGenerator[Client]:
    """A client, closed at the end."""
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: Client, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A call of the API and its answer."""
    payload = b"" if body is None else json.dumps(body).encode()
    answer = await client.request(f"$JS.API.{call}", payload, timeout=WAIT_S)
    return json.loads(answer.data)


async def back_up(
    client: Client, stream: str, **request: Any
) -> tuple[dict[str, Any], bytes, list[dict[str, str] | None]]:
    """The answer to the call, the archive, and the headers of the messages that ended it."""
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    answer = await ask(client, f"STREAM.SNAPSHOT.{stream}", {"deliver_subject": inbox, **request})
    archive = b""
    ends: list[dict[str, str] | None] = []
    while not ends:
        message = await subscription.next_msg(WAIT_S)
        archive += message.data
        if message.reply:
            await client.publish(message.reply)
        if not message.data:
            ends.append(message.headers)
    await subscription.unsubscribe()
    return answer, archive, ends


async def restore(
    client: Client, config: dict[str, Any], archive: bytes, *, chunk_bytes: int = 1000
) -> dict[str, Any]:
    """The answer that ends it: to the last chunk, or the first error."""
    name = config["name"]
    begun = await ask(client, f"STREAM.RESTORE.{name}", {"config": config, "state": {}})
    if "error" in begun:
        return begun
    chunks = [archive[at : at + chunk_bytes] for at in range(0, len(archive), chunk_bytes)]
    for chunk in [*chunks, b""]:
        answer = await client.request(begun["deliver_subject"], chunk, timeout=WAIT_S)
        if answer.data:
            return json.loads(answer.data)
    raise AssertionError("the last chunk had an empty answer")
