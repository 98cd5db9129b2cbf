"""Lame duck by a clock that the test turns."""

import asyncio

import pytest

from keelback.server.lame_duck import send_clients_away
from keelback.server.settings import LameDuckSettings
from tests.unit.fake_core import Plane


class Clock:
    """Sleeps at once and remembers when what was closed."""

    def __init__(self, plane: Plane) -> None:
        self.now = 0.0
        self.plane = plane
        self.closed_at: list[tuple[float, int]] = []

    async def sleep(self, seconds: float) -> None:
        self.note()
        self.now += seconds

    def note(self) -> None:
        for _ in range(len(self.plane.closed) - len(self.closed_at)):
            self.closed_at.append((self.now, self.plane.closed[len(self.closed_at)][0]))


def send_away(
    count: int, *, duration_s: float = 120.0, grace_period_s: float = 10.0, random: float = 0.999
) -> tuple[Plane, Clock]:
    plane = Plane()
    plane.open_connections = list(range(1, count + 1))
    clock = Clock(plane)
    settings = LameDuckSettings(duration_s=duration_s, grace_period_s=grace_period_s)
    asyncio.run(send_clients_away(plane, settings, sleep=clock.sleep, random=lambda: random))
    clock.note()
    return plane, clock


def test_without_clients_it_is_over_at_once() -> None:
    plane, clock = send_away(0)
    assert clock.now == 0.0
    assert plane.lines == []


def test_the_grace_period_comes_first_and_the_last_client_ends_it() -> None:
    plane, clock = send_away(1)
    assert clock.closed_at == [(10.0, 1)]
    assert plane.closed == [(1, "Server Shutdown")]
    assert plane.lines == [("INF", "Closing existing clients")]


def test_few_clients_are_at_most_a_second_apart() -> None:
    _, clock = send_away(4)
    assert [client for _, client in clock.closed_at] == [1, 2, 3, 4]
    assert clock.now == pytest.approx(10 + 3, abs=0.01)
    _, hasty = send_away(4, random=0.0)
    assert hasty.now == pytest.approx(10 + 1.5)


@pytest.mark.parametrize("count", [110, 1_000, 50_000, 300_000])
def test_many_clients_are_spread_over_the_rest_of_the_duration(count: int) -> None:
    plane, clock = send_away(count)
    assert len(plane.closed) == count
    assert clock.now == pytest.approx(120.0, rel=0.02)


def test_a_grace_period_longer_than_the_duration_leaves_a_second() -> None:
    plane, clock = send_away(1_000, duration_s=5.0, grace_period_s=10.0)
    assert len(plane.closed) == 1_000
    assert clock.now == pytest.approx(11.0, rel=0.02)
