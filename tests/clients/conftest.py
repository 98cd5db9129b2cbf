"""Fixtures for tests with real clients: the clients themselves, and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.clients import toolchains
from tests.clients.credentials import UserKey, new_user_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Tools = TypeVar("_Tools")

# Building the clients of other languages counts as the first test's time.
_BUILD_TIMEOUT_S = 1000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    built = {"nats_command", "node_checks", "rust_checks"}
    for item in items:
        if built & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(_BUILD_TIMEOUT_S), append=False)


def _or_skip(prepare: Callable[[], _Tools]) -> _Tools:
    try:
        return prepare()
    except toolchains.ToolchainMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def nats_command() -> Path:
    """The `nats` command."""
    return _or_skip(toolchains.nats_command)


@pytest.fixture(scope="session")
def node_checks() -> tuple[Path, Path, Path]:
    """Node, the script of checks, and the folder with the client's modules."""
    return _or_skip(toolchains.node_checks)


@pytest.fixture(scope="session")
def rust_checks() -> Path:
    """The executable with the checks of async-nats."""
    return _or_skip(toolchains.rust_checks)


@pytest.fixture(scope="session")
def user_key() -> UserKey:
    """The nkey of a user whom the server knows."""
    return new_user_key()


@pytest.fixture(scope="session")
def stranger_key() -> UserKey:
    """The nkey of a user whom it does not know."""
    return new_user_key()
