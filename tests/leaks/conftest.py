"""Fixtures for tests with long repetition."""

from __future__ import annotations

from tests.support.target import server, start_server, target

__all__ = ["server", "start_server", "target"]
