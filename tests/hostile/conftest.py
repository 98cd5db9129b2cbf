"""Fixtures for tests with hostile input."""

from __future__ import annotations

from tests.support.target import server, start_server, target

__all__ = ["server", "start_server", "target"]
