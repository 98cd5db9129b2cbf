"""The pytest plugin: `nats_server` and `nats_server_factory`.

The fixtures are plain ones: a server lives on threads of its own, so they serve tests without an
event loop as well as those of pytest-asyncio and anyio. Nothing heavy is imported before a test
asks for a server: every pytest run on a machine with Keelback loads this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keelback import Server
    from keelback.testing.certificates import TestCertificates

SMALL: Final = {"host": "127.0.0.1", "port": -1, "threads": 1}
"""What a test's server is unless told otherwise: its own, unseen from other machines."""


class NatsServerFactory:
    """Starts servers for one test and stops them when it has ended.

    Keywords are those of `keelback.Server`. Unless told, a server listens on a free port of
    127.0.0.1 and has one reactor thread. `tls=True` serves TLS with certificates that are made
    for the test, `tls="verify"` asks clients for theirs as well (`certificates`).
    """

    def __init__(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self._tmp_path_factory = tmp_path_factory
        self._certificates: TestCertificates | None = None
        self._servers: list[Server] = []

    @property
    def certificates(self) -> TestCertificates:
        """The test's certificates: files, and contexts for clients."""
        if self._certificates is None:
            from keelback.testing.certificates import TestCertificates  # noqa: PLC0415  # heavy

            folder = self._tmp_path_factory.mktemp("keelback-certificates")
            self._certificates = TestCertificates(folder)
        return self._certificates

    def __call__(self, **options: Any) -> Server:  # noqa: ANN401  # as keelback.Server
        """Start a server with these options; clients can connect when it is returned.

        Raises:
            ConfigError: an option is wrong; the message names it.
            ServerError: it cannot be started.
        """
        import keelback  # noqa: PLC0415  # when it is asked for

        tls = options.get("tls")
        if tls is True or tls == "verify":
            options["tls"] = self.certificates.options(verify=tls == "verify")
        elif tls is False:
            del options["tls"]
        given: dict[str, Any] = options if "config" in options else {**SMALL, **options}
        server = keelback.Server(**given).start()
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Stop every server; no thread or port of them is left."""
        while self._servers:
            self._servers.pop().stop()


@pytest.fixture
def nats_server_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServerFactory]:
    """Starts NATS servers: `nats_server_factory(max_payload=1024, tls=True)`.

    They are stopped when the test has ended.
    """
    factory = NatsServerFactory(tmp_path_factory)
    try:
        yield factory
    finally:
        factory.close()


@pytest.fixture
def nats_server(request: pytest.FixtureRequest, nats_server_factory: NatsServerFactory) -> Server:
    """A NATS server of the test's own; options by indirect parametrization."""
    options: object = getattr(request, "param", None) or {}
    return nats_server_factory(**cast("dict[str, Any]", options))
