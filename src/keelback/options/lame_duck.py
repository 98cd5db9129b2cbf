"""Lame duck mode: how a server that is about to stop sends its clients away."""

from __future__ import annotations

from keelback.config.gotext import duration_text
from keelback.errors import ConfigError
from keelback.options.fields import Block, option, options
from keelback.options.kinds import NANOSECONDS_PER_SECOND, StrictDuration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value
    from keelback.options.report import Report

DURATION_MIN_S = 30.0


class LameDuckDuration(StrictDuration):
    """A duration of at least 30 seconds."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read the duration."""
        seconds = super().read(key, value, report)
        if seconds < DURATION_MIN_S:
            shown = duration_text(round(seconds * NANOSECONDS_PER_SECOND))
            problem = f"invalid {key} of {shown}, minimum is 30 seconds"
            raise ConfigError(value.place, problem, hint=f'write `{key}: "30s"` or more')
        return seconds


class GracePeriod(StrictDuration):
    """A duration that is not negative."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read the duration."""
        seconds = super().read(key, value, report)
        if seconds < 0:
            raise ConfigError(value.place, f"invalid {key}, needs to be positive")
        return seconds


@options("")
class LameDuckOptions(Block):
    """Lame duck mode, which USR2 begins."""

    lame_duck_duration: float = option(
        LameDuckDuration("a duration of at least 30 seconds, in quotes", '"2m"', "duration"),
        default=120.0,
        zero_is_default=True,
        minimum=DURATION_MIN_S,
        help="The time over which the closing of connections is spread.",
    )
    lame_duck_grace_period: float = option(
        GracePeriod("a duration in quotes", '"10s"', "duration"),
        default=10.0,
        zero_is_default=True,
        minimum=0,
        help="The wait before the first connection is closed; below `lame_duck_duration`.",
    )
