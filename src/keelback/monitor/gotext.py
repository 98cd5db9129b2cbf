"""Times, durations, numbers and quoted text as Go writes them in these documents."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""A point in time that is not known."""


def time_text(since_1970_ns: int) -> str:
    """RFC 3339 in UTC, with as many digits below the second as are not zero."""
    if since_1970_ns == 0:
        return ZERO_TIME
    seconds, below_ns = divmod(since_1970_ns, NS_PER_S)
    if below_ns == 0:
        return f"{_second_text(seconds)}Z"
    return f"{_second_text(seconds)}.{below_ns:09d}".rstrip("0") + "Z"


@lru_cache(maxsize=4096)
def _second_text(seconds: int) -> str:
    # Kept, because the connections of one page share few seconds, and the calendar is slow.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def uptime_text(duration_ns: int) -> str:
    """Whole seconds as `5s`, `3m2s`, `1h3m2s`, `2d1h3m2s`, `1y2d1h3m2s`."""
    return _whole_seconds_text(max(duration_ns, 0) // NS_PER_S)


@lru_cache(maxsize=4096)
def _whole_seconds_text(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    years, day = divmod(days, 365)
    if years:
        return f"{years}y{day}d{hour}h{minute}m{second}s"
    if days:
        return f"{day}d{hour}h{minute}m{second}s"
    if hours:
        return f"{hour}h{minute}m{second}s"
    if minutes:
        return f"{minute}m{second}s"
    return f"{second}s"


def rtt_text(duration_ns: int) -> str:
    """A round trip as Go writes a duration: whole microseconds below a millisecond."""
    if NS_PER_US < duration_ns < NS_PER_MS:
        duration_ns -= duration_ns % NS_PER_US
    return duration_text(duration_ns)


def duration_text(duration_ns: int) -> str:
    """`0s`, `312ns`, `42µs`, `242.858618ms`, `1m3.5s`; never negative here."""
    if duration_ns < NS_PER_US:
        return f"{duration_ns}ns" if duration_ns else "0s"
    if duration_ns < NS_PER_MS:
        return f"{_decimal(duration_ns, 3)}µs"
    if duration_ns < NS_PER_S:
        return f"{_decimal(duration_ns, 6)}ms"
    minutes, below_ns = divmod(duration_ns, 60 * NS_PER_S)
    hours, minute = divmod(minutes, 60)
    text = f"{_decimal(below_ns, 9)}s"
    if hours:
        return f"{hours}h{minute}m{text}"
    return f"{minute}m{text}" if minutes else text


def _decimal(amount: int, digits: int) -> str:
    """The amount with its last `digits` digits behind the point, without zeros at the end."""
    whole, fraction = divmod(amount, 10**digits)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0").rstrip(".")


def number(value: float) -> int | float:
    """A number that JSON shows without a point where Go does."""
    return int(value) if value == int(value) else value


def quoted(text: str) -> str:
    """A Go string literal of the text, as strconv's errors show it."""
    return f'"{"".join(map(_escaped, text))}"'


_SHORT_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}

_FIRST_BEYOND_BMP: Final = 0x10000
_FIRST_BEYOND_ASCII: Final = 0x80


def _escaped(character: str) -> str:
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    if character.isprintable():
        return character
    code = ord(character)
    if code < _FIRST_BEYOND_ASCII:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _FIRST_BEYOND_BMP else f"\\U{code:08x}"
