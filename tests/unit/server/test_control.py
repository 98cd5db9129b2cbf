"""Calls into the control loop."""

import asyncio
import threading

import pytest

from keelback.errors import ServerError
from keelback.server.control import ControlLoop


def loop_until(stop: list[asyncio.Event]) -> ControlLoop:
    async def main() -> None:
        stop.append(asyncio.Event())
        await stop[0].wait()

    return ControlLoop(main)


def test_a_call_waits_for_its_answer_and_raises_what_was_raised() -> None:
    stop: list[asyncio.Event] = []
    control = loop_until(stop)
    control.start_thread()
    done: list[int] = []
    control.call(lambda: done.append(threading.get_ident()))
    assert done
    assert done[0] != threading.get_ident()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        control.call(fail)
    # From the loop itself, it is done at once.
    control.call(lambda: control.call(lambda: done.append(2)))
    assert done[-1] == 2
    control.post(stop[0].set)
    control.join()


def test_a_call_into_a_loop_that_ended_or_ends_is_refused() -> None:
    stop: list[asyncio.Event] = []
    control = loop_until(stop)
    control.start_thread()
    control.call(lambda: None)
    control.post(stop[0].set)
    control.join()
    with pytest.raises(ServerError, match="not running"):
        control.call(lambda: None)
