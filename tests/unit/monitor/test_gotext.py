"""Go's texts of times, durations and strings."""

from __future__ import annotations

import pytest

from keelback.monitor.gotext import (
    NS_PER_MS,
    NS_PER_S,
    duration_text,
    number,
    quoted,
    rtt_text,
    time_text,
    uptime_text,
)


@pytest.mark.parametrize(
    ("since_1970_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (NS_PER_S, "1970-01-01T00:00:01Z"),
        (1_764_113_048_266_280_100, "2025-11-25T23:24:08.2662801Z"),
        (1_764_113_048_500_000_000, "2025-11-25T23:24:08.5Z"),
    ],
)
def test_a_time_has_the_digits_that_it_needs(since_1970_ns: int, text: str) -> None:
    assert time_text(since_1970_ns) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m0s"),
        (182, "3m2s"),
        (3782, "1h3m2s"),
        (2 * 86400 + 3782, "2d1h3m2s"),
        (367 * 86400 + 3782, "1y2d1h3m2s"),
    ],
)
def test_an_uptime_has_days_and_years(seconds: int, text: str) -> None:
    assert uptime_text(seconds * NS_PER_S + 999) == text


def test_a_clock_that_was_set_back_gives_no_negative_uptime() -> None:
    assert uptime_text(-5 * NS_PER_S) == "0s"


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (999, "999ns"),
        (1_000, "1µs"),
        (1_500, "1.5µs"),
        (242_858_618, "242.858618ms"),
        (1_500_000_000, "1.5s"),
        (63_500_000_000, "1m3.5s"),
        (3_663 * NS_PER_S, "1h1m3s"),
    ],
)
def test_a_duration_is_in_the_largest_unit_that_fits(duration_ns: int, text: str) -> None:
    assert duration_text(duration_ns) == text


def test_a_round_trip_below_a_millisecond_is_in_whole_microseconds() -> None:
    assert rtt_text(42_999) == "42µs"
    assert rtt_text(999) == "999ns"
    assert rtt_text(NS_PER_MS + 1) == "1.000001ms"


def test_a_whole_number_has_no_point() -> None:
    assert repr(number(2.0)) == "2"
    assert number(0.25) == 0.25


def test_a_quoted_text_escapes_what_go_escapes() -> None:
    assert quoted('"\x00é\n\\\u200b\U000e0001') == r'"\"\x00é\n\\\u200b\U000e0001"'
