"""Stored messages are published again, with the same headers, before they are acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.jetstream.batch_scripts import LAST, part
from tests.jetstream.scripts import api, create, headers, update
from tests.jetstream.test_streams import genuine, ours

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jetstream.scripts import Step
    from tests.jetstream.session import Session

TO: dict[str, Any] = {"src": "s.*", "dest": "r.{{wildcard(1)}}"}


def steps(storage: str, **republish: Any) -> list[Step]:
    config: dict[str, Any] = {"subjects": ["s.>"], "storage": storage, "allow_rollup_hdrs": True}
    config["allow_atomic"] = True
    return [
        create("S", **config, republish=TO | republish),
        ("s.a", b"one"),
        ("s.a", b"two", headers("A: b", "Nats-Msg-Id: x")),
        ("s.a", b"again", headers("Nats-Msg-Id: x")),
        ("s.b", b""),
        ("s.b.c", b"not mapped"),
        ("s.a", b"refused", headers("Nats-Expected-Last-Sequence: 1")),
        ("s.a", b"all of it", headers("Nats-Rollup: sub")),
        ("s.a", b"the last"),
        part("batch", 1, subject="s.a"),
        part("batch", 2, subject="s.b"),
        part("batch", 3, LAST, subject="s.a"),
        api("STREAM.PURGE.S"),
        ("s.a", b"after a purge"),
        update("S", **config),
        ("s.a", b"no more"),
        update("S", **config, republish={"src": ">", "dest": "r.all.>"}),
        ("s.a", b"other"),
    ]


def heard(session: Session, storage: str, **republish: Any) -> list[Any]:
    session.listen("r.>")
    told: list[Any] = []
    for step in steps(storage, **republish):
        answer = session.ask(*step).masked()
        told.append((step, answer))
        told += [(subject, each.masked()) for subject, each in session.heard]
        session.heard.clear()
    return told


@pytest.mark.parametrize("storage", ["file", "memory"])
@pytest.mark.parametrize("headers_only", [False, True])
def test_both_servers_publish_the_same(storage: str, headers_only: bool, tmp_path: Path) -> None:
    with genuine(tmp_path / "genuine") as session:
        expected = heard(session, storage, headers_only=headers_only)
    with ours(tmp_path / "ours") as session:
        found = heard(session, storage, headers_only=headers_only)
    assert len([each for each in expected if each[0] == "r.a"]) > 4
    for theirs, mine in zip(expected, found, strict=True):
        assert mine == theirs
