"""Streams with `compression: s2`: smaller on disk, the same to everybody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tests.jetstream.scripts import api, create, headers, update
from tests.jetstream.test_streams import answers, genuine, ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jetstream.scripts import Step
    from tests.jetstream.session import Answer, Session

MESSAGES: Final = 200
BODY: Final = json.dumps([{"name": "order", "number": number} for number in range(200)]).encode()


def steps() -> list[Step]:
    info = api("STREAM.INFO.S", subjects_filter=">")
    gets = [api("STREAM.MSG.GET.S", seq=seq) for seq in (1, 2, 3, 4, MESSAGES, MESSAGES + 4)]
    return [
        create("S", subjects=["s.>"], compression="s2", allow_direct=True),
        ("s.short", b"x"),
        ("s.id", BODY, headers("Nats-Msg-Id: one")),
        ("s.id", BODY, headers("Nats-Msg-Id: one")),
        ("s.random", bytes(range(256)) * 8),
        *[("s.many", b"%d" % number + BODY) for number in range(MESSAGES)],
        api("STREAM.MSG.DELETE.S", seq=3),
        info,
        *gets,
        update("S", subjects=["s.>"], compression="none", allow_direct=True),
        ("s.plain", BODY),
        update("S", subjects=["s.>"], compression="s2", allow_direct=True),
        ("s.packed", BODY),
        info,
        *gets,
    ]


def contents(session: Session) -> list[Answer]:
    """What the stream holds, without times."""
    asked = [("$JS.API.DIRECT.GET.S", b'{"seq":%d}' % seq) for seq in range(1, MESSAGES + 6)]
    info = api("STREAM.INFO.S", subjects_filter=">")
    return [answer for _, answer in answers(session, [*asked, info])]


def test_both_servers_answer_alike(tmp_path: Path) -> None:
    with genuine(tmp_path / "genuine") as session:
        expected = answers(session, steps())
    with ours(tmp_path / "ours") as session:
        found = answers(session, steps())
    for theirs, mine in zip(expected, found, strict=True):
        assert mine == theirs


def test_it_is_smaller_on_disk_and_the_same_after_a_restart(tmp_path: Path) -> None:
    with ours(tmp_path / "js") as session:
        answers(session, steps())
        before = contents(session)
    files = list((tmp_path / "js").rglob("*.segment"))
    assert files
    assert sum(path.stat().st_size for path in files) < MESSAGES * len(BODY) // 4
    with ours(tmp_path / "js") as session:
        assert contents(session) == before
