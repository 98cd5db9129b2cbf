"""What no linter knows of this repository: machine paths, over-long files, rooms, pages.

Run by `make lint`; prints each finding as `file:line: what to do` and exits with 1.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tidy_pages import page_findings

ROOT = Path(__file__).resolve().parent.parent

LINES_MAX = 700
"""A file beyond this has more than one purpose. Never raised; exceptions stand below."""

LONGER: dict[str, int] = {}
"""Files that are longer for a reason, with the most they may have: they may only shrink."""

SOURCES = {".py", ".pyi", ".rs", ".toml", ".md", ".sh", ".js", ".json", ".wire", ".yml"}

FORBIDDEN = {
    re.compile(r"(?<![\w.])/(?:home|root|Users|work)/"): "names a path of one machine",
    re.compile(r"\b(?:TODO|FIXME|XXX)\b"): "is unfinished: finish it, or refuse the request",
}

ROOMS = {
    "config",
    "options",
    "auth",
    "accounts",
    "jetstream",
    "monitor",
    "server",
    "testing",
    "client",
    "cli",
}
"""Folders that `src/keelback` may have; `docs/architecture.md` says what each knows."""


def tracked() -> list[Path]:
    """Files that git tracks or would, as paths below the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(line) for line in listing.stdout.splitlines() if (ROOT / line).is_file()]


def findings(path: Path) -> Iterator[str]:
    """What is wrong with one file."""
    if path.suffix not in SOURCES and path.name != "Makefile":
        return
    if path == Path("tools/tidy.py"):
        return
    text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        for pattern, complaint in FORBIDDEN.items():
            if pattern.search(line):
                yield f"{path}:{number}: {complaint}"
    if path.suffix in {".py", ".rs"}:
        most = LONGER.get(str(path), LINES_MAX)
        if len(lines) > most:
            yield f"{path}:1: has {len(lines)} lines, {most} at most: split it by purpose"


def room_findings() -> Iterator[str]:
    """Folders of the package that no page describes."""
    package = ROOT / "src" / "keelback"
    for folder in package.iterdir():
        if folder.is_dir() and folder.name != "__pycache__" and folder.name not in ROOMS:
            yield f"src/keelback/{folder.name}: is no room of the house"


def main() -> int:
    """Print all findings."""
    paths = tracked()
    found = [finding for path in paths for finding in findings(path)]
    found.extend(room_findings())
    found.extend(page_findings(path for path in paths if path.suffix == ".md"))
    for finding in found:
        print(finding, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
