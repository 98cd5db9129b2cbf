"""Pairs of servers with the same configuration, watched."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.monitor.watched import Watched, genuine, keelback

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

Pair = tuple[Watched, Watched]


class StartPair(Protocol):
    def __call__(self, config: str = "", *, https: ssl.SSLContext | None = None) -> Pair: ...


class StartKeelback(Protocol):
    def __call__(self, config: str = "", **monitor: object) -> Watched: ...


@pytest.fixture
def start_pair(tmp_path: Path) -> Iterator[StartPair]:
    """A function that starts nats-server and Keelback; both are stopped at the end."""
    with ExitStack() as running:

        def start(config: str = "", *, https: ssl.SSLContext | None = None) -> Pair:
            theirs = running.enter_context(contextmanager(genuine)(config, https=https))
            ours = running.enter_context(contextmanager(keelback)(config, tmp_path, https=https))
            return theirs, ours

        yield start


@pytest.fixture
def start_keelback(tmp_path: Path) -> Iterator[StartKeelback]:
    """A function that starts Keelback with settings of its monitoring."""
    with ExitStack() as running:

        def start(config: str = "", **monitor: object) -> Watched:
            return running.enter_context(contextmanager(keelback)(config, tmp_path, **monitor))

        yield start
