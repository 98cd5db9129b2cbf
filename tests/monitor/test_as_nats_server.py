"""Each document of both servers, by key, order, type and format, in several states."""

from __future__ import annotations

import json
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.monitor.watched import Answer, Watched, shape
from tests.support.wire import Connection, SilentError

if TYPE_CHECKING:
    from tests.monitor.conftest import StartPair
    from tests.support.certificates import Certificates

DOCUMENTS: Final = (
    "/varz",
    "/connz",
    "/connz?state=closed&sort=stop",
    "/connz?auth=1&subs=1&state=all",
    "/connz?acc=$G&offset=3&limit=7",
    "/connz?acc=nobody",
    "/connz?cid=99999",
    "/connz?limit=%zz&offset=5",
    "/connz?a;b=1&limit=3&limit=x",
    "/subsz",
    "/accountz",
    "/accstatz",
    "/accstatz?unused=1",
    "/routez",
    "/routez?subs=detail",
    "/gatewayz",
    "/gatewayz?gw_name=x&accs=1",
    "/leafz",
    "/leafz?subs=1&acc=x",
    "/jsz",
    "/jsz?accounts=1&streams=1&consumers=1&config=1&raft=1",
    "/healthz",
    "/healthz?account=a",
    "/healthz?js-enabled-only=1&details=1",
    "/ipqueuesz",
)

ANSWERS: Final = (
    "/nothing",
    "/varz/",
    "//varz?a=b",
    "/expvarz",
    "/connz?sort=x",
    "/connz?sort=stop",
    "/connz?sort=reason&state=any",
    "/connz?auth=yes",
    "/connz?subs=x",
    "/connz?offset=x",
    "/connz?limit=99999999999999999999",
    "/connz?cid=-1",
    "/connz?state=ajar",
    "/connz?auth=%22%00%C3%A9",
    "/subsz?subs=x",
    "/subsz?test=*",
    "/subsz?test=a..b",
    "/accountz?acc=nobody",
    "/accstatz?unused=x",
    "/routez?subs=x",
    "/gatewayz?accs=x",
    "/leafz?subs=x",
    "/jsz?leader-only=1",
    "/jsz?raft=x",
    "/healthz?details=x",
    "/healthz?stream=s",
    "/healthz?consumer=c",
    "/healthz?stream=s&details=1",
    "/raftz",
    "/raftz?acc=x",
)

COMPARED_HEADERS: Final = (
    "Content-Type",
    "Access-Control-Allow-Origin",
    "X-Content-Type-Options",
    "Location",
)


def headers_of(answer: Answer) -> dict[str, str | None]:
    return {name: answer.headers.get(name) for name in COMPARED_HEADERS}


def connect(watched: Watched, name: str, **options: Any) -> Connection:
    """A client that says who it is."""
    fields = {"verbose": False, "lang": "test", "version": "1", "name": name, "protocol": 1}
    connection = Connection(watched.address)
    try:
        connection.line()
        connection.send(b"CONNECT " + json.dumps({**fields, **options}).encode() + b"\r\n")
        connection.fence()
    except BaseException:
        connection.close()
        raise
    return connection


def rows_by_name(page: Any) -> dict[str, Any]:
    return {row.get("name", ""): row for row in page["connections"]}


def test_an_idle_server(start_pair: StartPair) -> None:
    theirs, ours = start_pair()
    for path in DOCUMENTS:
        expected, found = theirs.ask(path), ours.ask(path)
        assert shape(found.json) == shape(expected.json), path
        assert found.status == expected.status, path
        assert headers_of(found) == headers_of(expected), path
        # The layout, to the byte, but for values that differ.
        assert [line.split('"')[0] for line in found.text.split("\n")] == [
            line.split('"')[0] for line in expected.text.split("\n")
        ], path


def test_what_is_configured_is_told_alike(start_pair: StartPair) -> None:
    theirs, ours = start_pair(
        "server_name: one\nmax_connections: 7\nmax_subscriptions: 5\nping_interval: '3s'\n"
        "ping_max: 4\nmax_control_line: 2048\nmax_payload: 1000\nmax_pending: 5000\n"
        "write_deadline: '1500ms'\nauthorization { user: u, password: p, timeout: 1.5 }\n"
        "client_advertise: 'example.com:1234'\n"
    )
    expected, found = theirs.ask("/varz").json, ours.ask("/varz").json
    same = (
        "server_name version proto git_commit go host port auth_required max_connections "
        "max_subscriptions ping_interval ping_max http_host http_port http_base_path https_port "
        "auth_timeout max_control_line max_payload max_pending tls_timeout write_deadline "
        "system_account cores"
    )
    for key in same.split():
        assert found[key] == expected[key], key


def test_errors_and_what_is_not_there(start_pair: StartPair) -> None:
    theirs, ours = start_pair()
    for path in ANSWERS:
        expected, found = theirs.ask(path), ours.ask(path)
        assert (found.status, found.text) == (expected.status, expected.text), path
        assert headers_of(found) == headers_of(expected), path
    counted = [each.ask("/varz").json["http_req_stats"] for each in (theirs, ours)]
    assert counted[0] == counted[1]


@pytest.mark.parametrize("method", ["HEAD", "POST", "DELETE"])
def test_every_method_is_served(start_pair: StartPair, method: str) -> None:
    theirs, ours = start_pair()
    expected, found = theirs.ask("/healthz", method), ours.ask("/healthz", method)
    assert (found.status, found.text) == (expected.status, expected.text)
    assert found.headers["Content-Length"] == expected.headers["Content-Length"]


def test_connections_under_load(start_pair: StartPair) -> None:
    theirs, ours = start_pair()
    with ExitStack() as open_connections:
        for each in (theirs, ours):
            _load(each, open_connections)
        for path in (
            "/varz",
            "/connz?subs=1",
            "/connz?subs=detail",
            "/connz?auth=1",
            "/accstatz",
            "/subsz",
        ):
            expected, found = (_in_order(each.ask(path).json) for each in (theirs, ours))
            assert shape(found) == shape(expected), path
        counts = ("in_msgs", "out_msgs", "in_bytes", "out_bytes", "connections")
        totals = [each.ask("/varz").json for each in (theirs, ours)]
        assert [totals[1][key] for key in counts] == [totals[0][key] for key in counts]
        _compare_rows(theirs, ours)
        _compare_orders(theirs, ours)
        _compare_subscriptions(theirs, ours)
        _compare_accounts(theirs, ours)


def _in_order(document: Any) -> Any:
    """The document with each one's subscriptions in the order of their sids; Go's have none."""
    rows = document.get("connections")
    for row in rows if isinstance(rows, list) else ():
        row.get("subscriptions_list_detail", []).sort(key=lambda one: one["sid"])
    return document


def _load(watched: Watched, stack: ExitStack) -> None:
    """A publisher, a subscriber and a queue of two; everything has arrived when it returns."""
    names = ("publisher", "subscriber", "queue-1", "queue-2")
    publisher, subscriber, *queue = (stack.enter_context(connect(watched, name)) for name in names)
    subscriber.send(b"SUB a.* 1\r\nSUB a.> 2\r\nUNSUB 2 100\r\nSUB b 3\r\n")
    subscriber.fence()
    for member in queue:
        member.send(b"SUB q workers 9\r\n")
        member.fence()
    publisher.send(
        b"PUB a.1 3\r\nabc\r\nPUB a.1 2\r\nab\r\nPUB q 5\r\nabcde\r\nPUB none 1\r\nx\r\n"
    )
    publisher.fence()
    subscriber.fence()
    for member in queue:
        member.fence()
    watched.wait_for("/varz", lambda found: found["out_msgs"] == 5)


def _compare_rows(theirs: Watched, ours: Watched) -> None:
    pages = [each.ask("/connz?subs=detail&auth=1").json for each in (theirs, ours)]
    assert [(page["num_connections"], page["total"]) for page in pages] == [(4, 4)] * 2
    expected, found = map(rows_by_name, pages)
    assert list(found) == list(expected)
    same = "kind type ip in_msgs in_bytes subscriptions lang version pending_bytes"
    for name in ("publisher", "subscriber"):
        for key in (*same.split(), "out_msgs", "out_bytes"):
            assert found[name][key] == expected[name][key], (name, key)
    details = [
        sorted(
            ({**one, "cid": 0} for one in rows["subscriber"]["subscriptions_list_detail"]),
            key=lambda one: one["sid"],
        )
        for rows in (expected, found)
    ]
    assert details[1] == details[0]


def _compare_orders(theirs: Watched, ours: Watched) -> None:
    for sort in ("cid", "start", "uptime"):
        names = [
            [row["name"] for row in each.ask(f"/connz?sort={sort}").json["connections"]]
            for each in (theirs, ours)
        ]
        assert names[1] == names[0], sort
    for sort, key in (
        ("subs", "subscriptions"),
        ("msgs_to", "out_msgs"),
        ("msgs_from", "in_msgs"),
        ("bytes_to", "out_bytes"),
        ("bytes_from", "in_bytes"),
        ("pending", "pending_bytes"),
        ("last", "last_activity"),
    ):
        for each in (theirs, ours):
            values = [row[key] for row in each.ask(f"/connz?sort={sort}").json["connections"]]
            assert values == sorted(values, reverse=True), (each.target, sort)
    for each in (theirs, ours):
        page = each.ask("/connz?offset=1&limit=2").json
        assert [row["name"] for row in page["connections"]] == ["subscriber", "queue-1"]
        assert (page["num_connections"], page["total"]) == (2, 4)
        cid = page["connections"][0]["cid"]
        one = each.ask(f"/connz?cid={cid}&limit=9").json
        assert (one["limit"], one["num_connections"]) == (1, 1)


def _compare_subscriptions(theirs: Watched, ours: Watched) -> None:
    lists = []
    for each in (theirs, ours):
        page = each.ask("/subsz?subs=1&acc=$G&test=a.1").json
        assert page["total"] == 2
        lists.append(
            sorted(
                ({**row, "cid": 0} for row in page["subscriptions_list"]),
                key=lambda row: row["sid"],
            )
        )
    assert lists[1] == lists[0]
    assert [list(row) for row in lists[1]] == [list(row) for row in lists[0]]


def _compare_accounts(theirs: Watched, ours: Watched) -> None:
    documents = [each.ask("/accountz?acc=$G").json for each in (theirs, ours)]
    for document in documents:
        # nats-server's accounts import services of the system account, which there are not here.
        document["account_detail"].pop("imports", None)
        document["account_detail"].pop("exports", None)
    assert shape(documents[1]) == shape(documents[0])
    stats = [each.ask("/accstatz").json["account_statz"][0] for each in (theirs, ours)]
    for key in ("acc", "name", "conns", "total_conns", "sent", "received", "slow_consumers"):
        assert stats[1][key] == stats[0][key], key


USERS: Final = """
accounts {
  A { users: [ { user: ann, password: pa } ] }
  B { users: [ { user: bob, password: pb } ] }
}
"""


def test_users_and_their_accounts(start_pair: StartPair) -> None:
    theirs, ours = start_pair(USERS)
    with ExitStack() as stack:
        for each in (theirs, ours):
            stack.enter_context(connect(each, "one", user="ann", **{"pass": "pa"}))
            stack.enter_context(connect(each, "two", user="bob", **{"pass": "pb"}))
        for path, names in (
            ("/connz?auth=1", ["one", "two"]),
            ("/connz?auth=1&user=bob", ["two"]),
            ("/connz?acc=A", ["one"]),
            ("/connz?acc=A&user=bob&auth=1", []),
        ):
            expected, found = theirs.ask(path).json, ours.ask(path).json
            assert shape(found) == shape(expected), path
            assert list(rows_by_name(found)) == list(rows_by_name(expected)) == names
            assert (found["total"], found["num_connections"]) == (
                expected["total"],
                expected["num_connections"],
            ), path
            who = [
                [
                    (row.get("authorized_user"), row.get("account"), row.get("name_tag"))
                    for row in page["connections"]
                ]
                for page in (expected, found)
            ]
            assert who[1] == who[0]
        names = [each.ask("/accountz").json["accounts"] for each in (theirs, ours)]
        assert sorted(names[1]) == sorted(names[0])


def test_a_token_is_not_told(start_pair: StartPair) -> None:
    pair = start_pair("authorization { token: s3cret }")
    with ExitStack() as stack:
        for each in pair:
            stack.enter_context(connect(each, "one", auth_token="s3cret"))
        told = [
            each.ask("/connz?auth=1").json["connections"][0]["authorized_user"] for each in pair
        ]
    assert told == ["[REDACTED]"] * 2


def test_closed_connections_and_why(start_pair: StartPair) -> None:
    pair = start_pair("authorization { user: u, password: p }\nmax_control_line: 256")
    pages = []
    for each in pair:
        with connect(each, "leaves", user="u", **{"pass": "p"}) as leaves:
            leaves.send(b"SUB a 1\r\n")
            leaves.fence()
        each.wait_for("/connz?state=closed", lambda found: found["total"] == 1)
        with Connection(each.address) as stranger:
            stranger.line()
            stranger.send(b'CONNECT {"user":"u","pass":"no","name":"stranger"}\r\nPING\r\n')
            stranger.read_to_end()
        each.wait_for("/connz?state=closed", lambda found: found["total"] == 2)
        with connect(each, "talks", user="u", **{"pass": "p"}) as talks:
            talks.send(b"SUB " + b"a" * 300 + b" 1\r\n")
            talks.read_to_end()
        each.wait_for("/connz?state=closed", lambda found: found["total"] == 3)
        pages.append(each.ask("/connz?state=closed&auth=1&subs=detail").json)
    expected, found = pages
    assert shape(found) == shape(expected)
    reasons = [[(row["name"], row["reason"]) for row in page["connections"]] for page in pages]
    assert reasons[1] == reasons[0]
    for path, key in (("sort=stop", "stop"), ("sort=reason", "reason")):
        orders = [
            [row[key] for row in each.ask(f"/connz?state=closed&{path}").json["connections"]]
            for each in pair
        ]
        assert orders[1] == sorted(orders[1], reverse=key == "stop")


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param("max_pending: 65536\nmax_payload: 65536\n", id="max_pending"),
        pytest.param("", id="write_deadline"),
    ],
)
def test_a_slow_consumer_is_counted(start_pair: StartPair, limits: str) -> None:
    pair = start_pair(limits + "write_deadline: '200ms'")
    for each in pair:
        slow = Connection(each.address, receive_buffer_bytes=4096)
        with slow, connect(each, "publisher") as publisher:
            slow.line()
            slow.send(b'CONNECT {"verbose":false,"name":"slow"}\r\nSUB a 1\r\nPING\r\n')
            slow.line()
            message = b"PUB a 60000\r\n" + b"x" * 60000 + b"\r\n"
            for _ in range(200):
                publisher.send(message)
                publisher.fence()
                if each.ask("/varz").json["slow_consumers"]:
                    break
            (row,) = each.wait_for(
                "/connz?state=closed", lambda found: len(found["connections"]) == 1
            )["connections"]
        assert row["name"] == "slow"
        assert row["reason"].startswith("Slow Consumer")
    expected, found = (each.ask("/varz").json for each in pair)
    assert shape(found) == shape(expected)
    assert found["slow_consumer_stats"] == expected["slow_consumer_stats"]
    statz = [each.ask("/accstatz?unused=1").json["account_statz"] for each in pair]
    counted = [
        next(one["slow_consumers"] for one in found if one["acc"] == "$G") for found in statz
    ]
    assert counted == [1, 1]
    ours = pair[1].ask("/metrics").text
    (named,) = [line for line in ours.splitlines() if line.startswith("nats_slow_consumer_pending")]
    for label in (f'cid="{row["cid"]}"', 'account="$G"', 'name="slow"', 'subject="a"'):
        assert label in named
    if not limits:
        assert row["reason"] == "Slow Consumer (Write Deadline)"


def test_tls_and_client_certificates(start_pair: StartPair, certificates: Certificates) -> None:
    theirs, ours = start_pair(certificates.configuration(verify=True))
    context = certificates.issuer.client(certificates.client_pair)
    # The servers prefer different suites: the client leaves no choice.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with ExitStack() as stack:
        for each in (theirs, ours):
            connection = stack.enter_context(Connection(each.address))
            connection.line()
            connection.start_tls(context)
            connection.send(b'CONNECT {"verbose":false,"name":"one","lang":"t"}\r\n')
            connection.fence()
        expected, found = (each.ask("/connz?auth=1").json for each in (theirs, ours))
        assert shape(found) == shape(expected)
        row, model = found["connections"][0], expected["connections"][0]
        for key in ("tls_version", "tls_cipher_suite", "tls_peer_certs"):
            assert row[key] == model[key]
        wholes = [each.ask("/varz").json for each in (theirs, ours)]
    assert shape(wholes[1]) == shape(wholes[0])
    for key in ("tls_required", "tls_verify", "tls_timeout", "auth_timeout", "tls_cert_not_after"):
        assert wholes[1][key] == wholes[0][key], key


def test_https_asks_for_no_certificate(start_pair: StartPair, certificates: Certificates) -> None:
    https = certificates.issuer.client()
    pair = start_pair(certificates.configuration(verify=True), https=https)
    expected, found = (each.ask("/varz") for each in pair)
    assert shape(found.json) == shape(expected.json)
    assert (found.json["http_port"], found.json["https_port"]) == (
        expected.json["http_port"],
        expected.json["https_port"],
    )


def test_a_round_trip_is_measured_by_asking(start_pair: StartPair) -> None:
    for each in start_pair():
        with connect(each, "one") as client:
            first = each.ask("/connz").json["connections"][0]["rtt"]
            try:
                if first == "0s":
                    assert client.line() == b"PING\r\n"
                    client.send(b"PONG\r\n")
                    client.fence()
            except SilentError:
                pytest.fail(f"{each.target}: no PING")
            each.wait_for("/connz", lambda found: found["connections"][0]["rtt"] != "0s")
