"""pytest plugin: which servers the tests are run against, and fixtures that start them.

A test that takes `target`, `start_server` or `server` is run once for each server. Without
`--target` that is Keelback; tests marked `both_servers` hold nats-server to the same. With
`--target genuine` any directory is run against nats-server, which shows whether a test is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.support.servers import TARGETS, ServerPool, ServerProcess, Target

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_STARTED = pytest.StashKey[list[ServerProcess]]()


class StartServer(Protocol):
    """Starts a server that is stopped when the test ends; see `ServerProcess`."""

    def __call__(
        self, config: str = "", *arguments: str, port: int | None = None
    ) -> ServerProcess: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        action="append",
        choices=TARGETS,
        help="server to test (may be repeated); without it, keelback, and both where marked so",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_servers: nats-server is held to the same by default")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" not in metafunc.fixturenames or _chooses_its_targets(metafunc.definition):
        return
    both = metafunc.definition.get_closest_marker("both_servers") is not None
    wanted = metafunc.config.getoption("--target") or (TARGETS if both else ["keelback"])
    metafunc.parametrize("target", wanted, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for another server than those asked for."""
    wanted = config.getoption("--target") or TARGETS
    left_out = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and item.callspec.params.get("target", wanted[0]) not in wanted
    ]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Put the logs of the test's servers into the report of a failure."""
    report = yield
    if report.failed:
        for server in item.stash.get(_STARTED, ()):
            report.sections.append((f"log of {server.target} on {server.port}", server.log))
    return report


@pytest.fixture(scope="session")
def target() -> Target:
    """The server under test; chosen above for each test that takes it."""
    return "keelback"


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    """Running servers, shared by configuration text for the whole run."""
    pool = ServerPool()
    yield pool
    pool.close()


@pytest.fixture
def start_server(target: Target, request: pytest.FixtureRequest) -> Iterator[StartServer]:
    """A function that starts servers of the target; all are stopped at the end."""
    started: list[ServerProcess] = []
    request.node.stash[_STARTED] = started

    def start(config: str = "", *arguments: str, port: int | None = None) -> ServerProcess:
        server = ServerProcess(target, config, *arguments, port=port)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server with its defaults."""
    return start_server()


def _chooses_its_targets(test: pytest.Item) -> bool:
    """Whether the test is parametrized by target in its own source."""
    for mark in test.iter_markers("parametrize"):
        names = mark.args[0]
        if "target" in (names.split(",") if isinstance(names, str) else names):
            return True
    return False
