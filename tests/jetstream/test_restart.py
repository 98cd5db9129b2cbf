"""What was acknowledged is there after a stop and after a kill, once, and in its place."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.jetstream.session import Session

CHILD: Final = Path(__file__).with_name("child.py")
REPOSITORY: Final = CHILD.parents[2]

STREAMS: Final = ("ONE", "OTHER", "LIMITED")
IS_SOAK: Final = bool(os.environ.get("KEELBACK_SOAK"))
KILLS: Final = 1_000 if IS_SOAK else 8

LONGEST_LIFE_S: Final = 0.3
END_TIMEOUT_S: Final = 30.0


@contextmanager
def serving(folder: Path) -> Generator[tuple[subprocess.Popen[str], int]]:
    """A server on this store: its process and port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.jetstream.child", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(END_TIMEOUT_S)
        process.stdout.close()


def create(session: Session) -> None:
    """The streams, unless they are there."""
    for name in STREAMS:
        config: dict[str, Any] = {"name": name, "subjects": [f"{name}.>"]}
        if name == "LIMITED":
            config |= {"max_msgs_per_subject": 3, "max_msgs": 50}
        answer = session.ask(f"$JS.API.STREAM.CREATE.{name}", json.dumps(config).encode())
        assert b'"did_create":true' in answer.payload


def publish(port: int, name: str, run: int, acknowledged: dict[str, int]) -> None:
    """Publish with message ids until the connection ends; note what was acknowledged."""
    try:
        with Session("127.0.0.1", port) as session:
            number = 0
            while True:
                number += 1
                msg_id = f"{name}-{run}-{number}"
                block = f"Nats-Msg-Id: {msg_id}\r\n".encode()
                answer = session.ask(f"{name}.{number % 5}", msg_id.encode(), block)
                acknowledged[msg_id] = json.loads(answer.payload)["seq"]
    except (OSError, ValueError):
        return


def call(session: Session, subject: str, **body: Any) -> dict[str, Any]:
    """The answer of the API."""
    answer = session.ask(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"")
    return json.loads(answer.payload)


def stored(session: Session, name: str) -> dict[int, str]:
    """Every message of a stream: sequence and text."""
    found: dict[int, str] = {}
    state = call(session, f"STREAM.INFO.{name}")["state"]
    seq = state["first_seq"]
    while state["messages"] and seq <= state["last_seq"]:
        answer = call(session, f"STREAM.MSG.GET.{name}", next_by_subj=">", seq=seq)
        message = answer["message"]
        found[message["seq"]] = base64.b64decode(message["data"]).decode()
        seq = message["seq"] + 1
    assert len(found) == state["messages"]
    return found


def check(session: Session, acknowledged: dict[str, dict[str, int]]) -> None:
    """Each acknowledged message is where it was said to be, or was removed by the limits."""
    for name in STREAMS:
        found = stored(session, name)
        texts = list(found.values())
        assert len(set(texts)) == len(texts), f"{name}: a message is there twice"
        newest = sorted(acknowledged[name].values())[-20:]
        for msg_id, seq in acknowledged[name].items():
            if name != "LIMITED":
                assert found.get(seq) == msg_id, f"{name}: {msg_id} is not {seq}"
            elif seq in found:
                assert found[seq] == msg_id
        if name == "LIMITED" and newest:
            assert call(session, f"STREAM.INFO.{name}")["state"]["last_seq"] >= newest[-1]


@pytest.mark.timeout(7200 if IS_SOAK else 120)
def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    dice = random.Random(1)
    acknowledged: dict[str, dict[str, int]] = {name: {} for name in STREAMS}
    for run in range(KILLS):
        with serving(tmp_path) as (process, port):
            with Session("127.0.0.1", port) as session:
                create(session)
                check(session, acknowledged)
                if run % 4 == 3:
                    # What is checked anew each time stays small.
                    for name in STREAMS:
                        assert call(session, f"STREAM.PURGE.{name}")["success"]
                        acknowledged[name].clear()
            threads = [
                threading.Thread(target=publish, args=(port, name, run, acknowledged[name]))
                for name in STREAMS
            ]
            for thread in threads:
                thread.start()
            threads[0].join(dice.random() * LONGEST_LIFE_S)
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with serving(tmp_path) as (_, port), Session("127.0.0.1", port) as session:
        check(session, acknowledged)
    assert any(acknowledged.values())


def test_a_stop_keeps_everything_and_nobody_else_may_open_the_store(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, port):
        with Session("127.0.0.1", port) as session:
            create(session)
            for number in range(50):
                session.ask(f"ONE.{number % 3}", b"%d" % number)
            call(session, "STREAM.MSG.DELETE.ONE", seq=7)
            call(session, "STREAM.PURGE.ONE", filter="ONE.2", keep=2)
            before = call(session, "STREAM.INFO.ONE", deleted_details=True, subjects_filter=">")
            texts = stored(session, "ONE")
        second = subprocess.run(
            [sys.executable, "-m", "tests.jetstream.child", str(tmp_path)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            timeout=END_TIMEOUT_S,
            check=False,
        )
        assert second.returncode != 0
        assert "the store is used by another process" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_TIMEOUT_S) == 0
    with serving(tmp_path) as (_, port), Session("127.0.0.1", port) as session:
        after = call(session, "STREAM.INFO.ONE", deleted_details=True, subjects_filter=">")
        assert after["state"] == before["state"]
        assert after["created"] == before["created"]
        assert stored(session, "ONE") == texts
        duplicate = session.ask("ONE.1", b"x", b"Nats-Msg-Id: new\r\n")
        assert json.loads(duplicate.payload)["seq"] == before["state"]["last_seq"] + 1
