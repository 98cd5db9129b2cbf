"""Messages that say when another is to be stored: what is refused, and what is stored when."""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.jetstream.batch_scripts import LAST, part
from tests.jetstream.scripts import Step, api, create, headers
from tests.jetstream.test_streams import answers, genuine, ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jetstream.session import Session

WAIT_S: Final = 20.0
FAR: Final = "@at 2199-01-01T00:00:00Z"
NEXT: Final = re.compile(rb"Nats-Schedule-Next: \d[^\r]*")


def schedule(subject: str, pattern: str, *more: str, payload: bytes = b"x") -> Step:
    lines = (f"Nats-Schedule: {pattern}", *more)
    return (subject, payload, headers(*lines))


TO: Final = "Nats-Schedule-Target: s.out"


def refusals(storage: str) -> list[Step]:
    """What is taken and what is not, without waiting for any of it."""
    made = {"subjects": ["s.>", "t.*"], "storage": storage, "allow_msg_schedules": True}
    return [
        create("S", **made),
        schedule("s.a", FAR, TO),
        schedule("s.a", FAR),
        schedule("s.a", FAR, "Nats-Schedule-Target: s.a"),
        schedule("s.a", FAR, "Nats-Schedule-Target: s.*"),
        schedule("s.a", FAR, "Nats-Schedule-Target: other"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Source: s.in"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Source: s.a"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Source: s.out"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Source: s.*"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Source: other"),
        schedule("s.a", FAR, TO, "Nats-Schedule-TTL: 1m"),
        schedule("s.a", FAR, TO, "Nats-Schedule-TTL: x"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Rollup: sub"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Rollup: all"),
        schedule("s.a", FAR, TO, "Nats-Rollup: sub"),
        schedule("s.a", FAR, TO, "Nats-Rollup: all"),
        schedule("s.a", FAR, TO, "Nats-TTL: 1m"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Time-Zone: UTC"),
        schedule("s.a", FAR, TO, "Nats-Schedule-Time-Zone:"),
        schedule("s.a", "@daily", TO, "Nats-Schedule-Time-Zone: Europe/Berlin"),
        schedule("s.a", "@daily", TO, "Nats-Schedule-Time-Zone: Nowhere/None"),
        schedule("s.a", "@every 1h", TO),
        schedule("s.a", "@every 999ms", TO),
        schedule("s.a", "@every x", TO),
        schedule("s.a", "@at x", TO),
        schedule("s.a", "@never", TO),
        schedule("s.a", "0 0 5 * * *", TO),
        schedule("s.a", "0 5 * * *", TO),
        schedule("s.a", "61 0 5 * * *", TO),
        schedule("s.a", "0 0 0 30 2 *", TO),
        schedule("s.a", "0 0 5 ? jan-MAR/2 Sun,2", TO),
        schedule("s.a", "*/7,3-9/2 0 5 1/4 * *", TO),
        schedule("s.a", "", TO),
        schedule("s.a", FAR, TO, "Nats-Expected-Last-Sequence: 99"),
        schedule("s.a", FAR, "Nats-Msg-Id: x"),
        schedule("s.a", FAR, TO, "Nats-Msg-Id: x"),
        schedule("s.a", FAR, "Nats-Msg-Id: x"),
        api("STREAM.INFO.S", subjects_filter=">"),
        ("s.b", b"", headers("Nats-Schedule-Next: purge")),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.b")),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.*")),
        ("s.b", b"", headers("Nats-Schedule-Next: later", "Nats-Scheduler: s.a")),
        ("s.b", b"", headers("Nats-Scheduler: s.a")),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.none")),
        ("s.c", b"no schedule"),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.c")),
        ("s.b", b"over", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.a")),
        api("STREAM.INFO.S", subjects_filter=">"),
        schedule("s.a", FAR, TO),
        ("s.a", b"plain now"),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.a")),
        create("B", **{**made, "subjects": ["b.>"], "allow_atomic": True, "allow_msg_ttl": True}),
        part("one", 1, f"Nats-Schedule: {FAR}", "Nats-Schedule-Target: b.out", subject="b.a"),
        part("one", 2, LAST, subject="b.b"),
        part("two", 1, f"Nats-Schedule: {FAR}", subject="b.a"),
        part("two", 2, LAST, subject="b.b"),
        part("off", 1, "Nats-Schedule-Next: purge", "Nats-Scheduler: b.b", subject="b.c"),
        part("off", 2, LAST, subject="b.b"),
        part("off", 1, "Nats-Schedule-Next: purge", "Nats-Scheduler: b.a", subject="b.c"),
        part("off", 2, LAST, subject="b.b"),
        api("STREAM.INFO.B", subjects_filter=">"),
    ]


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_refuse_the_same(storage: str, tmp_path: Path) -> None:
    steps = refusals(storage)
    with genuine(tmp_path / "genuine") as session:
        expected = answers(session, steps)
    with ours(tmp_path / "ours") as session:
        found = answers(session, steps)
    for one, other in zip(expected, found, strict=True):
        assert other == one


def message(session: Session, subject: str) -> dict[str, Any]:
    """The last message of a subject; empty without one."""
    answer = json.loads(session.ask(*api("STREAM.MSG.GET.S", last_by_subj=subject)).payload)
    return answer.get("message", {})


def wait_for(session: Session, subject: str, *, behind: int = 0) -> dict[str, Any]:
    """The last message of a subject, once it is behind a sequence."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        found = message(session, subject)
        if found.get("seq", 0) > behind:
            return found
    raise AssertionError(f"nothing was stored on {subject}")


def shown(found: dict[str, Any]) -> tuple[bytes, bytes]:
    """Headers, without a time that is told, and payload."""
    block = base64.b64decode(found.get("hdrs", ""))
    return NEXT.sub(b"Nats-Schedule-Next: T", block), base64.b64decode(found.get("data", ""))


def fired(session: Session, storage: str) -> list[Any]:
    """What schedules have stored."""
    config = {"subjects": ["s.>"], "storage": storage, "allow_msg_ttl": True}
    session.ask(*create("S", **config, allow_msg_schedules=True))
    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = ("A: b", "Nats-Msg-Id: id", "Nats-Expected-Stream: S")
    steps = [
        ("s.in", b"from the source", headers("C: d")),
        schedule("s.past", "@at 2020-01-01T00:00:00Z", "Nats-Schedule-Target: s.1", *kept),
        schedule("s.soon", f"@at {soon}", "Nats-Schedule-Target: s.2", "Nats-Schedule-TTL: 1h"),
        schedule(
            "s.copy",
            f"@at {soon}",
            "Nats-Schedule-Target: s.3",
            "Nats-Schedule-Source: s.in",
            "Nats-Schedule-Rollup: sub",
        ),
        schedule("s.every", "@every 1s", "Nats-Schedule-Target: s.4"),
        schedule("s.cron", "* * * * * *", "Nats-Schedule-Target: s.5"),
        schedule("s.off", f"@at {soon}", "Nats-Schedule-Target: s.6"),
        ("s.b", b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: s.off")),
    ]
    assert all(b'"error"' not in answer.payload for _, answer in answers(session, steps))
    told: list[Any] = []
    for number in range(1, 6):
        first = wait_for(session, f"s.{number}")
        told.append(shown(first))
        if number > 3:
            told.append(shown(wait_for(session, f"s.{number}", behind=first["seq"])))
    told += [message(session, subject) for subject in ("s.past", "s.soon", "s.copy", "s.6")]
    told += [bool(message(session, subject)) for subject in ("s.every", "s.cron")]
    return told


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_store_the_same(storage: str, tmp_path: Path) -> None:
    with genuine(tmp_path / "genuine") as session:
        expected = fired(session, storage)
    with ours(tmp_path / "ours") as session:
        found = fired(session, storage)
    assert found == expected


def test_schedules_go_on_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "js"
    with ours(folder) as session:
        session.ask(*create("S", subjects=["s.>"], allow_msg_schedules=True))
        for step in (
            schedule("s.far", FAR, "Nats-Schedule-Target: s.1"),
            schedule("s.every", "@every 1s", "Nats-Schedule-Target: s.2"),
            schedule("s.gone", "@every 1s", "Nats-Schedule-Target: s.3"),
            ("s.gone", b"no schedule any more"),
        ):
            session.ask(*step)
        before = wait_for(session, "s.2")
    with ours(folder) as session:
        wait_for(session, "s.2", behind=before["seq"])
        assert message(session, "s.far")
        assert not message(session, "s.1")
        assert not message(session, "s.3")
