"""Plots as SVG, written by hand: bars on a logarithmic scale need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from bars import Metric, Sense
from measure import Row
from report import TIMES

ROW_PX, LABEL_PX, PLOT_PX, MARGIN_PX, HEAD_PX = 26, 390, 420, 70, 64
# Colours that hold against a white and a dark page alike.
OURS, RELAY, BAR, TEXT, GRID = "#2f7ed8", "#9aa4ad", "#d9534f", "#6b7680", "#8884"


def write_plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Wall clock and processor time, ours and the relay's ratio to the genuine server."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = (
        ("wall-clock.svg", Sense.AT_LEAST, "messages a second: times nats-server's"),
        ("processor-time.svg", Sense.TIMES_LESS, "processor time for a message: times less"),
    )
    written: list[Path] = []
    for name, sense, title in plots:
        chosen = [
            (row, metric)
            for row in rows
            for metric in row.workload.metrics
            if metric.sense is sense and row.ratio(metric) is not None
        ]
        if chosen:
            path = folder / name
            path.write_text(plot(title, chosen))
            written.append(path)
    return written


def plot(title: str, chosen: Sequence[tuple[Row, Metric]]) -> str:
    values = [
        value
        for row, metric in chosen
        for value in (row.ratio(metric), row.ratio(metric, "relay"), metric.bar)
        if value
    ]
    low = min(0.5, *values)
    high = max(2.0, *values) * 1.1

    def across(value: float) -> float:
        return LABEL_PX + PLOT_PX * math.log(value / low) / math.log(high / low)

    height = HEAD_PX + ROW_PX * len(chosen) + 16
    width = LABEL_PX + PLOT_PX + MARGIN_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        f'font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>',
        legend(width),
    ]
    for tick in (0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= tick <= high:
            x = across(tick)
            stroke = TEXT if tick == 1 else GRID
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD_PX - 4}" '
                f'y2="{height - 12}" stroke="{stroke}"/>'
            )
            parts.append(
                f'<text x="{x:.1f}" y="{HEAD_PX - 8}" text-anchor="middle">{tick:g}{TIMES}</text>'
            )
    for index, (row, metric) in enumerate(chosen):
        parts += row_parts(row, metric, HEAD_PX + ROW_PX * index, across)
    return "\n".join([*parts, "</svg>\n"])


def row_parts(row: Row, metric: Metric, top: float, across: Callable[[float], float]) -> list[str]:
    ratio, relay = row.ratio(metric), row.ratio(metric, "relay")
    start = across(1)
    several = sum(other.sense is metric.sense for other in row.workload.metrics) > 1
    label = row.workload.title + (f" ({metric.label})" if several else "")
    parts = [f'<text x="{LABEL_PX - 10}" y="{top + 16}" text-anchor="end">{escape(label)}</text>']
    for value, colour, offset, thick in ((ratio, OURS, 4, 10), (relay, RELAY, 15, 5)):
        if value:
            end = across(value)
            parts.append(
                f'<rect x="{min(start, end):.1f}" y="{top + offset}" '
                f'width="{abs(end - start):.1f}" height="{thick}" fill="{colour}"/>'
            )
    if ratio:
        x = max(start, across(ratio)) + 5
        parts.append(f'<text x="{x:.1f}" y="{top + 13}" font-size="10">{ratio:.3g}{TIMES}</text>')
    x = across(metric.bar)
    parts.append(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 1}" y2="{top + 22}" '
        f'stroke="{BAR}" stroke-width="2"/>'
    )
    return parts


def legend(width: float) -> str:
    entries = ((OURS, "Keelback"), (RELAY, "relay: the limit"), (BAR, "bar"))
    x = width - 290
    parts: list[str] = []
    for colour, name in entries:
        parts.append(
            f'<rect x="{x}" y="11" width="10" height="10" fill="{colour}"/>'
            f'<text x="{x + 14}" y="20">{name}</text>'
        )
        x += 30 + 7 * len(name)
    return "".join(parts)
