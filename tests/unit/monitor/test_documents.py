"""Documents as functions of the facts: keys, order, what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from keelback.monitor.accounts import accountz, accstatz
from keelback.monitor.connz import connz, user_name
from keelback.monitor.document import to_dict, to_json
from keelback.monitor.gotext import NS_PER_S
from keelback.monitor.healthz import healthz
from keelback.monitor.jsz import jsz
from keelback.monitor.query import QueryError
from keelback.monitor.subsz import is_literal_subject, subsz
from keelback.monitor.varz import varz
from tests.unit import fake_core
from tests.unit.monitor.conftest import NOW_NS, START_NS

if TYPE_CHECKING:
    from tests.unit.monitor.conftest import MakeFacts


def test_json_is_indented_and_escaped_as_go_does() -> None:
    assert to_json({"a": ["<&>\u2028"], "b": [], "c": {}}) == (
        b'{\n  "a": [\n    "\\u003c\\u0026\\u003e\\u2028"\n  ],\n  "b": [],\n  "c": {}\n}'
    )


def test_varz_counts_clients_as_all_there_is(make_facts: MakeFacts) -> None:
    document = varz(make_facts(requests={"/varz": 2, "/": 1}))
    assert (document.in_msgs, document.in_client_msgs) == (10, 10)
    assert document.uptime == "3m20s"
    assert document.slow_consumer_stats.clients == 1
    assert list(document.http_req_stats) == ["/", "/varz"]


def test_varz_leaves_out_what_is_not_so(make_facts: MakeFacts) -> None:
    keys = set(to_dict(varz(make_facts())))
    assert keys.isdisjoint({"auth_required", "tls_cert_not_after", "tags", "connect_urls"})
    full = varz(make_facts(auth_required=True, tls_certificate_end_ns=NS_PER_S, tags=("a",)))
    assert to_dict(full)["tls_cert_not_after"] == "1970-01-01T00:00:01Z"
    assert {"auth_required", "tags"} <= set(to_dict(full))


def test_connz_shows_what_was_found(make_facts: MakeFacts, plane: fake_core.Plane) -> None:
    plane.page = (
        9,
        [
            fake_core.ConnectionInfo(
                start_ns=START_NS, last_activity_ns=NOW_NS, rtt_ns=1500, name="<n>", stalls=2
            )
        ],
    )
    page = json.loads(to_json(connz(make_facts(), offset=-1, limit=0)))
    assert (page["total"], page["num_connections"], page["offset"], page["limit"]) == (
        9,
        1,
        0,
        1024,
    )
    row = page["connections"][0]
    assert (row["uptime"], row["idle"], row["rtt"]) == ("3m20s", "0s", "1µs")
    assert (row["kind"], row["type"], row["name"], row["stalls"]) == ("Client", "nats", "<n>", 2)
    assert set(row).isdisjoint({"lang", "stop", "reason", "tls_version", "authorized_user"})
    assert ("ping_unmeasured",) in plane.calls


def test_a_closed_connection_was_up_until_it_closed(
    make_facts: MakeFacts, plane: fake_core.Plane
) -> None:
    stop_ns = START_NS + 5 * NS_PER_S
    closed = fake_core.ConnectionInfo(
        start_ns=START_NS, last_activity_ns=START_NS, stop_ns=stop_ns, reason="Client Closed"
    )
    plane.page = (1, [closed])
    row = to_dict(connz(make_facts(), state="closed"))["connections"][0]
    assert (row["uptime"], row["reason"]) == ("5s", "Client Closed")
    assert row["stop"].startswith("2026-")


def test_the_core_is_asked_for_the_page(make_facts: MakeFacts, plane: fake_core.Plane) -> None:
    connz(make_facts(), sort="idle", state="all", offset=3, limit=4, user="u", account="A")
    asked = next(call[1] for call in plane.calls if call[0] == "connection_page")
    assert (asked.sort, asked.state, asked.offset, asked.limit) == ("idle", "all", 3, 4)
    assert (asked.user, asked.account, asked.subscriptions) == ("u", "A", False)


def test_an_account_that_is_not_there_has_no_connections(make_facts: MakeFacts) -> None:
    page = connz(make_facts(), account="nobody's")
    assert (page.server_id, page.total, page.connections) == ("", 0, None)


def test_users_are_told_when_asked_for(make_facts: MakeFacts, plane: fake_core.Plane) -> None:
    plane.page = (
        2,
        [
            fake_core.ConnectionInfo(user="user:bob", account="A"),
            fake_core.ConnectionInfo(user="token", account="$G"),
        ],
    )
    rows = to_dict(connz(make_facts(), auth=True))["connections"]
    assert [row["authorized_user"] for row in rows] == ["bob", "[REDACTED]"]
    assert [row.get("account") for row in rows] == ["A", None]


def test_subscriptions_are_listed_when_asked_for(
    make_facts: MakeFacts, plane: fake_core.Plane
) -> None:
    one = fake_core.SubscriptionInfo(
        account="A", subject="s", queue="q", sid="1", msgs=2, max=0, connection=7
    )
    plane.page = (1, [fake_core.ConnectionInfo(subscription_list=[one])])
    short = to_dict(connz(make_facts(), subscriptions=True))["connections"][0]
    assert short["subscriptions_list"] == ["s"]
    long = to_dict(connz(make_facts(), subscriptions_detail=True))["connections"][0]
    assert long["subscriptions_list_detail"] == [
        {"subject": "s", "qgroup": "q", "sid": "1", "msgs": 2, "cid": 7}
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sort": "x"}, "invalid sorting option: x"),
        ({"sort": "stop"}, "sort by stop only valid on closed connections"),
        ({"sort": "reason", "state": "all"}, "sort by reason only valid on closed connections"),
        ({"filter_subject": "a"}, "filter by subject only valid with account filtering"),
    ],
)
def test_options_that_do_not_go_together(
    make_facts: MakeFacts, options: dict[str, str], text: str
) -> None:
    with pytest.raises(QueryError, match=text):
        connz(make_facts(), **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("label", "name"), [("user:a:b", "a:b"), ("nkey:UX", "UX"), ("", ""), ("token", "[REDACTED]")]
)
def test_a_label_names_its_user(label: str, name: str) -> None:
    assert user_name(label) == name


def test_subsz_lists_when_asked(make_facts: MakeFacts, plane: fake_core.Plane) -> None:
    one = fake_core.SubscriptionInfo(
        account="A", subject="s", queue="", sid="1", msgs=2, max=5, connection=7
    )
    plane.subscription_page = (1, [one])
    plain = to_dict(subsz(make_facts()))
    assert (plain["total"], plain["max_fanout"], plain["avg_fanout"]) == (0, 2, 1.5)
    assert "subscriptions_list" not in plain
    listed = to_dict(subsz(make_facts(), subscriptions=True, test="s"))
    assert listed["total"] == 1
    assert list(listed["subscriptions_list"][0]) == [
        "account",
        "account_tag",
        "subject",
        "sid",
        "msgs",
        "max",
        "cid",
    ]


@pytest.mark.parametrize("subject", ["", "a..b", ".a", "a.", "*", "a.>", "a b", "a.\t"])
def test_what_one_cannot_publish_to(subject: str) -> None:
    assert not is_literal_subject(subject)


def test_a_wildcard_inside_a_token_is_a_letter() -> None:
    assert is_literal_subject("a*b.c>")


def test_accounts_by_name_and_in_detail(make_facts: MakeFacts) -> None:
    assert accountz(make_facts()).accounts == ("$G", "A")
    detail = accountz(make_facts(), account="A").account_detail
    assert detail is not None
    assert (detail.client_connections, detail.sublist_stats.num_inserts) == (2, 4)
    with pytest.raises(QueryError, match=r"^Account x does not exist$"):
        accountz(make_facts(), account="x")


def test_accounts_without_connections_are_left_out(make_facts: MakeFacts) -> None:
    assert [each.acc for each in accstatz(make_facts()).account_statz] == ["A"]
    every = accstatz(make_facts(), include_unused=True).account_statz
    assert [each.acc for each in every] == ["$G", "A"]


def test_a_server_whose_listener_is_closed_is_not_healthy(make_facts: MakeFacts) -> None:
    assert healthz(make_facts()).status == "ok"
    ill = healthz(make_facts(is_ready=False))
    text = "failed to be ready for connections after 1ms: server"
    assert (ill.status, ill.status_code, ill.error) == ("error", 500, text)
    assert ill.complaint == f'Healthcheck failed: "{text}"'
    detailed = healthz(make_facts(is_ready=False), details=True)
    assert [(each.type, each.error) for each in detailed.errors] == [("CONNECTION", text)]
    assert detailed.complaint == "Healthcheck failed: 1 errors"


def test_nobody_leads_where_there_is_no_jetstream(make_facts: MakeFacts) -> None:
    assert jsz(make_facts()).disabled
    with pytest.raises(QueryError, match=r"^filtered response: not leader$"):
        jsz(make_facts(), leader_only=True)
