"""What nats-server refuses only when it starts, Keelback refuses with the same words."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from keelback.options.command_line import parse_command_line
from tests.support.servers import require

if TYPE_CHECKING:
    from pathlib import Path

REFUSED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("max_payload: 2MB\nmax_pending: 1MB\n", ()),
    ("max_pending: 100\n", ()),
    ('lame_duck_duration: "30s"\nlame_duck_grace_period: "30s"\n', ()),
    ('lame_duck_duration: "30s"\nlame_duck_grace_period: "1h"\n', ()),
    ("debug: false\n", ("-n", "a b")),
    ("no_auth_user: x\n", ()),
    ("no_auth_user: x\nauthorization { users: [ { user: y } ] }\n", ()),
    ("no_auth_user: x\naccounts { A { users: [ { user: y, password: z } ] } }\n", ()),
    ("system_account: X\n", ()),
    ("system_account: '$SYS'\n", ()),
    ("system_account: X\nno_system_account: true\n", ()),
    ("system_account: X\naccounts { A {} }\n", ()),
    ("http: 127.0.0.1:-1\nhttps: 127.0.0.1:-1\n", ()),
    ("http_port: -1\n", ("-ms", "-1")),
    ("https_port: -1\n", ()),
    ("debug: false\n", ("-m", "8222", "-ms", "8443")),
    ("debug: false\n", ("--https_port", "8443")),
    ("remote_syslog: 'foo://x'\n", ()),
    ("remote_syslog: 'x'\n", ()),
    ("debug: false\n", ("-r", "http://x")),
)

PREFIX = re.compile(r"^(?:nats-server: |(?:\[\d+\] )?[\d/]+ [\d:.]+ (?:\[FTL\] )?)")
"""Some of it nats-server says as a log line, since it has begun by then."""


def refusals(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not re.search(r"\[(?:INF|WRN)\]", line)]
    return [PREFIX.sub("", line) for line in lines]


@pytest.mark.parametrize(("text", "flags"), REFUSED)
def test_refused_at_start_alike(text: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    program = require("genuine")
    (tmp_path / "a.conf").write_text(text)
    arguments = ["-c", str(tmp_path / "a.conf"), "-a", "127.0.0.1", "-p", "-1", *flags]
    theirs = subprocess.run(
        [*program, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    mine = parse_command_line(arguments)
    assert mine.options is None
    assert mine.exit_code == theirs.returncode == 1
    told = [line for line in refusals(mine.standard_error) if not line.startswith("hint: ")]
    assert told == refusals(theirs.stderr)


ACCEPTED = (
    "accounts { A {} }\nsystem_account: A\n",
    "accounts: [ B , A ]\nsystem_account: A\n",
    "system_account: '$G'\n",
    "no_system_account: true\n",
    "http_port: 0\nhttps_port: 0\n",
    "remote_syslog: 'nothing'\nlog_file: x\n",
    "remote_syslog: 'UDP://127.0.0.1:514'\n",
)


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted_at_start(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(text)
    mine = parse_command_line(["-c", str(tmp_path / "a.conf")])
    assert mine.options is not None, mine.standard_error
