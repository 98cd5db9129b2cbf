"""Fixtures for tests over TLS: certificates of every kind under one authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority, Pair, new_authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom clients and servers of these tests trust."""
    return new_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority whom nobody trusts."""
    return new_authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="session")
def server_pair(authority: Authority) -> Pair:
    """The server's certificate, where its kind does not matter."""
    return authority.issue("server")


@pytest.fixture(scope="session")
def client_pair(authority: Authority) -> Pair:
    """A client's certificate, where its kind does not matter."""
    return authority.issue("client")


@pytest.fixture
def no_system_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine that servers are started on trusts nobody but `SSL_CERT_FILE`."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
