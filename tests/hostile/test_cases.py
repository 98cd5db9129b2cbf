"""Each kind of hostile session, several times with different details."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.hostile.bounds import lets_go, unharmed
from tests.hostile.cases import KINDS, Outcome, Session, WrongAnswerError, nested_json, run_session
from tests.support.wire import Connection

if TYPE_CHECKING:
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

pytestmark = pytest.mark.timeout(120)

# Another seed makes other sessions of the same kinds: `make soak` never repeats one.
SEED = os.environ.get("KEELBACK_SEED", "")
# 24 kinds, so that the normal suite has the 500 sessions that the promise asks for.
SESSIONS_OF_EACH_KIND = 21


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_answers_as_it_must_and_lives_on(kind: str, server: ServerProcess) -> None:
    with unharmed(server):
        for number in range(SESSIONS_OF_EACH_KIND):
            run_session(server, KINDS[kind](random.Random(f"{kind} {number}{SEED}")))
    assert lets_go(server)


def test_there_are_five_hundred_sessions_of_all_outcomes() -> None:
    assert len(KINDS) * SESSIONS_OF_EACH_KIND >= 500
    outcomes = {kind(random.Random(0)).outcome for kind in KINDS.values()}
    assert outcomes == set(Outcome)


def test_a_wrong_answer_is_noticed(server: ServerProcess) -> None:
    with pytest.raises(WrongAnswerError):
        run_session(server, Session(b"SUB a..b 1\r\n", Outcome.SERVED))
    with pytest.raises(WrongAnswerError):
        run_session(server, Session(b"PUB a x\r\n", Outcome.CLOSED_WITH_ERROR, b"Parser Error"))


@pytest.mark.parametrize("closed", [True, False])
def test_json_of_a_hundred_thousand_levels(*, closed: bool, start_server: StartServer) -> None:
    """Ten times deeper than Go's reader goes: refused, and the stack holds."""
    server = start_server("max_control_line: 1048576\n")
    data = b"CONNECT " + nested_json(100_000, closed=closed) + b"\r\n"
    with unharmed(server):
        run_session(server, Session(data, Outcome.CLOSED_IN_SILENCE, connect=b""))


def test_a_raised_control_line_limit_holds_too(start_server: StartServer) -> None:
    server = start_server("max_control_line: 65536\n")
    with unharmed(server):
        run_session(server, Session(b"SUB " + b"x" * 65_000 + b" 1\r\n", Outcome.SERVED))
        run_session(
            server,
            Session(
                b"SUB " + b"x" * 66_000,
                Outcome.CLOSED_WITH_ERROR,
                b"maximum control line exceeded",
            ),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_not_let_in_is_closed(kind: str, start_server: StartServer) -> None:
    """Whatever a stranger sends first: a server with users ends the connection."""
    server = start_server("authorization { user: a, password: b }\n")
    known = b'CONNECT {"verbose":false,"user":"a","pass":"b"}\r\n'
    with unharmed(server, connect=known):
        for number in range(5):
            session = KINDS[kind](random.Random(number))
            with Connection(server.address) as client:
                client.line()
                client.send(session.data + b"\r\n")
                assert b"MSG" not in client.read_to_end()
