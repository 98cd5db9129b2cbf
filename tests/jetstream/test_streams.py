"""The same requests to the genuine server and to ours: the same answers, byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import JetStreamSettings, LogSettings, ServerSettings
from tests.jetstream import batch_scripts, scripts
from tests.jetstream.session import Answer, Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SESSIONS: Final = int(os.environ.get("KEELBACK_SESSIONS", "60"))
FIRST_SEED: Final = int(os.environ.get("KEELBACK_SEED", "1"))

MAX_MEMORY: Final = 1 << 30
MAX_FILE: Final = 8 << 30


@contextmanager
def ours(folder: Path, domain: str = "") -> Generator[Session]:
    """A server of ours with JetStream, and a client."""
    folder.mkdir(exist_ok=True)
    settings = ServerSettings(
        host="127.0.0.1",
        port=-1,
        log=LogSettings(file=str(folder / "log")),
        jetstream=JetStreamSettings(
            store_dir=str(folder), max_memory=MAX_MEMORY, max_file=MAX_FILE, domain=domain
        ),
    )
    lifecycle = Lifecycle(settings)
    lifecycle.start()
    lifecycle.run_in_background()
    try:
        with Session("127.0.0.1", lifecycle.port) as session:
            yield session
    finally:
        lifecycle.stop()


@contextmanager
def genuine(folder: Path, domain: str = "") -> Generator[Session]:
    """The genuine server with JetStream, and a client."""
    block = f'store_dir: "{folder}", max_mem: {MAX_MEMORY}, max_file: {MAX_FILE}'
    config = f'jetstream {{ {block}, domain: "{domain}" }}\n'
    with ServerProcess("genuine", config) as server, Session(*server.address) as session:
        yield session


def answers(session: Session, steps: list[scripts.Step]) -> list[tuple[str, Answer]]:
    """Each step with its answer."""
    found: list[tuple[str, Answer]] = []
    for subject, payload, *headers in steps:
        asked = f"{subject} {payload[:200]!r} {headers}"
        found.append((asked, session.ask(subject, payload, *headers).masked()))
    return found


@pytest.mark.parametrize(("storage", "domain"), [("file", ""), ("memory", ""), ("file", "hub")])
@pytest.mark.parametrize("script", batch_scripts.ALL)
def test_both_servers_answer_alike(
    script: Callable[[str], list[scripts.Step]], storage: str, domain: str, tmp_path: Path
) -> None:
    with genuine(tmp_path / "genuine", domain) as session:
        expected = answers(session, script(storage))
    with ours(tmp_path / "ours", domain) as session:
        found = answers(session, script(storage))
    differences = [
        f"{asked}\n  nats-server {theirs}\n  keelback    {mine}"
        for (asked, theirs), (_, mine) in zip(expected, found, strict=True)
        if theirs != mine
    ]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_give_the_same_batches(storage: str, tmp_path: Path) -> None:
    def batches(session: Session) -> list[list[Answer]]:
        answers(session, scripts.direct(storage)[:-2])
        bodies = [json.dumps(body).encode() for body in scripts.BATCHES]
        asked = [session.ask_for_many("$JS.API.DIRECT.GET.G", body) for body in bodies]
        return [[answer.masked() for answer in each] for each in asked]

    with genuine(tmp_path / "genuine") as session:
        expected = batches(session)
    with ours(tmp_path / "ours") as session:
        found = batches(session)
    for body, theirs, mine in zip(scripts.BATCHES, expected, found, strict=True):
        assert mine == theirs, body


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_take_random_batches_alike(storage: str, tmp_path: Path) -> None:
    clear = scripts.api("STREAM.DELETE.A")
    with genuine(tmp_path / "genuine") as theirs, ours(tmp_path / "ours") as mine:
        for seed in range(FIRST_SEED, FIRST_SEED + SESSIONS):
            steps = [*batch_scripts.random_batches(seed, storage), clear]
            expected, found = answers(theirs, steps), answers(mine, steps)
            for one, other in zip(expected, found, strict=True):
                assert other == one, f"seed {seed}"


def told(session: Session, messages: Iterable[batch_scripts.Fast]) -> list[object]:
    """What the publisher of fast batches is told of each message."""
    session.listen("fast.>")
    found: list[object] = []
    for subject, control, lines in messages:
        session.publish(subject, b"x", scripts.headers(*lines), f"fast.{control}.$FI")
        # What comes before the answer to a message behind it is all that comes.
        fence = session.ask(f"{subject.split('.')[0]}.fence", b"") if subject[0] != "q" else None
        found.append((control, [each.payload for _, each in session.heard], fence))
        session.heard.clear()
    return found


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_tell_publishers_of_fast_batches_the_same(
    storage: str, tmp_path: Path
) -> None:
    steps = batch_scripts.fast_streams(storage)
    with genuine(tmp_path / "genuine") as session:
        answers(session, steps)
        expected = told(session, batch_scripts.FAST)
    with ours(tmp_path / "ours") as session:
        answers(session, steps)
        found = told(session, batch_scripts.FAST)
    for one, other in zip(expected, found, strict=True):
        assert other == one


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_both_servers_take_random_fast_batches_alike(storage: str, tmp_path: Path) -> None:
    with genuine(tmp_path / "genuine") as theirs, ours(tmp_path / "ours") as mine:
        for seed in range(FIRST_SEED, FIRST_SEED + SESSIONS):
            messages = batch_scripts.random_fast(seed)
            steps = batch_scripts.fast_streams(storage)[:1]
            assert answers(mine, steps) == answers(theirs, steps)
            expected, found = told(theirs, messages), told(mine, messages)
            for one, other in zip(expected, found, strict=True):
                assert other == one, f"seed {seed}"
            ends = [
                scripts.api("STREAM.INFO.A", subjects_filter=">"),
                scripts.api("STREAM.DELETE.A"),
            ]
            assert answers(mine, ends) == answers(theirs, ends), f"seed {seed}"
