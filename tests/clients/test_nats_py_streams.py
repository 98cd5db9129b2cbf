"""nats-py with streams, key-value buckets and object stores, as far as they need no consumer."""

# The types of nats-py are incomplete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import (
    APIError,
    BadRequestError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NoStreamResponseError,
    NotFoundError,
)

from tests.clients.nats_py import client_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture
def streams(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """A server that has streams."""
    return start_server(f'jetstream {{ store_dir: "{tmp_path / "js"}" }}')


async def test_streams_are_managed(streams: ServerProcess) -> None:
    async with client_of(streams) as client:
        js = client.jetstream()
        made = await js.add_stream(name="S", subjects=["s.>"], max_msgs=100)
        assert (made.config.name, made.state.messages) == ("S", 0)
        with pytest.raises(BadRequestError):
            await js.add_stream(name="S", subjects=["t.>"])
        changed = await js.update_stream(StreamConfig(name="S", subjects=["s.>", "t"], max_msgs=5))
        assert changed.config.subjects == ["s.>", "t"]
        assert await js.find_stream_name_by_subject("t") == "S"
        assert [each.config.name for each in await js.streams_info()] == ["S"]
        assert (await js.account_info()).streams == 1
        assert await js.delete_stream("S")
        with pytest.raises(NotFoundError):
            await js.stream_info("S")


@pytest.mark.parametrize("storage", [StorageType.FILE, StorageType.MEMORY])
async def test_messages_are_published_and_read(
    streams: ServerProcess, storage: StorageType
) -> None:
    async with client_of(streams) as client:
        js = client.jetstream()
        await js.add_stream(name="S", subjects=["s.>"], storage=storage, allow_direct=True)
        first = await js.publish("s.a", b"one", headers={"Nats-Msg-Id": "1"})
        again = await js.publish("s.a", b"one", headers={"Nats-Msg-Id": "1"})
        assert (first.seq, again.seq, again.duplicate) == (1, 1, True)
        with pytest.raises(APIError):
            await js.publish("s.a", b"x", headers={"Nats-Expected-Last-Sequence": "7"})
        acks = await asyncio.gather(*(js.publish(f"s.{n}", b"%d" % n) for n in range(50)))
        assert sorted(ack.seq for ack in acks) == list(range(2, 52))
        for direct in (False, True):
            found = await js.get_msg("S", 1, direct=direct)
            assert (found.subject, found.data) == ("s.a", b"one")
            last = await js.get_last_msg("S", "s.7", direct=direct)
            assert last.data == b"7"
        assert await js.delete_msg("S", 1)
        with pytest.raises(NotFoundError):
            await js.get_msg("S", 1)
        await js.purge_stream("S", keep=10)
        assert (await js.stream_info("S")).state.messages == 10
        with pytest.raises(NoStreamResponseError):
            await js.publish("nobody.listens", b"x")


async def test_a_full_stream_refuses(streams: ServerProcess) -> None:
    async with client_of(streams) as client:
        js = client.jetstream()
        await js.add_stream(name="S", subjects=["s"], max_msgs=1, discard=DiscardPolicy.NEW)
        await js.publish("s", b"")
        with pytest.raises(APIError, match="maximum messages exceeded"):
            await js.publish("s", b"")


async def test_a_key_value_bucket(streams: ServerProcess) -> None:
    async with client_of(streams) as client:
        bucket = await client.jetstream().create_key_value(bucket="CONFIG", history=3)
        assert await bucket.put("a", b"1") == 1
        assert (await bucket.get("a")).value == b"1"
        assert await bucket.update("a", b"2", last=1) == 2
        with pytest.raises(KeyWrongLastSequenceError):
            await bucket.update("a", b"3", last=1)
        with pytest.raises(KeyWrongLastSequenceError):
            await bucket.create("a", b"3")
        assert await bucket.create("b", b"new") == 3
        await bucket.delete("a")
        with pytest.raises(KeyNotFoundError):
            await bucket.get("a")
        assert await bucket.create("a", b"again") == 5
        await bucket.purge("a")
        with pytest.raises(KeyNotFoundError):
            await bucket.get("none")
        status = await bucket.status()
        assert (status.bucket, status.history) == ("CONFIG", 3)
        assert await client.jetstream().delete_key_value("CONFIG")


async def test_an_object_is_put(streams: ServerProcess) -> None:
    async with client_of(streams) as client:
        store = await client.jetstream().create_object_store("FILES")
        made = await store.put("large", bytes(300_000))
        found = await store.get_info("large")
        assert (found.size, found.chunks, found.digest) == (300_000, made.chunks, made.digest)
        await store.delete("large")
        with pytest.raises(NotFoundError):
            await store.get_info("large")
