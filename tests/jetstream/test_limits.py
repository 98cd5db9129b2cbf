"""What streams may hold together, by configuration: both servers refuse the same messages."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.jetstream.scripts import api, create, headers
from tests.jetstream.session import Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from tests.jetstream.scripts import Step
    from tests.jetstream.session import Answer
    from tests.support.servers import Target

ACCOUNTS: Final = """
accounts {
  A {
    jetstream { max_mem: 1000, max_file: 2000, max_streams: 3, max_consumers: 4 }
    users: [ { user: a, password: a } ]
  }
  B { jetstream: enabled, users: [ { user: b, password: b } ] }
  C { users: [ { user: c, password: c } ] }
}
"""


def config(folder: Path, limits: str = "max_mem: 10MB, max_file: 10MB") -> str:
    return f'jetstream {{ store_dir: "{folder}", {limits} }}\n'


def answers(target: Target, text: str, user: str, steps: list[Step]) -> list[Answer]:
    """What one server answers to one user."""
    with ExitStack() as stack:
        server = stack.enter_context(ServerProcess(target, text))
        session = stack.enter_context(Session(*server.address, user=user))
        return [session.ask(*step).masked() for step in steps]


def assert_alike(tmp_path: Path, user: str, steps: list[Step], text: str) -> None:
    def of(target: Target) -> list[Answer]:
        return answers(target, config(tmp_path / target) + text, user, steps)

    for step, theirs, mine in zip(steps, of("genuine"), of("keelback"), strict=True):
        assert mine == theirs, step


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_an_account_holds_no_more_than_it_may(storage: str, tmp_path: Path) -> None:
    steps = [
        api("INFO"),
        create("S", subjects=["s.>"], storage=storage),
        create("T", subjects=["t"], storage=storage, max_bytes=5000),
        create("T", subjects=["t"], storage=storage, max_msgs=1),
        *[("s.a", b"x" * 300)] * 8,
        ("s.a", b"x", headers("Nats-Expected-Last-Sequence: 1")),
        ("s.a", b"x", headers("Nats-Msg-Id: one")),
        ("s.a", b"x" * 1000, headers("Nats-Msg-Id: one")),
        api("INFO"),
        api("STREAM.INFO.S"),
        api("STREAM.MSG.DELETE.S", seq=1),
        ("s.a", b"x" * 300),
        ("s.a", b"x" * 300),
        api("STREAM.PURGE.S"),
        ("t", b"y" * 300),
        ("t", b"y" * 300),
        api("INFO"),
        api("STREAM.DELETE.S"),
        api("INFO"),
        ("t", b"y" * 300),
        create("U", subjects=["u"], storage=storage, max_consumers=5),
        create("U", subjects=["u"], storage=storage, max_consumers=4),
        create("V", subjects=["v"], storage=storage),
        create("W", subjects=["w"], storage=storage),
        api("INFO"),
    ]
    assert_alike(tmp_path, "a", steps, ACCOUNTS)


@pytest.mark.parametrize("storage", ["file", "memory"])
def test_the_server_holds_no_more_than_it_may(storage: str, tmp_path: Path) -> None:
    steps = [
        create("S", subjects=["s.>"], storage=storage),
        *[("s.a", b"x" * 300)] * 6,
        ("s.a", b"x", headers("Nats-Expected-Last-Sequence: 1")),
        api("STREAM.INFO.S"),
        api("STREAM.MSG.DELETE.S", seq=1),
        ("s.a", b"x" * 300),
        ("s.a", b"x" * 300),
        api("INFO"),
        create("T", subjects=["t"], storage=storage, max_bytes=900),
        create("U", subjects=["u"], storage=storage, max_bytes=200),
    ]

    def of(target: Target) -> list[Answer]:
        text = config(tmp_path / target, "max_mem: 1000, max_file: 1000")
        return answers(target, text, "", steps)

    for step, theirs, mine in zip(steps, of("genuine"), of("keelback"), strict=True):
        assert mine == theirs, step


def test_an_account_without_jetstream_has_none(tmp_path: Path) -> None:
    calls = "INFO STREAM.NAMES STREAM.LIST STREAM.INFO.S STREAM.DELETE.S STREAM.PURGE.S"
    calls += " STREAM.MSG.GET.S STREAM.MSG.DELETE.S CONSUMER.NAMES.S CONSUMER.INFO.S.c"
    steps = [*map(api, calls.split()), create("S"), api("DIRECT.GET.S"), ("s.a", b"x")]
    assert_alike(tmp_path, "c", steps, ACCOUNTS)


def test_accounts_have_streams_of_their_own(tmp_path: Path) -> None:
    text = config(tmp_path) + ACCOUNTS
    with (
        ServerProcess("keelback", text) as server,
        Session(*server.address, user="a") as a,
        Session(*server.address, user="b") as b,
    ):
        for session in (a, b):
            created = session.ask(*create("S", subjects=["s"]))
            assert b'"did_create":true' in created.payload
        a.ask("s", b"one")
        assert b'"seq":1' in b.ask("s", b"two").payload
        assert b'"messages":1' in a.ask("$JS.API.STREAM.INFO.S").payload
