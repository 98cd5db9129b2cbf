"""Checks the load generator: every workload that delivers, with every byte compared.

    python bench/selftest.py [--server "nats-server"] [--load target/release/keelback-load]

Against the server named and against the relay. Numbers in the payloads show what is lost, twice or
out of order. Ends with 1 if anything was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bars import WORKLOADS
from measure import drive
from servers import BenchError, Contender, command, raise_descriptor_limit, running

ROOT = Path(__file__).resolve().parent.parent
DELIVERING = {"one-to-one", "fanout", "pairs", "queue", "mixed-subjects", "churn"}
MESSAGES = "20000"


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Checks the load generator with every byte compared."
    )
    parser.add_argument("--server", default="nats-server", help="a server's command")
    parser.add_argument("--load", default=str(ROOT / "target/release/keelback-load"))
    given = parser.parse_args()
    raise_descriptor_limit()
    load = command(given.load)
    server = Contender("server", command(given.server))
    relay = Contender("relay", load, is_relay=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="keelback-selftest-") as directory:
        for workload in (one for one in WORKLOADS if one.arguments[0] in DELIVERING):
            for contender in [server, *([relay] if workload.relay else [])]:
                line = f"{workload.name} through the {contender.name}"
                try:
                    with running(contender, workload.secured, Path(directory)) as target:
                        drive(
                            [*load, *workload.arguments, "--verify", "--messages", MESSAGES],
                            workload.secured,
                            contender,
                            target,
                        )
                except (BenchError, OSError, subprocess.SubprocessError) as error:
                    failed += 1
                    print(f"FAILED  {line}: {error}")
                else:
                    print(f"ok      {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
