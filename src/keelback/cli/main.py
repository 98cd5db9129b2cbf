"""The command `keelback`: its subcommands, each in a module of its own."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from keelback import _core
from keelback.cli import store

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="keelback",
        description="Keelback, a NATS messaging system. The server is `keelback-server`.",
    )
    parser.add_argument("--version", action="version", version=f"keelback {_core.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    store.fill(commands.add_parser("store", help="look at a directory of streams"))
    parsed = parser.parse_args(arguments)
    run = parsed.run
    return run(parsed)


if __name__ == "__main__":
    sys.exit(main())
