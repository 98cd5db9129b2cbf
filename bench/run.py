"""The benchmark: ours beside the genuine nats-server, in turn, with a bare relay as the limit.

python bench/run.py                  everything; about a quarter of an hour
python bench/run.py --quick          a look: one short round each
python bench/run.py --only fanout    the workloads whose names contain it
python bench/run.py --write          and the tables and plots of docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bars import ALL, EMBEDDED, MEMORY, OPENING, PAGES, POLLING, START, SUBJECTS_MEMORY, Workload
from measure import Plan, Row, embedded_start, measure, start_up
from plots import write_plots
from polling import beside_polling, pages
from report import machine, markdown_table, replace_section, summary, terminal_table, to_json
from servers import BenchError, Contender, command, raise_descriptor_limit
from stores import memory, opening

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="The benchmark: ours beside the genuine nats-server, in turn."
    )
    parser.add_argument("--quick", action="store_true", help="one short round: a look, no result")
    parser.add_argument("--only", default="", help="workloads whose names contain this")
    parser.add_argument("--list", action="store_true", help="show the workloads and end")
    parser.add_argument(
        "--ours", default=str(ROOT / ".venv/bin/keelback-server"), help="our server's command"
    )
    parser.add_argument("--genuine", default="nats-server", help="the genuine server's command")
    parser.add_argument(
        "--load",
        default=str(ROOT / "target/release/keelback-load"),
        help="the load generator's command",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each workload (3)")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a run (1.5)")
    parser.add_argument("--json", type=Path, help="also write every run there")
    parser.add_argument("--write", action="store_true", help="update docs/benchmarks.md")
    given = parser.parse_args()
    if given.write and (given.only or given.quick):
        parser.error("--write wants a whole run, without --only and --quick")
    if given.rounds < 1 or given.seconds <= 0:
        parser.error("--rounds and --seconds must be positive")
    return given


def main() -> int:
    given = arguments()
    chosen = [workload for workload in ALL if given.only in workload.name]
    if given.list or not chosen:
        print("\n".join(f"{workload.name:22} {workload.title}" for workload in ALL))
        return 0 if given.list else 2
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="keelback-bench-") as directory:
        try:
            plan = planned(given, Path(directory))
        except BenchError as error:
            print(error, file=sys.stderr)
            return 2
        rows = [measured(plan, workload) for workload in chosen]
    tell("")
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"{machine()}; medians of {plan.rounds} rounds")
    print(terminal_table(rows, colour=colour))
    print(summary(rows))
    if given.json:
        given.json.write_text(to_json(rows, rounds=plan.rounds, seconds=plan.seconds))
    if given.write:
        write_page(rows, plan)
    return 0 if all(row.met(metric) for row in rows for metric in row.workload.metrics) else 1


def planned(given: argparse.Namespace, directory: Path) -> Plan:
    load = command(given.load)
    return Plan(
        load=load,
        ours=Contender("ours", command(given.ours)),
        genuine=Contender("nats-server", command(given.genuine)),
        relay=Contender("relay", load, is_relay=True),
        rounds=1 if given.quick else given.rounds,
        seconds=0.3 if given.quick else given.seconds,
        quick=given.quick,
        directory=directory,
    )


def measured(plan: Plan, workload: Workload) -> Row:
    special = {
        START.name: start_up,
        EMBEDDED.name: embedded_start,
        POLLING.name: beside_polling,
        PAGES.name: pages,
        OPENING.name: opening,
        MEMORY.name: memory,
        SUBJECTS_MEMORY.name: memory,
    }
    how = special.get(workload.name, measure)
    row = how(plan, workload, tell)
    for error in dict.fromkeys(row.errors()):
        tell("")
        print(f"{workload.name}: {error}", file=sys.stderr)
    return row


def tell(what: str) -> None:
    """Shows what is running, on one line that is written over; nothing when nobody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def write_page(rows: list[Row], plan: Plan) -> None:
    how = (
        f"{machine()}. Medians of {plan.rounds} rounds in turn, "
        f"{plan.seconds:g} s each; {summary(rows)}."
    )
    plots = write_plots(rows, PAGE.parent / "img")
    pictures = [f"![{path.stem.replace('-', ' ')}](img/{path.name})" for path in plots]
    replace_section(PAGE, "results", "\n\n".join([how, *pictures, markdown_table(rows)]))
    for path in (*plots, PAGE):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
