"""One workload at a time: every contender in turn, round after round, and the medians."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bars import Metric, Sense, Workload
from servers import (
    PASSWORD,
    USER,
    BenchError,
    Contender,
    RunningServer,
    clean_environment,
    running,
)

GENERATOR_TIMEOUT_S = 180.0
"""Far above the longest run; the generator has tighter limits of its own."""

Sample = dict[str, float]
"""What one run reported, by key."""


@dataclass(slots=True)
class Samples:
    """All that one contender reached in one workload."""

    runs: list[Sample] = field(default_factory=list[Sample])
    errors: list[str] = field(default_factory=list[str])

    def median(self, key: str) -> float | None:
        """The median over the runs that have the key; None when there is none."""
        values = [run[key] for run in self.runs if key in run]
        return median(values) if values else None


@dataclass(slots=True)
class Row:
    """A workload's result."""

    workload: Workload
    ours: Samples = field(default_factory=Samples)
    genuine: Samples = field(default_factory=Samples)
    relay: Samples = field(default_factory=Samples)

    def side(self, name: str) -> Samples:
        """The samples of "ours", "genuine" or "relay"."""
        sides = {"ours": self.ours, "genuine": self.genuine, "relay": self.relay}
        return sides[name]

    def ratio(self, metric: Metric, side: str = "ours") -> float | None:
        """The side's figure compared as the metric's bar is; None where there is no figure."""
        mine, theirs = self.side(side).median(metric.key), self.genuine.median(metric.key)
        if metric.sense is Sense.ABSOLUTE:
            return mine
        if mine is None or theirs is None:
            return None
        upper, lower = (theirs, mine) if metric.sense is Sense.TIMES_LESS else (mine, theirs)
        return upper / lower if lower > 0 else None

    def met(self, metric: Metric) -> bool | None:
        """Whether ours reaches the bar; None where there is nothing to compare."""
        ratio = self.ratio(metric)
        if ratio is None:
            return None
        floor = metric.sense in (Sense.AT_LEAST, Sense.TIMES_LESS)
        return ratio >= metric.bar if floor else ratio <= metric.bar

    def errors(self) -> list[str]:
        """What went wrong, with the side that it happened to."""
        sides = (("ours", self.ours), ("nats-server", self.genuine), ("relay", self.relay))
        return [f"{name}: {error}" for name, samples in sides for error in samples.errors]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a whole benchmark is run."""

    load: tuple[str, ...]
    """The load generator's command."""
    ours: Contender
    genuine: Contender
    relay: Contender
    rounds: int
    seconds: float
    """Length of a timed run."""
    quick: bool
    directory: Path
    """For configurations, certificates and logs; removed afterwards."""


def measure(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """Runs `workload` against each contender in turn; failures are kept, never raised."""
    row = Row(workload)
    sides = [("genuine", plan.genuine), ("ours", plan.ours)]
    if workload.relay:
        sides.append(("relay", plan.relay))
    rounds = plan.rounds * workload.times
    for number in range(1, rounds + 1):
        for side, contender in sides:
            progress(f"{workload.name}: round {number} of {rounds}, {contender.name}")
            keep(row.side(side), lambda contender=contender: run(plan, workload, contender))
    return row


def keep(samples: Samples, sample: Callable[[], Sample]) -> None:
    try:
        samples.runs.append(sample())
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        samples.errors.append(str(error))


def run(plan: Plan, workload: Workload, contender: Contender) -> Sample:
    """One run of the generator against a fresh server."""
    secured = workload.secured
    if contender is plan.genuine and workload.genuine_secured is not None:
        secured = workload.genuine_secured
    with running(contender, secured, plan.directory) as server:
        quick = plan.quick and workload.quick is not None
        line = [*plan.load, *((workload.quick or ()) if quick else workload.arguments)]
        if workload.timed:
            line += ["--seconds", str(plan.seconds)]
        return drive(line, secured, contender, server)


def drive(line: Sequence[str], secured: str, contender: Contender, server: RunningServer) -> Sample:
    """Runs the generator's command `line` against `server`, and reads its report.

    Raises:
        BenchError: it found something wrong; with what it said.
        subprocess.TimeoutExpired: it did not end; it was killed.
    """
    line = [*line, "--server", f"127.0.0.1:{server.port}", "--server-pid", str(server.pid)]
    if secured == "password":
        line += ["--user", USER, "--pass", PASSWORD, "--timeout", "60"]
    if contender.is_relay:
        line.append("--raw")
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=GENERATOR_TIMEOUT_S
    )
    if done.returncode != 0:
        raise BenchError(done.stderr.strip() or f"the generator ended with {done.returncode}")
    report = json.loads(done.stdout)
    return {key: float(value) for key, value in report.items() if not isinstance(value, str)}


def start_up(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """From exec to an open listener, both servers in turn."""
    row = Row(workload)

    def started(contender: Contender) -> Sample:
        with running(contender, "", plan.directory) as server:
            return {"ms": server.started_in_s * 1000}

    # The first start of each reads files that no other has to read again.
    for contender in (plan.genuine, plan.ours):
        keep(Samples(), lambda contender=contender: started(contender))
    for number in range(1, plan.rounds * workload.times + 1):
        for side, contender in (("genuine", plan.genuine), ("ours", plan.ours)):
            progress(f"{workload.name}: round {number}, {contender.name}")
            keep(row.side(side), lambda contender=contender: started(contender))
    return row


EMBEDDED_START = """
import socket, time
from urllib.parse import urlsplit
from keelback import Server
began = time.perf_counter()
with Server(host="127.0.0.1", port=-1) as server:
    took = time.perf_counter() - began
    url = urlsplit(server.url)
    socket.create_connection((url.hostname, url.port), timeout=5).close()
    print(took * 1000)
"""


def embedded_start(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """From the call of `keelback.Server` to its open listener, in a fresh interpreter each."""
    row = Row(workload)
    python = Path(plan.ours.command[0]).parent / "python"

    def started() -> Sample:
        done = subprocess.run(
            [str(python), "-c", EMBEDDED_START],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=clean_environment(),
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise BenchError(lines[-1])
        return {"ms": float(done.stdout)}

    for number in range(1, plan.rounds * workload.times + 1):
        progress(f"{workload.name}: round {number}")
        keep(row.ours, started)
        if row.ours.errors:
            break
    return row
