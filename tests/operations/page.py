"""Reads `docs/operations.md`: its commands, its unit, its rules, in the order of the page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.servers import REPOSITORY

PAGE = REPOSITORY / "docs/operations.md"
FENCE = re.compile(r"^```(\w+)( fails)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of the page."""

    language: str
    must_fail: bool
    text: str
    line: int


def blocks() -> list[Block]:
    """All of them; those without a language are for reading only."""
    page = PAGE.read_text(encoding="utf-8")
    return [
        Block(found[1], bool(found[2]), found[3], page.count("\n", 0, found.start()) + 2)
        for found in FENCE.finditer(page)
    ]


def only(language: str) -> list[str]:
    """The texts of the blocks of one language."""
    return [block.text for block in blocks() if block.language == language]


def unit_value(unit: str, key: str) -> str:
    """What a unit sets `key` to."""
    found = re.search(rf"^{key}=(.*)$", unit, re.MULTILINE)
    assert found is not None, f"the unit has no {key}"
    return found[1]


def script(unit: str) -> str:
    """The page as one shell script: the service starts where the page has its unit.

    Each command is echoed with its line on the page, so that a failure names its place.
    """
    parts: list[str] = []
    for block in blocks():
        if block.language == "ini":
            parts.append(_start_as_service(unit))
        elif block.language == "sh":
            place = f"echo '--- docs/operations.md:{block.line}'\n"
            if block.must_fail:
                parts.append(f"{place}if (\n{block.text}\n); then echo 'it passed'; exit 1; fi\n")
            else:
                parts.append(place + block.text)
    return "\n".join(parts) + "\necho '--- end'\nwait $server\n"


def _start_as_service(unit: str) -> str:
    return f"""
mkdir -p /etc/systemd/system
cat > /etc/systemd/system/nats-server.service <<'END_OF_UNIT'
{unit}END_OF_UNIT
echo '--- systemd-analyze verify'
systemd-analyze verify /etc/systemd/system/nats-server.service
echo '--- ExecStart'
{unit_value(unit, "ExecStart")} &
server=$!
MAINPID=$server
timeout 20 sh -c 'until curl -sf -o /dev/null http://127.0.0.1:8222/healthz; do sleep 0.05; done'
echo '--- ExecReload'
{unit_value(unit, "ExecReload")}
timeout 20 sh -c '
  until grep -q "Reloaded server configuration" /var/log/nats/*.log; do sleep 0.05; done'
"""
