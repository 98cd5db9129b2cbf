"""JSON as Go's encoder writes it: the escapes that it makes, and its times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

NO_TIME: Final = "0001-01-01T00:00:00Z"
"""Go's time of nothing."""

NS_PER_S: Final = 1_000_000_000

_ESCAPES: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
"""What may end a script element or a line of JavaScript. All stand in strings only."""

_encoder = msgspec.json.Encoder()


def escaped(text: bytes) -> bytes:
    """JSON with the escapes of Go."""
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    return text


def to_json(document: object) -> bytes:
    """A document on one line."""
    return escaped(_encoder.encode(document))


def to_dict(document: object) -> dict[str, Any]:
    """A document as plain Python data: what a reader of its JSON has."""
    return msgspec.json.decode(_encoder.encode(document))


def time_text(time_ns: int | None) -> str:
    """A time (nanoseconds since 1970) as RFC 3339 in UTC, without zeros at its end."""
    if time_ns is None:
        return NO_TIME
    seconds, below = divmod(time_ns, NS_PER_S)
    date = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{below:09}".rstrip("0").rstrip(".")
    return f"{date}{fraction}Z"
