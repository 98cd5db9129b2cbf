"""Collects what is wrong with a configuration, so that all of it is told at once."""

from __future__ import annotations

from keelback.config.gotext import quote
from keelback.errors import ConfigError, ConfigRejected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keelback.config.tree import Value
    from keelback.errors import Place


NEAREST_HINTS_MAX = 50
"""Most unknown keys for which the nearest known one is looked for: each takes a while."""


class Report:
    """Errors and warnings in the order in which they were met."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        self._hints_left = NEAREST_HINTS_MAX

    def error(self, place: Place | None, problem: str, *, hint: str = "") -> None:
        """Note an error; the configuration is refused."""
        self.errors.append(ConfigError(place, problem, hint=hint))

    def warning(self, place: Place, key: str, problem: str, *, hint: str = "") -> None:
        """Note a warning about the use of a key."""
        problem = f"invalid use of field {quote(key)}: {problem}"
        self.warnings.append(ConfigError(place, problem, hint=hint))

    def unknown(
        self,
        key: str,
        value: Value,
        known: Iterable[str],
        *,
        problem: str | None = None,
        describe: Callable[[str], str] | None = None,
    ) -> None:
        """Note a key that is not known, unless a variable made use of it; name the nearest."""
        if value.is_variable and problem is None:
            return
        hint = nearest_hint(key, known, describe) if self._hints_left else ""
        self._hints_left -= self._hints_left > 0
        self.error(value.place, problem or f"unknown field {quote(key)}", hint=hint)

    def not_known(
        self,
        block: str,
        key: str,
        value: Value,
        known: Iterable[str],
        *,
        problem: str | None = None,
        describe: Callable[[str], str] | None = None,
    ) -> None:
        """Note a key that a block does not read: it comes later, or nobody knows it."""
        from keelback.options import later  # noqa: PLC0415 - costs start-up time

        shape = later.BLOCKS[block]
        if not shape.refuse(key, value, self):
            self.unknown(key, value, (*known, *shape.keys), problem=problem, describe=describe)

    def unsupported(self, key: str, value: Value, *, what: str = "") -> None:
        """Note a key that nats-server has and Keelback does not have yet."""
        self.error(value.place, f"{quote(key)} is not supported yet", hint=what or UNSUPPORTED_HINT)

    def raise_errors(self) -> None:
        """Raise what was collected, if there is an error in it.

        Raises:
            ConfigRejected: with every error and warning.
        """
        if self.errors:
            raise ConfigRejected(self.errors, self.warnings)


UNSUPPORTED_HINT = "remove it, or keep nats-server for this configuration"


def nearest_hint(
    key: str, known: Iterable[str], describe: Callable[[str], str] | None = None
) -> str:
    """Name the known key most like `key`, as a hint; empty when none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 - needed only when something is wrong

    nearest = get_close_matches(key.lower(), list(known), n=1, cutoff=0.6)
    if not nearest:
        return ""
    return f"did you mean `{nearest[0]}`?" + (describe(nearest[0]) if describe else "")
