"""What a configuration file holds once it is read: values, each with its place.

Knows no option and no file system. Strings are exact: bytes that are not UTF-8 are kept as
surrogates (`surrogateescape`), so that whoever needs text can refuse them with a place.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from keelback.errors import Place

    Data: TypeAlias = "str | bool | int | float | Timestamp | list[Value] | dict[str, Value]"

DEPTH_MAX = 64
"""Most containers inside one another: a configuration needs five or six, a reader recurses."""

WEIGHT_MAX = 4_000_000
"""Most values that a tree may come to when its variables are written out. Variables share
values, so that a few lines could otherwise stand for billions of them."""

STRING_BYTES_PER_WEIGHT = 64


class Timestamp:
    """A date as it was written, `2006-01-02T15:04:05Z`, known to exist in the calendar."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Timestamp({self.text!r})"


class Value:
    """One value and its place: that of its key inside a map, its own inside an array.

    Invariant: `depth` and `weight` are those of the whole tree below, so that a value made of
    variables is known to be bounded without being walked.
    """

    __slots__ = ("data", "depth", "is_variable", "place", "weight")

    def __init__(
        self, data: Data, place: Place, *, depth: int | None = None, weight: int | None = None
    ) -> None:
        self.data = data
        self.place = place
        self.is_variable = False
        """A `$name` took this value: its key need not be one that anybody knows."""
        self.depth, self.weight = (
            _measure(data) if depth is None or weight is None else (depth, weight)
        )

    def moved_to(self, place: Place) -> Value:
        """The same data at another place, as a variable's value is where it is used."""
        return Value(self.data, place, depth=self.depth, weight=self.weight)

    def plain(self) -> object:
        """The data without places: strings, numbers, lists and dicts."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data

    def __repr__(self) -> str:
        return f"Value({self.data!r}, {self.place})"


def go_type(data: Data) -> str:
    """The type of a value as nats-server's messages name it."""
    if isinstance(data, bool):
        return "bool"
    if isinstance(data, str):
        return "string"
    if isinstance(data, int):
        return "int64"
    if isinstance(data, float):
        return "float64"
    if isinstance(data, list):
        return "[]interface {}"
    return "map[string]interface {}" if isinstance(data, dict) else "time.Time"


def _measure(data: Data) -> tuple[int, int]:
    children: Iterable[Value] = ()
    if isinstance(data, str):
        return 0, 1 + len(data) // STRING_BYTES_PER_WEIGHT
    if isinstance(data, list):
        children = data
    elif isinstance(data, dict):
        children = data.values()
    else:
        return 0, 1
    depth = 0
    # Keys are written out as often as their map is.
    weight = sum(map(len, data)) // STRING_BYTES_PER_WEIGHT if isinstance(data, dict) else 0
    for child in children:
        depth = max(depth, child.depth)
        weight += child.weight
    return depth + 1, weight + 1
