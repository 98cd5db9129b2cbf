"""What holds for any text that is read as a configuration.

The property tests and the fuzz target `fuzz/fuzz_targets/configuration.py` share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback.errors import ConfigError, ConfigRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from keelback.options.load import Draft

WITHOUT_PLACE = ("config has no values or is empty",)
"""What is said of a whole file."""


def settle_options(read: Callable[[], Draft], files: Collection[str] = ("",)) -> None:
    """Whatever is read gives options, or errors of which each says what is wrong, and where.

    `files` are those that a place may name.
    """
    try:
        draft = read()
    except ConfigError as error:
        assert_places(error, files)
        return
    try:
        draft.resolved()
    except ConfigRejected as rejected:
        # What options mean together has no one place.
        for error in rejected.errors:
            assert error.problem


def assert_places(error: ConfigError, files: Collection[str]) -> None:
    """Each error that was collected names its problem and a place that exists."""
    rejected = isinstance(error, ConfigRejected)
    for each in (*error.errors, *error.warnings) if rejected else (error,):
        assert each.problem
        if each.problem.endswith(WITHOUT_PLACE):
            continue
        assert each.place is not None, each.problem
        if each.place.line == 0:
            # Python data: the place is a path among the keywords.
            assert files == ("",), each.problem
            continue
        assert each.place.file in files, each.place
        assert each.place.line >= 1
        assert each.place.column >= 0
