"""TLS towards clients: certificates of all kinds, and when the handshake comes."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import tls_block
from tests.support.wire import CONNECT, Connection, SilentError
from tests.tls.peers import encrypted, info, is_refused, log_in, session_of

if TYPE_CHECKING:
    from tests.support.certificates import Authority, KeyKind, Pair
    from tests.support.target import StartServer

pytestmark = [pytest.mark.both_servers, pytest.mark.timeout(60)]

ALSO_PLAIN = "allow_non_tls: true\n"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificates_of_each_kind(
    kind: KeyKind, version: ssl.TLSVersion, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(authority.issue(f"server-{kind}", kind)))
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    with encrypted(server, context) as client:
        log_in(client)
        assert session_of(client).version() == version.name.replace("_", ".")
        client.send(b"SUB a 1\r\nPUB a 5\r\nhello\r\n")
        assert client.fence() == [b"MSG a 1 5", b"hello"]


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_chain_with_intermediates(
    kind: KeyKind,
    authority: Authority,
    start_server: StartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The client knows the root only: what is between them the server has to show."""
    above = authority.under(tmp_path_factory.mktemp("above"), kind)
    below = above.under(tmp_path_factory.mktemp("below"))
    server = start_server(tls_block(below.issue("server")))
    with encrypted(server, authority.client()) as client:
        log_in(client)


def test_a_client_that_does_not_trust_the_server_does_not_stay(
    server_pair: Pair, authority: Authority, stranger: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    with Connection(server.address) as client:
        client.line()
        with pytest.raises(ssl.SSLCertVerificationError):
            client.start_tls(stranger.client())
    with encrypted(server, authority.client()) as client:
        log_in(client)


def test_the_certificate_goes_by_the_name_that_the_client_asks_for(
    authority: Authority, start_server: StartServer
) -> None:
    names = ["one.example", "two.example"]
    pairs = [authority.issue(name, hosts=[name]) for name in names]
    files = ", ".join(
        f'{{ cert_file: "{pair.certificate}", key_file: "{pair.key}" }}' for pair in pairs
    )
    server = start_server(f"tls {{ certs: [ {files} ] }}\n")
    for name in names:
        with encrypted(server, authority.client(), name) as client:
            shown = session_of(client).getpeercert()
            assert shown is not None
            assert shown["subjectAltName"] == (("DNS", name),)
    unchecked = authority.client()
    unchecked.check_hostname = False
    with encrypted(server, unchecked, "three.example") as client:
        shown = session_of(client).getpeercert()
        assert shown is not None
        assert shown["subjectAltName"] == (("DNS", names[0]),)


def test_info_says_that_tls_is_required(server_pair: Pair, start_server: StartServer) -> None:
    server = start_server(tls_block(server_pair))
    with Connection(server.address) as client:
        said = info(client.line())
    assert said["tls_required"] is True
    assert not said.keys() & {"tls_verify", "tls_available"}


def test_info_says_that_certificates_are_verified(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, f'ca_file: "{authority.file}"', "verify: true"))
    with Connection(server.address) as client:
        said = info(client.line())
    assert (said["tls_required"], said["tls_verify"]) == (True, True)
    assert "tls_available" not in said


def test_plain_clients_and_tls_clients_on_one_port(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair) + ALSO_PLAIN)
    with Connection(server.address) as plain:
        said = info(plain.line())
        assert said["tls_available"] is True
        assert not said.keys() & {"tls_verify", "tls_required"}
        log_in(plain)
        plain.send(b"SUB a 1\r\n")
        plain.fence()
        with encrypted(server, authority.client()) as secret:
            log_in(secret)
            secret.send(b"PUB a 2\r\nhi\r\n")
            secret.fence()
        assert plain.fence() == [b"MSG a 1 2", b"hi"]


def test_a_client_that_says_nothing_goes_on_in_plain(
    server_pair: Pair, start_server: StartServer
) -> None:
    """The time in which TLS may begin comes before the time for CONNECT."""
    users = "authorization { user: a, password: b, timeout: 0.4 }\n"
    server = start_server(tls_block(server_pair, "timeout: 0.4") + ALSO_PLAIN + users)
    with Connection(server.address) as client:
        client.line()
        start = time.monotonic()
        assert client.read_to_end() == b"-ERR 'Authentication Timeout'\r\n"
        assert time.monotonic() - start > 0.7


@pytest.mark.parametrize("first", ["true", "auto", '"300ms"'])
def test_a_handshake_before_info(
    first: str, server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, f"handshake_first: {first}"))
    with Connection(server.address) as client:
        client.start_tls(authority.client())
        assert info(client.line())["tls_required"] is True
        log_in(client)


@pytest.mark.parametrize(("first", "wait_s"), [("auto", 0.05), ('"300ms"', 0.3)])
def test_who_waits_for_info_gets_it_after_the_fallback(
    first: str, wait_s: float, server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, f"handshake_first: {first}"))
    with Connection(server.address) as client:
        start = time.monotonic()
        assert info(client.line())["tls_required"] is True
        assert time.monotonic() - start > wait_s - 0.02
        client.start_tls(authority.client())
        log_in(client)


def test_who_waits_for_info_without_a_fallback_waits_in_vain(
    server_pair: Pair, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, "handshake_first: true", "timeout: 0.5"))
    with Connection(server.address) as client:
        assert client.read_to_end() == b""


def test_handshake_first_where_plain_clients_are_welcome(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, "handshake_first: auto") + ALSO_PLAIN)
    with Connection(server.address) as client:
        client.start_tls(authority.client())
        said = info(client.line())
        assert (said["tls_required"], said["tls_available"]) == (True, True)
        assert "tls_required" not in log_in(client)
    with Connection(server.address) as client:
        assert "tls_required" not in info(client.line())
        log_in(client)
    with encrypted(server, authority.client()) as client:
        log_in(client)


@pytest.mark.parametrize("first", ["false", "true", '"1s"'])
def test_a_plain_client_is_closed_without_a_word(
    first: str, server_pair: Pair, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, f"handshake_first: {first}"))
    with Connection(server.address) as client:
        if first == "false":
            client.line()
        client.send(CONNECT + b"PING\r\n")
        assert client.read_to_end() == b""


def test_a_connect_before_the_handshake_ends_the_connection(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    with Connection(server.address) as client:
        client.line()
        client.send(CONNECT)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.start_tls(authority.client())


@pytest.mark.parametrize(
    "beginning", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a byte", "a part"]
)
def test_a_handshake_that_does_not_end_is_closed_when_its_time_is_over(
    beginning: bytes, server_pair: Pair, start_server: StartServer
) -> None:
    """In silence: nats-server's -ERR 'Secure Connection - TLS Required' never gets through."""
    server = start_server(tls_block(server_pair, "timeout: 0.4"))
    with Connection(server.address) as client:
        client.line()
        client.send(beginning)
        with pytest.raises(SilentError):
            client.read_to_end(0.2)
        assert client.read_to_end() == b""


def test_the_time_of_the_handshake_is_not_that_of_the_connect(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    users = "authorization { user: a, password: b, timeout: 0.3 }\n"
    server = start_server(tls_block(server_pair, "timeout: 5") + users)
    with Connection(server.address) as client:
        client.line()
        with pytest.raises(SilentError):
            client.line(0.6)
        client.start_tls(authority.client())
        log_in(client, b'CONNECT {"verbose":false,"protocol":1,"user":"a","pass":"b"}\r\n')
    with encrypted(server, authority.client()) as client:
        assert client.read_to_end() == b"-ERR 'Authentication Timeout'\r\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_in_single_bytes(
    version: ssl.TLSVersion, server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with Connection(server.address) as client:
        client.line()
        while True:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                _send_slowly(client, outgoing.read())
                incoming.write(client.socket.recv(65536))
                continue
            break
        session.write(CONNECT + b"PING\r\n")
        _send_slowly(client, outgoing.read())
        answer = b""
        while b"PONG\r\n" not in answer:
            try:
                answer += session.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(client.socket.recv(65536))


def _send_slowly(client: Connection, data: bytes) -> None:
    for byte in data:
        client.send(bytes([byte]))


def test_a_client_that_leaves_in_order_is_answered_in_order(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    """close_notify alone is the end: no FIN need follow for the server to close as well."""
    server = start_server(tls_block(server_pair))
    with encrypted(server, authority.client()) as listener:
        log_in(listener)
        listener.send(b"SUB last.words 1\r\n")
        listener.fence()
        with encrypted(server, authority.client()) as client:
            log_in(client)
            session = session_of(client)
            # Together, so that the end comes with the last message.
            client.send(b"PUB last.words 4\r\nbye!\r\n")
            plain = session.unwrap()
            assert plain.recv(1) == b""
            plain.close()
        assert listener.read_operation() == b"MSG last.words 1 4\r\nbye!\r\n"


def test_a_client_that_only_half_closes_is_let_go(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    with encrypted(server, authority.client()) as client:
        log_in(client)
        client.half_close()
        assert client.read_to_end() == b""


def test_a_session_is_resumed(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    """By ticket, as nats-server does: a client that comes back saves the certificates."""
    server = start_server(tls_block(server_pair))
    context = authority.client()
    with encrypted(server, context) as client:
        log_in(client)
        ticket = session_of(client).session
    with Connection(server.address) as client:
        client.line()
        client.start_tls(context, session=ticket)
        log_in(client)
        assert session_of(client).session_reused


def test_a_port_scanner_harms_nobody(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x01\x00", b"\x00" * 100, b""):
        with Connection(server.address) as client:
            client.line()
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            client.read_to_end()
    assert not is_refused(server, authority.client())
