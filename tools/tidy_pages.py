"""What pages must keep true: links lead somewhere, files named exist, dependencies are explained.

Part of `tools/tidy.py`; each check yields findings as `file:line: what to do`.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

DEPENDENCIES = Path("docs/dependencies.md")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SOURCE_NAME = re.compile(r"`((?:[\w.]+/)+[\w.]+\.(?:py|pyi|rs|wire|toml))`")
ROW_NAME = re.compile(r"^\| `([^`]+)` \|")
REQUIREMENT_NAME = re.compile(r"[\w.-]+")

ROOMS_OF_SOURCES = ("", "src/keelback/", "docs/")
"""Where the name of a source may begin, besides `crates/<crate>/src/` and the page's folder."""


def page_findings(pages: Iterable[Path]) -> Iterator[str]:
    """All of them: links and names of every page, and the page of dependencies."""
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        # Line ends stay, so that places do.
        plain = FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
        for number, line in enumerate(plain.splitlines(), start=1):
            place = f"{page}:{number}"
            yield from (f"{place}: {problem}" for problem in _link_problems(page, line))
            yield from (f"{place}: {problem}" for problem in _source_problems(page, line))
    yield from dependency_findings()


def _link_problems(page: Path, line: str) -> Iterator[str]:
    for target in LINK.findall(line):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists():
            yield f"the link to {target} leads nowhere"
        elif anchor and anchor not in anchors_of(file):
            yield f"the link to {target} names no heading of that page"


def anchors_of(page: Path) -> set[str]:
    """The names by which a page's headings can be linked to."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = (heading.lower() for heading in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _source_problems(page: Path, line: str) -> Iterator[str]:
    for name in SOURCE_NAME.findall(line):
        crate, _, rest = name.partition("/")
        homes = [ROOT / room / name for room in ROOMS_OF_SOURCES]
        homes += [ROOT / "crates" / crate / "src" / rest, (ROOT / page).parent / name]
        if not any(home.exists() for home in homes):
            yield f"`{name}` is no file of this repository"


def dependency_findings() -> Iterator[str]:
    """Dependencies without a row on their page, and rows without a dependency."""
    wanted = dict(_declared())
    rows: dict[str, int] = {}
    text = (ROOT / DEPENDENCIES).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if row := ROW_NAME.match(line):
            rows[row[1]] = number
    for name in sorted(wanted.keys() - rows.keys()):
        yield f"{wanted[name]}:1: `{name}` has no row in {DEPENDENCIES}"
    for name in sorted(rows.keys() - wanted.keys()):
        yield f"{DEPENDENCIES}:{rows[name]}: nothing depends on `{name}`: remove the row"


def _declared() -> Iterator[tuple[str, Path]]:
    """Each dependency on somebody else's package, with the file that declares it."""
    project = Path("pyproject.toml")
    for name in _python_names(tomllib.loads((ROOT / project).read_text(encoding="utf-8"))):
        yield name, project
    manifests = [Path("Cargo.toml"), Path("fuzz/Cargo.toml"), Path("tests/clients/rust/Cargo.toml")]
    manifests += [path.relative_to(ROOT) for path in sorted(ROOT.glob("crates/*/Cargo.toml"))]
    for manifest in manifests:
        content = tomllib.loads((ROOT / manifest).read_text(encoding="utf-8"))
        for name in _cargo_names(content):
            yield name, manifest
    package = Path("tests/clients/js/package.json")
    content = json.loads((ROOT / package).read_text(encoding="utf-8"))
    for kind in ("dependencies", "devDependencies"):
        for name in content.get(kind, {}):
            yield name, package


def _python_names(project: Mapping[str, Any]) -> Iterator[str]:
    groups = (
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"].get("optional-dependencies", {}).values(),
        *project.get("dependency-groups", {}).values(),
    )
    for requirement in (each for group in groups for each in group):
        if isinstance(requirement, str) and (name := REQUIREMENT_NAME.match(requirement)):
            yield name[0]


def _cargo_names(manifest: Mapping[str, Any]) -> Iterator[str]:
    tables = (manifest, manifest.get("workspace", {}), *manifest.get("target", {}).values())
    for table in tables:
        for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, how in table.get(kind, {}).items():
                if not (isinstance(how, dict) and "path" in how) and not name.startswith(
                    "keelback-"
                ):
                    yield name
