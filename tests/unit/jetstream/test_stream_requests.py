"""Decisions that one server without a cluster, and without consumers, cannot show."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from keelback.jetstream.api_level import is_supported
from keelback.jetstream.errors import (
    MAX_STREAM_BYTES_EXCEEDED,
    MAXIMUM_STREAMS,
    NO_LIMITS,
    STORAGE_EXCEEDED,
    ApiError,
    ErrorKind,
)
from keelback.jetstream.stream_config import (
    RePublish,
    StreamConfig,
    StreamConfigRequest,
    StreamConsumerLimits,
    StreamSource,
)
from keelback.jetstream.stream_limits import AccountLimits, ServerLimits, Surroundings
from keelback.jetstream.stream_requests import ConsumerUse, create, update

CLUSTERED = ServerLimits(memory_bytes_max=10_000, file_bytes_max=10_000, clustered=True)
TIERS = {"R1": AccountLimits(streams_max=1), "R3": AccountLimits(file_bytes_max=1_000)}


def around(
    *streams: StreamConfig, limits: Mapping[str, AccountLimits] | None = None
) -> Surroundings:
    return Surroundings(
        CLUSTERED, limits or {"": AccountLimits()}, {stream.name: stream for stream in streams}
    )


def made(surroundings: Surroundings, **fields: Any) -> StreamConfig:
    request = StreamConfigRequest(**{"name": "S", **fields})
    return create(request, request.name, surroundings)


def refusal(surroundings: Surroundings, **fields: Any) -> ErrorKind:
    with pytest.raises(ApiError) as caught:
        made(surroundings, **fields)
    return caught.value.kind


def test_a_cluster_may_have_replicas() -> None:
    assert made(around(), num_replicas=3).num_replicas == 3


def test_the_tier_is_that_of_the_replicas() -> None:
    one = made(around(limits=TIERS), name="T")
    assert refusal(around(one, limits=TIERS)) is MAXIMUM_STREAMS
    assert made(around(one, limits=TIERS), num_replicas=3)
    assert refusal(around(limits=TIERS), num_replicas=2) is NO_LIMITS


def test_a_tier_counts_bytes_once_and_an_account_each_replica() -> None:
    assert made(around(limits=TIERS), num_replicas=3, max_bytes=1_000)
    assert refusal(around(limits=TIERS), num_replicas=3, max_bytes=1_001) is STORAGE_EXCEEDED
    flat = {"": AccountLimits(file_bytes_max=3_000)}
    assert made(around(limits=flat), num_replicas=3, max_bytes=1_000)
    assert refusal(around(limits=flat), num_replicas=3, max_bytes=1_001) is STORAGE_EXCEEDED


def test_a_tier_does_not_count_the_streams_of_another() -> None:
    other = made(around(), name="T", max_bytes=900)
    assert made(around(other, limits=TIERS), num_replicas=3, max_bytes=1_000)


def test_an_update_may_leave_a_tier_that_has_gone() -> None:
    old = made(around(), num_replicas=1)
    request = StreamConfigRequest(name="S", num_replicas=5)
    assert update(request, "S", around(old, limits=TIERS)).num_replicas == 5


def test_the_bytes_of_one_stream_are_bounded_by_its_storage() -> None:
    limits = {"": AccountLimits(memory_stream_bytes_max=10, file_stream_bytes_max=20)}
    assert made(around(limits=limits), max_bytes=20)
    kind = refusal(around(limits=limits), max_bytes=11, storage="memory")
    assert kind is MAX_STREAM_BYTES_EXCEEDED


def test_an_update_names_the_consumers_beyond_its_limits() -> None:
    old = made(around())
    limits = StreamConsumerLimits(inactive_threshold=10, max_ack_pending=5)
    request = StreamConfigRequest(name="S", consumer_limits=limits)
    consumers = [
        ConsumerUse("a", inactive_threshold_ns=11),
        ConsumerUse("b", inactive_threshold_ns=10, max_ack_pending=5),
        ConsumerUse("c", max_ack_pending=6),
    ]
    with pytest.raises(ApiError) as caught:
        update(request, "S", around(old), consumers)
    assert caught.value.to_json() == {
        "code": 500,
        "err_code": 10069,
        "description": "change to limits violates consumers: a, c",
    }
    # Limits that stay as they are bind nobody again.
    changed = update(request, "S", around(old))
    assert update(request, "S", around(changed), consumers).consumer_limits == limits


def test_deciding_changes_nothing_that_it_was_given() -> None:
    origin = made(around(), name="O", allow_direct=True)
    request = StreamConfigRequest(
        name="S",
        mirror=StreamSource(name="O"),
        republish=RePublish(dest="r.>"),
        metadata={"_nats.ver": "x"},
    )
    surroundings = around(origin)
    before = copy.deepcopy((msgspec.to_builtins(request), msgspec.to_builtins(origin)))
    config = create(request, "S", surroundings)
    assert config.mirror_direct
    update(request, "S", around(origin, config))
    assert (msgspec.to_builtins(request), msgspec.to_builtins(origin)) == before


@pytest.mark.parametrize(
    ("level", "supported"), [("", True), ("0", True), ("5", True), ("6", False), ("x", False)]
)
def test_a_stream_of_a_later_server_is_not_supported(level: str, supported: bool) -> None:
    assert is_supported({"_nats.req.level": level}) == supported
    assert is_supported({})
