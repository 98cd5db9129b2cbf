"""What monitoring has beyond nats-server's, and how it lives beside the server."""

from __future__ import annotations

import gc
import os
import socket
import threading
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

import keelback
from keelback.errors import ServerError
from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import (
    LameDuckSettings,
    LogSettings,
    MonitorSettings,
    ServerSettings,
    TlsSettings,
)
from tests.monitor.test_as_nats_server import connect
from tests.monitor.watched import Watched
from tests.monitor.watched import keelback as keelback_watched
from tests.support.certificates import Authority, new_authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.monitor.conftest import StartKeelback

EMBEDDED = LogSettings(to_python=True)


def test_metrics_follow_the_server(start_keelback: StartKeelback) -> None:
    watched = start_keelback(metrics_connections_max=1, metrics_subjects_max=1)
    with connect(watched, "one") as one, connect(watched, "two"):
        one.send(b"SUB a 1\r\nPUB a 2\r\nab\r\n")
        one.fence()
        answer = watched.ask("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {each.name: each.samples for each in text_string_to_metric_families(answer.text)}
    assert found["nats_connections"][0].value == 2
    assert found["nats_in_msgs"][0].value == 1
    assert found["gnatsd_connz_in_msgs"][0].value == 1
    assert [each.labels.get("name") for each in found["gnatsd_connz_in_msgs"]] == [None, "one"]
    assert found["nats_subject_delivered_msgs"][0].labels["subject"] == "a"


def test_who_may_read(start_keelback: StartKeelback) -> None:
    watched = start_keelback(user="op", password="pw", token="tok")
    basic = b64encode(b"op:pw").decode()
    assert watched.ask("/varz").status == 401
    assert watched.ask("/varz", Authorization=f"Basic {basic}").status == 200
    assert watched.ask("/metrics", Authorization="Bearer tok").status == 200


def test_polling_as_nats_top_does(start_keelback: StartKeelback) -> None:
    watched = start_keelback()
    with connect(watched, "one") as one:
        for count in range(1, 6):
            one.send(b"PUB a 0\r\n\r\n")
            one.fence()
            assert watched.ask("/varz").json["in_msgs"] == count
            page = watched.ask("/connz?limit=1024&sort=cid&subs=0").json
            assert page["connections"][0]["in_msgs"] == count


def test_a_port_in_use_keeps_the_server_from_starting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monitor = MonitorSettings(host="127.0.0.1", http_port=port)
        lifecycle = Lifecycle(
            ServerSettings(host="127.0.0.1", port=-1, log=EMBEDDED, monitor=monitor)
        )
        with pytest.raises(ServerError) as caught:
            lifecycle.start()
    assert str(caught.value) == (
        "Can't start monitoring: can't listen to the monitor port: "
        f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    )


@pytest.mark.parametrize(
    ("monitor", "problem"),
    [
        (
            MonitorSettings(http_port=8222, https_port=8443),
            "can't specify both HTTP (8222) and HTTPs (8443) ports",
        ),
        (MonitorSettings(https_port=8443), "TLS cert and key required for HTTPS"),
        (
            MonitorSettings(host="no.such.host.invalid", http_port=8222),
            (
                "can't listen to the monitor port: listen tcp no.such.host.invalid:8222: "
                "lookup no.such.host.invalid: no such host"
            ),
        ),
    ],
)
def test_settings_that_cannot_be_served(monitor: MonitorSettings, problem: str) -> None:
    settings = ServerSettings(host="127.0.0.1", port=-1, log=EMBEDDED, monitor=monitor)
    with pytest.raises(ServerError) as caught:
        Lifecycle(settings).start()
    assert str(caught.value) == f"Can't start monitoring: {problem}"


def test_the_ports_file_names_it(tmp_path: Path) -> None:
    lifecycle = Lifecycle(
        ServerSettings(
            host="127.0.0.1",
            port=-1,
            log=EMBEDDED,
            ports_file_dir=str(tmp_path),
            monitor=MonitorSettings(host="127.0.0.1", http_port=-1),
        )
    )
    lifecycle.start()
    lifecycle.run_in_background()
    (file,) = tmp_path.iterdir()
    assert lifecycle._monitor is not None
    told = f'"monitoring":["http://127.0.0.1:{lifecycle._monitor.port}"]'
    assert told in file.read_text()
    lifecycle.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", lifecycle._monitor.port))


def test_a_lame_duck_is_not_healthy() -> None:
    lifecycle = Lifecycle(
        ServerSettings(
            host="127.0.0.1",
            port=-1,
            log=EMBEDDED,
            lame_duck=LameDuckSettings(duration_s=30.0, grace_period_s=20.0),
            monitor=MonitorSettings(host="127.0.0.1", http_port=-1),
        )
    )
    lifecycle.start()
    lifecycle.run_in_background()
    assert lifecycle._monitor is not None
    try:
        watched = Watched("keelback", ("127.0.0.1", lifecycle.port), lifecycle._monitor.port, None)
        assert watched.ask("/healthz").status == 200
        with connect(watched, "one") as client:
            lifecycle.request_lame_duck()
            client.line()  # INFO with `ldm`
            answer = watched.ask("/healthz")
        assert answer.status == 500
        assert answer.json["error"] == "failed to be ready for connections after 1ms: server"
    finally:
        lifecycle.stop()


def test_an_embedded_server_gives_the_documents() -> None:
    with (
        keelback.Server(host="127.0.0.1", port=-1) as server,
        connect(Watched("keelback", ("127.0.0.1", server.port), 0, None), "one") as client,
    ):
        client.send(b"SUB a 1\r\n")
        client.fence()
        assert server.varz()["connections"] == 1
        (row,) = server.connz(subscriptions=True, sort="subs")["connections"]
        assert (row["name"], row["subscriptions_list"]) == ("one", ["a"])
        assert server.subsz(subscriptions=True)["total"] == 1
        assert "$G" in server.accountz()["accounts"]
        assert server.accstatz()["account_statz"][0]["conns"] == 1
        assert server.healthz() == {"status": "ok", "status_code": 200}
        assert server.jsz()["disabled"]
        assert server.routez()["num_routes"] == server.leafz()["leafnodes"] == 0
        assert server.gatewayz()["outbound_gateways"] == {}
        with pytest.raises(ServerError, match=r"^invalid sorting option: x$"):
            server.connz(sort="x")
    with pytest.raises(ServerError, match="not running"):
        server.varz()


def test_a_renewed_certificate_is_taken_up(authority: Authority) -> None:
    pair = authority.issue("monitored")
    lifecycle = Lifecycle(
        ServerSettings(
            host="127.0.0.1",
            port=-1,
            log=EMBEDDED,
            tls=TlsSettings(certificates=((str(pair.certificate), str(pair.key)),)),
            monitor=MonitorSettings(host="127.0.0.1", https_port=-1),
        )
    )
    lifecycle.start()
    lifecycle.run_in_background()
    try:
        assert lifecycle._monitor is not None
        first = certificate_at(lifecycle._monitor.port, authority)
        end = lifecycle.facts.now().tls_certificate_end_ns
        # In the same files, with a key of another kind: the old one must not stay beside it.
        authority.issue("monitored", "rsa", days=(-1, 90))
        lifecycle.reload_certificates()
        assert certificate_at(lifecycle._monitor.port, authority) != first
        assert lifecycle.facts.now().tls_certificate_end_ns > end
    finally:
        lifecycle.stop()


def certificate_at(port: int, authority: Authority) -> bytes | None:
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        authority.client().wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return connection.getpeercert(binary_form=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


def test_nothing_is_left_when_it_stops(tmp_path: Path) -> None:
    def serve_once() -> None:
        for watched in keelback_watched("", tmp_path):
            with socket.create_connection(("127.0.0.1", watched.port)):
                assert watched.ask("/connz").status == watched.ask("/metrics").status == 200
        gc.collect()  # the core's own descriptors go with its object

    serve_once()  # what is imported and opened once for the process
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    serve_once()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_server_that_stops_at_once_lets_the_port_go() -> None:
    monitor = MonitorSettings(host="127.0.0.1", http_port=-1)
    settings = ServerSettings(host="127.0.0.1", port=-1, log=EMBEDDED, monitor=monitor)
    lifecycle = Lifecycle(settings)
    lifecycle.start()
    lifecycle.run_in_background()
    lifecycle.stop()
    assert lifecycle._monitor is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", lifecycle._monitor.port))
