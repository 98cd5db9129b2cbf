"""/metrics, read as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from keelback.monitor.metrics import metrics
from tests.unit import fake_core
from tests.unit.monitor.conftest import NOW_NS, START_NS

if TYPE_CHECKING:
    from prometheus_client import Metric

    from keelback.monitor.facts import Facts
    from tests.unit.monitor.conftest import MakeFacts


def families(facts: Facts) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(metrics(facts).decode())}


def value(found: dict[str, Metric], name: str) -> float:
    (sample,) = found[name].samples
    return sample.value


def test_the_names_of_the_exporter(make_facts: MakeFacts) -> None:
    found = families(make_facts(requests={"/varz": 3, "/": 1}))
    assert value(found, "gnatsd_varz_connections") == 2
    assert value(found, "gnatsd_varz_slow_consumer_stats_clients") == 1
    assert value(found, "gnatsd_varz_http_req_stats_varz") == 3
    assert value(found, "gnatsd_varz_http_req_stats") == 1
    assert value(found, "gnatsd_varz_start") == START_NS // 1_000_000
    assert value(found, "gnatsd_subsz_num_subscriptions") == 3
    assert value(found, "gnatsd_healthz_status") == 0
    assert value(found, "jetstream_server_jetstream_disabled") == 1
    (version,) = found["gnatsd_varz_version"].samples
    assert version.labels == {"server_id": "NID", "value": "2.15.1"}
    assert {sample.labels["account"] for sample in found["gnatsd_accstatz_sent_bytes"].samples} == {
        "$G",
        "A",
    }
    assert "gnatsd_varz_host" not in found
    assert "gnatsd_varz_feature_flags_js_ack_fc_v2" not in found


def test_the_short_names(make_facts: MakeFacts) -> None:
    found = families(make_facts())
    for name, amount, kind in (
        ("nats_connections", 2, "gauge"),
        ("nats_subscriptions", 3, "gauge"),
        ("nats_in_msgs", 10, "counter"),
        ("nats_out_msgs", 20, "counter"),
        ("nats_in_bytes", 100, "counter"),
        ("nats_out_bytes", 200, "counter"),
        ("nats_slow_consumers", 1, "counter"),
    ):
        assert (value(found, name), found[name].type) == (amount, kind)


def test_totals_are_of_the_page_and_connections_are_shown_up_to_the_cap(
    make_facts: MakeFacts, plane: fake_core.Plane
) -> None:
    rows = [
        fake_core.ConnectionInfo(cid=cid, in_msgs=cid, start_ns=NOW_NS, last_activity_ns=NOW_NS)
        for cid in (1, 2, 3)
    ]
    plane.page = (3, rows)
    assert value(families(make_facts()), "gnatsd_connz_in_msgs") == 6
    samples = families(make_facts(connections_max=2))["gnatsd_connz_in_msgs"].samples
    assert [sample.labels.get("cid") for sample in samples] == [None, "1", "2"]


def test_subjects_are_shown_up_to_the_cap(make_facts: MakeFacts, plane: fake_core.Plane) -> None:
    rows = [
        fake_core.SubscriptionInfo(
            account="A", subject=subject, queue="", sid="1", msgs=msgs, max=0, connection=1
        )
        for subject, msgs in (("a", 1), ("b", 2), ("a", 4), ("c", 8))
    ]
    plane.subscription_page = (4, rows)
    assert "nats_subject_delivered_msgs" not in families(make_facts())
    samples = families(make_facts(subjects_max=2))["nats_subject_delivered_msgs"].samples
    assert [(sample.labels["subject"], sample.value) for sample in samples] == [("a", 5), ("b", 2)]


def test_a_name_may_hold_any_text(make_facts: MakeFacts) -> None:
    name = 'a"b\\c\nd'
    (sample,) = families(make_facts(server_name=name))["gnatsd_varz_server_name"].samples
    assert sample.labels["value"] == name


def test_the_last_slow_consumers_are_named(make_facts: MakeFacts) -> None:
    slow = fake_core.SlowConsumer(
        connection=9,
        client_ip="127.0.0.1",
        client_port=5000,
        account="A",
        name='a "slow" one',
        subject="orders.new",
        pending_bytes=70000,
        reason="Slow Consumer (Pending Bytes)",
    )
    found = families(make_facts(slow_consumers=(slow,)))
    (sample,) = found["nats_slow_consumer_pending_bytes"].samples
    assert sample.value == 70000
    assert sample.labels == {
        "server_id": "NID",
        "cid": "9",
        "ip": "127.0.0.1",
        "account": "A",
        "name": 'a "slow" one',
        "subject": "orders.new",
        "reason": "Slow Consumer (Pending Bytes)",
    }
