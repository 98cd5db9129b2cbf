"""The syntax of JSON, with the complaints of Go's decoder when it is broken.

Knows where values begin and end, nothing of what they mean. Reads without recursion: a stranger
chooses how deep a text is nested. Source: Go 1.27 `encoding/json`, which nats-server 2.15.1 is
built with; the offset in a complaint is nats-server's addition.
"""

from __future__ import annotations

import json
import re
from typing import Final

from keelback.config.gotext import quote

DEPTH_MAX: Final = 10_000
"""Objects and arrays within each other: Go's bound."""

_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_ESCAPE: Final = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_UNFINISHED: Final = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")

_LITERALS: Final = {b"t": b"true", b"f": b"false", b"n": b"null"}
_CLOSERS: Final = {b"{": b"}", b"[": b"]"}
_AFTER: Final = {b"{": "after object key:value pair", b"[": "after array element"}

_VALUE: Final = "looking for beginning of value"
_KEY: Final = "looking for beginning of object key string"
_NUMERIC: Final = "in numeric literal"


class JsonError(ValueError):
    """The text is no JSON, or not of the shape that was asked for; the message is Go's."""


def space_end(data: bytes, at: int) -> int:
    """Where the white space that may stand at `at` ends."""
    match = _SPACE.match(data, at)
    return match.end() if match else at


def value_end(data: bytes, at: int) -> int:
    """Where the value ends that begins at `at`, or after white space there.

    Raises:
        JsonError: there is no whole value.
    """
    openers: list[bytes] = []
    while True:
        at = space_end(data, at)
        opener = data[at : at + 1]
        if opener in _CLOSERS:
            if len(openers) == DEPTH_MAX:
                raise JsonError("exceeded max depth")
            at = space_end(data, at + 1)
            if data[at : at + 1] != _CLOSERS[opener]:
                openers.append(opener)
                if opener == b"{":
                    at = _key_end(data, at)
                continue
            at += 1
        else:
            at = _scalar_end(data, at)
        at = _element_end(data, at, openers)
        if not openers:
            return at


def _element_end(data: bytes, at: int, openers: list[bytes]) -> int:
    """Go on after a value: past what ends with it, to the next value of what does not."""
    while openers:
        at = space_end(data, at)
        mark = data[at : at + 1]
        if mark == _CLOSERS[openers[-1]]:
            openers.pop()
            at += 1
            continue
        if mark != b",":
            raise _unexpected(data, at, _AFTER[openers[-1]])
        at = space_end(data, at + 1)
        return _key_end(data, at) if openers[-1] == b"{" else at
    return at


def _key_end(data: bytes, at: int) -> int:
    """Where a key and its colon end."""
    if data[at : at + 1] != b'"':
        raise _unexpected(data, at, _KEY)
    at = space_end(data, string_end(data, at))
    if data[at : at + 1] != b":":
        raise _unexpected(data, at, "after object key")
    return at + 1


def _scalar_end(data: bytes, at: int) -> int:
    first = data[at : at + 1]
    if first == b'"':
        return string_end(data, at)
    if first == b"-" or first.isdigit():
        return _number_end(data, at)
    literal = _LITERALS.get(first)
    if literal is None:
        raise _unexpected(data, at, _VALUE)
    for index, wanted in enumerate(literal):
        if data[at + index : at + index + 1] != bytes((wanted,)):
            where = f"in literal {literal.decode()} (expecting {_character(chr(wanted))})"
            raise _unexpected(data, at + index, where)
    return at + len(literal)


def _number_end(data: bytes, at: int) -> int:
    match = _NUMBER.match(data, at)
    if match is None:
        raise _unexpected(data, at + 1, _NUMERIC)
    end = match.end()
    fraction, exponent = match.groups()
    following = data[end : end + 1]
    if exponent:
        return end
    if following == b"." and not fraction:
        raise _unexpected(data, end + 1, _NUMERIC)
    if following in (b"e", b"E"):
        sign = 1 if data[end + 1 : end + 2] in (b"+", b"-") else 0
        raise _unexpected(data, end + 1 + sign, _NUMERIC)
    return end


def string_end(data: bytes, at: int) -> int:
    """Where the string ends whose quotation mark stands at `at`.

    Raises:
        JsonError: it does not, or holds a control character or an unknown escape.
    """
    at += 1
    while True:
        plain = _PLAIN.match(data, at)
        at = plain.end() if plain else at
        mark = data[at : at + 1]
        if mark == b'"':
            return at + 1
        if mark != b"\\":
            raise _unexpected(data, at, "in string")
        escape = _ESCAPE.match(data, at)
        if escape is None:
            raise _bad_escape(data, at)
        at = escape.end()


def text_of(raw: bytes) -> str:
    """What a valid string with its quotation marks stands for.

    What is no UTF-8 and what is no character becomes U+FFFD, one for each byte or half.
    """
    text: str = json.loads(raw.decode("utf-8", "surrogateescape"))
    return _SURROGATES.sub("\ufffd", text)


def _bad_escape(data: bytes, at: int) -> JsonError:
    length = 6 if data[at + 1 : at + 2] == b"u" else 2
    sequence = data[at : at + length]
    if _UNFINISHED.fullmatch(sequence):
        return JsonError("unexpected EOF")
    text = sequence.decode("utf-8", "surrogateescape")
    is_plain = all(char.isprintable() and char not in " `\ufffd" for char in text)
    shown = f"`{text}`" if is_plain else quote(text)
    return JsonError(f"invalid escape sequence {shown} in string at offset {at + len(sequence)}")


def _unexpected(data: bytes, at: int, where: str) -> JsonError:
    if at >= len(data):
        return JsonError("unexpected EOF")
    character = data[at : at + 4].decode("utf-8", "surrogateescape")[0]
    size = len(character.encode("utf-8", "surrogateescape"))
    return JsonError(f"invalid character {_character(character)} {where} at offset {at + size}")


def _character(character: str) -> str:
    if character == "'":
        return r"'\''"
    return "'\"'" if character == '"' else f"'{quote(character)[1:-1]}'"
