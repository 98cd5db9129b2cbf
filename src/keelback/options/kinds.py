"""The types that options have: how each is read from a tree, checked and shown.

The texts of refusals are nats-server's, which lets its language's own message through when a type
does not fit ("interface conversion: …").
"""

from __future__ import annotations

from keelback.config.gotext import duration_text, parse_duration
from keelback.config.tree import go_type
from keelback.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from keelback.config.tree import Value
    from keelback.options.report import Report

    T = TypeVar("T")

KIB = 1 << 10
MIB = 1 << 20
INT32_MAX = (1 << 31) - 1
NANOSECONDS_PER_SECOND = 1_000_000_000


class Kind:
    """A type of option. `name` and `example` are for people."""

    __slots__ = ("example", "name", "unit")

    def __init__(self, name: str, example: str, unit: str = "") -> None:
        self.name = name
        self.example = example
        self.unit = unit

    def read(self, key: str, value: Value, report: Report) -> object:
        """Read a value; warnings go to `report`.

        Raises:
            ConfigError: the value is not of this type.
        """
        raise NotImplementedError

    def show(self, value: object) -> str:
        """Write a value as people write it in a file; empty for nothing."""
        return "" if value in (None, "", (), []) else str(value)

    def fail(self, value: Value, wanted: str) -> ConfigError:
        """What to raise when the type does not fit."""
        return ConfigError(
            value.place,
            f"interface conversion: interface {{}} is {go_type(value.data)}, not {wanted}",
            hint=f"give {self.name}, such as `{self.example}`",
        )


class Flag(Kind):
    """True or false."""

    def read(self, key: str, value: Value, report: Report) -> bool:  # noqa: ARG002
        """Read a boolean."""
        if isinstance(value.data, bool):
            return value.data
        raise self.fail(value, "bool")

    def show(self, value: object) -> str:
        """`true` or `false`."""
        return "true" if value else "false"


class Integer(Kind):
    """A whole number; sizes are written `1MB`, too."""

    def read(self, key: str, value: Value, report: Report) -> int:  # noqa: ARG002
        """Read a number."""
        if isinstance(value.data, int) and not isinstance(value.data, bool):
            return value.data
        raise self.fail(value, "int64")


class SmallInteger(Integer):
    """A whole number that nats-server keeps in 32 bits."""

    def read(self, key: str, value: Value, report: Report) -> int:
        """Read a number of at most 32 bits."""
        number = super().read(key, value, report)
        if number > INT32_MAX:
            raise ConfigError(
                value.place, f"{key} value is too big", hint=f"the most is {INT32_MAX:,}"
            )
        return number


class Size(SmallInteger):
    """A number of bytes below 2 GiB."""

    def show(self, value: object) -> str:
        """`1MB` for round sizes."""
        return size_text(value)


class LargeSize(Integer):
    """A number of bytes."""

    def show(self, value: object) -> str:
        """`64MB` for round sizes."""
        return size_text(value)


class ConnectionCount(Integer):
    """A number of connections; what is not positive refuses them all, and is -1 once read."""

    def read(self, key: str, value: Value, report: Report) -> int:
        """Read a number."""
        return super().read(key, value, report) or -1


class OptionalCount(Integer):
    """A number; what is not positive is without limit, and is 0 once read."""

    def read(self, key: str, value: Value, report: Report) -> int:
        """Read a number."""
        return max(super().read(key, value, report), 0)


class TokenCount(Integer):
    """A number of subject tokens: 1 to 255."""

    def read(self, key: str, value: Value, report: Report) -> int:
        """Read a small positive number."""
        number = super().read(key, value, report)
        if number > 255:  # noqa: PLR2004 - nats-server keeps it in a byte
            raise ConfigError(value.place, f"{key} value is too big", hint="the most is 255")
        if number <= 0:
            hint = "the least is 1; leave the key out for no limit"
            raise ConfigError(value.place, f"{key} value can not be negative", hint=hint)
        return number


class Text(Kind):
    """A string."""

    def read(self, key: str, value: Value, report: Report) -> str:  # noqa: ARG002
        """Read a string of valid UTF-8 without NUL bytes."""
        return text_of(value, self)


class NameText(Text):
    """A string without blanks."""

    def read(self, key: str, value: Value, report: Report) -> str:
        """Read a name."""
        name = super().read(key, value, report)
        if " " in name:
            raise ConfigError(
                value.place, "server name cannot contain spaces", hint="use `-` or `_`"
            )
        return name


class Duration(Kind):
    """A time span, in seconds once it is read. A plain number means seconds, with a warning."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read a duration."""
        key = key.lower()  # as nats-server names it
        number = value.data
        if isinstance(number, str):
            return seconds_of(value, f"error parsing {key}: ")
        seconds: float | None = None
        if isinstance(number, int | float) and not isinstance(number, bool):
            seconds = number
        if value.place.line == 0 and seconds is not None:  # Python's own seconds
            return float(seconds)
        hint = f'write a number with its unit, in quotes: `{key}: "20s"`'
        report.warning(value.place, key, f"{key} should be converted to a duration", hint=hint)
        if seconds is None or isinstance(seconds, float):
            raise self.fail(value, "int64")
        return float(seconds)

    def show(self, value: object) -> str:
        """`2m0s` as `2m`."""
        return "" if not isinstance(value, int | float) else seconds_text(value)


class StrictDuration(Duration):
    """A time span that must be written with its unit."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read a duration; a number without unit is refused."""
        if isinstance(value.data, str) or value.place.line == 0:
            return super().read(key, value, report)
        raise self.fail(value, "string")


class Choice(Kind):
    """One of a few words, in lower case."""

    __slots__ = ("choices",)

    def __init__(self, name: str, example: str, choices: tuple[str, ...]) -> None:
        super().__init__(name, example)
        self.choices = choices

    def read(self, key: str, value: Value, report: Report) -> str:  # noqa: ARG002
        """Read one of the words."""
        word = text_of(value, self)
        if word not in self.choices:
            *before, last = (f"'{choice}'" for choice in self.choices)
            problem = f"{key.lower()} must be {', '.join(before)} or {last}"
            raise ConfigError(value.place, problem, hint=f"write `{key}: {self.example}`")
        return word


class Anything(Kind):
    """A value with a shape of its own; its block reads it."""

    def read(self, key: str, value: Value, report: Report) -> object:
        """Not to be read by its kind."""
        raise NotImplementedError


NESTED = Anything("a block of its own", "")
FLAG = Flag("a boolean", "true")
INTEGER = Integer("a number", "1000")
SMALL_INTEGER = SmallInteger("a number", "1000")
SIZE = Size("a size without quotes", "1MB", "bytes")
LARGE_SIZE = LargeSize("a size without quotes", "64MB", "bytes")
CONNECTION_COUNT = ConnectionCount("a number", "1000")
OPTIONAL_COUNT = OptionalCount("a number", "1000")
TOKEN_COUNT = TokenCount("a number from 1 to 255", "16", "tokens")
TEXT = Text("a string", '"text"')
SERVER_NAME = NameText("a name without blanks", '"east-1"')
FILE = Text("a file name", '"/etc/nats/file"')
HOST_PORT = Text("host:port", '"nats.example.org:4222"')
DURATION = Duration("a duration in quotes", '"2m"', "duration")
STRICT_DURATION = StrictDuration("a duration in quotes", '"2m"', "duration")


def text_of(value: Value, kind: Kind = TEXT) -> str:
    """Read a string that can be sent and shown: valid UTF-8.

    Raises:
        ConfigError: another type, or bytes that are not UTF-8.
    """
    text = value.data
    if not isinstance(text, str):
        raise kind.fail(value, "string")
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ConfigError(
            value.place,
            "the text is not valid UTF-8",
            hint="save the file as UTF-8; check `\\x` escapes",
        )
    return text


def seconds_of(value: Value, prefix: str) -> float:
    """Read a duration's text into seconds.

    Raises:
        ConfigError: `prefix` and Go's own text.
    """
    try:
        return parse_duration(str(value.data)) / NANOSECONDS_PER_SECOND
    except ValueError as error:
        hint = 'write a number and its unit (ms, s, m, h), in quotes: `"1m30s"`'
        raise ConfigError(value.place, f"{prefix}{error}", hint=hint) from error


def seconds_text(seconds: float) -> str:
    """Write seconds as people write them: `2m`, `10s`, `50ms`."""
    text = duration_text(round(seconds * NANOSECONDS_PER_SECOND))
    if text.endswith("m0s"):
        text = text.removesuffix("0s")
    return text.removesuffix("0m") if text.endswith("h0m") else text


def size_text(value: object) -> str:
    """Write bytes as people write them: `64MB`, `4096`."""
    if isinstance(value, int) and value and value % MIB == 0:
        return f"{value // MIB}MB"
    return "" if value is None else str(value)
