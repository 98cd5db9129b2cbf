"""What becomes of a client that takes its data too slowly."""

from __future__ import annotations

import time
from typing import Literal

import pytest

from keelback import _core
from tests.core.planes import TIME_MAX_S, running

CHUNK = b"PUB a 100000\r\n" + b"x" * 100_000 + b"\r\n"


@pytest.mark.parametrize("policy", ["default", "close", "retry"])
def test_a_client_that_takes_nothing_is_closed(
    policy: Literal["default", "close", "retry"],
) -> None:
    limits = _core.Limits(write_deadline=0.05, write_timeout=policy, fast_producer_stall=False)
    with running(limits=limits) as server:
        stuck = server.connect(receive_buffer_bytes=4096)
        stuck.greeted(b'CONNECT {"verbose":false}\r\n')
        stuck.send(b"SUB a 1\r\n")
        stuck.fence()
        publisher = server.client()
        publisher.send(CHUNK * 100)
        publisher.fence()
        line = server.line("Slow Consumer Detected")
        assert "WriteDeadline of 50ms exceeded" in line
        assert line.endswith('name "", subject "a")')
        told = server.event(_core.SlowConsumer)
        assert told.reason == "Slow Consumer (Write Deadline)"
        assert told.subject == "a"


def test_with_retry_a_client_that_takes_a_little_goes_on() -> None:
    limits = _core.Limits(write_deadline=0.2, write_timeout="retry", fast_producer_stall=False)
    with running(limits=limits) as server:
        slow = server.connect(receive_buffer_bytes=4096)
        slow.greeted(b'CONNECT {"verbose":false}\r\n')
        slow.send(b"SUB a 1\r\n")
        slow.fence()
        publisher = server.client()
        publisher.send(CHUNK * 100)
        publisher.fence()
        deadline = time.monotonic() + TIME_MAX_S
        lines: list[str] = []
        while not any("Slow Consumer State" in line for line in lines):
            assert time.monotonic() < deadline, lines
            slow.exactly(20_000)
            time.sleep(0.001)
            lines += [e.text for e in server.plane.take_events() if isinstance(e, _core.LogLine)]
        assert "Slow Consumer Detected: WriteDeadline of 200ms exceeded" in " ".join(lines)
        slow.send(b"PING\r\n")
        taken = b""
        while not taken.endswith(b"PONG\r\n"):
            taken = (taken + slow.socket.recv(1 << 20))[-6:]
        assert "Slow Consumer Recovered: Flush took" in server.line("Recovered")
