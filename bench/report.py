"""Results for people: a table for the terminal, tables for the page, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bars import Metric, Sense
from measure import Row

GREEN, RED, YELLOW, DIM, PLAIN = "\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[0m"
TIMES = "\N{MULTIPLICATION SIGN}"
HEADINGS = ("workload", "measure", "Keelback", "nats-server", "ratio", "bar", "relay", "")


def machine() -> str:
    """Cores and processor, and nothing else about the machine."""
    names: list[str] = []
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            names.append(value.strip())
    cores = "1 core" if len(names) == 1 else f"{len(names)} cores"
    return f"{cores}, {names[0] if names else 'unknown processor'}"


def lines_of(row: Row) -> list[tuple[str, ...]]:
    """One line of cells for each metric; the last cell is "met", "missed" or "failed"."""
    lines: list[tuple[str, ...]] = []
    for index, metric in enumerate(row.workload.metrics):
        ratio = row.ratio(metric)
        relay = row.ratio(metric, "relay")
        verdict = {True: "met", False: "missed", None: "failed"}[row.met(metric)]
        cells = (
            row.workload.title if index == 0 else "",
            metric.label,
            figure(row.ours.median(metric.key), metric.unit),
            figure(row.genuine.median(metric.key), metric.unit),
            "" if metric.sense is Sense.ABSOLUTE else times(ratio, metric),
            bar(metric),
            times(relay, metric) if row.workload.relay else "",
            verdict,
        )
        lines.append(cells)
    return lines


def figure(value: float | None, unit: str) -> str:
    if value is None:
        return "—"
    if unit == "/s":
        for limit, letter in ((1e6, "M"), (1e3, "k")):
            if value >= limit:
                return f"{value / limit:.3g} {letter}/s"
    # Three digits say all that a run can say, and never an exponent.
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}" if unit != "/s" else f"{text}/s"


def times(ratio: float | None, metric: Metric) -> str:
    if ratio is None:
        return "—"
    text = f"{ratio:.1f}{TIMES}" if ratio >= 10 else f"{ratio:.2f}{TIMES}"
    return f"{text} less" if metric.sense is Sense.TIMES_LESS else text


def bar(metric: Metric) -> str:
    if metric.sense is Sense.ABSOLUTE:
        return f"≤ {metric.bar:g} {metric.unit}"
    if metric.sense is Sense.AT_MOST:
        return f"≤ {metric.bar:g}{TIMES}"
    return f"≥ {metric.bar:g}{TIMES}" + (" less" if metric.sense is Sense.TIMES_LESS else "")


def terminal_table(rows: Sequence[Row], *, colour: bool) -> str:
    lines = [line for row in rows for line in lines_of(row)]
    widths = [max(len(line[at]) for line in [HEADINGS, *lines]) for at in range(len(HEADINGS))]
    colours = {"met": GREEN, "missed": RED, "failed": YELLOW}

    def aligned(line: tuple[str, ...]) -> str:
        cells = [
            cell.ljust(width) if at < 2 or at == len(line) - 1 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        if colour and line[-1] in colours:
            cells[-1] = f"{colours[line[-1]]}{cells[-1]}{PLAIN}"
        return "  ".join(cells).rstrip()

    heading = aligned(HEADINGS)
    text = [f"{DIM}{heading}{PLAIN}" if colour else heading, *map(aligned, lines)]
    for row in rows:
        text += [f"{row.workload.name}: {error}" for error in dict.fromkeys(row.errors())]
    return "\n".join(text)


def markdown_table(rows: Sequence[Row]) -> str:
    text = ["| " + " | ".join(HEADINGS) + " |", "|---|---|--:|--:|--:|--:|--:|---|"]
    text += ["| " + " | ".join(line) + " |" for row in rows for line in lines_of(row)]
    return "\n".join(text)


def summary(rows: Sequence[Row]) -> str:
    verdicts = [line[-1] for row in rows for line in lines_of(row)]
    counts = {verdict: verdicts.count(verdict) for verdict in ("met", "missed", "failed")}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def to_json(rows: Sequence[Row], *, rounds: int, seconds: float) -> str:
    """Every run of every contender, with the ratios of the medians."""
    content = {
        "machine": machine(),
        "rounds": rounds,
        "seconds": seconds,
        "workloads": [
            {
                "name": row.workload.name,
                "title": row.workload.title,
                "metrics": [
                    {
                        "key": metric.key,
                        "sense": metric.sense.value,
                        "bar": metric.bar,
                        "ratio": row.ratio(metric),
                        "relay_ratio": row.ratio(metric, "relay"),
                        "met": row.met(metric),
                    }
                    for metric in row.workload.metrics
                ],
                "runs": {
                    "ours": row.ours.runs,
                    "genuine": row.genuine.runs,
                    "relay": row.relay.runs,
                },
                "errors": row.errors(),
            }
            for row in rows
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def replace_section(page: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, found, rest = page.read_text().partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page}: the markers {begin} and {end} are missing")
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")
