"""The pid file, the ports file and log files of a running server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import ServerProcess, Target
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOTH = pytest.mark.both_servers

BACKUP = re.compile(r"server\.log\.\d{4}(\.\d\d){5}\.\d{9}")


def eventually(condition: Callable[[], object]) -> None:
    """Files have nothing that could be awaited."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def allowed(mode: int) -> int:
    """What the system leaves of a mode."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask


def log_to(file: Path) -> str:
    return f'log_file: "{file}"\nlogtime: false\n'


def started_with_log(target: Target, config: str, file: Path, *flags: str) -> ServerProcess:
    """A server whose log is a file, so that its standard error does not say where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ServerProcess(target, config, *flags, port=port)
    server.start_silently()
    eventually(lambda: file.exists() and "Server is ready" in everything(file))
    return server


def everything(file: Path) -> str:
    """The text of a log file and of those before it."""
    names = sorted(name for name in file.parent.iterdir() if BACKUP.fullmatch(name.name))
    return "".join(each.read_text() for each in [*names, file] if each.exists())


@BOTH
def test_the_pid_file_holds_the_number_alone_and_stays(target: Target, tmp_path: Path) -> None:
    file = tmp_path / "server.pid"
    with ServerProcess(target, f'pid_file: "{file}"') as server:
        assert file.read_text() == str(server.pid)
        assert file.stat().st_mode & 0o777 == 0o600
        server.send_signal(signal.SIGINT)
        server.wait()
    assert file.exists()


@BOTH
def test_the_ports_file_comes_and_goes(target: Target, tmp_path: Path) -> None:
    with ServerProcess(target, f'ports_file_dir: "{tmp_path}"') as server:
        eventually(lambda: list(tmp_path.glob("*.ports")))
        (file,) = tmp_path.glob("*.ports")
        name = {"genuine": "nats-server", "keelback": "keelback-server"}[target]
        assert file.name == f"{name}_{server.pid}.ports"
        eventually(file.read_text)
        assert json.loads(file.read_text())["nats"] == [f"nats://127.0.0.1:{server.port}"]
        server.send_signal(signal.SIGINT)
        server.wait()
    assert not list(tmp_path.iterdir())


@BOTH
def test_a_log_file_that_was_moved_is_opened_again(target: Target, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    server = started_with_log(target, log_to(file), file)
    try:
        assert file.stat().st_mode & 0o777 == allowed(0o640)
        file.rename(tmp_path / "moved.log")
        server.send_signal(signal.SIGUSR1)
        eventually(lambda: file.exists() and "re-opened" in file.read_text())
        assert file.read_text() == f"[{server.pid}] [INF] File log re-opened\n"
        moved = (tmp_path / "moved.log").read_text()
        assert moved.endswith('[INF] Trapped "user defined signal 1" signal\n')
    finally:
        server.stop()


@BOTH
def test_a_log_file_is_put_aside_when_it_is_full(target: Target, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    config = f"{log_to(file)}log_size_limit: 2000\nlog_max_num: 2\ndebug: true\n"
    server = started_with_log(target, config, file)

    def backups() -> list[str]:
        return [name.name for name in tmp_path.iterdir() if BACKUP.fullmatch(name.name)]

    def is_purged() -> bool:
        try:
            return "Purged log file" in file.read_text()
        except FileNotFoundError:  # put aside, and not yet begun anew
            return False

    try:
        # Each connection is a line or more of debugging.
        while not is_purged():
            with Connection(server.address) as client:
                client.greeted()
        eventually(lambda: len(backups()) == 1)
        first = file.read_bytes().split(b"\n")[0]
        backup = str(tmp_path / backups()[0])
        assert first == f'[{server.pid}] [INF] Rotated log, backup saved as "{backup}"\r'.encode()
    finally:
        server.stop()


@BOTH
def test_a_log_file_that_is_too_large_is_put_aside_at_start(target: Target, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    file.write_text("old\n" * 1000)
    server = started_with_log(target, f"{log_to(file)}log_size_limit: 3000\n", file)
    try:
        (backup,) = (name for name in tmp_path.iterdir() if BACKUP.fullmatch(name.name))
        assert backup.read_text().endswith(f"old\n[{server.pid}] [INF] Rotating logfile...\n")
        lines = file.read_text().splitlines()
        assert lines[0].startswith(f"[{server.pid}] [INF] Rotated log, backup saved as ")
        assert lines[1] == f"[{server.pid}] [INF] Starting nats-server"
    finally:
        server.stop()


@BOTH
def test_a_syslog_gets_the_log(target: Target) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url = f"udp://127.0.0.1:{listening.getsockname()[1]}"
        server = ServerProcess(target, "", "-r", url, "-D", port=port)
        server.start_silently()
        try:
            lines: list[str] = []
            while not lines or "Server is ready" not in lines[-1]:
                lines.append(listening.recv(4096).decode())
            server.send_signal(signal.SIGINT)
            assert server.wait() == 0
            while "Server Exiting" not in lines[-1]:
                lines.append(listening.recv(4096).decode())
        finally:
            server.stop()
    name = {"genuine": "nats-server", "keelback": "keelback-server"}[target]
    head = re.compile(rf"<([0-7])>\S+ \S+ {name}\[{server.pid}\]: (.*)\n")
    found = [head.fullmatch(line) for line in lines]
    assert all(found)
    told = [(match[1], match[2]) for match in found if match]
    assert told[0] == ("5", "Starting nats-server")
    assert ("7", "  Go build: go1.27.2") in told
    assert ("5", 'Trapped "interrupt" signal') in told
