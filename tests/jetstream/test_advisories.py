"""Who listens hears of each request and each stream, as from nats-server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.jetstream.batch_scripts import part
from tests.jetstream.scripts import api, create, update
from tests.jetstream.session import Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import Target

STEPS: Final = [
    api("INFO"),
    create("S", subjects=["s.>"]),
    create("S", subjects=["s.>"]),
    create("S", subjects=["t.>"]),
    ("s.a", b"1"),
    update("S", subjects=["s.>"], max_msgs=3),
    update("S", subjects=["s.>"], storage="memory"),
    api("STREAM.INFO.S"),
    api("STREAM.NAMES"),
    api("STREAM.LIST"),
    api("STREAM.MSG.GET.S", seq=1),
    api("STREAM.MSG.DELETE.S", seq=1),
    api("STREAM.PURGE.S"),
    api("STREAM.INFO.none"),
    ("$JS.API.DIRECT.GET.S", b'{"seq":1}'),
    api("STREAM.DELETE.S"),
    api("STREAM.DELETE.S"),
    create("B", subjects=["b"], allow_atomic=True),
    part("gap", 1, subject="b"),
    part("gap", 3, subject="b"),
    part("level", 1, "Nats-Required-Api-Level: 9", subject="b"),
]
EVENTS: Final = 21
MARK: Final = "zzz"
ASKED_MAX: Final = 1000
VARYING: Final = re.compile(
    r'\\*"(id|timestamp|start|ts|created|first_ts|last_ts|server|leader|_nats.ver)\\*":'
    r'(\\*"[^"]*"|\d+)|"rtt":\d+,'
)
ACCOUNTS: Final = "accounts { B { jetstream: enabled, users: [ { user: b, password: b } ] } }\n"


def heard(target: Target, folder: Path, block: str) -> list[Any]:
    """Subjects and events, in their order among the answers of one server."""
    config = f'jetstream {{ store_dir: "{folder}" {block} }}\n{ACCOUNTS}'
    told: list[tuple[str, str]] = []
    with ServerProcess(target, config) as server, Session(*server.address, user="b") as session:
        session.listen("$JS.EVENT.>")
        for step in STEPS:
            session.ask(*step)
        # An event comes behind its answer, when it comes.
        for _ in range(ASKED_MAX):
            told = [(subject, each.payload.decode()) for subject, each in session.heard]
            told = [(subject, text) for subject, text in told if MARK not in text]
            if len(told) >= EVENTS:
                break
            session.ask(*api(f"STREAM.INFO.{MARK}"))
    for _, text in told:
        json.loads(text)
    return sorted((subject, VARYING.sub("", text)) for subject, text in told)


def test_both_servers_tell_the_same(tmp_path: Path) -> None:
    for name, block in (("alone", ""), ("domain", ", domain: hub")):
        theirs = heard("genuine", tmp_path / f"genuine-{name}", block)
        mine = heard("keelback", tmp_path / f"keelback-{name}", block)
        assert len(theirs) == EVENTS
        assert mine == theirs
