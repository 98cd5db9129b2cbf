"""A reload of who may read monitoring, and of how much there is to read."""

from __future__ import annotations

import http.client
import socket
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

import keelback
from keelback.errors import ServerError
from keelback.server import monitor_tls
from tests.monitor.test_as_nats_server import connect
from tests.monitor.watched import Watched
from tests.support.certificates import new_authority
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[keelback.Server]:
    """Who may read it knows the token `one`."""
    with keelback.Server(
        host="127.0.0.1", port=-1, http="127.0.0.1:-1", monitor_token="one"
    ) as running:
        yield running


def port_of(server: keelback.Server) -> int:
    return int(server.monitor_url.rpartition(":")[2])


def watched(server: keelback.Server) -> Watched:
    return Watched("keelback", ("127.0.0.1", server.port), port_of(server), None)


def status(server: keelback.Server, authorization: str) -> int:
    return watched(server).ask("/varz", Authorization=authorization).status


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def test_a_new_token_is_asked_for_and_the_old_one_refused(server: keelback.Server) -> None:
    assert (status(server, "Bearer one"), status(server, "Bearer two")) == (200, 401)
    server.reload(monitor_token="two")
    assert (status(server, "Bearer one"), status(server, "Bearer two")) == (401, 200)


def test_a_connection_that_is_open_is_asked_for_the_new_token(server: keelback.Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)

    def ask() -> int:
        connection.request("GET", "/healthz", headers={"Authorization": "Bearer one"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    try:
        assert ask() == 200
        at = connection.sock.getsockname()
        server.reload(monitor_token="two")
        assert ask() == 401
        assert connection.sock.getsockname() == at
    finally:
        connection.close()


def test_a_user_takes_the_place_of_a_token_and_nobody_of_the_user(server: keelback.Server) -> None:
    server.reload(monitor_token="", monitor_user="op", monitor_password="pw")
    assert status(server, basic("op", "pw")) == 200
    assert status(server, basic("op", "one")) == status(server, "Bearer one") == 401
    refusal = watched(server).ask("/varz")
    assert refusal.headers["WWW-Authenticate"].startswith("Basic ")
    server.reload(monitor_user="", monitor_password="")
    assert watched(server).ask("/varz").status == 200


def test_a_refused_reload_leaves_the_token_as_it_was(server: keelback.Server) -> None:
    with pytest.raises(ServerError, match="not supported for MaxPending"):
        server.reload(monitor_token="two", max_pending=1 << 21)
    assert (status(server, "Bearer one"), status(server, "Bearer two")) == (200, 401)


def test_more_series_come_with_a_reload(server: keelback.Server) -> None:
    def series() -> tuple[int, int]:
        answer = watched(server).ask("/metrics", Authorization="Bearer one")
        found = {each.name: each.samples for each in text_string_to_metric_families(answer.text)}
        subjects = found.get("nats_subject_delivered_msgs", ())
        return len(found["gnatsd_connz_in_msgs"]) - 1, len(subjects)

    with connect(watched(server), "one") as one, connect(watched(server), "two"):
        one.send(b"SUB a 1\r\nSUB b 2\r\n")
        one.fence()
        assert series() == (0, 0)
        server.reload(metrics_connections_max=1, metrics_subjects_max=2)
        assert series() == (1, 2)


def test_both_ports_take_a_renewed_certificate_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = new_authority(tmp_path)
    names = ("one", "two")

    def issue() -> list[dict[str, str]]:
        pairs = [authority.issue(name, hosts=[f"{name}.example"]) for name in names]
        return [{"cert_file": str(each.certificate), "key_file": str(each.key)} for each in pairs]

    def shown() -> tuple[bytes | None, ...]:
        context = authority.client()
        certificates: list[bytes | None] = []
        with Connection(("127.0.0.1", server.port)) as client:
            client.line()
            client.start_tls(context, "two.example")
            assert isinstance(client.socket, ssl.SSLSocket)
            certificates.append(client.socket.getpeercert(binary_form=True))
        with (
            socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="two.example") as monitor,
        ):
            certificates.append(monitor.getpeercert(binary_form=True))
        return tuple(certificates)

    with keelback.Server(
        host="127.0.0.1", port=-1, https="127.0.0.1:-1", tls={"certs": issue()}
    ) as server:
        first = shown()
        assert first[0] == first[1]
        issue()
        with monkeypatch.context() as patched:
            patched.setattr(monitor_tls, "_contexts", refuse)
            with pytest.raises(ServerError, match="monitoring cannot use the certificate: why"):
                server.reload(max_payload=512)
            with pytest.raises(ServerError, match="monitoring cannot use the certificate: why"):
                server.reload_certificates()
        assert shown() == first
        server.reload(max_payload=512)
        second = shown()
        assert second[0] == second[1] != first[0]


def refuse(_: object) -> None:
    raise OSError("why")
