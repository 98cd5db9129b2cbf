"""What monitoring costs: polling beside a full load, and large pages beside others' requests."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.request import urlopen

from bars import Workload
from measure import Plan, Row, Sample, drive, keep
from servers import BenchError, Contender, RunningServer, free_port, running

POLLED = ("/varz", "/connz?subs=1", "/metrics")
POLL_INTERVAL_S = 0.1
PAGE = "/connz?limit=1024"
PAGES_READ = 20
CONNECTIONS = 10_000
GREETING = b'CONNECT {"verbose":false,"lang":"bench","name":"held"}\r\nPING\r\n'
WARM_UP_S = 0.5
POLLS_A_WINDOW = 5
WINDOW_S = POLLS_A_WINDOW * POLL_INTERVAL_S
WINDOWS = 12
"""Of each kind in one run."""
SLACK = 1.5
"""Polls take time as well: the load must outlast the last window."""


def beside_polling(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """One load, with polling and without in turn, on one server."""
    row = Row(workload)
    for number in range(1, plan.rounds + 1):
        progress(f"{workload.name}: round {number} of {plan.rounds}")
        keep(row.ours, lambda: _polled(plan, workload))
    return row


class _Window(NamedTuple):
    """What a stretch of time took and brought."""

    reactor_ns: int
    others_ns: int
    messages: int


def _polled(plan: Plan, workload: Workload) -> Sample:
    port = free_port()
    windows = 2 if plan.quick else WINDOWS
    with running(plan.ours, "", plan.directory, ("-m", str(port))) as server:
        # Monitoring's imports are not what a poll costs.
        for path in POLLED:
            _get(port, path)
        seconds = str(WARM_UP_S + windows * 2 * WINDOW_S * SLACK)
        line = [*plan.load, *workload.arguments, "--seconds", seconds]
        failures: list[Exception] = []

        def load() -> None:
            try:
                drive(line, "", plan.ours, server)
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(WARM_UP_S)
        # Turn and turn about, so that both meet the machine in the same moods.
        pairs = [
            (_window(server, port, polls=False), _window(server, port, polls=True))
            for _ in range(windows)
        ]
        thread.join()
    if failures:
        raise BenchError(str(failures[0]))
    quiet, polled = ([pair[at] for pair in pairs] for at in (0, 1))
    polls = len(polled) * POLLS_A_WINDOW
    return {
        "added_percent": (_cost(polled) / _cost(quiet) - 1) * 100,
        "poll_ms": sum(window.others_ns for window in polled) / 1e6 / polls,
    }


def _cost(windows: list[_Window]) -> float:
    """Processor time of the reactor threads for each message (ns), the middle of all windows."""
    return median(window.reactor_ns / window.messages for window in windows)


def _window(server: RunningServer, port: int, *, polls: bool) -> _Window:
    before, messages = _thread_times(server.pid), _messages(port)
    for _ in range(POLLS_A_WINDOW):
        began = time.monotonic()
        for path in POLLED if polls else ():
            _get(port, path)
        time.sleep(max(0.0, POLL_INTERVAL_S - (time.monotonic() - began)))
    messages = _messages(port) - messages
    if messages <= 0:
        raise BenchError("the load ended before the last window")
    spent = {name: after - before.get(name, 0) for name, after in _thread_times(server.pid).items()}
    reactor = sum(ns for name, ns in spent.items() if "kb-reactor" in name)
    return _Window(reactor, sum(spent.values()) - reactor, messages)


def _messages(port: int) -> int:
    return int(json.loads(_get(port, "/varz"))["in_msgs"])


def pages(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """A page of many connections, and what requests of others wait meanwhile."""
    row = Row(workload)
    for number in range(1, plan.rounds + 1):
        for side, contender in (("genuine", plan.genuine), ("ours", plan.ours)):
            progress(f"{workload.name}: round {number} of {plan.rounds}, {contender.name}")
            keep(row.side(side), lambda contender=contender: _pages(plan, contender))
    return row


def _pages(plan: Plan, contender: Contender) -> Sample:
    port = free_port()
    with running(contender, "", plan.directory, ("-m", str(port))) as server, _held(server):
        _get(port, PAGE)
        times = [_timed(port) for _ in range(PAGES_READ)]
        ending = threading.Event()

        def read_on() -> None:
            while not ending.wait(POLL_INTERVAL_S):
                _get(port, PAGE)

        reader = threading.Thread(target=read_on)
        reader.start()
        try:
            line = [*plan.load, "request-reply", "--size", "128", "--seconds", str(plan.seconds)]
            report = drive(line, "", contender, server)
        finally:
            ending.set()
            reader.join()
    return {"page_ms": sorted(times)[len(times) // 2] * 1000, "p99_us": report["p99_us"]}


def _timed(port: int) -> float:
    began = time.perf_counter()
    _get(port, PAGE)
    return time.perf_counter() - began


@contextlib.contextmanager
def _held(server: RunningServer) -> Generator[None]:
    """Ten thousand clients that have logged in."""
    with contextlib.ExitStack() as stack:
        clients: list[socket.socket] = []
        for _ in range(CONNECTIONS):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            clients.append(stack.enter_context(client))
            client.sendall(GREETING)
        for client in clients:
            heard = b""
            while b"PONG" not in heard:
                heard += client.recv(4096)
        yield


def _get(port: int, path: str) -> bytes:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read()


def _thread_times(pid: int) -> dict[str, int]:
    """Processor time of each thread by name and number (ns)."""
    found: dict[str, int] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            found[f"{name} {task.name}"] = int((task / "schedstat").read_text().split()[0])
    return found
