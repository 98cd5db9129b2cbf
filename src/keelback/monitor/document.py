"""How every document becomes JSON: the layout and the escapes of Go's encoder."""

from __future__ import annotations

from typing import Any, Final

import msgspec

INDENT: Final = 2
NO_INDENT: Final = -1

_ESCAPES: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
"""What may end a script element or a line of JavaScript. All stand in strings only."""

_encoder = msgspec.json.Encoder()


class Document(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A JSON object with its keys in the order of its fields; one with a default is left out."""


def to_json(document: object, *, indent: int = INDENT) -> bytes:
    """The document as nats-server sends it; spaces for each level, or all on one line."""
    text = _encoder.encode(document)
    if indent != NO_INDENT:
        text = msgspec.json.format(text, indent=indent)
    for character, escape in _ESCAPES:
        text = text.replace(character, escape)
    return text


def to_dict(document: object) -> dict[str, Any]:
    """The document as plain Python data: what a reader of its JSON has."""
    return msgspec.json.decode(_encoder.encode(document))
