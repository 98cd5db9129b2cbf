"""What monitoring costs: polling beside a full load, and large pages beside others' requests."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple, Self
from urllib.request import urlopen

from bars import Workload
from measure import Plan, Row, Sample, drive, keep
from servers import BenchError, Contender, RunningServer, free_port, running

POLLED = ("/varz", "/connz?subs=1", "/metrics")
POLLS_A_SECOND = 10
WINDOW_S = 1 / POLLS_A_SECOND
WINDOWS = 300
"""Of each kind under one load. What a message costs differs by a tenth and more between windows:
with a third of these, the difference was uncertain by as much as the bar allows."""
POLLS_ALONE = 200
PAGE = "/connz?limit=1024"
PAGES_READ = 20
CONNECTIONS = 10_000
GREETING = b'CONNECT {"verbose":false,"lang":"bench","name":"held"}\r\n'
WARM_UP_S = 0.5
SLACK = 1.5
"""Polls take time as well: the load must outlast the last window."""


def beside_polling(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """What polls take of the reactor threads, and what the threads take under full load."""
    row = Row(workload)
    for number in range(1, plan.rounds + 1):
        progress(f"{workload.name}: round {number} of {plan.rounds}")
        keep(row.ours, lambda: _polled(plan, workload))
    return row


class _Window(NamedTuple):
    """What a stretch of time took and brought."""

    seconds: float
    reactor_ns: int
    others_ns: int
    messages: int


class _Totals(NamedTuple):
    """The sums of windows of one kind."""

    seconds: float
    reactor_ns: int
    others_ns: int
    messages: int

    @classmethod
    def of(cls, windows: list[_Window]) -> _Totals:
        return cls(*(sum(column) for column in zip(*windows, strict=True)))


def _polled(plan: Plan, workload: Workload) -> Sample:
    port = free_port()
    with (
        running(plan.ours, "", plan.directory, ("-m", str(port))) as server,
        _Poller(port) as poller,
    ):
        # Monitoring's imports are not what a poll costs.
        poller.poll()
        quiet, polled = _under_load(plan, workload, server, poller)
        alone = _alone(server, poller)
    polls = quiet.seconds * POLLS_A_SECOND
    return {
        "added_percent": alone.reactor_ns / POLLS_ALONE * polls / quiet.reactor_ns * 100,
        "in_turn_percent": (
            polled.reactor_ns / polled.messages / (quiet.reactor_ns / quiet.messages) - 1
        )
        * 100,
        "poll_ms": (polled.others_ns - quiet.others_ns) / 1e6 / (polled.seconds * POLLS_A_SECOND),
    }


def _under_load(
    plan: Plan, workload: Workload, server: RunningServer, poller: _Poller
) -> tuple[_Totals, _Totals]:
    """Windows of one load without polls and with them, turn and turn about."""
    windows = 4 if plan.quick else WINDOWS
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
    found: dict[bool, list[_Window]] = {False: [], True: []}
    for number in range(windows):
        # Both orders: neither kind is always the one that follows the other.
        for polls in (False, True) if number % 2 else (True, False):
            found[polls].append(_window(server, poller, polls=polls))
    thread.join()
    if failures:
        raise BenchError(str(failures[0]))
    return _Totals.of(found[False]), _Totals.of(found[True])


def _window(server: RunningServer, poller: _Poller, *, polls: bool) -> _Window:
    began, before, messages = time.monotonic(), _thread_times(server.pid), poller.messages()
    if polls:
        poller.poll()
    time.sleep(max(0.0, WINDOW_S - (time.monotonic() - began)))
    reactor, others = _spent(before, _thread_times(server.pid))
    messages = poller.messages() - messages
    if messages <= 0:
        raise BenchError("the load ended before the last window")
    return _Window(time.monotonic() - began, reactor, others, messages)


def _alone(server: RunningServer, poller: _Poller) -> _Window:
    """Polls one after the other while two connections with subscriptions do nothing else."""
    with _held(server, 2, b"SUB held.> 1\r\n"):
        began, before = time.monotonic(), _thread_times(server.pid)
        for _ in range(POLLS_ALONE):
            poller.poll()
        reactor, others = _spent(before, _thread_times(server.pid))
        return _Window(time.monotonic() - began, reactor, others, 0)


def _spent(before: dict[str, int], after: dict[str, int]) -> tuple[int, int]:
    """Processor time of the reactor threads and of all others (ns)."""
    spent = {name: ns - before.get(name, 0) for name, ns in after.items()}
    reactor = sum(ns for name, ns in spent.items() if "kb-reactor" in name)
    return reactor, sum(spent.values()) - reactor


class _Poller:
    """One connection that stays open, as Prometheus keeps it.

    It does no more than it must: it shares two processors with what is measured.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def poll(self) -> None:
        """Every document once."""
        for path in POLLED:
            self._get(path)

    def messages(self) -> int:
        """What the server has received so far."""
        _, _, rest = self._get("/varz").partition(b'"in_msgs":')
        return int(rest[: rest.index(b",")])

    def _get(self, path: str) -> bytes:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        while len(body) < int(length.split()[0]):
            body += self._receive()
        return body

    def _receive(self) -> bytes:
        received = self._socket.recv(1 << 18)
        if not received:
            raise BenchError("the monitoring port closed the connection")
        return received


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
    with (
        running(contender, "", plan.directory, ("-m", str(port))) as server,
        _held(server, CONNECTIONS),
    ):
        _get(port, PAGE)
        times = [_timed(port) for _ in range(PAGES_READ)]
        ending = threading.Event()

        def read_on() -> None:
            while not ending.wait(WINDOW_S):
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
def _held(server: RunningServer, count: int, more: bytes = b"") -> Generator[None]:
    """Clients that have logged in and sent `more`."""
    with contextlib.ExitStack() as stack:
        clients: list[socket.socket] = []
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            clients.append(stack.enter_context(client))
            client.sendall(GREETING + more + b"PING\r\n")
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
