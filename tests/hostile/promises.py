"""Measures the promises about hostile peers and slow consumers, and says which were held.

    python -m tests.hostile.promises --target keelback --json out.json [--quick]

Each figure comes with its bound. Exits with 1 when Keelback broke one; nats-server is measured
for comparison only.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hostile.bounds import MIB, assert_serving
from tests.hostile.cases import KINDS, WrongAnswerError, run_session
from tests.hostile.load import Publisher, cut_off_after, deaf, readers
from tests.support.servers import REPOSITORY, TARGETS, ServerProcess, Target
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

CROWD = 5000
SLOW_TIME_MAX_S = 15.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured promise."""

    promise: str
    figure: float
    unit: str
    bound: float
    at_least: bool = False
    """The figure must not be below the bound; without it, not above."""
    detail: str = ""

    @property
    def held(self) -> bool:
        """Whether the figure is on the right side of the bound."""
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how often is measured."""

    sessions_of_each_kind: int
    window_s: float
    rounds: int
    requests: int
    connections: int


QUICK = Scale(21, 1.5, 1, 2000, 1000)
WHOLE = Scale(42, 3.0, 3, 6000, 5000)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.promises")
    parser.add_argument("--target", choices=TARGETS, default="keelback")
    parser.add_argument("--json", type=Path, help="file that takes the figures")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer: for a first look")
    options = parser.parse_args(arguments)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures = measure(options.target, QUICK if options.quick else WHOLE)
    print_table(figures)
    if options.json is not None:
        found = [{**asdict(figure), "held": figure.held} for figure in figures]
        record = {"target": options.target, "quick": options.quick, "promises": found}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    broken = not all(figure.held for figure in figures)
    return 1 if broken and options.target == "keelback" else 0


def measure(target: Target, scale: Scale) -> list[Figure]:
    """Measure all of them, each with servers of its own."""
    measures: list[Callable[[Target, Scale], list[Figure]]] = [
        hostile_sessions,
        unauthenticated_memory,
        latency_beside_a_crowd,
        rate_beside_one_stuck,
        rate_beside_a_hundred_stuck,
        memory_of_slow_consumers,
    ]
    figures: list[Figure] = []
    for each in measures:
        print(f"measuring: {each.__name__.replace('_', ' ')}", file=sys.stderr, flush=True)
        figures += each(target, scale)
    return figures


def print_table(figures: Sequence[Figure]) -> None:
    """Print promise, figure, bound and verdict, one a line."""
    width = max(len(figure.promise) for figure in figures)
    print(f"{'promise':{width}}  {'figure':>16}  {'bound':>16}  held")
    for each in figures:
        bound = f"{'≥' if each.at_least else '≤'} {each.bound:,.2f} {each.unit}"
        figure = f"{each.figure:,.2f} {each.unit}"
        held = "yes" if each.held else "NO"
        print(f"{each.promise:{width}}  {figure:>16}  {bound:>16}  {held:4} {each.detail}")


def hostile_sessions(target: Target, scale: Scale) -> list[Figure]:
    """Sessions of all kinds, in an order that the seed mixes."""
    sessions = [(kind, number) for kind in KINDS for number in range(scale.sessions_of_each_kind)]
    random.Random(len(sessions)).shuffle(sessions)
    wrong: list[str] = []
    with ServerProcess(target) as server:
        server.usage.reset_peak()
        before = server.usage.resident_bytes()
        for kind, number in sessions:
            try:
                run_session(server, KINDS[kind](random.Random(f"{kind} {number}")))
            except (WrongAnswerError, TimeoutError, EOFError) as error:
                wrong.append(f"{kind} {number}: {error}")
        assert_serving(server)
        growth = server.usage.resident_bytes_peak() - before
    return [
        Figure("hostile sessions run", len(sessions), "", 500, at_least=True),
        Figure("hostile sessions answered wrongly", len(wrong), "", 0, detail="; ".join(wrong[:3])),
        Figure("memory grown by all of them", growth / MIB, "MiB", 64),
    ]


def unauthenticated_memory(target: Target, scale: Scale) -> list[Figure]:
    """Peak memory for each connection that has not logged in, by what it has sent."""
    figures: list[Figure] = []
    patient = "authorization { user: a, password: b, timeout: 120 }\n"
    said = {"says nothing": b"", "sends 4,000 bytes of CONNECT": b'CONNECT {"a":"' + b"x" * 3986}
    for name, data in said.items():
        with (
            ServerProcess(target, patient) as server,
            ExitStack() as stack,
        ):
            before = server.usage.resident_bytes()
            server.usage.reset_peak()
            clients = [
                stack.enter_context(Connection(server.address)) for _ in range(scale.connections)
            ]
            for client in clients:
                client.line()
                client.send(data)
            # The last to come is answered after all before it were read.
            assert_serving(server, b'CONNECT {"verbose":false,"user":"a","pass":"b"}\r\n')
            each = (server.usage.resident_bytes_peak() - before) / scale.connections
        promise = f"memory of an unauthenticated connection that {name}"
        figures.append(Figure(promise, each / 1024, "KiB", 64))
    return figures


def latency_beside_a_crowd(target: Target, scale: Scale) -> list[Figure]:
    """p99 of request-reply while a crowd misbehaves, over the same with nobody else there.

    The detail also has the p99 while the crowd is at another server of the same kind: what the
    machine loses to it whichever server is asked.
    """
    alone: list[float] = []
    elsewhere: list[float] = []
    beside: list[float] = []
    pace = ""
    for _ in range(scale.rounds):
        with ServerProcess(target, "max_pending: 2MB\n") as server:
            _request_times(server, scale.requests // 4)
            alone.append(_p99(_request_times(server, scale.requests)))
            with ServerProcess(target, "max_pending: 2MB\n") as other, _crowd(other):
                elsewhere.append(_p99(_request_times(server, scale.requests)))
            with _crowd(server) as crowd:
                beside.append(_p99(_request_times(server, scale.requests)))
            pace = crowd.pace
            assert_serving(server)
    medians = [statistics.median(times) for times in (alone, elsewhere, beside)]
    detail = (
        "p99 {:.0f} µs alone, {:.0f} with the crowd elsewhere, {:.0f} beside it; "
        "{} of {:,} misbehave each second"
    ).format(*(each * 1e6 for each in medians), pace, CROWD)
    promise = f"others' p99 of request-reply while {CROWD:,} misbehave"
    return [Figure(promise, medians[2] / medians[0], "times", 2, detail=detail)]


@dataclass(slots=True)
class _Crowd:
    pace: str = ""
    """What the crowd did each second; known when it is gone."""


@contextmanager
def _crowd(server: ServerProcess) -> Generator[_Crowd]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.hostile.misbehaviour",
            server.host,
            str(server.port),
            str(CROWD),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    crowd = _Crowd()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"READY\n"
        yield crowd
        assert process.poll() is None, "the crowd ended early: nothing was measured"
        crowd.pace = process.communicate(timeout=30)[0].decode().strip()
    finally:
        process.kill()
        process.wait()


def _request_times(server: ServerProcess, count: int) -> list[float]:
    """Seconds of each of `count` requests of 128 bytes, one at a time."""
    times: list[float] = []
    payload = b"x" * 128
    with Connection(server.address) as requester, Connection(server.address) as responder:
        responder.greeted().send(b"SUB ask 1\r\n")
        responder.fence()
        requester.greeted().send(b"SUB answer 1\r\n")
        requester.fence()
        for _ in range(count):
            start = time.perf_counter()
            requester.send(b"PUB ask answer 128\r\n" + payload + b"\r\n")
            _message(responder)
            responder.send(b"PUB answer 128\r\n" + payload + b"\r\n")
            _message(requester)
            times.append(time.perf_counter() - start)
    return times


def _message(client: Connection) -> None:
    while not (line := client.line()).startswith(b"MSG "):
        if line == b"PING":
            client.send(b"PONG\r\n")
    client.line()


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def rate_beside_one_stuck(target: Target, scale: Scale) -> list[Figure]:
    """A publisher with one subscriber that reads, before and after a stuck one joins."""
    ratios: list[float] = []
    details: list[str] = []
    for _ in range(scale.rounds):
        with _publishing(target) as (server, publisher):
            alone = publisher.rate(scale.window_s)
            with deaf(server, ["load"]):
                beside = publisher.rate(scale.window_s)
        ratios.append(beside / alone)
        details.append(f"{alone / 1e6:.2f} → {beside / 1e6:.2f} M/s")
    promise = f"publisher's rate in the {scale.window_s:g} s after one subscriber sticks"
    return [_share(promise, ratios, 90, details)]


def rate_beside_a_hundred_stuck(target: Target, scale: Scale) -> list[Figure]:
    """The same with a hundred whose `max_pending` is 1 MB, and how long they are kept."""
    ratios: list[float] = []
    kept_s: list[float] = []
    details: list[str] = []
    for _ in range(scale.rounds):
        with _publishing(target, "max_pending: 1MB\n") as (server, publisher):
            descriptors = server.usage.descriptor_count()
            alone = publisher.rate(scale.window_s)
            with deaf(server, ["load"] * 100):
                start = time.monotonic()
                beside = publisher.rate(scale.window_s)
                cut_off_after(server, descriptors, SLOW_TIME_MAX_S)
                kept_s.append(time.monotonic() - start)
        ratios.append(beside / alone)
        details.append(f"{alone / 1e6:.2f} → {beside / 1e6:.2f} M/s")
    # The last of them goes at the latest when its `write_deadline` (10 s) is over.
    kept = statistics.median(kept_s)
    promise = f"publisher's rate in the {scale.window_s:g} s after a hundred stick (1 MB each)"
    return [
        _share(promise, ratios, 80, details),
        Figure("time until the last of that hundred is cut off", kept, "s", 12),
    ]


@contextmanager
def _publishing(
    target: Target, configuration: str = ""
) -> Generator[tuple[ServerProcess, Publisher]]:
    """A server with a publisher at full speed and one subscriber that reads it all."""
    with (
        ServerProcess(target, configuration) as server,
        readers(server, ["load"]),
        Publisher(server, ["load"]) as publisher,
    ):
        # The first second is not counted: buffers and windows grow in it.
        publisher.rate(1.0)
        yield server, publisher


def _share(promise: str, ratios: list[float], bound: float, details: list[str]) -> Figure:
    share = statistics.median(ratios) * 100
    return Figure(promise, share, "%", bound, at_least=True, detail="; ".join(details))


def memory_of_slow_consumers(target: Target, scale: Scale) -> list[Figure]:
    """Peak memory with slow consumers beyond the peak with as many that read."""
    del scale
    count, pending_bytes_max = 16, 4 * MIB
    configuration = f"max_pending: {pending_bytes_max}\n"
    figures: list[Figure] = []
    for name, subjects in (
        ("each on a subject of its own", [f"load.{number}" for number in range(count)]),
        ("all on one subject", ["load"] * count),
    ):
        peaks: dict[bool, int] = {}
        for slow in (False, True):
            # Readers get the default limit: they must not be cut off as slow.
            with ServerProcess(target, configuration if slow else "") as server:
                descriptors = server.usage.descriptor_count() + 1
                peers = deaf(server, subjects) if slow else readers(server, subjects)
                with peers, Publisher(server, sorted(set(subjects))):
                    cut_off_after(server, descriptors, SLOW_TIME_MAX_S if slow else 3.0)
                    peaks[slow] = server.usage.resident_bytes_peak()
        extra = max(0, peaks[True] - peaks[False])
        promise = f"memory held by {count} slow consumers of 4 MiB, {name}"
        detail = f"peak {peaks[False] / MIB:.0f} → {peaks[True] / MIB:.0f} MiB"
        bound = count * pending_bytes_max / MIB
        figures.append(Figure(promise, extra / MIB, "MiB", bound, detail=detail))
    return figures


if __name__ == "__main__":
    sys.exit(main())
