"""The core's log as a file: JSON lines, and when the file is full."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from typing import TYPE_CHECKING

from keelback import _core
from tests.core.planes import running

if TYPE_CHECKING:
    from pathlib import Path

WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def test_json_lines_are_read_by_anything_that_reads_json(tmp_path: Path) -> None:
    file = tmp_path / "log"
    descriptor = os.open(file, WRITE)
    with running() as server:
        server.plane.set_log(fd=descriptor, trace=True, json=True, pid=7, utc_offset=5400)
        client = server.client(name="n", **{"pass": "s3cret"})
        client.fence()
        server.plane.log("WRN", "two\r\nlines\x1b é")
        os.close(descriptor)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {tuple(line) for line in lines} == {("time", "level", "pid", "message")}
    assert {(line["level"], line["pid"]) for line in lines} == {("trace", 7), ("warn", 7)}
    assert lines[-1]["message"] == "two\r\nlines\x1b é"
    for line in lines:
        moment = dt.datetime.fromisoformat(line["time"])
        assert moment.utcoffset() == dt.timedelta(seconds=5400)
        assert abs(dt.datetime.now(dt.UTC) - moment) < dt.timedelta(minutes=5)
    assert "s3cret" not in file.read_text(encoding="utf-8")
    assert any("<<- [CONNECT" in line["message"] for line in lines)


def test_a_full_file_is_told_once_until_there_is_another(tmp_path: Path) -> None:
    with running() as server:
        for number, written in ((1, 0), (2, 100)):
            descriptor = os.open(tmp_path / str(number), WRITE)
            server.plane.set_log(fd=descriptor, logtime=False, size_limit=100, written=written)
            os.close(descriptor)
            for _ in range(9):
                server.plane.log("INF", "x" * 20)
            assert isinstance(server.event(_core.LogFull), _core.LogFull)
            assert server.plane.take_events() == []
            assert (tmp_path / str(number)).stat().st_size > 9 * 20


def test_the_servers_own_connections_are_traced_when_asked_for() -> None:
    rules = _core.Gate(default_account="$SYS")
    with running(rules) as server:
        pipe = server.plane.open_pipe()
        pipe.send(b"CONNECT {}\r\n")
        client = server.client()
        for trace_system in (False, True):
            server.plane.set_log(fd=-1, trace=True, trace_system=trace_system)
            pipe.send(b"PUB own 0\r\n\r\n")
            while server.plane.stats()["in_msgs"] % 2 == 0:
                time.sleep(0.001)
            client.send(b"PUB theirs 0\r\n\r\n")
            first = server.line("PUB ")
            assert first.endswith("[PUB own 0]" if trace_system else "[PUB theirs 0]")
            client.fence()
