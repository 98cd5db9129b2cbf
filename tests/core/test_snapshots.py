"""What monitoring reads of the core: connections, accounts, subscriptions."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

import pytest

from keelback import Server
from keelback._core import ConnectionQuery, CoreError
from tests.core.test_connections import fence, until_count
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keelback._core import ConnectionInfo, Plane
    from tests.support.certificates import Certificates

CONNECT = b'CONNECT {"verbose":false,"lang":"test","version":"1.0","name":"%s"}\r\n'
CLOSED = ConnectionQuery(state="closed", subscriptions=True)
TIME_MAX_S = 10.0


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    with Server(port=-1) as server:
        yield server


@pytest.fixture
def plane(server: Server) -> Plane:
    """Its data plane."""
    return server._plane_to_connect_to()


def connect(server: Server) -> Connection:
    """A client that has read INFO."""
    host, _, port = server.url.rpartition("/")[2].rpartition(":")
    client = Connection((host, int(port)))
    client.line()
    return client


def page(plane: Plane, query: ConnectionQuery | None = None) -> list[ConnectionInfo]:
    """The connections of a page."""
    return plane.connection_page(query or ConnectionQuery())[1]


def until_closed(plane: Plane, count: int) -> list[ConnectionInfo]:
    """The closed connections, once there are so many."""
    deadline = time.monotonic() + TIME_MAX_S
    while len(found := page(plane, CLOSED)) < count:
        assert time.monotonic() < deadline, f"{len(found)} closed, not {count}"
        time.sleep(0.001)
    return found


def test_a_connection_shows_what_it_said_and_did(server: Server, plane: Plane) -> None:
    before_ns = time.time_ns()
    with connect(server) as client:
        client.send(CONNECT % b"one" + b"SUB a.* 5\r\nUNSUB 5 9\r\nPUB a.b 5\r\nhello\r\nPING\r\n")
        while client.line() != b"PONG":
            pass
        (info,) = page(plane, ConnectionQuery(subscriptions=True))
        assert client.socket.getsockname() == (info.ip, info.port)
    after_ns = time.time_ns()
    assert before_ns - 10**9 < info.start_ns <= info.last_activity_ns < after_ns + 10**9
    assert info.rtt_ns > 0
    assert (info.kind, info.stop_ns, info.reason, info.account) == ("tcp", 0, "", "$G")
    assert (info.name, info.lang, info.version, info.user) == ("one", "test", "1.0", "")
    assert (info.in_msgs, info.in_bytes, info.out_msgs, info.out_bytes) == (1, 5, 1, 5)
    assert (info.tls_version, info.tls_cipher_suite, info.certificates) == ("", "", [])
    (sub,) = info.subscription_list
    assert (sub.subject, sub.queue, sub.sid, sub.msgs, sub.max) == ("a.*", "", "5", 1, 9)
    assert (sub.account, sub.connection) == ("$G", info.cid)


def test_subscriptions_of_many_connections_are_all_listed_in_order(plane: Plane) -> None:
    pipes = [plane.open_pipe() for _ in range(20)]
    for number, pipe in enumerate(pipes):
        subs = b"".join(b"SUB s.%d %d\r\n" % (sid, sid) for sid in range(1000 + number))
        pipe.send(CONNECT % b"" + subs)
        fence(pipe)
    infos = page(plane, ConnectionQuery(subscriptions=True, sort="subs"))
    assert [info.subscriptions for info in infos] == list(range(1019, 999, -1))
    for info in infos:
        assert (info.kind, info.ip, info.port) == ("in_process", "", 0)
        sids = [int(sub.sid) for sub in info.subscription_list]
        assert sids == list(range(info.subscriptions))


def test_closed_connections_are_remembered_with_their_reasons(server: Server, plane: Plane) -> None:
    with connect(server) as client:
        client.send(CONNECT % b"gone" + b"SUB a 1\r\nPING\r\n")
        client.line()
    until_closed(plane, 1)
    with connect(server) as client:
        client.send(b"NONSENSE\r\n")
        client.read_to_end()
    gone, refused = until_closed(plane, 2)
    assert (gone.reason, refused.reason) == ("Client Closed", "Protocol Violation")
    assert (gone.name, gone.subscriptions, gone.subscription_list[0].subject) == ("gone", 1, "a")
    assert gone.start_ns <= gone.last_activity_ns <= gone.stop_ns <= refused.stop_ns
    assert plane.connection_page(ConnectionQuery(state="all"))[0] == 2
    plane.set_closed_limit(1)
    assert [info.cid for info in page(plane, CLOSED)] == [refused.cid]


def test_connections_that_never_came_in_are_remembered_too() -> None:
    options = {"authorization": {"user": "a", "password": "b", "timeout": 1.0}}
    with Server(port=-1, max_connections=1, **options) as server:
        plane = server._plane_to_connect_to()
        with connect(server) as late, connect(server) as surplus:
            surplus.read_to_end()
            late.read_to_end()
        with connect(server) as wrong:
            wrong.send(b'CONNECT {"user":"a","pass":"secret","name":"n"}\r\n')
            wrong.read_to_end()
        infos = until_closed(plane, 3)
        assert plane.stats()["total_connections"] == 3
    assert [info.reason for info in infos] == [
        "Authentication Timeout",
        "Maximum Connections Exceeded",
        "Authentication Failure",
    ]
    assert [(info.name, info.user) for info in infos] == [("", ""), ("", ""), ("n", "user:a")]


def test_a_session_of_tls_is_described(certificates: Certificates) -> None:
    own, pair = certificates.server_pair, certificates.client_pair
    files = {"cert_file": str(own.certificate), "key_file": str(own.key)}
    files["ca_file"] = str(certificates.authority)
    with Server(port=-1, tls={**files, "verify": True}) as server:
        plane = server._plane_to_connect_to()
        with connect(server) as client:
            client.start_tls(certificates.issuer.client(pair))
            client.send(CONNECT % b"" + b"PING\r\n")
            client.line()
            (info,) = page(plane)
        (gone,) = until_closed(plane, 1)
    assert (info.tls_version, info.tls_cipher_suite[:4], info.tls_first) == ("1.3", "TLS_", False)
    assert info.certificates[0] == ssl.PEM_cert_to_DER_cert(pair.certificate.read_text())
    assert (gone.tls_version, gone.certificates) == ("1.3", [])


def test_an_order_that_closed_connections_alone_have_is_refused_for_others() -> None:
    with pytest.raises(CoreError, match=r"^sort by stop only valid on closed connections$"):
        ConnectionQuery(sort="stop")
    with pytest.raises(CoreError, match=r"^invalid sorting option: size$"):
        ConnectionQuery(sort="size")  # type: ignore[arg-type]
    with pytest.raises(CoreError, match=r"^filter by subject only valid with account filtering$"):
        ConnectionQuery(filter_subject="a")


def test_accounts_sum_up_what_their_connections_did(plane: Plane) -> None:
    pipes = [plane.open_pipe() for _ in range(2)]
    for pipe in pipes:
        pipe.send(CONNECT % b"" + b"SUB a 1\r\nPUB a 5\r\nhello\r\n")
        fence(pipe)
    pipes[0].close()
    until_count(plane, "connections", 1)
    infos = {info.name: info for info in plane.accounts()}
    assert infos["$SYS"].is_system
    everybody = infos["$G"]
    assert (everybody.connections, everybody.total_connections) == (1, 1)
    assert (everybody.subscriptions, everybody.is_system) == (1, False)
    assert (everybody.received_msgs, everybody.received_bytes) == (2, 10)
    assert (everybody.sent_msgs, everybody.sent_bytes) == (3, 15)


def test_sublists_are_measured_and_listed(plane: Plane) -> None:
    pipe = plane.open_pipe()
    pipe.send(CONNECT % b"" + b"SUB a 1\r\nSUB a 2\r\nSUB b.* q 3\r\nUNSUB 2\r\n")
    pipe.send(b"PUB a 0\r\n\r\nPUB b.c 0\r\n\r\n" * 3)
    fence(pipe)
    stats = plane.sublist_stats()
    assert (stats["num_subscriptions"], stats["num_inserts"], stats["num_removes"]) == (2, 3, 1)
    assert (stats["num_cache"], stats["num_matches"]) == (2, 6)
    assert stats["cache_hit_rate"] == pytest.approx(4 / 6)
    assert (stats["max_fanout"], stats["avg_fanout"]) == (1, 1.0)
    assert plane.sublist_stats("$SYS")["num_matches"] == 0
    total, subs = plane.subscriptions(limit=1)
    assert (total, len(subs)) == (2, 1)
    (total, (sub,)) = plane.subscriptions(test="b.c")
    assert (total, sub.subject, sub.queue, sub.sid, sub.msgs) == (1, "b.*", "q", "3", 3)
    with pytest.raises(CoreError, match="must be valid publish subject"):
        plane.subscriptions(test="b.*")


def test_pages_are_read_while_connections_come_and_go(plane: Plane) -> None:
    kept = [plane.open_pipe() for _ in range(50)]
    for pipe in kept:
        pipe.send(CONNECT % b"kept" + b"SUB a 1\r\n")
        fence(pipe)
    for _ in range(50):
        passing = plane.open_pipe()
        passing.send(CONNECT % b"" + b"SUB b 1\r\n")
        infos = page(plane, ConnectionQuery(subscriptions=True))
        assert [info.name for info in infos].count("kept") == len(kept)
        assert all(info.subscription_list for info in infos if info.name == "kept")
        passing.close()
    until_count(plane, "connections", len(kept))


def test_after_the_end_there_is_nothing_and_nobody_waits() -> None:
    with Server(port=-1) as server:
        plane = server._plane_to_connect_to()
        plane.open_pipe()
    plane.ping_unmeasured()
    assert plane.connection_page(ConnectionQuery(subscriptions=True)) == (0, [])
