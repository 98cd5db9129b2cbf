"""The language of wire scripts: what it reads, what it refuses, and that a deviation is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance import pattern
from tests.conformance.player import Deviation, play
from tests.conformance.script import Case, ScriptError, read_script
from tests.support import nkeys
from tests.support.servers import require
from tests.support.wire import FramingError, first_operation, show

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import ServerPool


def read(tmp_path: Path, text: str) -> list[Case]:
    """Read a script given as text."""
    path = tmp_path / "example.wire"
    path.write_text(text, encoding="utf-8")
    return read_script(path)


def test_settings_of_the_file_hold_until_a_case_has_its_own(tmp_path: Path) -> None:
    """A case's `config:` takes the place of the file's, for that case only."""
    first, second, third = read(
        tmp_path,
        "config:\n| a: 1\n| b: 2\n== one\na> PING\n== two\nconfig:\n| c: 3\nserver: own\n"
        "a> PING\n== three\nsplit: each\na> PING\n",
    )
    assert first.settings.config == third.settings.config == "a: 1\nb: 2\n"
    assert second.settings.config == "c: 3\n"
    assert (first.settings.own_server, second.settings.own_server) == (False, True)
    assert (second.settings.split, third.settings.split) == ("none", "each")


def test_comments_are_dropped_and_hashes_in_text_are_kept(tmp_path: Path) -> None:
    """A comment needs two blanks before it."""
    (case,) = read(tmp_path, "== one\n# note\na> PUB a#b 1   # note\na> PUB a # b\n")
    assert [step.text for step in case.steps] == ["PUB a#b 1", "PUB a # b"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("== one\nwhat?\n", "example.wire:2"),
        ("== one\n> PING\n", "example.wire:2"),
        ("== one\na! sing\n", "example.wire:2"),
        ("== one\n! pause\n", "example.wire:2"),
        ("== one\na> <whatever>\n", "example.wire:2"),
        ("== one\na< <whatever>\n", "example.wire:2"),
        ("== one\na< \\q\n", "example.wire:2"),
        ("== one\nsplit: often\na> PING\n", "example.wire:2"),
        ("a> PING\n", "example.wire:1"),
        ("== one\na> PING\n== one\na> PING\n", "two cases"),
        ("== one\n", "no steps"),
    ],
)
def test_what_is_not_the_language_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str
) -> None:
    """A script with a mistake never passes for one that tests something."""
    with pytest.raises(ScriptError, match=place):
        read(tmp_path, text)


def test_bytes_to_send() -> None:
    """Escapes, repeats, and the line's end."""
    parts = pattern.send_parts(r"A\0\x7f\t<2*b\r>ü\\c")
    joined = b"".join(part for part in parts if isinstance(part, bytes))
    assert joined == "A\0\x7f\tb\rb\rü\\c\r\n".encode()
    assert pattern.send_parts(r"PING\c")[-1] == b"G"
    assert pattern.send_parts("<sig alice>")[0] == pattern.Signature("alice")


@pytest.mark.parametrize(
    ("expected", "operation", "fits"),
    [
        ("PONG", b"PONG\r\n", True),
        ("PONG", b"PONG \r\n", False),
        ("MSG a <int> 2\\r\\n<any>", b"MSG a 17 2\r\nhi\r\n", True),
        ("MSG a <1|2> 0\\r\\n", b"MSG a 3 0\r\n\r\n", False),
        ("<INFO>", b'INFO {"a":1} \r\n', True),
        ("INFO <json a=1>", b'INFO {"a":1,"b":2} \r\n', True),
        ("INFO <json! a=1>", b'INFO {"a":1,"b":2} \r\n', False),
        ("INFO <json a=absent>", b'INFO {"a":1} \r\n', False),
        ("INFO <json a=int>", b'INFO {"a":true} \r\n', False),
        ("INFO <json a=1>", b'INFO {"a":true} \r\n', False),
        ("INFO <json a=/x+/>", b'INFO {"a":"xx"} \r\n', True),
        ("INFO <json a=/x+/>", b'INFO {"a":"xxy"} \r\n', False),
        ("INFO <json>\\x20", b'INFO {"a":1}\r\n', False),
    ],
)
def test_what_an_expectation_takes(expected: str, operation: bytes, *, fits: bool) -> None:
    """The whole operation must match, and JSON values by their type."""
    assert (pattern.compile_expected(expected).mismatch(operation) is None) is fits


@pytest.mark.parametrize(
    ("steps", "report"),
    [
        ("a> PING\na< +OK\n", "got: PONG"),
        ("a> PING\na< SILENCE\n", "still has PONG"),
        ("a> SUB x 1\n", r"still has \+OK"),
        ("a> PING\na< EOF\n", "got: PONG"),
        ("a> BOGUS\na< CLOSED\na< PONG\n", "got: the end of the connection"),
        ("a> SUB x 1\na<~ MSG x 1 0\\r\\n\na<~ MSG x 2 0\\r\\n\n", r"got: \+OK"),
        ("a> PUB x 2\\r\\nhi\na< -ERR <any>\n", r"example.wire:3: one"),
    ],
)
def test_a_deviation_is_seen_and_told(
    tmp_path: Path, server_pool: ServerPool, steps: str, report: str
) -> None:
    """The player must be able to fail: these scripts are wrong about the genuine server."""
    require("genuine")
    (case,) = read(tmp_path, f"== one\n{steps}")
    with pytest.raises(Deviation, match=report):
        play(case, server_pool.get("genuine"))


def test_operations_are_cut_by_their_framing() -> None:
    """A message is whole with its payload; a bare LF is no end of a line."""
    assert first_operation(b"PONG\r\nPONG\r\n") == len(b"PONG\r\n")
    assert first_operation(b"PON") is None
    assert first_operation(b"MSG a 1 4\r\n\r\n\r\n\r") is None
    assert first_operation(b"MSG a 1 4\r\n\r\n\r\n\r\n") == len(b"MSG a 1 4\r\n\r\n\r\n\r\n")
    with pytest.raises(FramingError):
        first_operation(b"PONG\n")
    with pytest.raises(FramingError):
        first_operation(b"MSG a 1 1\r\nhi\r\n")
    assert show(b"a\r\n\xff\\") == r"a\r\n\xff\\"


def test_an_nkey_has_the_shape_of_a_users_key() -> None:
    """A user's public key is 56 characters and begins with U."""
    key = nkeys.public_key("alice")
    assert (len(key), key[0]) == (56, "U")
    assert key != nkeys.public_key("bob")
