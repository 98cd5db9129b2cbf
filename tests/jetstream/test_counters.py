"""Counters that many add to at once: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import JetStreamSettings, LogSettings, ServerSettings
from tests.jetstream.scripts import api, create, headers
from tests.jetstream.session import Session
from tests.jetstream.test_streams import ours

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS: Final = 4
MESSAGES: Final = 600
SUBJECTS: Final = 3
REPEATED: Final = 7
"""Each so many messages one is sent again with the same id."""


def add_many(port: int, number: int, answers: list[tuple[str, dict[str, Any]]]) -> None:
    """Send all messages without waiting, and gather what is answered: subject and answer."""
    with Session("127.0.0.1", port) as session:
        session.listen(f"r{number}.>")
        subjects: dict[str, str] = {}
        for sent in range(MESSAGES):
            subject, reply = f"c.{(sent + number) % SUBJECTS}", f"r{number}.{sent}"
            subjects[reply] = subject
            # The same id belongs to the same subject.
            of_id = sent - SUBJECTS if sent % REPEATED == SUBJECTS else sent
            lines = headers("Nats-Incr: 1", f"Nats-Msg-Id: {number}-{of_id}")
            session.publish(subject, b"", lines, reply)
        while len(session.heard) < MESSAGES:
            session.ask(*api("INFO"))
        answers += [(subjects[reply], json.loads(each.payload)) for reply, each in session.heard]


def test_each_message_counts_once(tmp_path: Path) -> None:
    settings = ServerSettings(
        host="127.0.0.1",
        port=-1,
        log=LogSettings(file=str(tmp_path / "log")),
        jetstream=JetStreamSettings(store_dir=str(tmp_path)),
    )
    lifecycle = Lifecycle(settings)
    lifecycle.start()
    lifecycle.run_in_background()
    try:
        answers: list[tuple[str, dict[str, Any]]] = []
        with Session("127.0.0.1", lifecycle.port) as session:
            session.ask(*create("C", subjects=["c.>"], allow_msg_counter=True))
            threads = [
                threading.Thread(target=add_many, args=(lifecycle.port, number, answers))
                for number in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            info = json.loads(session.ask(*api("STREAM.INFO.C")).payload)
    finally:
        lifecycle.stop()
    stored = [(subject, answer) for subject, answer in answers if "duplicate" not in answer]
    assert len(answers) == CLIENTS * MESSAGES
    assert 0 < len(stored) < len(answers)
    assert info["state"]["messages"] == len(stored)
    for number in range(SUBJECTS):
        of_subject = [answer for subject, answer in stored if subject == f"c.{number}"]
        of_subject.sort(key=lambda answer: answer["seq"])
        totals = [int(answer["val"]) for answer in of_subject]
        assert totals == list(range(1, len(totals) + 1))


def test_a_refusal_leaves_what_was_published_before_it_whole(tmp_path: Path) -> None:
    with ours(tmp_path) as session:
        session.ask(*create("C", subjects=["c.>"], allow_msg_counter=True))
        session.listen("large.>")
        large = bytes(range(256)) * 200
        # In one piece: the refusal is sent while the message before it is still on its way.
        with session.in_one_piece():
            session.publish("large.1", large, b"", "r.1")
            session.publish("c.1", b"", headers("Nats-Incr: no"), "large.refused")
            session.publish("c.1", b"", headers("Nats-Incr: 1"), "large.taken")
        while len(session.heard) < 3:
            session.ask(*api("INFO"))
        (first, message), *answers = session.heard
        assert (first, message.payload) == ("large.1", large)
        assert [subject for subject, _ in answers] == ["large.refused", "large.taken"]
