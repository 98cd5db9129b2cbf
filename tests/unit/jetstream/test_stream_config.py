"""Reading a configuration: what a running server cannot show, and what a stranger may try."""

from __future__ import annotations

import pytest

from keelback.jetstream.errors import ApiError
from keelback.jetstream.json_scan import DEPTH_MAX
from keelback.jetstream.stream_config import Placement, StreamConfig, config_of, decode_request


def problem(body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        decode_request(body)
    return caught.value.description


def test_depth_is_bounded_without_recursion() -> None:
    assert problem(b'{"x":' + b"[" * (DEPTH_MAX + 1)) == "invalid JSON: exceeded max depth"
    assert problem(b'{"x":' + b'{"a":' * 500_000) == "invalid JSON: exceeded max depth"


def test_a_long_number_is_refused_as_it_stands() -> None:
    digits = b"9" * 10_000
    assert problem(b'{"max_msgs":' + digits + b"}").startswith(
        "invalid JSON: json: cannot unmarshal number 9999"
    )


def test_two_requests_share_no_part() -> None:
    one, other = decode_request(b"{}"), decode_request(b"{}")
    assert one.consumer_limits is not other.consumer_limits
    assert one.metadata is not other.metadata


def test_the_configuration_is_without_what_belongs_to_the_request() -> None:
    request = decode_request(b'{"name":"S","pedantic":true,"placement":{"tags":["a"]}}')
    config = config_of(request)
    assert type(config) is StreamConfig
    assert config.name == "S"
    assert config.placement == Placement(tags=("a",))
    assert "pedantic" not in config.to_json()
