"""How Go writes and reads small things, for texts that must equal nats-server's.

Quoted strings (`%q`), values (`%v`), durations (`time.Duration`) and operating system errors.
Source: Go's documentation of `strconv`, `fmt` and `time`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Data

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
FLOAT_EXPONENT_MIN = -6
INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
_DIGITS = "0123456789"
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_STEP = 1024
_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_SURROGATE_MIN, _SURROGATE_MAX = 0xDC80, 0xDCFF
_BMP_MAX = 0xFFFF


def quote(text: str) -> str:
    """Write `text` between double quotes as `%q` does."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    escape = _ESCAPES.get(char)
    if escape is not None:
        return escape
    code = ord(char)
    if _SURROGATE_MIN <= code <= _SURROGATE_MAX:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or (char.isprintable() and not char.isspace()):
        return char
    if code < ord(" ") or char == "\x7f":
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _BMP_MAX else f"\\U{code:08x}"


def show(data: Data) -> str:  # noqa: PLR0911 - one for each type
    """Write a value as `%v` does; containers by what they are, since Go prints addresses."""
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, str):
        return data
    if isinstance(data, int):
        return str(data)
    if isinstance(data, float):
        return float_text(data, exponent_max=21)
    if isinstance(data, list):
        return "an array" if data else "[]"
    if isinstance(data, dict):
        return "a map" if data else "map[]"
    return data.text.replace("T", " ").replace("Z", " +0000 UTC")


def float_text(number: float, *, exponent_max: int) -> str:
    """The shortest digits that give `number` back; with an exponent from `exponent_max` on."""
    mantissa, _, exponent = f"{number!r}".partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    # The number is 0.digits * 10^point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    scientific = point - 1
    if scientific < FLOAT_EXPONENT_MIN or scientific >= exponent_max:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if scientific < 0 else '+'}{abs(scientific):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def parse_duration(text: str) -> int:  # noqa: C901 - Go's order of complaints
    """Read a duration such as `1h30m` or `500ms`; the result is in nanoseconds.

    Raises:
        ValueError: Go's own text, such as `time: missing unit in duration "5"`.
    """
    invalid = f"time: invalid duration {_quote_bytes(text)}"
    rest = text
    negative = rest.startswith("-")
    if rest[:1] in ("-", "+"):
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(invalid)
    total = 0
    while rest:
        whole, rest = _take_digits(rest)
        fraction = ""
        has_point = rest.startswith(".")
        if has_point:
            fraction, rest = _take_digits(rest[1:])
        if not whole and not fraction:
            raise ValueError(invalid)
        unit_length = 0
        while unit_length < len(rest) and rest[unit_length] not in "." + _DIGITS:
            unit_length += 1
        unit, rest = rest[:unit_length], rest[unit_length:]
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quote_bytes(text)}")
        scale = NANOSECONDS.get(unit)
        if scale is None:
            problem = f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}"
            raise ValueError(problem)
        # Digits beyond those that a nanosecond can show change nothing; do not carry millions.
        total += _bounded_int(whole) * scale + _bounded_int(fraction[:18]) * scale // 10 ** len(
            fraction[:18]
        )
        if total > INT64_MAX + negative:
            raise ValueError(invalid)
    return -total if negative else total


def duration_text(nanoseconds: int) -> str:
    """Write a duration as Go does: `2m0s`, `1.5s`, `50ms`, `0s`."""
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest == 0:
        return "0s"
    if rest < NANOSECONDS["s"]:
        for unit in ("ms", "µs", "ns"):
            scale = NANOSECONDS[unit]
            if rest >= scale:
                return f"{sign}{_decimal(rest, scale)}{unit}"
    minutes, below_minute = divmod(rest, NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_decimal(below_minute, NANOSECONDS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def bytes_text(count: int) -> str:
    """Bytes as nats-server shows them: `17.69 GB`."""
    size, unit = float(count), 0
    while size >= _STEP and unit < len(_BYTE_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.2f} {_BYTE_UNITS[unit]}"


def os_error_text(operation: str, path: str, error: OSError) -> str:
    """Write a failed file operation as Go does: `open x: no such file or directory`."""
    return f"{operation} {path}: {(error.strerror or str(error)).lower()}"


def _decimal(amount: int, scale: int) -> str:
    whole, rest = divmod(amount, scale)
    if rest == 0:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(scale)) - 1).rstrip('0')}"


def _take_digits(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] in _DIGITS:
        end += 1
    return text[:end], text[end:]


def _bounded_int(digits: str) -> int:
    significant = digits.lstrip("0")
    # Longer than any int64; Python refuses to read thousands of digits.
    return INT64_MAX + 2 if len(significant) > len(str(INT64_MAX)) else int(significant or "0")


def _quote_bytes(text: str) -> str:
    r"""Quote as Go's `time` package does, which writes every byte outside ASCII as `\xNN`."""
    shown: list[str] = []
    for char in text:
        if char in '"\\':
            shown.append("\\" + char)
        elif " " <= char <= "~" or char == "\x7f":
            shown.append(char)
        else:
            shown.extend(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
    return '"' + "".join(shown) + '"'
