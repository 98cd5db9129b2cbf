"""The checks of pages find what they are for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import tidy_pages  # noqa: E402


def problems_of(text: str, folder: Path) -> list[str]:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    (folder / "other.md").write_text("# A heading, of `words`\n", encoding="utf-8")
    found = tidy_pages.page_findings([page])
    return [each.removeprefix(f"{page}:") for each in found]


def test_a_page_that_is_in_order(tmp_path: Path) -> None:
    text = (
        "[a](other.md#a-heading-of-words), [b](https://example.com/x), `reactor/turn.rs`,\n"
        "`server/embed.py`, `src/keelback/_core.pyi`\n```\n[c](nothing.md)\n```\n"
    )
    assert problems_of(text, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n[a](nothing.md)", "2: the link to nothing.md leads nowhere"),
        ("[a](other.md#b)", "1: the link to other.md#b names no heading of that page"),
        ("```\n```\n`reactor/turns.rs`", "3: `reactor/turns.rs` is no file of this repository"),
    ],
)
def test_a_page_that_is_not(text: str, problem: str, tmp_path: Path) -> None:
    assert problems_of(text, tmp_path) == [problem]


def test_a_dependency_without_a_row_and_a_row_without_a_dependency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "dependencies.md"
    text = (ROOT / tidy_pages.DEPENDENCIES).read_text(encoding="utf-8")
    page.write_text(text.replace("| `bcrypt` |", "| `becrypt` |"), encoding="utf-8")
    monkeypatch.setattr(tidy_pages, "DEPENDENCIES", page)
    missing, stale = tidy_pages.dependency_findings()
    assert missing == f"pyproject.toml:1: `bcrypt` has no row in {page}"
    assert stale.endswith("nothing depends on `becrypt`: remove the row")
