"""How every document becomes JSON: its layout."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from keelback import gojson

INDENT: Final = 2
NO_INDENT: Final = -1


class Document(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A JSON object with its keys in the order of its fields; one with a default is left out."""


def to_json(document: object, *, indent: int = INDENT) -> bytes:
    """The document as nats-server sends it; spaces for each level, or all on one line."""
    text = msgspec.json.encode(document)
    if indent != NO_INDENT:
        text = msgspec.json.format(text, indent=indent)
    return gojson.escaped(text)


def to_dict(document: object) -> dict[str, Any]:
    """The document as plain Python data: what a reader of its JSON has."""
    return gojson.to_dict(document)
