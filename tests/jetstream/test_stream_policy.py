"""STREAM.CREATE and STREAM.UPDATE are decided as nats-server decides them.

`KEELBACK_SESSIONS` is how many generated sessions there are (60), `KEELBACK_SEED` where their seeds
begin (1). A failure names its seed: `KEELBACK_SEED=<seed> KEELBACK_SESSIONS=1 pytest
tests/jetstream` repeats it.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from keelback.jetstream import errors
from keelback.jetstream.stream_requests import ConsumerUse
from tests.jetstream.case import Case, S, change, new
from tests.jetstream.cases import CASES, DIFFERENT
from tests.jetstream.json_texts import TEXTS, spoilt
from tests.jetstream.judge import Account, Genuine, Ours, Request, config_text
from tests.jetstream.sessions import session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSIONS: Final = int(os.environ.get("KEELBACK_SESSIONS", "60"))
SPOILT_A_SEED: Final = 40
FIRST_SEED: Final = int(os.environ.get("KEELBACK_SEED", "1"))


class Servers:
    """The genuine servers of this module, started when one is first asked for."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running
        self._servers: dict[bool, ServerProcess] = {}
        self._accounts: dict[tuple[bool, Account], Genuine] = {}

    def account(self, account: Account, *, narrow: bool) -> Genuine:
        """An account without any stream."""
        if narrow not in self._servers:
            server = ServerProcess("genuine", config_text(narrow=narrow))
            self._servers[narrow] = self._running.enter_context(server)
        key = (narrow, account)
        if key not in self._accounts:
            self._accounts[key] = Genuine(self._servers[narrow], account)
            self._running.callback(self._accounts[key].close)
        self._accounts[key].clear()
        return self._accounts[key]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """The servers."""
    with ExitStack() as running:
        yield Servers(running)


def compare(case: Case, servers: Servers) -> None:
    """Ask both each request of a case in turn, and hold answer against answer."""
    theirs = servers.account(case.account, narrow=case.narrow)
    ours = Ours(case.account, theirs.version, narrow=case.narrow)
    for request in case.requests:
        expected = theirs.ask(request)
        assert ours.ask(request).decode() == expected.decode(), request
    # Not the answers alone: an error leaves a stream as it was.
    theirs.clear()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_configuration_is_decided_alike(case: Case, servers: Servers) -> None:
    compare(case, servers)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:60].decode("utf-8", "replace"))
def test_json_is_read_alike(text: bytes, servers: Servers) -> None:
    compare(Case((Request("CREATE", "S", text),)), servers)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SESSIONS))
def test_spoilt_json_is_read_alike(seed: int, servers: Servers) -> None:
    for text in spoilt(seed, SPOILT_A_SEED):
        compare(Case((Request("CREATE", "S", text),)), servers)


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SESSIONS))
def test_generated_session_is_decided_alike(seed: int, servers: Servers) -> None:
    compare(session(seed), servers)


@pytest.mark.parametrize(("reason", "case"), DIFFERENT, ids=lambda value: str(value)[:50])
def test_difference_is_still_one(reason: str, case: Case, servers: Servers) -> None:
    theirs = servers.account(case.account, narrow=case.narrow)
    ours = Ours(case.account, theirs.version, narrow=case.narrow)
    *before, last = case.requests
    for request in before:
        assert ours.ask(request) == theirs.ask(request)
    assert ours.ask(last) != theirs.ask(last), reason


def test_limits_beyond_a_consumer_are_refused_alike(servers: Servers) -> None:
    theirs = servers.account("A", narrow=False)
    ours = Ours("A", theirs.version, narrow=False)
    for request in (new(), change(consumer_limits={"max_ack_pending": 20})):
        assert ours.ask(request) == theirs.ask(request)
    theirs.make_consumer("S", "c", {"max_ack_pending": 10, "inactive_threshold": 5 * S})
    ours.consumers = [ConsumerUse("c", inactive_threshold_ns=5 * S, max_ack_pending=10)]
    for limits in (
        {"max_ack_pending": 9},
        {"inactive_threshold": 4 * S},
        {"max_ack_pending": 10, "inactive_threshold": 5 * S},
        {"max_ack_pending": 10},
        {},
    ):
        request = change(consumer_limits=limits)
        assert ours.ask(request) == theirs.ask(request), limits


NOT_PROVOKED: Final = {
    errors.ACCOUNT_RESOURCES_EXCEEDED: "by publishing",
    **dict.fromkeys(
        (
            errors.BAD_REQUEST,
            errors.CONSUMER_CREATE,
            errors.CONSUMER_NOT_FOUND,
            errors.MESSAGE_DELETE_FAILED,
            errors.NOT_EMPTY_REQUEST,
            errors.NOT_ENABLED_FOR_ACCOUNT,
            errors.NO_MESSAGE_FOUND,
            errors.PURGE_FAILED,
            errors.SEQUENCE_NOT_FOUND,
            errors.SNAPSHOT_SUBJECT_INVALID,
            errors.STREAM_DELETE,
            errors.STREAM_GENERAL,
            errors.STREAM_NAME_EXISTS_RESTORE,
            errors.STREAM_RESTORE_FAILED,
            errors.STREAM_SEALED,
            errors.STREAM_SNAPSHOT_FAILED,
        ),
        "by other requests",
    ),
    errors.INSUFFICIENT_RESOURCES: "by publishing",
    errors.NO_ACCOUNT: "by requests of another account",
    errors.NO_LIMITS: "with tiers, which only an account's JWT has",
}
"""The errors of the table that no case here meets."""


def test_each_error_of_the_table_is_provoked() -> None:
    """By ours alone: the tests above say that nats-server answers the same."""
    texts = [Case((Request("CREATE", "S", text),)) for text in TEXTS]
    met: set[int] = set()
    for case in [*CASES, *texts]:
        ours = Ours(case.account, "", narrow=case.narrow)
        for request in case.requests:
            answer = ours.ask(request)
            met.add(json.loads(answer or b"{}").get("err_code", 0))
    table = {kind for kind in vars(errors).values() if isinstance(kind, errors.ErrorKind)}
    assert {kind for kind in table if kind.err_code not in met} == set(NOT_PROVOKED)
    assert len({kind.err_code for kind in table}) == len(table)
