"""The digest by which nats-server names a configuration's content.

SHA-256 of the tree as Go's `encoding/json` writes it (keys sorted, HTML escaped), with a newline.
"""

from __future__ import annotations

from keelback.config.gotext import float_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_FLOAT_EXPONENT_MAX = 21


def digest(tree: Value) -> str:
    """`sha256:` and the digest of a whole configuration in hexadecimal."""
    import hashlib  # noqa: PLC0415 - costs start-up time that a server without a file need not pay

    return "sha256:" + hashlib.sha256((_json(tree) + "\n").encode()).hexdigest()


def _json(value: Value) -> str:  # noqa: PLR0911 - one for each type
    data = value.data
    if isinstance(data, bool):
        return "true" if data else "false"
    if isinstance(data, str):
        return _string(data)
    if isinstance(data, int):
        return str(data)
    if isinstance(data, float):
        text = float_text(data, exponent_max=_FLOAT_EXPONENT_MAX)
        return text.replace("e-0", "e-")
    if isinstance(data, list):
        return "[" + ",".join(map(_json, data)) + "]"
    if isinstance(data, dict):
        keys = sorted(data, key=lambda key: key.encode("utf-8", "surrogateescape"))
        return "{" + ",".join(f"{_string(key)}:{_json(data[key])}" for key in keys) + "}"
    return f'"{data.text}"'


def _string(text: str) -> str:
    return '"' + "".join(_character(char) for char in text) + '"'


def _character(char: str) -> str:
    escape = _ESCAPES.get(char)
    if escape is not None:
        return escape
    if char < " ":
        return f"\\u{ord(char):04x}"
    return "\\ufffd" if "\ud800" <= char <= "\udfff" else char
