"""Go's flag rules: what an argument list says, without knowing what a flag means.

One or two dashes; `-x v` or `-x=v`; a boolean takes `=false`, never a word of its own; the first
word that is no flag ends them, and so does `--`. Texts are those of Go's `flag` package.
"""

from __future__ import annotations

from keelback.config.gotext import INT64_MAX, INT64_MIN, quote
from keelback.errors import UsageError
from keelback.options.report import nearest_hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    FlagValue = str | int | bool

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_BASES = {"0x": 16, "0b": 2, "0o": 8}


class Flag:
    """A flag: its names (the first is the main one), what it takes and what it is for.

    `takes` is `"nothing"` (a boolean), `"text"` or `"number"`; `option` names the option that it
    sets, or is empty; `is_supported` is False for what nats-server has and Keelback has not.
    """

    __slots__ = ("help", "is_supported", "names", "option", "placeholder", "takes")

    def __init__(
        self,
        names: str,
        takes: str,
        help: str,  # noqa: A002 - the word that people know it by
        *,
        placeholder: str = "",
        option: str = "",
        is_supported: bool = True,
    ) -> None:
        self.names = tuple(names.split())
        self.takes = takes
        self.help = help
        self.placeholder = placeholder
        self.option = option
        self.is_supported = is_supported


class Given:
    """The flags that were given, in order, by the name that was used, and the words behind them."""

    def __init__(self) -> None:
        self.values: list[tuple[str, Flag, FlagValue]] = []
        self.words: list[str] = []

    def last(self, name: str) -> FlagValue | None:
        """The last value of a flag, by any of its names; None when it was not given."""
        return next((value for _, flag, value in reversed(self.values) if name in flag.names), None)


def parse_flags(arguments: Sequence[str], flags: Mapping[str, Flag]) -> Given:
    """Read the arguments (without the program's name) by the rules above.

    Raises:
        UsageError: Go's text.
    """
    given = Given()
    rest = list(arguments)
    while rest:
        argument = rest[0]
        if len(argument) < 2 or argument[0] != "-":  # noqa: PLR2004 - a lone dash is a word
            break
        rest.pop(0)
        if argument == "--":
            break
        text = argument[2:] if argument.startswith("--") else argument[1:]
        if text[:1] in ("", "-", "="):
            message = f"bad flag syntax: {argument}"
            raise UsageError(message)
        name, equals, value = text.partition("=")
        flag = flags.get(name)
        if flag is None:
            message = f"flag provided but not defined: -{name}"
            raise UsageError(message, hint=_flag_hint(name, flags))
        if flag.takes == "nothing":
            given.values.append((name, flag, _boolean(name, value) if equals else True))
            continue
        if not equals:
            if not rest:
                message = f"flag needs an argument: -{name}"
                raise UsageError(message, hint=f"-{name} {flag.placeholder}: {flag.help}")
            value = rest.pop(0)
        given.values.append((name, flag, _number(name, value) if flag.takes == "number" else value))
    given.words = rest
    return given


def _boolean(name: str, text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    message = f"invalid boolean value {quote(text)} for -{name}: parse error"
    raise UsageError(message, hint=f"write -{name} or -{name}=false")


def _number(name: str, text: str) -> int:
    """Read an integer as Go does: decimal, or with a prefix, with `_` between digits."""
    problem = f"invalid value {quote(text)} for flag -{name}: "
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in ("-", "+") else text
    base = _BASES.get(digits[:2].lower(), 10)
    if base != 10:  # noqa: PLR2004
        digits = digits[2:].removeprefix("_")
    elif len(digits) > 1 and digits[0] == "0":
        base, digits = 8, digits[1:].removeprefix("_")
    if not digits or not digits.isascii() or not digits.replace("_", "").isalnum():
        raise UsageError(problem + "parse error")
    try:
        # Python refuses to read thousands of decimal digits; no int64 has so many.
        number = sign * int(digits, base) if len(digits) < 100 else INT64_MAX + 1  # noqa: PLR2004
    except ValueError as error:
        raise UsageError(problem + "parse error") from error
    if not INT64_MIN <= number <= INT64_MAX:
        raise UsageError(problem + "value out of range")
    return number


def _flag_hint(name: str, flags: Mapping[str, Flag]) -> str:
    hint = nearest_hint(name, [known for known in flags if len(known) > 1])
    return hint.replace("`", "`--", 1) if hint else "see --help"
