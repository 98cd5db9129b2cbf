"""A point in time as Go reads and writes it: RFC 3339, with its complaints.

Source: Go's documentation of `time`; the texts are those of nats-server 2.15.1.
"""

from __future__ import annotations

import re
from calendar import monthrange
from typing import Final

from keelback.config.gotext import quote

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_STEPS: Final = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{1,2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d{2}:\d{2}"),
)
"""The parts of the layout, and what stands for each."""

_RANGES: Final = {
    "01": ("month", range(1, 13)),
    "15": ("hour", range(24)),
    "04": ("minute", range(60)),
    "05": ("second", range(60)),
}
"""The parts that are held against their bounds as soon as they are read; the day comes last."""

_ZONE_HOUR_MAX: Final = 24
_ZONE_MINUTE_MAX: Final = 60
_DIGITS_BELOW_S: Final = 9


def time_from(text: str) -> str:
    """The time as Go would write it again: without zeros at its end, in the zone that it has.

    Raises:
        ValueError: it is no time; the message is Go's.
    """
    year, _, month, _, day, _, hour, _, minute, _, seconds, zone = _parts(text)
    # The calendar knows no year 0, which is a leap year as 2000 is.
    if not 1 <= int(day) <= monthrange(int(year) or 2000, int(month))[1]:
        raise _beyond(text, "day")
    second, below = seconds[:2], seconds[3:][:_DIGITS_BELOW_S].rstrip("0")
    if zone in ("+00:00", "-00:00"):
        zone = "Z"
    date = f"{year}-{month}-{day}"
    return f"{date}T{hour:0>2}:{minute}:{second}{'.' if below else ''}{below}{zone}"


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    for name, pattern in _STEPS:
        match = re.compile(pattern, re.ASCII).match(text, at)
        if match is None:
            met = f"cannot parse {quote(text[at:])} as {quote(name)}"
            raise ValueError(f"parsing time {quote(text)} as {quote(_LAYOUT)}: {met}")
        part = match[0]
        _check_range(text, name, part)
        parts.append(part)
        at = match.end()
    if at < len(text):
        raise ValueError(f"parsing time {quote(text)}: extra text: {quote(text[at:])}")
    return parts


def _check_range(text: str, name: str, part: str) -> None:
    if name in _RANGES:
        meaning, allowed = _RANGES[name]
        if int(part[:2]) not in allowed:
            raise _beyond(text, meaning)
    if name == "Z07:00" and part != "Z":
        if int(part[1:3]) > _ZONE_HOUR_MAX:
            raise _beyond(text, "time zone offset hour")
        if int(part[4:6]) > _ZONE_MINUTE_MAX:
            raise _beyond(text, "time zone offset minute")


def _beyond(text: str, part: str) -> ValueError:
    return ValueError(f"parsing time {quote(text)}: {part} out of range")
