"""What a reload does to connections that are open; the same on both servers."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import ServerProcess, Target
from tests.support.wire import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import Certificates

pytestmark = pytest.mark.both_servers

ANN = "{ user: ann, password: a }"
BOB = "{ user: bob, password: b }"
DONE = "Reloaded server configuration"


def users(*entries: str) -> str:
    return f"authorization {{ users: [ {', '.join(entries)} ] }}\n"


def connect(name: str, password: str) -> bytes:
    return (
        f'CONNECT {{"verbose":false,"protocol":1,"user":"{name}","pass":"{password}"}}\r\n'
    ).encode()


def reload(server: ServerProcess, config: str) -> None:
    before = len(server.log.splitlines())
    (server.directory / "server.conf").write_text(config)
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(DONE, after=before)


def last_lines(connection: Connection) -> list[bytes]:
    """What comes before the end of the stream, INFO left out."""
    lines = connection.read_to_end().split(b"\r\n")
    return [line for line in lines if line and not line.startswith(b"INFO ")]


def test_who_may_stay_stays_and_who_is_gone_is_closed_in_silence(target: Target) -> None:
    with (
        ServerProcess(target, users(ANN, BOB)) as server,
        Connection(server.address) as ann,
        Connection(server.address) as bob,
    ):
        ann.greeted(connect("ann", "a"))
        bob.greeted(connect("bob", "b"))
        ann.send(b"SUB greet 1\r\n")
        ann.fence()
        reload(server, users(ANN))
        assert last_lines(bob) == []
        ann.send(b"PUB greet 2\r\nhi\r\n")
        assert ann.fence() == [b"MSG greet 1 2", b"hi"]


def test_a_password_that_changed_is_an_authorization_violation(target: Target) -> None:
    with ServerProcess(target, users(ANN)) as server, Connection(server.address) as ann:
        ann.greeted(connect("ann", "a"))
        reload(server, users(ANN.replace("password: a", "password: z")))
        assert last_lines(ann) == [b"-ERR 'Authorization Violation'"]


def test_a_subscription_that_is_no_longer_allowed_is_taken_away(target: Target) -> None:
    narrowed = ANN.replace(" }", ", permissions: { subscribe: greet } }")
    with ServerProcess(target, users(ANN)) as server, Connection(server.address) as ann:
        ann.greeted(connect("ann", "a"))
        ann.send(b"SUB greet 1\r\nSUB other 2\r\n")
        ann.fence()
        reload(server, users(narrowed))
        violation = b'-ERR \'Permissions Violation for Subscription to "other" (sid "2")\''
        assert ann.fence() == [violation]
        ann.send(b"PUB greet 1\r\nx\r\nPUB other 1\r\ny\r\n")
        assert ann.fence() == [b"MSG greet 1 1", b"x"]
        server.wait_for_log('Removed sub "other" \\(sid "2"\\) for ')


def test_an_account_that_is_gone_takes_its_clients_along(target: Target) -> None:
    lab = "LAB { users: [ { user: eve, password: e } ] }"
    shop = "SHOP { users: [ { user: ann, password: a } ] }"
    with (
        ServerProcess(target, f"accounts {{ {shop}, {lab} }}") as server,
        Connection(server.address) as ann,
        Connection(server.address) as eve,
    ):
        ann.greeted(connect("ann", "a"))
        eve.greeted(connect("eve", "e"))
        reload(server, f"accounts {{ {shop} }}")
        assert last_lines(eve) == []
        ann.fence()


def test_clients_that_have_not_logged_in_are_closed(target: Target) -> None:
    with ServerProcess(target, users(ANN)) as server, Connection(server.address) as nobody:
        assert nobody.line().startswith(b"INFO ")
        reload(server, users(ANN, BOB))
        assert last_lines(nobody) == [b"-ERR 'Authorization Violation'"]


def test_lower_limits_hold_for_running_connections(target: Target) -> None:
    with ServerProcess(target, "max_payload: 100\n") as server, Connection(server.address) as one:
        one.greeted()
        reload(server, "max_payload: 3\n")
        one.send(b"PUB greet 4\r\nfour\r\n")
        assert b"-ERR 'Maximum Payload Violation'\r\n" in one.read_to_end()


def test_the_excess_of_connections_is_closed(target: Target) -> None:
    with (
        ServerProcess(target, "max_connections: 10\n") as server,
        Connection(server.address) as one,
        Connection(server.address) as other,
    ):
        one.greeted()
        other.greeted()
        before = len(server.log.splitlines())
        reload(server, "max_connections: 1\n")
        server.wait_for_log("Closed 1 connections to fall within max_connections", after=before)
        # Who is left answers; the other one was told why.
        ends: list[list[bytes]] = []
        for connection in (one, other):
            connection.half_close()
            ends.append(last_lines(connection))
        assert sorted(ends) == [[], [b"-ERR 'maximum connections exceeded'"]]


def test_new_connections_get_the_certificates_of_now(
    target: Target, certificates: Certificates, tmp_path: Path
) -> None:
    pair = certificates.server_pair
    files = tmp_path / "server.pem", tmp_path / "key.pem"
    files[0].write_bytes(pair.certificate.read_bytes())
    files[1].write_bytes(pair.key.read_bytes())
    config = f'tls {{ cert_file: "{files[0]}", key_file: "{files[1]}" }}\n'

    def shown(server: ServerProcess) -> bytes | None:
        with Connection(server.address) as client:
            client.line()
            client.start_tls(certificates.issuer.client())
            return client.socket.getpeercert(binary_form=True)  # type: ignore[attr-defined]

    renewed = certificates.issuer.issue("renewed")
    with ServerProcess(target, config) as server:
        first = shown(server)
        files[0].write_bytes(renewed.certificate.read_bytes())
        files[1].write_bytes(renewed.key.read_bytes())
        reload(server, config)
        server.wait_for_log("Reloaded: tls = enabled")
        assert shown(server) != first


def test_tls_can_come_and_go(target: Target, certificates: Certificates) -> None:
    plain = "max_payload: 100\n"
    with ServerProcess(target, plain) as server, Connection(server.address) as kept:
        kept.greeted()
        reload(server, certificates.configuration())
        with Connection(server.address) as client:
            assert b'"tls_required":true' in client.line()
            client.start_tls(certificates.issuer.client())
        kept.fence()
        reload(server, plain)
        with Connection(server.address) as client:
            client.greeted()
        kept.fence()


def test_nobody_is_refused_while_tls_comes_and_goes(
    target: Target, certificates: Certificates
) -> None:
    plain, encrypted = "max_payload: 100\n", certificates.configuration()
    is_over = Event()

    def connect_on(server: ServerProcess) -> int:
        count = 0
        while not is_over.is_set():
            with Connection(server.address) as client:
                assert client.line().startswith(b"INFO ")
            count += 1
        return count

    with ServerProcess(target, plain) as server, ThreadPoolExecutor(1) as threads:
        connects = threads.submit(connect_on, server)
        try:
            for config in (encrypted, plain) * 4:
                reload(server, config)
                with Connection(server.address) as client:
                    assert (b'"tls_required":true' in client.line()) == (config == encrypted)
        finally:
            is_over.set()
        assert connects.result() > 0


def test_the_handshake_can_come_to_be_first(target: Target, certificates: Certificates) -> None:
    encrypted = certificates.configuration()
    first = certificates.configuration("handshake_first: true")
    with ServerProcess(target, encrypted) as server, Connection(server.address) as kept:
        assert kept.line().startswith(b"INFO ")
        kept.start_tls(certificates.issuer.client())
        kept.send(b'CONNECT {"verbose":false}\r\n')
        kept.fence()
        reload(server, first)
        with Connection(server.address) as client:
            client.start_tls(certificates.issuer.client())
            assert b'"tls_required":true' in client.line()
        reload(server, encrypted)
        with Connection(server.address) as client:
            assert b'"tls_required":true' in client.line()
            client.start_tls(certificates.issuer.client())
        kept.fence()
