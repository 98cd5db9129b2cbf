"""A disk that takes nothing: it is said, what was acknowledged stays, and it passes."""

from __future__ import annotations

import json
import resource
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.jetstream.scripts import api, create
from tests.jetstream.session import Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
jetstream { store_dir: "%s" }
accounts {
    B { jetstream: enabled, users: [ { user: b, password: b } ] }
    SYS { users: [ { user: sys, password: sys } ] }
}
system_account: SYS
"""


def limit_files(pid: int, bytes_max: int) -> None:
    """Let a process write no file beyond so many bytes: as on a disk that is full."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    with (
        ServerProcess("keelback", CONFIG % tmp_path, "-m", "-1") as server,
        Session(*server.address, user="b") as session,
        Session(*server.address, user="sys") as system,
    ):
        port = server.wait_for_log(r"Starting http monitor on \S+:(\d+)")[1]
        monitor = f"http://127.0.0.1:{port}"
        system.listen("$JS.EVENT.ADVISORY.SERVER.>")
        session.ask(*create("S", subjects=["s.>"]))
        acknowledged = [session.ask("s.1", b"before").payload for _ in range(3)]
        assert json.loads(acknowledged[-1]) == {"stream": "S", "seq": 3}
        assert health(monitor)["status"] == "ok"

        limit_files(server.pid, 0)
        refused = json.loads(session.ask("s.1", b"refused").payload)
        assert refused["error"] == {
            "code": 503,
            "err_code": 10023,
            "description": "insufficient resources",
        }
        assert json.loads(session.ask("s.1", b"refused").payload)["error"]["err_code"] == 10023
        found = health(monitor)
        assert found["status"] == "unavailable"
        assert "File too large" in found["error"]
        read = json.loads(session.ask(*api("STREAM.MSG.GET.S", seq=3)).payload)
        assert read["message"]["seq"] == 3
        while not system.heard:
            system.ask("nobody", b"")
        # It is told once, however often it refuses.
        (subject, advisory), *others = system.heard
        assert not others
        assert subject == "$JS.EVENT.ADVISORY.SERVER.OUT_OF_STORAGE"
        told = json.loads(advisory.payload)
        assert told["type"] == "io.nats.jetstream.advisory.v1.server_out_of_space"
        assert "stream" not in told

        limit_files(server.pid, resource.RLIM_INFINITY)
        assert json.loads(session.ask("s.1", b"after").payload) == {"stream": "S", "seq": 4}
        assert health(monitor)["status"] == "ok"
        state = json.loads(session.ask(*api("STREAM.INFO.S")).payload)["state"]
        assert state["messages"] == 4
        log = server.log
    assert "JetStream: every stream in files takes no messages" in log
    assert "JetStream: every stream in files takes messages again" in log


def health(monitor: str) -> dict[str, Any]:
    """What the server says of itself."""
    try:
        with urllib.request.urlopen(f"{monitor}/healthz") as response:
            found: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return found
