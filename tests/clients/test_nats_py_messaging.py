"""nats-py: publish and subscribe, requests, queue groups, headers, unsubscribing, draining."""

# The types of nats-py are incomplete: a bare `Future` is among the arguments of `subscribe`.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from tests.clients.nats_py import WAIT_S, client_of, fence

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_messages_arrive_in_order(server: ServerProcess) -> None:
    async with client_of(server) as publisher, client_of(server) as listener:
        subscription = await listener.subscribe("orders.*")
        await fence(listener)
        for number in range(1000):
            await publisher.publish("orders.new", str(number).encode())
        await fence(publisher)
        received = [(await subscription.next_msg(WAIT_S)).data for _ in range(1000)]
        assert received == [str(number).encode() for number in range(1000)]


async def test_wildcards_match_tokens(server: ServerProcess) -> None:
    async with client_of(server) as client:
        one = await client.subscribe("a.*.c")
        rest = await client.subscribe("a.>")
        for subject in ("a.b.c", "a.b", "a", "b.b.c", "a.x.c"):
            await client.publish(subject)
        await fence(client)
        assert await _subjects(one, 2) == ["a.b.c", "a.x.c"]
        assert await _subjects(rest, 3) == ["a.b.c", "a.b", "a.x.c"]
        assert one.pending_msgs == rest.pending_msgs == 0


async def test_a_request_gets_its_own_reply(server: ServerProcess) -> None:
    async with client_of(server) as requester, client_of(server) as responder:

        async def double(request: Msg) -> None:
            await request.respond(request.data * 2)

        await responder.subscribe("double", cb=double)
        await fence(responder)
        answers = await asyncio.gather(
            *(requester.request("double", str(n).encode(), timeout=WAIT_S) for n in range(100))
        )
        assert [answer.data for answer in answers] == [str(n).encode() * 2 for n in range(100)]
        alone = await requester.request("double", b"x", timeout=WAIT_S, old_style=True)
        assert alone.data == b"xx"


async def test_a_request_without_responders_fails_at_once(server: ServerProcess) -> None:
    async with client_of(server) as client:
        with pytest.raises(NoRespondersError):
            await client.request("nobody.listens", timeout=WAIT_S)


async def test_a_request_whose_responder_is_silent_times_out(server: ServerProcess) -> None:
    async with client_of(server) as client:
        await client.subscribe("silence")
        with pytest.raises(NatsTimeoutError) as raised:
            await client.request("silence", timeout=0.1)
        assert not isinstance(raised.value, NoRespondersError)


async def test_a_queue_group_shares_its_messages(server: ServerProcess) -> None:
    async with client_of(server) as publisher, client_of(server) as worker:
        members = [await worker.subscribe("work", queue="workers") for _ in range(3)]
        observer = await worker.subscribe("work")
        await fence(worker)
        for number in range(300):
            await publisher.publish("work", str(number).encode())
        await fence(publisher)
        await fence(worker)
        shares = [await _waiting(member) for member in members]
        expected = sorted(str(number).encode() for number in range(300))
        assert sorted(data for share in shares for data in share) == expected
        assert all(shares), [len(share) for share in shares]
        assert sorted(await _waiting(observer)) == expected


async def test_headers_arrive_as_they_were_sent(server: ServerProcess) -> None:
    async with client_of(server) as client:
        subscription = await client.subscribe("with.headers")
        sent = {"Kind": "order", "Empty": "", "Spaced": "two words"}
        await client.publish("with.headers", b"body", headers=sent)
        await client.publish("with.headers", b"", headers={"Only": "headers"})
        message = await subscription.next_msg(WAIT_S)
        assert (message.headers, message.data) == (sent, b"body")
        message = await subscription.next_msg(WAIT_S)
        assert (message.headers, message.data) == ({"Only": "headers"}, b"")


async def test_unsubscribing_after_a_number_of_messages(server: ServerProcess) -> None:
    async with client_of(server) as client:
        limited = await client.subscribe("limited")
        await limited.unsubscribe(limit=3)
        for number in range(10):
            await client.publish("limited", str(number).encode())
        await fence(client)
        assert [(await limited.next_msg(WAIT_S)).data for _ in range(3)] == [b"0", b"1", b"2"]
        assert limited.delivered == 3


async def test_unsubscribing_ends_delivery(server: ServerProcess) -> None:
    async with client_of(server) as client:
        received: list[bytes] = []
        arrived = asyncio.Event()

        async def take(message: Msg) -> None:
            received.append(message.data)
            arrived.set()

        subscription = await client.subscribe("ended", cb=take)
        await client.publish("ended", b"before")
        await asyncio.wait_for(arrived.wait(), WAIT_S)
        await subscription.unsubscribe()
        await client.publish("ended", b"after")
        await fence(client)
        assert received == [b"before"]
        # The first message and the fence's: the second was not even sent here.
        assert client.stats["in_msgs"] == 2


async def test_draining_loses_nothing(server: ServerProcess) -> None:
    async with client_of(server) as publisher, client_of(server) as listener:
        received: list[bytes] = []

        async def take(message: Msg) -> None:
            await asyncio.sleep(0)
            received.append(message.data)

        await listener.subscribe("drained", cb=take)
        await fence(listener)
        for number in range(200):
            await publisher.publish("drained", str(number).encode())
        await fence(publisher)
        await listener.drain()
        assert received == [str(number).encode() for number in range(200)]
        assert listener.is_closed


async def test_the_largest_payload_passes_and_a_larger_one_is_refused(
    start_server: StartServer,
) -> None:
    server = start_server("max_payload: 65536\n")
    async with client_of(server) as client:
        assert client.max_payload == 65536
        subscription = await client.subscribe("large")
        await client.publish("large", b"x" * 65536)
        assert (await subscription.next_msg(WAIT_S)).data == b"x" * 65536
        with pytest.raises(MaxPayloadError):
            await client.publish("large", b"x" * 65537)


async def test_flush_waits_for_the_server(server: ServerProcess) -> None:
    async with client_of(server) as client:
        subscription = await client.subscribe("flushed")
        await client.publish("flushed", b"1")
        await client.flush(timeout=10)
        # The first PING may overtake what was buffered; the second cannot.
        await client.flush(timeout=10)
        assert subscription.pending_msgs == 1


async def test_echo_may_be_switched_off(server: ServerProcess) -> None:
    async with client_of(server, no_echo=True) as silent, client_of(server) as other:
        subscription = await silent.subscribe("echo")
        await silent.publish("echo", b"own")
        # It would not hear the message of `fence`: see `test_flush_waits_for_the_server`.
        await silent.flush()
        await silent.flush()
        await other.publish("echo", b"another's")
        assert (await subscription.next_msg(WAIT_S)).data == b"another's"


async def _subjects(subscription: Subscription, count: int) -> list[str]:
    return [(await subscription.next_msg(WAIT_S)).subject for _ in range(count)]


async def _waiting(subscription: Subscription) -> list[bytes]:
    """All that is delivered already; the caller has fenced."""
    return [(await subscription.next_msg(WAIT_S)).data for _ in range(subscription.pending_msgs)]
