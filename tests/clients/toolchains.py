"""Clients of other languages: installed or built once, under `.build/`, which git ignores.

Each function returns what a test runs, or raises `ToolchainMissingError` with the reason to skip.
An installation that fails is an error, not a reason to skip.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

BUILD = REPOSITORY / ".build"
HERE = Path(__file__).parent

NATS_COMMAND_VERSION = "v0.5.1"

# The first run downloads and compiles; on two cores the longest of them takes about two minutes.
INSTALL_TIME_MAX_S = 900.0


class ToolchainMissingError(Exception):
    """The tools for one language are not on this machine; the message names them."""


def nats_command() -> Path:
    """Build the `nats` command of the pinned version with Go."""
    go = _tool("go")
    folder = BUILD / "go" / NATS_COMMAND_VERSION
    command = folder / "nats"
    with _alone("go"):
        if not command.exists():
            _run(
                [go, "install", f"github.com/nats-io/natscli/nats@{NATS_COMMAND_VERSION}"],
                {"GOBIN": str(folder), "GOFLAGS": "-p=2"},
            )
    return command


def node_checks() -> tuple[Path, Path, Path]:
    """Install the JavaScript client by npm; gives node, the script, and the folder of modules."""
    node, npm = _tool("node"), _tool("npm")
    folder = BUILD / "npm"
    wanted = (HERE / "js/package-lock.json").read_bytes()
    # Written last, so that an installation which was cut short is done again.
    stamp = folder / "installed-lock.json"
    with _alone("npm"):
        if not stamp.exists() or stamp.read_bytes() != wanted:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(HERE / "js" / name, folder / name)
            _run([npm, "ci", "--no-audit", "--no-fund", "--prefix", str(folder)], {})
            stamp.write_bytes(wanted)
    return Path(node), HERE / "js/checks.mjs", folder


def rust_checks() -> Path:
    """Build the checks of async-nats with cargo."""
    cargo = _tool("cargo")
    folder = BUILD / "rust-checks"
    with _alone("rust-checks"):
        manifest = HERE / "rust/Cargo.toml"
        _run(
            [cargo, "build", "--locked", "-j2", "--manifest-path", str(manifest)],
            {"CARGO_TARGET_DIR": str(folder)},
        )
    return folder / "debug/async-nats-checks"


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"toolchain missing: no `{name}` on PATH"
        raise ToolchainMissingError(message)
    return found


@contextmanager
def _alone(name: str) -> Generator[None]:
    """Let one process at a time install: several may run the tests."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=BUILD,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=INSTALL_TIME_MAX_S,
        check=False,
    )
    if done.returncode != 0:
        message = f"{' '.join(command)} failed:\n{done.stdout.decode(errors='replace')[-4000:]}"
        raise RuntimeError(message)
