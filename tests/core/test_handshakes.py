"""How many TLS handshakes begin, and whose keys may stay."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Literal

import pytest

from keelback import _core
from tests.core.planes import running
from tests.support.certificates import Authority, Pair, new_authority

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom both sides trust."""
    return new_authority(tmp_path_factory.mktemp("tls"))


def config(authority: Authority, pinned: Sequence[str] = ()) -> _core.TlsConfig:
    """TLS that asks for client certificates."""
    pair = authority.issue("server")
    return _core.TlsConfig(
        certificates=[(pair.certificate.read_bytes(), pair.key.read_bytes())],
        client_roots=authority.file.read_bytes(),
        request_client_certificate=True,
        pinned=list(pinned),
    )


def context(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    """A client's side."""
    made = ssl.create_default_context(cafile=str(authority.file))
    if pair is not None:
        made.load_cert_chain(pair.certificate, pair.key)
    return made


def offers(info: bytes) -> list[str]:
    """What an INFO line says of TLS."""
    said = json.loads(info.removeprefix(b"INFO "))
    return [name for name in ("tls_required", "tls_available") if said.get(name)]


def test_handshakes_beyond_the_rate_are_put_off(authority: Authority) -> None:
    with running(tls=config(authority), tls_mode="required", connection_rate_limit=1) as server:
        first = server.connect()
        assert first.line().startswith(b"INFO ")
        second = server.connect()
        assert second.line().startswith(b"INFO ")
        refusal = b"-ERR 'Connection throttling is active. Please try again later.'\r\n"
        assert second.read_to_end() == refusal
        first.start_tls(context(authority))
        assert server.line("Rejected") == "Rejected 1 connections due to TLS rate limiting"
        assert server.closed("Maximum Connections Exceeded") == 1


def test_who_is_not_pinned_any_more_goes(authority: Authority) -> None:
    kept, dropped = authority.issue("kept"), authority.issue("dropped")
    both = [kept.key_digest(), dropped.key_digest()]
    with running(tls=config(authority, both), tls_mode="available") as server:
        clients = []
        for pair in (kept, dropped):
            client = server.connect()
            assert client.line().startswith(b"INFO ")
            client.start_tls(context(authority, pair))
            client.send(b'CONNECT {"verbose":false}\r\n')
            client.fence()
            clients.append(client)
        plain = server.client()
        assert server.plane.drop_unpinned() == 0
        server.plane.set_tls(config(authority, both[:1]))
        assert server.plane.drop_unpinned() == 1
        assert clients[1].read_to_end() == b""
        clients[0].fence()
        plain.fence()
        assert server.closed("TLS Handshake Failure") == 1


def test_a_listener_that_runs_takes_another_mode(authority: Authority) -> None:
    tls = config(authority)
    with running() as server:
        kept = server.client()
        host, port = server.address

        def change(mode: Literal["off", "required", "available", "first"], port: int) -> bool:
            listener = _core.Listener(host=host, port=port, tls=tls, tls_mode=mode)
            return server.plane.set_listener_tls(listener)

        # The settings never speak of TLS: what INFO says is the listener's.
        assert change("required", port)
        assert offers(server.connect().line()) == ["tls_required"]
        assert change("available", port)
        assert offers(server.connect().line()) == ["tls_available"]
        assert change("off", port)
        assert offers(server.connect().line()) == []
        assert change("first", port)
        client = server.connect()
        client.start_tls(context(authority))
        assert offers(client.line()) == ["tls_required"]
        kept.fence()
        assert not change("off", 0)
        server.plane.stop_listening()
        assert not change("off", port)
