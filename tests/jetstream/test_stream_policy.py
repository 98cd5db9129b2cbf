"""STREAM.CREATE and STREAM.UPDATE are decided as nats-server decides them.

`KEELBACK_SESSIONS` is how many generated sessions there are (60), `KEELBACK_SEED` where their seeds
begin (1). A failure names its seed: `KEELBACK_SEED=<seed> KEELBACK_SESSIONS=1 pytest
tests/jetstream` repeats it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from tests.jetstream.cases import CASES, Case
from tests.jetstream.json_texts import TEXTS
from tests.jetstream.judge import Account, Genuine, Ours, Request, config_text
from tests.jetstream.sessions import session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SESSIONS: Final = int(os.environ.get("KEELBACK_SESSIONS", "60"))
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
def test_generated_session_is_decided_alike(seed: int, servers: Servers) -> None:
    compare(session(seed), servers)
