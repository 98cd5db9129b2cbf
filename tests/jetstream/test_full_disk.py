"""A disk that takes nothing: it is said, what was acknowledged stays, and it passes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.jetstream.scripts import api, create
from tests.jetstream.session import Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

IS_SOAK: Final = bool(os.environ.get("KEELBACK_SOAK"))
FILLS: Final = 50 if IS_SOAK else 4
DISK_BYTES: Final = 64 << 20
MESSAGE_BYTES: Final = 64 << 10

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
        assert found["error"].startswith("JetStream write error: ")
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
        assert publish_until_taken(session, "s.1", b"after") == 4
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


def publish_until_taken(session: Session, subject: str, payload: bytes) -> int:
    """Its sequence. Who waits for room waits as long as a test may take."""
    while True:
        answer = json.loads(session.ask(subject, payload).payload)
        if "error" not in answer:
            return int(answer["seq"])
        assert answer["error"]["err_code"] == 10023


@contextmanager
def small_disk(folder: Path) -> Generator[Path]:
    """A disk that is soon full."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
@pytest.mark.timeout(1200 if IS_SOAK else 60)
def test_a_small_disk_is_filled_and_emptied(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        acknowledged: dict[int, bytes] = {}
        for number in range(FILLS):
            # Started anew now and then: what it finds on a full disk opens.
            with (
                ServerProcess("keelback", CONFIG % disk) as server,
                Session(*server.address, user="b") as session,
            ):
                session.ask(*create("S", subjects=["s.>"], allow_direct=True))
                session.ask(*create("T", subjects=["t.>"]))
                check(session, acknowledged)
                fill(session, acknowledged, number)
                check(session, acknowledged)
                for seq in list(acknowledged)[:2]:
                    deleted = session.ask(*api("STREAM.MSG.DELETE.S", seq=seq))
                    assert json.loads(deleted.payload)["success"]
                    del acknowledged[seq]
                if number % 2 == 0:
                    continue
                purged = json.loads(session.ask(*api("STREAM.PURGE.S")).payload)
                assert purged["purged"] == len(acknowledged)
                acknowledged.clear()
                publish_until_taken(session, "t.1", b"again")


def fill(session: Session, acknowledged: dict[int, bytes], number: int) -> None:
    """Publish until the disk is full; note what was acknowledged."""
    before = len(acknowledged)
    while True:
        text = f"{number} {len(acknowledged)} ".encode()
        payload = text * (MESSAGE_BYTES // len(text))
        answer = json.loads(session.ask("s.1", payload).payload)
        if "error" in answer:
            assert answer["error"]["err_code"] == 10023
            break
        assert answer["seq"] not in acknowledged
        acknowledged[answer["seq"]] = text
    assert number % 2 or len(acknowledged) > before


def check(session: Session, acknowledged: dict[int, bytes]) -> None:
    """All that was acknowledged is there, and nothing else."""
    state = json.loads(session.ask(*api("STREAM.INFO.S")).payload)["state"]
    assert state["messages"] == len(acknowledged)
    for seq, text in acknowledged.items():
        read = session.ask("$JS.API.DIRECT.GET.S", json.dumps({"seq": seq}).encode())
        assert read.payload.startswith(text), seq
