"""What monitoring costs: polling beside a full load, and large pages beside others' requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from urllib.request import urlopen

from bars import Workload
from measure import Plan, Row, Sample, drive, keep
from servers import Contender, RunningServer, free_port, running

POLLED = ("/varz", "/connz?subs=1", "/metrics")
POLL_INTERVAL_S = 0.1
PAGE = "/connz?limit=1024"
PAGES_READ = 20
CONNECTIONS = 10_000
GREETING = b'CONNECT {"verbose":false,"lang":"bench","name":"held"}\r\nPING\r\n'
ROUNDS = 3
"""Times the other workloads' rounds: a difference of two per cent needs more of them."""


def beside_polling(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """The same load with and without polling, in turn, on servers of their own."""
    row = Row(workload)
    for number in range(1, plan.rounds * ROUNDS + 1):
        progress(f"{workload.name}: round {number}")
        keep(row.ours, lambda: _pair(plan, workload))
    return row


def _pair(plan: Plan, workload: Workload) -> Sample:
    quiet = _loaded(plan, workload, polls=False)
    polled = _loaded(plan, workload, polls=True)
    added = (polled["reactor_ns"] / quiet["reactor_ns"] - 1) * 100
    return {"added_percent": added, "poll_ms": polled["poll_ms"]}


def _loaded(plan: Plan, workload: Workload, *, polls: bool) -> Sample:
    port = free_port()
    with running(plan.ours, "", plan.directory, ("-m", str(port))) as server:
        # Monitoring's imports are not what a poll costs.
        for path in POLLED:
            _get(port, path)
        before = _thread_times(server.pid)
        with _polling(port) if polls else contextlib.nullcontext([0]) as count:
            line = [*plan.load, *workload.arguments, "--seconds", str(plan.seconds)]
            report = drive(line, "", plan.ours, server)
        spent = {
            name: after - before.get(name, 0) for name, after in _thread_times(server.pid).items()
        }
    reactor = sum(ns for name, ns in spent.items() if "kb-reactor" in name)
    others = sum(spent.values()) - reactor
    return {
        "reactor_ns": reactor / report["messages"],
        "poll_ms": others / 1e6 / max(count[0], 1),
    }


@contextlib.contextmanager
def _polling(port: int) -> Generator[list[int]]:
    """Polls until the block ends; the list's one number counts."""
    count = [0]
    ending = threading.Event()

    def poll() -> None:
        while not ending.wait(POLL_INTERVAL_S):
            for path in POLLED:
                _get(port, path)
            count[0] += 1

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield count
    finally:
        ending.set()
        thread.join()


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
