"""Whether a subject transform can be: its source, its destination and the functions in it.

Applying one to a message is the Rust core's work. Source: nats-server 2.15
`server/subject_transform.go` and `ValidateMapping` in `server/sublist.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from keelback.jetstream.subjects import ANY_ONE, ANY_TAIL

_INT32_MAX: Final = (1 << 31) - 1
_INT64_MAX: Final = (1 << 63) - 1
_DIGITS_MAX: Final = len(str(_INT64_MAX))
_SHORTEST_FUNCTION: Final = len("{{x}}")
_SPACES: Final = frozenset(" \t\r\n\f")

BAD_SUBJECT: Final = "invalid subject"
_BAD_DESTINATION: Final = "invalid mapping destination"
_INVALID: Final = f"{_BAD_DESTINATION}: invalid transform"
_UNKNOWN_FUNCTION: Final = f"{_BAD_DESTINATION}: unknown function"
_OUT_OF_RANGE: Final = f"{_BAD_DESTINATION}: wildcard index out of range"
_TOO_FEW: Final = f"{_BAD_DESTINATION}: not enough arguments passed to the function"
_TOO_MANY: Final = f"{_BAD_DESTINATION}: too many arguments passed to the function"
_BAD_ARGUMENT: Final = f"{_BAD_DESTINATION}: function argument is invalid or in the wrong format"


class TransformError(ValueError):
    """No such transform can be; the message is nats-server's."""


class _Function(Enum):
    WILDCARD = auto()
    PARTITION = auto()
    SPLIT_FROM_LEFT = auto()
    SPLIT_FROM_RIGHT = auto()
    SLICE_FROM_LEFT = auto()
    SLICE_FROM_RIGHT = auto()
    RIGHT = auto()
    LEFT = auto()
    SPLIT = auto()
    RANDOM = auto()


def _call_of(name: str) -> re.Pattern[str]:
    return re.compile(r"\{\{[\t\n\f\r ]*" + name + r"[\t\n\f\r ]*\((.*)\)[\t\n\f\r ]*\}\}")


_CALLS: Final = {
    _Function.WILDCARD: _call_of("[wW]ildcard"),
    _Function.PARTITION: _call_of("[pP]artition"),
    _Function.SPLIT_FROM_LEFT: _call_of("[sS]plit[fF]rom[lL]eft"),
    _Function.SPLIT_FROM_RIGHT: _call_of("[sS]plit[fF]rom[rR]ight"),
    _Function.SLICE_FROM_LEFT: _call_of("[sS]lice[fF]rom[lL]eft"),
    _Function.SLICE_FROM_RIGHT: _call_of("[sS]lice[fF]rom[rR]ight"),
    _Function.RIGHT: _call_of("[rR]ight"),
    _Function.LEFT: _call_of("[lL]eft"),
    _Function.SPLIT: _call_of("[sS]plit"),
    _Function.RANDOM: _call_of("[rR]andom"),
}
"""In the order in which nats-server tries them: a token may hold more than one."""

_COMMA: Final = re.compile(r",[\t\n\f\r ]*")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


def check_mapping(source: str, destination: str) -> None:
    """Check the transform of a stream, a mirror or a source; without a destination there is none.

    Raises:
        TransformError: it cannot be.
    """
    if not destination:
        return
    after_tail = False
    for token in destination.split("."):
        if not token or after_tail:
            raise TransformError(_about(_INVALID, token))
        if _is_call(token):
            if not any(call.search(token) for call in _CALLS.values()):
                raise TransformError(_about(_UNKNOWN_FUNCTION, token))
        elif token == ANY_TAIL:
            after_tail = True
        elif not _SPACES.isdisjoint(token):
            raise TransformError(_INVALID)
    check_transform(source, destination)


def check_transform(source: str, destination: str) -> None:
    """Check that a transform can be made; an empty source means all, an empty destination none.

    Raises:
        TransformError: it cannot.
    """
    if not destination:
        return
    taken = _Shape.of(source or ANY_TAIL)
    given = _Shape.of(destination)
    if taken is None or given is None or given.wildcards or taken.has_tail != given.has_tail:
        raise TransformError(BAD_SUBJECT)
    has_wildcards = bool(taken.wildcards or taken.has_tail)
    for token in destination.split("."):
        function, indexes = _placeholder(token)
        if function in (None, _Function.RANDOM):
            continue
        if has_wildcards:
            for index in indexes:
                if index > taken.wildcards:
                    raise TransformError(_about(_OUT_OF_RANGE, f"{token}: [{index}]"))
        elif function is not _Function.PARTITION:
            raise TransformError(_about(_OUT_OF_RANGE, token))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How many `*` a subject has, and whether it ends in `>`."""

    wildcards: int
    has_tail: bool

    @classmethod
    def of(cls, subject: str) -> _Shape | None:
        """The shape; None if the subject is invalid, spaces aside."""
        tokens = subject.split(".")
        if not all(tokens) or ANY_TAIL in tokens[:-1]:
            return None
        return cls(tokens.count(ANY_ONE), tokens[-1] == ANY_TAIL)


def _placeholder(token: str) -> tuple[_Function | None, list[int]]:
    """The function that a token of a destination calls, and the wildcards that it takes."""
    if token.startswith("$"):
        index = _integer(token[1:])
        return (None, []) if index is None else (_Function.WILDCARD, [index])
    if not _is_call(token):
        return None, []
    for function, call in _CALLS.items():
        if match := call.search(token):
            return function, _indexes(token, function, _COMMA.split(match[1]))
    raise TransformError(_about(_UNKNOWN_FUNCTION, token))


def _is_call(token: str) -> bool:
    return (
        len(token.encode()) >= _SHORTEST_FUNCTION
        and token.startswith("{{")
        and token.endswith("}}")
    )


def _indexes(token: str, function: _Function, arguments: list[str]) -> list[int]:
    if function is _Function.WILDCARD:
        if arguments == [""]:
            raise TransformError(_about(_TOO_FEW, token))
        if len(arguments) > 1:
            raise TransformError(_about(_TOO_MANY, token))
        return [_argument(token, arguments[0])]
    if function is _Function.PARTITION:
        _argument(token, arguments[0], most=_INT32_MAX)
        return [_argument(token, argument) for argument in arguments[1:]]
    if function is _Function.RANDOM:
        if len(arguments) > 1:
            raise TransformError(_about(_TOO_FEW, token))
        _argument(token, arguments[0], most=_INT32_MAX)
        return []
    first, second = _two(token, arguments)
    index = _argument(token, first)
    if function is not _Function.SPLIT:
        _argument(token, second, most=_INT32_MAX, least=-_INT32_MAX - 1)
    elif " " in second or "." in second:
        raise TransformError(_about(_BAD_ARGUMENT, token))
    return [index]


def _two(token: str, arguments: list[str]) -> tuple[str, str]:
    match arguments:
        case [first, second]:
            return first, second
        case [_]:
            raise TransformError(_about(_TOO_FEW, token))
        case _:
            raise TransformError(_about(_TOO_MANY, token))


def _argument(
    token: str, text: str, *, most: int = _INT64_MAX, least: int = -_INT64_MAX - 1
) -> int:
    value = _integer(text.strip(" "))
    if value is None or not least <= value <= most:
        raise TransformError(_about(_BAD_ARGUMENT, token))
    return value


def _integer(text: str) -> int | None:
    """The text as a number of 64 bits, None when it is not one."""
    if not _INTEGER.fullmatch(text) or len(text.lstrip("+-0")) > _DIGITS_MAX:
        return None
    value = int(text)
    return value if -_INT64_MAX - 1 <= value <= _INT64_MAX else None


def _about(problem: str, token: str) -> str:
    return f"{problem} in {token}" if token else problem
