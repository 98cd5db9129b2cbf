"""Values of JSON as fields of a record, read as Go's decoder reads them into a struct.

A `Kind` stands for one Go type: what it accepts, and what it is called in a complaint. Records are
described by their annotations (`Annotated[int, INT64]`). Keys match whatever their case, a key
that comes twice is read twice, and `null` leaves a plain value as it was.
Source: Go 1.27 `encoding/json`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

import msgspec

from keelback.config.gotext import quote
from keelback.jetstream.gotime import time_from
from keelback.jetstream.json_scan import JsonError, space_end, string_end, text_of, value_end

if TYPE_CHECKING:
    from collections.abc import Generator

Path = tuple[str, ...]
T = TypeVar("T")

_NAMES: Final = {b'"': "string", b"{": "object", b"[": "array", b"t": "bool", b"f": "bool"}
_DIGITS: Final = re.compile(r"[0-9]+")
_INTEGER: Final = re.compile(rb"-?[0-9]+")
_DIGITS_MAX: Final = 20
_NULL: Final = b"null"


class Record(msgspec.Struct, kw_only=True):
    """An object of JSON; its attributes have the names and the order of the keys."""

    always: ClassVar[frozenset[str]] = frozenset()
    """The keys that are written even when their value is zero or empty."""

    def to_json(self) -> dict[str, Any]:
        """The record as plain data, its keys in order; empty ones left out, but for `always`."""
        document: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None or (not value and name not in self.always):
                continue
            document[name] = _plain(value)
        return document


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, dict):
        return dict(sorted(cast("dict[str, str]", value).items()))
    return value


class Kind(ABC):
    """One Go type."""

    def __init__(self, go: str) -> None:
        self.go = go

    @abstractmethod
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401 - of many types
        """The value of `raw`, valid JSON without white space around it.

        Args:
            raw: the text of the value.
            path: the keys and indexes that lead to it, from the root's name.
            before: what the field holds until now.

        Raises:
            JsonError: it is not of this kind.
        """

    def wrong(self, raw: bytes, path: Path, what: str = "") -> JsonError:
        """The complaint about a value of another type."""
        what = what or _NAMES.get(raw[:1], "number")
        if len(path) == 1:
            return JsonError(f"json: cannot unmarshal {what} into Go value of type {self.go}")
        # Go takes a key of digits alone for an index.
        field = "" if _DIGITS.fullmatch(path[-1]) else "Go struct field "
        return JsonError(
            f"json: cannot unmarshal {what} into {field}{'.'.join(path)} of type {self.go}"
        )


class _Anything(Kind):
    """A value that is passed over."""

    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401, ARG002
        return before


class _Text(Kind):
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401
        if raw == _NULL:
            return before
        if raw[:1] != b'"':
            raise self.wrong(raw, path)
        return text_of(raw)


class _Flag(Kind):
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401
        if raw == _NULL:
            return before
        if raw[:1] not in (b"t", b"f"):
            raise self.wrong(raw, path)
        return raw == b"true"


class _Integer(Kind):
    def __init__(self, go: str, least: int, most: int) -> None:
        super().__init__(go)
        self._range = range(least, most + 1)
        self._signed = least < 0

    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401
        if raw == _NULL:
            return before
        if raw[:1] not in b"-0123456789":
            raise self.wrong(raw, path)
        whole = _INTEGER.fullmatch(raw) and len(raw) <= _DIGITS_MAX
        if not whole or int(raw) not in self._range or (raw[:1] == b"-" and not self._signed):
            raise self.wrong(raw, path, f"number {raw.decode()}")
        return int(raw)


class Choice(Kind):
    """One of some words, which Go compares as they are written: an escape makes another word."""

    def __init__(self, words: dict[bytes, str], *, any_case: bool = False) -> None:
        super().__init__("string")
        self._words = words
        self._any_case = any_case

    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401, ARG002
        """One of the words; `null` is none of them."""
        word = self._words.get(raw.lower() if self._any_case else raw)
        if word is None:
            raise JsonError(f"can not unmarshal {quote(raw.decode('utf-8', 'surrogateescape'))}")
        return word


class _Compression(Kind):
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401, ARG002
        word = TEXT.read(raw, path[:1], "")
        if word not in ("none", "s2"):
            raise JsonError("unknown compression algorithm")
        return word


class _Time(Kind):
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401, ARG002
        if raw == _NULL:
            return None
        if raw[:1] != b'"':
            raise self.wrong(raw, path)
        try:
            return time_from(text_of(raw))
        except ValueError as error:
            raise JsonError(str(error)) from None


class ListOf(Kind):
    """Some values of one kind, as a tuple; `null` is `empty`."""

    def __init__(self, item: Kind, zero: Any, *, pointer: str = "", empty: Any = ()) -> None:  # noqa: ANN401
        super().__init__(f"[]{pointer}{item.go}")
        self._item = item
        self._zero = zero
        self._empty = empty

    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401, ARG002
        """The values in their order."""
        if raw == _NULL:
            return self._empty
        if raw[:1] != b"[":
            raise self.wrong(raw, path)
        values: list[Any] = []
        at = space_end(raw, 1)
        while raw[at : at + 1] != b"]":
            end = value_end(raw, at)
            zero = self._zero() if callable(self._zero) else self._zero
            values.append(self._item.read(raw[at:end], (*path, str(len(values))), zero))
            at = _next_at(raw, end)
        return tuple(values)


class _TextMap(Kind):
    def read(self, raw: bytes, path: Path, before: Any) -> Any:  # noqa: ANN401
        if raw == _NULL:
            return {}
        if raw[:1] != b"{":
            raise self.wrong(raw, path)
        values: dict[str, str] = dict(before or {})
        for key, value in _members(raw):
            # As a JSON Pointer, RFC 6901.
            step = key.replace("~", "~0").replace("/", "~1")
            values[key] = TEXT.read(value, (*path, step), "")
        return values


_IS_LENIENT: Final = ContextVar("_IS_LENIENT", default=False)


@contextmanager
def reading(*, strictly: bool) -> Generator[None]:
    """Refuse fields that are not known, or leave them out; for what this thread reads meanwhile."""
    token = _IS_LENIENT.set(not strictly)
    try:
        yield
    finally:
        _IS_LENIENT.reset(token)


class ObjectOf(Kind, Generic[T]):
    """A record of its own. `null` is None, or for one that is always there: unchanged."""

    def __init__(self, go: str, make: type[T], *, optional: bool = True) -> None:
        super().__init__(go)
        self._make = make
        self._optional = optional

    def read(self, raw: bytes, path: Path, before: T | None) -> T | None:
        """The record, or what was there before with the keys of this one."""
        if raw == _NULL:
            return None if self._optional else before
        if raw[:1] != b"{":
            raise self.wrong(raw, path)
        record = before if before is not None else self._make()
        kinds = kinds_of(self._make)
        for key, value in _members(raw):
            name = key if key in kinds else _folded(key)
            kind = kinds.get(name)
            if kind is None and _IS_LENIENT.get():
                continue
            if kind is None:
                raise JsonError(f"json: unknown field {quote(key)}")
            setattr(record, name, kind.read(value, (*path, key), getattr(record, name)))
        return record


def _folded(key: str) -> str:
    # The long s is the one letter beyond Unicode's own lower case that folds to an ASCII one.
    return key.lower().replace("\N{LATIN SMALL LETTER LONG S}", "s")


@lru_cache(maxsize=64)
def kinds_of(record: type[object]) -> dict[str, Kind]:
    """The kinds of a record's fields by their keys."""
    kinds: dict[str, Kind] = {}
    for name, annotation in get_type_hints(record, include_extras=True).items():
        for note in get_args(annotation):
            if isinstance(note, Kind):
                kinds[name] = note
    return kinds


def _members(raw: bytes) -> list[tuple[str, bytes]]:
    """The keys and values of a valid object, in their order."""
    members: list[tuple[str, bytes]] = []
    at = space_end(raw, 1)
    while raw[at : at + 1] != b"}":
        key_end = string_end(raw, at)
        start = space_end(raw, space_end(raw, key_end) + 1)
        end = value_end(raw, start)
        members.append((text_of(raw[at:key_end]), raw[start:end]))
        at = _next_at(raw, end)
    return members


def _next_at(raw: bytes, end: int) -> int:
    """Where the next element of a valid object or array begins, or its closing mark stands."""
    at = space_end(raw, end)
    return space_end(raw, at + 1) if raw[at : at + 1] == b"," else at


ANYTHING: Final = _Anything("interface {}")
TEXT: Final = _Text("string")
FLAG: Final = _Flag("bool")
INT: Final = _Integer("int", -(1 << 63), (1 << 63) - 1)
INT64: Final = _Integer("int64", -(1 << 63), (1 << 63) - 1)
INT32: Final = _Integer("int32", -(1 << 31), (1 << 31) - 1)
UINT64: Final = _Integer("uint64", 0, (1 << 64) - 1)
DURATION: Final = _Integer("time.Duration", -(1 << 63), (1 << 63) - 1)
TIME: Final = _Time("time.Time")
COMPRESSION: Final = _Compression("string")
TEXTS: Final = ListOf(TEXT, "")
TEXT_MAP: Final = _TextMap("map[string]string")


def read_all(data: bytes, root: ObjectOf[T], name: str) -> T | None:
    """Read the values that follow each other in `data`, one over the other.

    Gives None without any value but `null`. `name` is what complaints call the root.

    Raises:
        JsonError: of the first value that is wrong; those after it are not looked at.
    """
    record: T | None = None
    at = space_end(data, 0)
    while at < len(data):
        end = value_end(data, at)
        record = root.read(data[at:end], (name,), record)
        at = space_end(data, end)
    return record
