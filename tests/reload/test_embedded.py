"""`Server.reload` with real clients, and logins that are under way meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import nats
import pytest

import keelback
from keelback.errors import ServerError
from tests.support.wire import Connection

if TYPE_CHECKING:
    from keelback.testing.plugin import NatsServerFactory


async def test_clients_that_may_stay_notice_nothing(
    nats_server_factory: NatsServerFactory,
) -> None:
    ann, bob = ({"user": name, "password": name} for name in ("ann", "bob"))
    server = nats_server_factory(authorization={"users": [ann, bob]})
    async with await nats.connect(server.url, user="ann", password="ann") as client:
        inbox = await client.subscribe("greet")
        await client.flush()
        server.reload(authorization={"users": [ann]}, max_payload=1024)
        await client.publish("greet", b"hello")
        assert (await inbox.next_msg()).data == b"hello"
        with Connection(("127.0.0.1", server.port)) as refused:
            refused.send(b'CONNECT {"user":"bob","pass":"bob"}\r\n')
            assert refused.read_to_end().endswith(b"-ERR 'Authorization Violation'\r\n")


async def test_a_refused_reload_leaves_all_as_it_was(
    nats_server: keelback.Server,
) -> None:
    async with await nats.connect(nats_server.url) as client:
        with pytest.raises(ServerError, match="not supported for MaxPending"):
            nats_server.reload(max_payload=16, max_pending=1 << 20)
        await client.publish("greet", b"x" * 100)
        await client.flush()
        assert client.max_payload == 1 << 20


async def test_a_function_that_decides_is_asked_again(
    nats_server_factory: NatsServerFactory,
) -> None:
    asked: list[str] = []
    allowed = {"t1", "t2"}

    def who(attempt: keelback.ConnectionAttempt) -> str | None:
        asked.append(attempt.token)
        return attempt.token if attempt.token in allowed else None

    server = nats_server_factory(authenticate=who)
    gone = asyncio.Event()

    async def on_close() -> None:
        gone.set()

    async with (
        await nats.connect(server.url, token="t1") as kept,
        await nats.connect(server.url, token="t2", closed_cb=on_close, allow_reconnect=False),
    ):
        allowed.discard("t2")
        await asyncio.to_thread(server.reload, ping_max=5)
        await asyncio.wait_for(gone.wait(), 10)
        await kept.flush()
    assert sorted(asked) == ["t1", "t1", "t2", "t2"]
