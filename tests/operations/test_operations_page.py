"""The page for operators is true: its commands work in their order, its unit is valid and runs.

All of it runs as it stands, ports and paths included, in namespaces of its own for mounts and
network; so it needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest

import keelback
from tests.operations.page import only, script, unit_value
from tests.support.servers import REPOSITORY

TOOLS = ("unshare", "ip", "curl", "systemd-analyze")
TIME_MAX_S = 120.0

SET_UP = """
set -euo pipefail
mount -t tmpfs tmpfs /opt
mkdir /opt/keelback
mount --bind {venv} /opt/keelback
cp -a /etc {scratch}/etc
mount --bind {scratch}/etc /etc
mount -t tmpfs tmpfs /var/log
ip link set lo up
cd {scratch}
"""


@pytest.fixture(scope="module")
def unit() -> str:
    (text,) = only("ini")
    return text


def test_the_commands_work_as_they_stand(unit: str, tmp_path: Path) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(TOOLS)}")
    file = tmp_path / "page.sh"
    venv = REPOSITORY / ".venv"
    # The pid file's directory is shared with the system: one of its own stands in for it.
    own_run = "mount -t tmpfs tmpfs /run\n"
    file.write_text(SET_UP.format(venv=venv, scratch=tmp_path) + own_run + script(unit))
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_MAX_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "--- end" in done.stdout


def test_a_service_manager_waits_longer_than_lame_duck_mode_takes(unit: str) -> None:
    assert int(unit_value(unit, "TimeoutStopSec")) > 30
    assert unit_value(unit, "ExecStop") == "/bin/kill -s USR2 $MAINPID"


def test_every_alert_names_a_metric_that_there_is() -> None:
    rules = next(text for text in only("yaml") if "alert:" in text)
    named = set(re.findall(r"\b(?:gnatsd|nats)_\w+", " ".join(re.findall(r"expr: (.*)", rules))))
    with (
        keelback.Server(port=-1, http_port=-1) as server,
        urlopen(f"{server.monitor_url}/metrics", timeout=30) as answer,
    ):
        lines = answer.read().decode().splitlines()
    there = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    assert named
    assert named <= there
