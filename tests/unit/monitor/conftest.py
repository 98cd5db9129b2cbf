"""Facts of a server whose core is the stand-in."""

from __future__ import annotations

from typing import Any, Protocol

import pytest

from keelback.monitor.facts import Facts, Usage
from keelback.monitor.gotext import NS_PER_S
from tests.unit import fake_core

NOW_NS = 1_795_000_000 * NS_PER_S
START_NS = NOW_NS - 200 * NS_PER_S

COUNTERS = {
    "connections": 2,
    "total_connections": 5,
    "subscriptions": 3,
    "in_msgs": 10,
    "out_msgs": 20,
    "in_bytes": 100,
    "out_bytes": 200,
    "slow_consumers": 1,
    "stale_connections": 0,
    "stalled_clients": 4,
}

SUBLIST = {
    "num_subscriptions": 3.0,
    "num_cache": 1.0,
    "num_inserts": 4.0,
    "num_removes": 1.0,
    "num_matches": 8.0,
    "cache_hit_rate": 0.25,
    "max_fanout": 2.0,
    "avg_fanout": 1.5,
}


class MakeFacts(Protocol):
    def __call__(self, **changes: Any) -> Facts: ...


@pytest.fixture
def plane() -> fake_core.Plane:
    """A core whose snapshots the test sets."""
    made = fake_core.Plane()
    made.counters, made.sublist = dict(COUNTERS), dict(SUBLIST)
    made.account_infos = [fake_core.AccountInfo(), fake_core.AccountInfo(name="A", connections=2)]
    return made


@pytest.fixture
def make_facts(core: object, plane: fake_core.Plane) -> MakeFacts:
    """Facts of a server with its defaults, but for what the test changes."""

    def make(**changes: Any) -> Facts:
        given: dict[str, Any] = {
            "plane": plane,
            "now_ns": NOW_NS,
            "start_ns": START_NS,
            "config_load_ns": START_NS,
            "usage": Usage(memory_bytes=1000, cpu_percent=2.0, cores=2),
            "server_id": "NID",
            "server_name": "name",
            "version": "2.15.1",
            "git_commit": "abc",
            "go": "go1.27",
            "host": "0.0.0.0",
            "port": 4222,
        }
        return Facts(**{**given, **changes})

    return make
