"""What comes and goes a hundred thousand times leaves nothing behind: memory and descriptors.

That often with `KEELBACK_SOAK=1` (`make soak`), where a leak of 60 bytes in each cycle is found;
the normal suite does 5,000 cycles, which finds one of 600 bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.usage import Usage
from tests.support.wire import CONNECT, Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.certificates import Certificates
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = pytest.mark.timeout(600)

SOAK = os.environ.get("KEELBACK_SOAK") == "1"
CYCLES = 100_000 if SOAK else 5_000
# A handshake takes longer than all the rest.
TLS_CYCLES = 20_000 if SOAK else 1_000
# Fills what is bounded but large: nats-server remembers the last 10,000 closed connections.
WARM_UP_CYCLES = 12_000 if SOAK else 3_000
TLS_WARM_UP_CYCLES = 4_000 if SOAK else 1_000
TOLERANCE_BYTES = 6_000_000 if SOAK else 3_000_000
SUBSCRIPTIONS_AT_ONCE = 1000

_SETTLE_TIME_MAX_S = 20.0
_SETTLE_STEP_S = 0.1


def test_connecting_and_leaving(server: ServerProcess) -> None:
    def cycle(number: int) -> None:
        # A source address has 28,000 ports, each of which rests after use: so take many addresses.
        client = Connection(server.address, source_host=f"127.0.{1 + number % 8}.1")
        client.line()
        client.send(CONNECT + b"SUB a.%d 1\r\nPING\r\n" % number)
        while client.line() != b"PONG":
            pass
        # Both ways to go.
        client.close() if number % 2 else client.reset()

    assert_returns(server, cycle)


def test_connecting_over_tls(start_server: StartServer, certificates: Certificates) -> None:
    server = start_server(certificates.configuration())
    context = certificates.issuer.client()

    def cycle(number: int) -> None:
        client = Connection(server.address, source_host=f"127.0.{1 + number % 8}.1")
        client.line()
        client.start_tls(context)
        client.send(CONNECT + b"SUB a.%d 1\r\nPING\r\n" % number)
        while client.line() != b"PONG":
            pass
        client.close() if number % 2 else client.reset()

    assert_returns(server, cycle, cycles=TLS_CYCLES, warm_up_cycles=TLS_WARM_UP_CYCLES)


def test_connecting_and_being_refused(server: ServerProcess) -> None:
    def cycle(number: int) -> None:
        with Connection(server.address, source_host=f"127.0.{1 + number % 8}.1") as client:
            client.send(b"NONSENSE %d\r\n" % number)
            assert b"-ERR 'Unknown Protocol Operation'" in client.read_to_end()

    assert_returns(server, cycle)


@pytest.mark.parametrize(
    "subject", [b"leak.%d", b"leak.%d.*", b"leak.%d.> queue%d"], ids=["exact", "wildcard", "queue"]
)
def test_subscribing_and_unsubscribing(subject: bytes, server: ServerProcess) -> None:
    with Connection(server.address) as client:
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
    with Connection(server.address) as client:
        client.greeted()

        def cycle(number: int) -> None:
            if number % SUBSCRIPTIONS_AT_ONCE == 0:
                lines = b"SUB max.%d %d\r\nUNSUB %d 1\r\nPUB max.%d 0\r\n\r\n"
                sids = range(number, number + SUBSCRIPTIONS_AT_ONCE)
                client.send(b"".join(lines % (sid, sid, sid, sid) for sid in sids))
                assert len(client.fence()) == 2 * SUBSCRIPTIONS_AT_ONCE

        assert_returns(server, cycle)


def test_a_leak_of_a_hundred_bytes_would_be_found() -> None:
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
        watched = Usage(process.pid)
        resident: list[int] = []
        for count in (1, 100_000):
            process.stdin.write(b"%d\n" % count)
            process.stdin.flush()
            process.stdout.readline()
            resident.append(watched.resident_bytes())
        process.stdin.write(b"0\n")
    assert resident[1] - resident[0] > TOLERANCE_BYTES


def assert_returns(
    server: ServerProcess,
    cycle: Callable[[int], None],
    *,
    cycles: int = CYCLES,
    warm_up_cycles: int = WARM_UP_CYCLES,
) -> None:
    """Assert that after many cycles the server holds what it held after the first ones."""
    for number in range(warm_up_cycles):
        cycle(number)
    descriptors = _settled(server.usage.descriptor_count)
    resident = _settled(server.usage.resident_bytes)
    for number in range(warm_up_cycles, warm_up_cycles + cycles):
        cycle(number)
    growth, kept = _until_returned(server, resident, descriptors)
    assert kept <= 0, f"{kept} descriptors left after {cycles:,} cycles"
    assert growth <= TOLERANCE_BYTES, (
        f"{growth:,} bytes left, {growth / cycles:.0f} for each of {cycles:,} cycles"
    )


def _until_returned(server: ServerProcess, resident: int, descriptors: int) -> tuple[int, int]:
    """Growth in bytes and descriptors, once both are back or their time is over."""
    deadline = time.monotonic() + _SETTLE_TIME_MAX_S
    while True:
        growth = server.usage.resident_bytes() - resident
        kept = server.usage.descriptor_count() - descriptors
        if (growth <= TOLERANCE_BYTES and kept <= 0) or time.monotonic() > deadline:
            return growth, kept
        # No event tells that another process has freed something.
        time.sleep(_SETTLE_STEP_S)


def _settled(measure: Callable[[], int]) -> int:
    """The figure once it has not reached a new low for a second; a server's start is over then."""
    now = lowest = measure()
    still = 0
    while still < 1 / _SETTLE_STEP_S:
        time.sleep(_SETTLE_STEP_S)
        now = measure()
        still = 0 if now < lowest else still + 1
        lowest = min(lowest, now)
    return now


def _subscribe(subject: bytes, sid: int) -> bytes:
    return b"SUB " + subject.replace(b"%d", b"%d" % sid) + b" %d\r\n" % sid
