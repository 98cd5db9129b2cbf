"""The extension that was built is the product: nothing that only tests need is in it."""

from __future__ import annotations

from pathlib import Path

import keelback._core


def test_no_planted_bug_can_be_switched_on() -> None:
    """Without the feature `planted` nothing of `crates/planted` is left; see `make planted`."""
    assert b"KEELBACK_PLANTED" not in Path(keelback._core.__file__).read_bytes()
