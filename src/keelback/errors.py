"""Every exception that Keelback raises on purpose, and the place that one may point at.

Whose fault it was is the type::

    KeelbackError
    ├── ConfigError            an option is wrong: what was met, where, and how to mend it
    │   ├── ConfigSyntaxError  the text cannot be read at all
    │   └── ConfigRejected     everything that is wrong with a configuration, collected
    ├── UsageError             the command line is wrong
    ├── PeerViolation          a client or a remote server broke the protocol or its permissions
    ├── ServerError            the server cannot do what was asked of it: start, listen, reload
    └── InternalError          Keelback itself is wrong; please report it

A hint is data apart from the message: `str(error)` begins with nats-server's text to the letter,
and whoever shows the error to a person puts the hint on a line of its own. No message and no hint
holds a secret. This module imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ConfigError",
    "ConfigRejected",
    "ConfigSyntaxError",
    "InternalError",
    "KeelbackError",
    "PeerViolation",
    "Place",
    "ServerError",
    "UsageError",
]


class Place:
    """Where something was written: file, line and column from 1; columns count bytes.

    A value that came from Python instead of a file has line 0, and `file` is then its path among
    the keywords (`authorization.users[0].password`).
    """

    __slots__ = ("column", "file", "line")

    def __init__(self, file: str, line: int = 0, column: int = 0) -> None:
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        """Write the place as nats-server does: `file:line:position`.

        Its position is the distance from the last newline character, so it counts from 1 on
        every line but the first, where it counts from 0.
        """
        if self.line == 0:
            return self.file
        position = self.column - 1 if self.line == 1 else self.column
        return f"{self.file}:{self.line}:{position}"

    def __repr__(self) -> str:
        return f"Place({self.file!r}, line={self.line}, column={self.column})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Place):
            return NotImplemented
        return (self.file, self.line, self.column) == (other.file, other.line, other.column)

    def __hash__(self) -> int:
        return hash((self.file, self.line, self.column))


class KeelbackError(Exception):
    """The root: catch it to catch whatever Keelback raises on purpose."""

    hint: str = ""
    """What to do about it, in a sentence; empty when there is nothing to add."""


class ConfigError(KeelbackError):
    """An option is wrong. `str()` is `place: problem`, or the problem alone without a place.

    Where nats-server's own message lacks the place, `names_place` is False: the place is known,
    and shown with the hint.
    """

    def __init__(
        self, place: Place | None, problem: str, *, hint: str = "", names_place: bool = True
    ) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem
        self.hint = hint
        self.names_place = names_place and place is not None
        if place is not None and not names_place:
            self.hint = f"at {place}: {hint}".removesuffix(": ")

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.names_place else self.problem


class ConfigSyntaxError(ConfigError):
    """The text cannot be read.

    nats-server's wording names the line inside the problem, so the place stands beside it.
    """

    def __str__(self) -> str:
        return self.problem


class ConfigRejected(ConfigError):  # noqa: N818 - reads as what happened
    """Everything that is wrong with one configuration, in the order of the file.

    `warnings` do not keep a server from starting; `-t` refuses them as nats-server does.
    """

    def __init__(self, errors: Sequence[ConfigError], warnings: Sequence[ConfigError] = ()) -> None:
        first = (*errors, *warnings)[0]
        super().__init__(first.place, first.problem, hint=first.hint)
        self.errors = tuple(errors)
        self.warnings = tuple(warnings)

    def __str__(self) -> str:
        """Warnings first, then errors, one on each line, as nats-server prints them."""
        return "\n".join(str(error) for error in (*self.warnings, *self.errors))


class UsageError(KeelbackError):
    """The command line is wrong."""

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


class PeerViolation(KeelbackError):  # noqa: N818 - the project's word
    """A peer broke the protocol or asked for what it may not have.

    `reply` is the text of the `-ERR` line that it is sent, `closes` whether its connection ends.
    """

    def __init__(self, reply: str, *, closes: bool = True) -> None:
        super().__init__(reply)
        self.reply = reply
        self.closes = closes


class ServerError(KeelbackError):
    """The server cannot do what was asked of it."""

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


class InternalError(KeelbackError):
    """Keelback broke a promise to itself."""
