"""On CI a skip that nobody allowed is a failure; elsewhere it is a skip."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import REPOSITORY
from tests.support.skips import is_allowed, read_allowed

if TYPE_CHECKING:
    from pathlib import Path

SKIPPING_TEST = "import pytest\ndef test_one():\n    pytest.skip('no such thing here')\n"
SKIPPING_MODULE = "import pytest\npytest.skip('no such thing', allow_module_level=True)\n"


@pytest.mark.parametrize("text", [SKIPPING_TEST, SKIPPING_MODULE], ids=["a test", "a module"])
@pytest.mark.parametrize(("ci", "fails"), [("true", True), ("", False)])
def test_a_skip_is_judged_on_ci(tmp_path: Path, text: str, ci: str, *, fails: bool) -> None:
    """The hooks of the shared conftest, in a pytest of their own."""
    path = tmp_path / "test_example.py"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(path)],
        cwd=REPOSITORY,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    judged = "not in tests/allowed_skips.txt" in run.stdout
    assert judged is fails, run.stdout
    assert ("1 skipped" in run.stdout) is not fails, run.stdout


def test_the_list_allows_reasons_by_their_beginning(tmp_path: Path) -> None:
    """Notes and blank lines allow nothing."""
    path = tmp_path / "allowed.txt"
    path.write_text("# no\n\nno kqueue\n", encoding="utf-8")
    allowed = read_allowed(path)
    assert is_allowed("Skipped: no kqueue on this machine", allowed)
    assert not is_allowed("Skipped: no epoll", allowed)
    assert not is_allowed("# no", ())
