"""Events in batches, decisions in batches."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from keelback.server import pump as pump_module
from keelback.server.pump import EVENTS_A_TURN, Pump
from tests.unit import fake_core
from tests.unit.fake_core import Admission, AuthRequest, LogLine, Plane, Refusal

pytestmark = pytest.mark.usefixtures("core")


def admission(connection: int) -> Admission:
    return Admission(connection=connection, account="$G", label="", permissions=None)


class Authenticator:
    """Admits odd connections at once and even ones when `gate` opens; 0 makes it fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def decide_at_once(self, request: AuthRequest) -> Admission | None:
        if request.connection == 0:
            raise ValueError("s3cret")
        return admission(request.connection) if request.connection % 2 else None

    async def decide(self, request: AuthRequest) -> Admission:
        await self.gate.wait()
        if request.connection == 4:
            raise ValueError("s3cret")
        return admission(request.connection)


def requests(*connections: int) -> list[AuthRequest]:
    return [AuthRequest(connection=each) for each in connections]


async def settle(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is awaited is the loop's own next turn
            await asyncio.sleep(0)


def numbers(batches: list[list[Any]]) -> list[list[int]]:
    return [[each.connection for each in batch] for batch in batches]


def test_a_wave_is_answered_with_one_call_a_turn() -> None:
    async def scenario() -> None:
        plane = Plane()
        pump = Pump(plane, Authenticator())
        pump.attach(asyncio.get_running_loop())
        count = EVENTS_A_TURN + 10
        plane.push(*requests(*range(1, 2 * count, 2)))
        await settle(lambda: len(plane.admitted) == 2)
        assert [len(batch) for batch in plane.admitted] == [EVENTS_A_TURN, 10]
        assert not plane.events
        await pump.detach()

    asyncio.run(scenario())


def test_what_must_wait_holds_up_nobody_and_is_answered_together() -> None:
    async def scenario() -> None:
        plane, authenticator = Plane(), Authenticator()
        pump = Pump(plane, authenticator)
        pump.attach(asyncio.get_running_loop())
        plane.push(*requests(2, 1, 6, 3, 8))
        await settle(lambda: plane.admitted)
        assert numbers(plane.admitted) == [[1, 3]]
        authenticator.gate.set()
        await settle(lambda: len(plane.admitted) == 2)
        assert numbers(plane.admitted) == [[1, 3], [2, 6, 8]]
        await pump.detach()

    asyncio.run(scenario())


def test_one_failing_decision_refuses_one_connection() -> None:
    async def scenario() -> None:
        plane, authenticator = Plane(), Authenticator()
        authenticator.gate.set()
        pump = Pump(plane, authenticator)
        pump.attach(asyncio.get_running_loop())
        plane.push(*requests(0, 1, 4, 6))
        await settle(lambda: len(plane.refused) == 2 and len(plane.admitted) == 2)
        assert numbers(plane.refused) == [[0], [4]]
        assert numbers(plane.admitted) == [[1], [6]]
        assert [level for level, _ in plane.lines] == ["ERR", "ERR"]
        assert not any("s3cret" in text for _, text in plane.lines)
        await pump.detach()

    asyncio.run(scenario())


def test_nobody_to_ask_is_a_refusal() -> None:
    plane = Plane()
    plane.push(*requests(1))
    Pump(plane, None).turn()
    assert plane.refused == [[Refusal(connection=1)]]


def test_an_admission_that_the_core_refuses_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_admissions: object) -> None:
        raise fake_core.CoreError("no such account")

    async def scenario() -> None:
        plane = Plane()
        monkeypatch.setattr(plane, "admit", refuse)
        plane.push(*requests(1))
        Pump(plane, Authenticator()).turn()
        assert plane.lines == [("ERR", "The core refused an admission: no such account")]

    asyncio.run(scenario())


def test_log_lines_reach_python_at_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    plane = Plane()
    plane.push(*(LogLine(level=level, text=f"{level} 100%s") for level in ("DBG", "WRN", "TRC")))
    with caplog.at_level(1, logger="keelback"):
        Pump(plane, None).turn()
    told = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert told == [(logging.DEBUG, "DBG 100%s"), (logging.WARNING, "WRN 100%s"), (5, "TRC 100%s")]


def test_after_detaching_nothing_is_taken_or_answered() -> None:
    async def scenario() -> None:
        plane, authenticator = Plane(), Authenticator()
        pump = Pump(plane, authenticator)
        pump.attach(asyncio.get_running_loop())
        plane.push(*requests(2))
        await settle(lambda: not plane.events)
        await pump.detach()
        authenticator.gate.set()
        plane.push(*requests(1))
        for _ in range(5):
            await asyncio.sleep(0)
        assert plane.admitted == []
        assert len(plane.events) == 1

    asyncio.run(scenario())


def test_the_last_slow_consumers_are_remembered() -> None:
    plane = Plane()
    plane.push(*(fake_core.SlowConsumer(connection=number) for number in range(40)))
    pump = Pump(plane, None)
    pump.turn()
    kept = pump_module.SLOW_CONSUMERS_KEPT
    assert [each.connection for each in pump.slow_consumers] == list(range(40 - kept, 40))


def test_a_turn_is_bounded() -> None:
    assert pump_module.EVENTS_A_TURN <= 1024


def test_decisions_under_way_are_made_by_the_rules_that_came_meanwhile() -> None:
    class Closable(Authenticator):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    async def scenario() -> None:
        plane, old, new = Plane(), Closable(), Closable()
        pump = Pump(plane, old)
        pump.attach(asyncio.get_running_loop())
        plane.push(*requests(2, 6))
        await settle(lambda: pump._deciding)
        new.gate.set()
        pump.replace_authenticator(new)
        old.gate.set()
        assert old.is_closed
        await settle(lambda: plane.admitted)
        assert numbers(plane.admitted) == [[2, 6]]
        await pump.detach()
        pump.close()
        assert new.is_closed

    asyncio.run(scenario())
