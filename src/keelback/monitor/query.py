"""Parameters of a request: read as nats-server reads them, refused in its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote_plus

from keelback.monitor.gotext import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

PARAMETERS_MAX: Final = 64
"""More than any document has; the rest is not looked at."""

INT64_MAX: Final = 2**63 - 1
UINT64_MAX: Final = 2**64 - 1

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

State = Literal["open", "closed", "all"]


class QueryError(Exception):
    """A parameter, or several together, cannot be used; the text is the answer to the client."""


class Query:
    """The parameters of one URL; of a name that is given twice the first counts."""

    def __init__(self, raw: str = "") -> None:
        self._values: dict[str, str] = {}
        for pair in raw.split("&", PARAMETERS_MAX)[:PARAMETERS_MAX]:
            # As in Go, a pair with a semicolon or a broken escape is dropped, the others count.
            if not pair or ";" in pair or _has_broken_escape(pair):
                continue
            name, _, value = pair.partition("=")
            self._values.setdefault(_decoded(name), _decoded(value))

    def text(self, name: str) -> str:
        """The value, "" when there is none."""
        return self._values.get(name, "")

    def flag(self, name: str) -> bool:
        """A boolean; False when there is none.

        Raises:
            QueryError: it is neither.
        """
        value = self.text(name)
        if not value or value in _FALSE:
            return False
        if value in _TRUE:
            return True
        raise _malformed("boolean", name, "ParseBool", value, "invalid syntax")

    def integer(self, name: str) -> int:
        """A signed number; 0 when there is none.

        Raises:
            QueryError: it is none, or too large.
        """
        value = self.text(name)
        digits = value[1:] if value[:1] in ("+", "-") else value
        return self._number(name, value, digits, ("int", "Atoi"), _within_int64)

    def unsigned(self, name: str) -> int:
        """A number that is not negative; 0 when there is none.

        Raises:
            QueryError: it is none, or too large.
        """
        value = self.text(name)
        return self._number(name, value, value, ("uint64", "ParseUint"), _within_uint64)

    def state(self) -> State:
        """Which connections are meant.

        Raises:
            QueryError: there are no such ones.
        """
        value = self.text("state")
        lower = value.lower()
        if lower in ("", "open"):
            return "open"
        if lower == "closed":
            return "closed"
        if lower in ("any", "all"):
            return "all"
        raise QueryError(f"Error decoding state for {value}")

    def subscriptions(self) -> tuple[bool, bool]:
        """Whether subscriptions are listed, and whether in detail.

        Raises:
            QueryError: `subs` is neither a boolean nor `detail`.
        """
        if self.text("subs").lower() == "detail":
            return False, True
        return self.flag("subs"), False

    def _number(
        self,
        name: str,
        value: str,
        digits: str,
        go: tuple[str, str],
        fits: Callable[[int], bool],
    ) -> int:
        kind, function = go
        if not value:
            return 0
        if not (digits.isascii() and digits.isdigit()):
            raise _malformed(kind, name, function, value, "invalid syntax")
        # The length first: Python refuses to read numbers of thousands of digits.
        significant = digits.lstrip("0") or "0"
        if len(significant) > len(str(UINT64_MAX)) or not fits(_signed(value, significant)):
            raise _malformed(kind, name, function, value, "value out of range")
        return _signed(value, significant)


def _signed(value: str, digits: str) -> int:
    return -int(digits) if value.startswith("-") else int(digits)


def _within_int64(value: int) -> bool:
    return -INT64_MAX - 1 <= value <= INT64_MAX


def _within_uint64(value: int) -> bool:
    return 0 <= value <= UINT64_MAX


def _malformed(kind: str, name: str, function: str, value: str, why: str) -> QueryError:
    return QueryError(
        f"Error decoding {kind} for '{name}': strconv.{function}: parsing {quoted(value)}: {why}"
    )


_HEX: Final = frozenset("0123456789abcdefABCDEF")


def _has_broken_escape(pair: str) -> bool:
    return any(
        len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX  # noqa: PLR2004  # %XX
        for part in pair.split("%")[1:]
    )


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="replace")
