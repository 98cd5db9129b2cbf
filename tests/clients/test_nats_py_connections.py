"""nats-py: who is let in and how, TLS, and what happens when the server goes."""

# The types of nats-py are incomplete: a bare `Future` is among the arguments of `subscribe`.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
from nats.errors import AuthorizationError, Error, NoServersError

from tests.clients.credentials import (
    PASSWORD,
    TOKEN,
    TOKEN_CONFIGURATION,
    USER,
    USER_CONFIGURATION,
    UserKey,
    nkey_configuration,
)
from tests.clients.nats_py import WAIT_S, client_of, fence, hears_itself

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from nats.aio.client import Client

    from tests.support.certificates import Certificates
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_user_and_password(start_server: StartServer) -> None:
    server = start_server(USER_CONFIGURATION)
    await _admitted(server, user=USER, password=PASSWORD)
    await _refused(server, user=USER, password="wrong")
    await _refused(server, user="nobody", password=PASSWORD)
    await _refused(server)


async def test_token(start_server: StartServer) -> None:
    server = start_server(TOKEN_CONFIGURATION)
    await _admitted(server, token=TOKEN)
    await _refused(server, token="wrong")
    await _refused(server)


async def test_nkey(
    start_server: StartServer, user_key: UserKey, stranger_key: UserKey, tmp_path: Path
) -> None:
    server = start_server(nkey_configuration(user_key))
    known, unknown = tmp_path / "known.nk", tmp_path / "unknown.nk"
    known.write_text(user_key.seed)
    unknown.write_text(stranger_key.seed)
    await _admitted(server, nkeys_seed=str(known))
    await _refused(server, nkeys_seed=str(unknown))
    await _refused(server)


async def test_a_denied_subject_is_reported_and_the_connection_lives_on(
    start_server: StartServer,
) -> None:
    server = start_server(USER_CONFIGURATION)
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    async with client_of(server, user=USER, password=PASSWORD, error_cb=errors.put) as client:
        await client.publish("forbidden", b"")
        error = await asyncio.wait_for(errors.get(), WAIT_S)
        assert 'permissions violation for publish to "forbidden"' in str(error).lower()
        await client.flush()


async def test_tls(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server(certificates.configuration())
    await _admitted(server, tls=certificates.issuer.client())
    with pytest.raises((ssl.SSLError, NoServersError)):
        await _admitted(server, tls=ssl.create_default_context())


async def test_tls_with_client_certificates(
    start_server: StartServer, certificates: Certificates
) -> None:
    server = start_server(certificates.configuration(verify=True))
    await _admitted(server, tls=certificates.issuer.client(certificates.client_pair))
    nameless = certificates.issuer.client()
    with pytest.raises((OSError, Error, asyncio.IncompleteReadError)):
        await _admitted(server, tls=nameless)


async def test_tls_before_info(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server(certificates.configuration("handshake_first: true"))
    await _admitted(server, tls=certificates.issuer.client(), tls_handshake_first=True)


async def test_megabytes_over_tls(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server(certificates.configuration())
    context = certificates.issuer.client()
    payloads = [bytes([number]) * 512 * 1024 for number in range(16)]
    async with client_of(server, tls=context) as one, client_of(server, tls=context) as other:
        subscription = await other.subscribe("big")
        await fence(other)
        for payload in payloads:
            await one.publish("big", payload)
        await fence(one)
        assert [(await subscription.next_msg(WAIT_S)).data for _ in payloads] == payloads


async def test_a_client_comes_back_with_its_subscriptions(start_server: StartServer) -> None:
    server = start_server()
    gone, back = asyncio.Event(), asyncio.Event()

    async def on_back() -> None:
        back.set()

    async with _returning(server, gone, reconnected_cb=on_back) as client:
        subscription = await client.subscribe("after")
        await client.flush()
        server.stop()
        await asyncio.wait_for(gone.wait(), WAIT_S)
        start_server(port=server.port)
        await asyncio.wait_for(back.wait(), WAIT_S)
        await client.publish("after", b"back")
        assert (await subscription.next_msg(WAIT_S)).data == b"back"


async def test_what_was_published_while_away_is_sent_later(start_server: StartServer) -> None:
    server = start_server()
    gone = asyncio.Event()
    async with _returning(server, gone) as client:
        subscription = await client.subscribe("kept")
        await client.flush()
        server.stop()
        await asyncio.wait_for(gone.wait(), WAIT_S)
        await client.publish("kept", b"while away")
        start_server(port=server.port)
        assert (await subscription.next_msg(WAIT_S)).data == b"while away"


def _returning(
    server: ServerProcess, gone: asyncio.Event, **options: object
) -> AbstractAsyncContextManager[Client]:
    """A client that comes back as often as it takes; `gone` is set when it lost its server."""

    async def on_gone() -> None:
        gone.set()

    return client_of(
        server,
        allow_reconnect=True,
        reconnect_time_wait=0.05,
        max_reconnect_attempts=-1,
        disconnected_cb=on_gone,
        **options,
    )


async def _admitted(server: ServerProcess, **options: object) -> None:
    async with client_of(server, **options) as client:
        assert await hears_itself(client)


async def _refused(server: ServerProcess, **options: object) -> None:
    with pytest.raises((AuthorizationError, Error), match=r"(?i)authorization violation"):
        async with client_of(server, **options):
            pass
