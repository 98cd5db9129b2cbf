r"""What a script writes for bytes: escapes and placeholders, for sending and for expecting.

Escapes: `\r \n \t \0 \\ \< \xNN`, and at the end of what is sent `\c` (no CR LF is added).
Placeholders in both: `<nkey NAME>` (a public user nkey), `<N*TEXT>` (TEXT, N times).
When sending also `<sig NAME>`: the nonce of this connection's INFO, signed by that nkey.
When expecting also `<any>` (within a line), `<word>`, `<int>`, `<a|b>`, `<INFO>`, `<json …>`.
`<json key=value …>` wants each key to have that value: a JSON literal, one of the words `string`,
`int`, `bool`, `list`, `absent`, or `/regex/`; with `<json! …>` there may be no other keys.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Final

from tests.support import nkeys

ESCAPES: Final = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\", "<": b"<"}
PIECE: Final = re.compile(
    r"\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<escape>.)|<(?P<holder>(?:[^<>]|<[^<>]+>)+)>|(?P<plain>.)",
    re.DOTALL,
)
REPEAT: Final = re.compile(r"(\d+)\*(.+)", re.DOTALL)
SIMPLE: Final = {"any": rb"[^\r\n]*", "word": rb"[^ \t\r\n]+", "int": rb"-?\d+"}
JSON_TYPES: Final[dict[str, type]] = {"string": str, "int": int, "bool": bool, "list": list}


class PatternError(Exception):
    """A placeholder or an escape that does not exist."""


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """A place in the bytes to send where the nonce's signature by the nkey `name` belongs."""

    name: str


def send_parts(text: str) -> list[bytes | Signature]:
    """The bytes of a line to send, in pieces, with CR LF unless it ends in `\\c`."""
    bare = text.endswith("\\c") and not text.endswith("\\\\c")
    parts: list[bytes | Signature] = []
    for kind, value in _pieces(text[:-2] if bare else text):
        if kind == "bytes":
            parts.append(value.encode("latin-1"))
        elif value.startswith("sig "):
            parts.append(Signature(value[4:]))
        else:
            message = f"nothing to send is called <{value}>"
            raise PatternError(message)
    if not bare:
        parts.append(b"\r\n")
    return parts


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """A pattern for one whole operation, without its last CR LF."""

    expression: re.Pattern[bytes]
    documents: tuple[tuple[bool, dict[str, str]], ...]

    def mismatch(self, operation: bytes) -> str | None:
        """Why `operation` is not what is expected; None when it is."""
        match = self.expression.fullmatch(operation.removesuffix(b"\r\n"))
        if match is None:
            return "the bytes differ"
        for (only, wanted), text in zip(self.documents, match.groups(), strict=True):
            if problem := _compare_document(text, wanted, only=only):
                return problem
        return None


def compile_expected(text: str) -> Expected:
    """Compile a line that is expected.

    Raises:
        PatternError: an unknown placeholder or escape.
    """
    if text == "<INFO>":
        text = "INFO <json>"
    expression: list[bytes] = []
    documents: list[tuple[bool, dict[str, str]]] = []
    for kind, value in _pieces(text):
        if kind == "bytes":
            expression.append(re.escape(value.encode("latin-1")))
        elif value in SIMPLE:
            expression.append(SIMPLE[value])
        elif (words := value.split(" "))[0] in ("json", "json!"):
            documents.append((words[0] == "json!", _wanted(words[1:])))
            # nats-server ends its INFO with one space; only the case that says so insists on it.
            expression.append(rb"(\{.*\}) ?")
        elif "|" in value:
            choices = (re.escape(choice.encode("latin-1")) for choice in value.split("|"))
            expression.append(b"(?:" + b"|".join(choices) + b")")
        else:
            message = f"nothing expected is called <{value}>"
            raise PatternError(message)
    return Expected(re.compile(b"".join(expression), re.DOTALL), tuple(documents))


def fill_config(config: str) -> str:
    """The configuration text with its `<nkey NAME>` filled in."""
    return re.sub(r"<nkey (\w+)>", lambda match: nkeys.public_key(match[1]), config)


def _pieces(text: str) -> list[tuple[str, str]]:
    """Cut into ("bytes", latin-1 text) and ("holder", its inside); repeats and nkeys are bytes."""
    pieces: list[tuple[str, str]] = []
    for match in PIECE.finditer(text):
        if match["hex"]:
            pieces.append(("bytes", chr(int(match["hex"], 16))))
        elif match["escape"]:
            if match["escape"] not in ESCAPES:
                message = f"no such escape: \\{match['escape']}"
                raise PatternError(message)
            pieces.append(("bytes", ESCAPES[match["escape"]].decode("latin-1")))
        elif holder := match["holder"]:
            if repeat := REPEAT.fullmatch(holder):
                inner = "".join(value for _, value in _pieces(repeat[2]))
                pieces.append(("bytes", inner * int(repeat[1])))
            elif holder.startswith("nkey "):
                pieces.append(("bytes", nkeys.public_key(holder[5:])))
            else:
                pieces.append(("holder", holder))
        else:
            pieces.append(("bytes", match["plain"].encode().decode("latin-1")))
    return pieces


def _wanted(words: list[str]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            message = f"<json> wants key=value, not {word!r}"
            raise PatternError(message)
        wanted[key] = value
    return wanted


def _compare_document(text: bytes, wanted: dict[str, str], *, only: bool) -> str | None:
    document: dict[str, Any] = json.loads(text)
    for key, value in wanted.items():
        if problem := _compare_value(document, key, value):
            return problem
    if only and (others := sorted(set(document) - set(wanted))):
        return f"there are other keys: {', '.join(others)}"
    return None


def _compare_value(document: dict[str, Any], key: str, wanted: str) -> str | None:
    if wanted == "absent":
        return f"{key} is there: {document[key]!r}" if key in document else None
    if key not in document:
        return f"{key} is missing"
    got = document[key]
    if wanted in JSON_TYPES:
        # bool is a kind of int in Python, never in JSON.
        fits = type(got) is JSON_TYPES[wanted]
    elif wanted.startswith("/"):
        fits = isinstance(got, str) and re.fullmatch(wanted[1:-1], got) is not None
    else:
        literal = json.loads(wanted)
        fits = type(got) is type(literal) and got == literal
    return None if fits else f"{key} is {got!r}, wanted {wanted}"
