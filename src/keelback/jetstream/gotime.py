"""A point in time as Go reads and writes it: RFC 3339, with its complaints.

Source: Go's documentation of `time`; the texts are those of nats-server 2.15.1.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import Final

_LAYOUT: Final = "2006-01-02T15:04:05Z07:00"
_ZONE: Final = "Z07:00"
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
    (_ZONE, r"Z|[+-]\d{2}:\d{2}"),
)
"""The parts of the layout, and what stands for each."""

_RANGES: Final = {
    "01": ("month", range(1, 13)),
    "15": ("hour", range(24)),
    "04": ("minute", range(60)),
    "05": ("second", range(60)),
}
"""The parts that are held against their bounds as soon as they are read; the day comes last."""

_ANY_NUMBER: Final = ("", range(0))
_EPOCH: Final = date(1970, 1, 1)
_OFFSET_BYTES: Final = len("+07:00")
_ZONE_HOUR_MAX: Final = 24
_ZONE_MINUTE_MAX: Final = 60
_DIGITS_BELOW_S: Final = 9
_ASCII_MAX: Final = 0x7F


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
    day_text = f"{year}-{month}-{day}"
    return f"{day_text}T{hour:0>2}:{minute}:{second}{'.' if below else ''}{below}{zone}"


def nanoseconds_of(text: str) -> int:
    """The time as nanoseconds since 1970; 0 for what comes before.

    Raises:
        ValueError: it is no time; the message is Go's.
    """
    whole, _, rest = time_from(text).partition("T")
    clock, zone = rest[:8], rest[8:]
    fraction = zone[1:].split("Z")[0].split("+")[0].split("-")[0] if zone[:1] == "." else ""
    zone = zone.removeprefix(f".{fraction}")
    year, month, day = (int(part) for part in whole.split("-"))
    if year == 0:
        return 0
    hour, minute, second = (int(part) for part in clock.split(":"))
    seconds = (date(year, month, day) - _EPOCH).days * 86400 + hour * 3600 + minute * 60 + second
    if zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        seconds -= sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)
    return max(seconds * 1_000_000_000 + int(f"{fraction:0<9}"), 0)


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    at = 0
    for name, pattern in _STEPS:
        if name == _ZONE:
            _check_zone(text, text[at:])
        match = re.compile(pattern, re.ASCII).match(text, at)
        if match is None:
            met = f"cannot parse {_quoted(text[at:])} as {_quoted(name)}"
            raise ValueError(f"parsing time {_quoted(text)} as {_quoted(_LAYOUT)}: {met}")
        meaning, allowed = _RANGES.get(name, _ANY_NUMBER)
        if allowed and int(match[0][:2]) not in allowed:
            raise _beyond(text, meaning)
        parts.append(match[0])
        at = match.end()
    if at < len(text):
        raise ValueError(f"parsing time {_quoted(text)}: extra text: {_quoted(text[at:])}")
    return parts


def _check_zone(text: str, rest: str) -> None:
    """Check the bounds of an offset, which Go does before it looks at all of its characters."""
    zone = rest.encode()[:_OFFSET_BYTES]
    if (
        zone[:1] == b"Z"
        or len(zone) < _OFFSET_BYTES
        or zone[3:4] != b":"
        or not zone[1:3].isdigit()
    ):
        return
    if int(zone[1:3]) > _ZONE_HOUR_MAX:
        raise _beyond(text, "time zone offset hour")
    if zone[4:6].isdigit() and int(zone[4:6]) > _ZONE_MINUTE_MAX:
        raise _beyond(text, "time zone offset minute")


def _quoted(text: str) -> str:
    """The text as the package `time` quotes it: byte by byte, unlike the rest of Go."""
    return '"' + "".join(map(_byte_text, text.encode())) + '"'


def _byte_text(byte: int) -> str:
    if not ord(" ") <= byte <= _ASCII_MAX:
        return f"\\x{byte:02x}"
    character = chr(byte)
    return f"\\{character}" if character in '"\\' else character


def _beyond(text: str, part: str) -> ValueError:
    return ValueError(f"parsing time {_quoted(text)}: {part} out of range")
