"""Fixtures for tests with hostile input."""

from __future__ import annotations

import pytest

from tests.support.certificates import Certificates, new_certificates
from tests.support.target import server, start_server, target

__all__ = ["server", "start_server", "target"]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and certificates for a server and a client on this machine."""
    return new_certificates(tmp_path_factory.mktemp("certificates"))
