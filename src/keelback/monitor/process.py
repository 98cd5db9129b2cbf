"""What the process takes of its machine, from Linux's /proc."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Lock
from typing import Final

from keelback.monitor.facts import Usage

SAMPLE_MIN_S: Final = 1.0
"""Processor time over less would be noise: the clock's ticks are of 10 ms."""

_STATM: Final = Path("/proc/self/statm")


class UsageSampler:
    """Processor time between samples, as percent of one core. Thread-safe."""

    def __init__(self) -> None:
        # Guards the last sample.
        self._lock = Lock()
        self._wall_s = time.monotonic()
        self._busy_s = time.process_time()
        self._percent = 0.0

    def read(self) -> Usage:
        """The usage of now; processor time since a sample at least a second ago."""
        with self._lock:
            wall_s, busy_s = time.monotonic(), time.process_time()
            passed_s = wall_s - self._wall_s
            if passed_s >= SAMPLE_MIN_S:
                self._percent = round(100 * (busy_s - self._busy_s) / passed_s, 1)
                self._wall_s, self._busy_s = wall_s, busy_s
            percent = self._percent
        return Usage(
            memory_bytes=resident_bytes(),
            cpu_percent=percent,
            cores=len(os.sched_getaffinity(0)),
        )


def resident_bytes() -> int:
    """Memory of the process that is in the machine's."""
    return _pages(1) * os.sysconf("SC_PAGE_SIZE")


def virtual_bytes() -> int:
    """Addresses that the process has taken."""
    return _pages(0) * os.sysconf("SC_PAGE_SIZE")


def _pages(column: int) -> int:
    return int(_STATM.read_text(encoding="ascii").split()[column])
