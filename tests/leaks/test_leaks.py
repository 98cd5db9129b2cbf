"""What comes and goes a hundred thousand times leaves nothing behind: memory and descriptors.

`KEELBACK_LEAK_CYCLES` is the number of cycles (10,000 without it, so that the normal suite stays
fast; `make soak` asks for 100,000). The tolerance is the same for every number: at 100,000 cycles
a leak of 61 bytes in each exceeds it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ServerProcess
from tests.support.raw_client import CONNECT, RawClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(600)

CYCLES = int(os.environ.get("KEELBACK_LEAK_CYCLES", "10000"))
# Fills what is bounded but large: nats-server remembers the last 10,000 closed connections.
WARM_UP_CYCLES = 12_000
# Less than 100 bytes for each of 100,000 cycles.
TOLERANCE_BYTES = 6_000_000
SUBSCRIPTIONS_AT_ONCE = 1000

_SETTLE_TIME_MAX_S = 20.0
_SETTLE_STEP_S = 0.1


def test_connecting_and_leaving(server: ServerProcess) -> None:
    def cycle(number: int) -> None:
        # A source address has 28,000 ports, each of which rests after use: so take many addresses.
        client = RawClient(server.address, source_host=f"127.0.{1 + number % 8}.1")
        client.line()
        client.send(CONNECT + b"SUB a.%d 1\r\nPING\r\n" % number)
        while client.line() != b"PONG":
            pass
        # Both ways to go.
        client.close() if number % 2 else client.reset()

    assert_returns(server, cycle)


def test_connecting_and_being_refused(server: ServerProcess) -> None:
    def cycle(number: int) -> None:
        with RawClient(server.address, source_host=f"127.0.{1 + number % 8}.1") as client:
            client.send(b"NONSENSE %d\r\n" % number)
            assert b"-ERR 'Unknown Protocol Operation'" in client.until_closed()

    assert_returns(server, cycle)


@pytest.mark.parametrize(
    "subject", [b"leak.%d", b"leak.%d.*", b"leak.%d.> queue%d"], ids=["exact", "wildcard", "queue"]
)
def test_subscribing_and_unsubscribing(subject: bytes, server: ServerProcess) -> None:
    with RawClient(server.address) as client:
        client.greeted()

        def cycle(number: int) -> None:
            # In batches: a round trip for each would measure the loop-back device.
            if number % SUBSCRIPTIONS_AT_ONCE == 0:
                sids = range(number, number + SUBSCRIPTIONS_AT_ONCE)
                client.send(b"".join(_subscribe(subject, sid) for sid in sids))
                client.send(b"".join(b"UNSUB %d\r\n" % sid for sid in sids))
                assert client.fence() == []

        assert_returns(server, cycle)


def test_subscriptions_that_leave_by_their_maximum(server: ServerProcess) -> None:
    with RawClient(server.address) as client:
        client.greeted()

        def cycle(number: int) -> None:
            if number % SUBSCRIPTIONS_AT_ONCE == 0:
                lines = b"SUB max.%d %d\r\nUNSUB %d 1\r\nPUB max.%d 0\r\n\r\n"
                sids = range(number, number + SUBSCRIPTIONS_AT_ONCE)
                client.send(b"".join(lines % (sid, sid, sid, sid) for sid in sids))
                assert len(client.fence()) == 2 * SUBSCRIPTIONS_AT_ONCE

        assert_returns(server, cycle)


def test_a_leak_of_a_hundred_bytes_would_be_found(tmp_path: Path) -> None:
    """The measure itself, held to a process that keeps 100 bytes 100,000 times."""
    leaking = (
        "kept = []\n"
        "while count := int(input()):\n"
        "    kept += [bytes(100) for _ in range(count)]\n"
        "    print(flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", leaking], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watched = ServerProcess("keelback", "", 0, process, tmp_path / "no.log")
        resident: list[int] = []
        for count in (1, 100_000):
            process.stdin.write(b"%d\n" % count)
            process.stdin.flush()
            process.stdout.readline()
            resident.append(watched.resident_bytes())
        process.stdin.write(b"0\n")
    assert resident[1] - resident[0] > TOLERANCE_BYTES


def assert_returns(server: ServerProcess, cycle: Callable[[int], None]) -> None:
    """Assert that after many cycles the server holds what it held after the first ones."""
    for number in range(WARM_UP_CYCLES):
        cycle(number)
    descriptors = _steady(server.descriptor_count)
    resident = _settled(server.resident_bytes)
    for number in range(WARM_UP_CYCLES, WARM_UP_CYCLES + CYCLES):
        cycle(number)
    growth, kept = _until_returned(server, resident, descriptors)
    assert kept <= 0, f"{kept} descriptors left after {CYCLES:,} cycles"
    assert growth <= TOLERANCE_BYTES, (
        f"{growth:,} bytes left, {growth / CYCLES:.0f} for each of {CYCLES:,} cycles"
    )


def _until_returned(server: ServerProcess, resident: int, descriptors: int) -> tuple[int, int]:
    """Growth in bytes and descriptors, once both are back or their time is over."""
    deadline = time.monotonic() + _SETTLE_TIME_MAX_S
    while True:
        growth = server.resident_bytes() - resident
        kept = server.descriptor_count() - descriptors
        if (growth <= TOLERANCE_BYTES and kept <= 0) or time.monotonic() > deadline:
            return growth, kept
        # No event tells that another process has freed something.
        time.sleep(_SETTLE_STEP_S)


def _steady(measure: Callable[[], int]) -> int:
    """The figure once it has not moved for two seconds: a young server still opens some."""
    last, still = measure(), 0
    while still < 2 / _SETTLE_STEP_S:
        time.sleep(_SETTLE_STEP_S)
        now = measure()
        still = still + 1 if now == last else 0
        last = now
    return last


def _settled(measure: Callable[[], int]) -> int:
    """The figure once it has not fallen any more for a second."""
    lowest, still = measure(), 0
    while still < 1 / _SETTLE_STEP_S:
        time.sleep(_SETTLE_STEP_S)
        now = measure()
        still = 0 if now < lowest else still + 1
        lowest = min(lowest, now)
    return lowest


def _subscribe(subject: bytes, sid: int) -> bytes:
    return b"SUB " + subject.replace(b"%d", b"%d" % sid) + b" %d\r\n" % sid
