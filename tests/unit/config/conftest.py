"""The genuine server as the judge of a configuration text."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.servers import require

from .texts import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSION = "v2.15.1"

TEXTS_PER_SEED = 60
FIRST_SEED = int(os.environ.get("KEELBACK_SEED", "0"))
SEEDS = range(
    FIRST_SEED,
    FIRST_SEED + max(1, int(os.environ.get("KEELBACK_SESSIONS", "120")) // TEXTS_PER_SEED),
)
"""Where generated texts come from; `make soak` takes others, and more of them."""

EXAMPLES_FACTOR = len(SEEDS) / 2
"""By how much more than usual examples the property tests look at."""


class Verdict:
    """What `-t` said of a file: accepted with a digest, or refused with lines."""

    def __init__(self, standard_error: str) -> None:
        # Messages may hold any byte; lines end with newlines only.
        lines = [line for line in standard_error.split("\n") if line]
        self.lines = [line.removeprefix("nats-server: ") for line in lines]
        self.digest = ""
        if len(self.lines) == 1 and " is valid (" in self.lines[0]:
            self.digest = self.lines[0].partition(" is valid (")[2].rstrip(")")

    @property
    def is_accepted(self) -> bool:
        return bool(self.digest)


class Judge:
    """Runs the genuine server's check in a directory of its own, two at a time."""

    def __init__(self, program: str, directory: Path) -> None:
        self._program = program
        self.directory = directory
        self._number = 0

    def verdicts(self, texts: Sequence[bytes]) -> list[tuple[str, Verdict]]:
        """Each text's file, by its name, and what the genuine server says of it."""
        names: list[str] = []
        for text in texts:
            self._number += 1
            names.append(f"t{self._number}.conf")
            (self.directory / names[-1]).write_bytes(text)
        with ThreadPoolExecutor(2) as pool:
            return list(zip(names, pool.map(self._check, names), strict=True))

    def _check(self, name: str) -> Verdict:
        done = subprocess.run(
            [self._program, "-t", "-c", name],
            cwd=self.directory,
            capture_output=True,
            timeout=30,
            check=False,
            env={"PATH": "/usr/bin:/bin", **ENVIRONMENT},
        )
        return Verdict(done.stderr.decode("utf-8", "surrogateescape"))


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """The genuine server, or a reason for going without."""
    program = require("genuine")
    version = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
    if VERSION not in version.stdout:
        pytest.skip(f"nats-server is not {VERSION}: {version.stdout.strip()}")
    return Judge(program[0], tmp_path_factory.mktemp("conf"))
