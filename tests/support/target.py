"""pytest plugin: which server the tests are run against, and fixtures that start it.

`python -m pytest -p tests.support.target --target genuine tests/hostile` runs them against
nats-server. A directory whose tests are run so imports the fixtures in its `conftest.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.support.processes import (
    TARGETS,
    ServerMissingError,
    ServerProcess,
    Target,
    server_command,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path


class StartServer(Protocol):
    """Starts a server that is stopped when the test ends; see `ServerProcess.start`."""

    def __call__(
        self,
        configuration: str = "",
        *,
        arguments: Sequence[str] = (),
        port: int | None = None,
    ) -> ServerProcess: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        action="append",
        choices=TARGETS,
        help="server to test (may be repeated); without it, keelback only",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"target", "start_server"} <= set(metafunc.fixturenames):
        targets = metafunc.config.getoption("--target") or ["keelback"]
        metafunc.parametrize("target", targets, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the logs of the test's servers into the report of a failure."""
    report = yield
    if report.failed:
        for server in item.stash.get(_STARTED, ()):
            report.sections.append((f"log of {server.target} on {server.port}", server.log()))
    return report


_STARTED = pytest.StashKey[list[ServerProcess]]()


@pytest.fixture(scope="session")
def target() -> Target:
    """The server under test; `--target` names others."""
    return "keelback"


@pytest.fixture
def start_server(
    target: Target, tmp_path: Path, request: pytest.FixtureRequest
) -> Generator[StartServer]:
    """A function that starts servers of the target; all are stopped at the end."""
    try:
        server_command(target)
    except ServerMissingError as missing:
        pytest.skip(str(missing))
    started: list[ServerProcess] = []
    request.node.stash[_STARTED] = started

    def start(
        configuration: str = "", *, arguments: Sequence[str] = (), port: int | None = None
    ) -> ServerProcess:
        server = ServerProcess.start(
            target, tmp_path, configuration=configuration, arguments=arguments, port=port
        )
        started.append(server)
        return server

    try:
        yield start
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server with its defaults."""
    return start_server()
