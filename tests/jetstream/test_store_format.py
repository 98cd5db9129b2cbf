"""What a reader made from `docs/store-format.md` alone finds in a store is what was stored."""

from __future__ import annotations

import json
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.jetstream.scripts import api, create
from tests.jetstream.session import Session
from tests.jetstream.store_reader import BadStoreError, read_store
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

MESSAGES = 400
HEADERS = b"A: b\r\n"


def fill(session: Session, expected: dict[int, tuple[str, bytes, bytes]], seed: int) -> None:
    """Publish, and remove a few from the midst."""
    dice = random.Random(seed)
    for _ in range(MESSAGES):
        subject, payload = f"s.{dice.randrange(9)}", dice.randbytes(dice.randrange(300))
        headers = HEADERS if dice.random() < 0.3 else b""
        seq = json.loads(session.ask(subject, payload, headers).payload)["seq"]
        block = b"NATS/1.0\r\n" + headers + b"\r\n" if headers else b""
        expected[seq] = (subject, block, payload)
    for seq in dice.sample(sorted(expected), 20):
        assert json.loads(session.ask(*api("STREAM.MSG.DELETE.S", seq=seq)).payload)["success"]
        del expected[seq]


def compare(folder: Path, expected: dict[int, tuple[str, bytes, bytes]]) -> None:
    """The reader finds the same."""
    (stream,) = read_store(folder / "jetstream").values()
    assert (stream.account, stream.name) == ("$G", "S")
    assert json.loads(stream.config)["subjects"] == ["s.>"]
    assert {seq: each[:3] for seq, each in stream.messages.items()} == expected
    assert (stream.first_seq, stream.last_seq) == (min(expected), max(expected))


def test_a_reader_made_from_the_page_finds_what_was_stored(tmp_path: Path) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path}" }}'
    expected: dict[int, tuple[str, bytes, bytes]] = {}
    with ServerProcess("keelback", config) as server, Session(*server.address) as session:
        session.ask(*create("S", subjects=["s.>"]))
        fill(session, expected, 1)
    compare(tmp_path, expected)
    # What a killed server leaves stands in the log.
    with ServerProcess("keelback", config) as server, Session(*server.address) as session:
        fill(session, expected, 2)
        server.send_signal(signal.SIGKILL)
        server.wait()
    compare(tmp_path, expected)
    segment = next(tmp_path.glob("jetstream/streams/*/*.segment"))
    text = bytearray(segment.read_bytes())
    text[5000] ^= 1
    segment.write_bytes(text)
    with pytest.raises(BadStoreError):
        read_store(tmp_path / "jetstream")


def test_the_index_of_a_segment_that_is_full_is_as_the_page_says(tmp_path: Path) -> None:
    config = f'jetstream {{ store_dir: "{tmp_path}" }}'
    expected: dict[int, tuple[str, bytes, bytes]] = {}
    large = bytes(900_000)
    with ServerProcess("keelback", config) as server, Session(*server.address) as session:
        session.ask(*create("S", subjects=["s.>"]))
        fill(session, expected, 1)
        for number in range(80):
            seq = json.loads(session.ask(f"s.{number % 7}", large).payload)["seq"]
            expected[seq] = (f"s.{number % 7}", b"", large)
    compare(tmp_path, expected)
    first, *_ = sorted(tmp_path.glob("jetstream/streams/*/*.segment"))
    text = bytearray(first.read_bytes())
    text[-100] ^= 1
    first.write_bytes(text)
    with pytest.raises(BadStoreError):
        read_store(tmp_path / "jetstream")
