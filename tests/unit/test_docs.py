"""Every Python example of the pages for users runs as it stands, in a process of its own.

An example that begins with a comment `# name.py` is a file of that name; all such files of a page
lie in one directory, and pytest runs its tests there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/embedding.md")
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\w+\.py)\n")
RUN_TIME_MAX_S = 60.0


@dataclass(frozen=True)
class Example:
    """A fenced block; `place` is `page:line`."""

    place: str
    code: str

    @property
    def file_name(self) -> str:
        """The file that the block says it is; empty when it is a program."""
        found = FILE_NAME.match(self.code)
        return found[1] if found else ""


def examples_of(page: str) -> list[Example]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Example(f"{page}:{text.count(chr(10), 0, found.start()) + 1}", found[1])
        for found in FENCE.finditer(text)
    ]


EXAMPLES = [example for page in PAGES for example in examples_of(page)]
PROGRAMS = [example for example in EXAMPLES if not example.file_name]
PAGES_WITH_FILES = [page for page in PAGES if any(e.file_name for e in examples_of(page))]


def run(arguments: list[str], directory: Path) -> None:
    """Run Python as a user would; whatever it prints is shown when it fails."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_TIME_MAX_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("example", PROGRAMS, ids=lambda example: example.place)
def test_a_program_runs(example: Example, tmp_path: Path) -> None:
    file = tmp_path / "example.py"
    # Blank lines in front, so that a traceback names the page's own line.
    file.write_text("\n" * int(example.place.rpartition(":")[2]) + example.code, encoding="utf-8")
    run(["-W", "error", str(file)], tmp_path)


@pytest.mark.parametrize("page", PAGES_WITH_FILES)
def test_files_of_a_page_pass_under_pytest(page: str, tmp_path: Path) -> None:
    files = [example for example in examples_of(page) if example.file_name]
    for example in files:
        (tmp_path / example.file_name).write_text(example.code, encoding="utf-8")
    run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], tmp_path)


def test_an_example_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="1 / 0"):
        test_a_program_runs(Example("page:3", "print('1 / 0')\n1 / 0\n"), tmp_path)


def test_there_are_examples_on_each_page() -> None:
    assert {example.place.partition(":")[0] for example in EXAMPLES} == set(PAGES)
    assert PAGES_WITH_FILES
