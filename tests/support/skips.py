"""Which skips are allowed: everywhere a skip is silent, on CI it must stand in a list."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def skips_are_judged() -> bool:
    """Whether this run treats a skip that nobody allowed as a failure (`CI=true`)."""
    return os.environ.get("CI", "").lower() == "true"


def read_allowed(path: Path) -> tuple[str, ...]:
    """The reasons in `path`, one a line; blank lines and lines that begin with `#` are notes."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def is_allowed(reason: str, allowed: tuple[str, ...]) -> bool:
    """Whether a skip with this reason begins as one of the `allowed` ones does."""
    return reason.removeprefix("Skipped: ").startswith(allowed)
