"""The language by itself: values, places, bounds; and that no text breaks the reader."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keelback.config import parse_file, parse_text
from keelback.config.gotext import duration_text, float_text, parse_duration, quote
from keelback.config.tree import DEPTH_MAX
from keelback.errors import ConfigError, ConfigSyntaxError, Place

from .texts import PARTS

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_PER_TEXT_MAX = 2.0


def read(text: str, **environment: str) -> object:
    return parse_text(text, environment=environment).plain()


def test_values_of_every_type() -> None:
    text = """
    number: 3, size: 2MB, negative = -7; float 1.5
    yes: on
    text: "a\\tb", raw: 'a\\tb', bare: a-b, address: 127.0.0.1:4222
    list: [a, 'b'
      "c" ]
    map { inner: { deep: true } }
    block: (
two
lines
)
    hash: $2a$11$abcdef
    """
    assert read(text) == {
        "number": 3,
        "size": 2 << 20,
        "negative": -7,
        "float": 1.5,
        "yes": True,
        "text": "a\tb",
        "raw": "a\\tb",
        "bare": "a-b",
        "address": "127.0.0.1:4222",
        "list": ["a", "b", "c"],
        "map": {"inner": {"deep": True}},
        "block": "\ntwo\nlines\n",
        "hash": "$2a$11$abcdef",
    }


def test_a_variable_takes_the_innermost_key_then_the_environment() -> None:
    text = "a: outer\nmap { a: inner\n b: $a }\nb: $a\nc: $HOST"
    assert read(text, HOST="4333") == {
        "a": "outer",
        "map": {"a": "inner", "b": "inner"},
        "b": "outer",
        "c": 4333,
    }


def test_every_value_keeps_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("port: 1\n\n  tls {\n    verify: true }\nlist: [ a\n  bc ]")
    tree = parse_file(str(file)).data
    assert isinstance(tree, dict)
    assert tree["port"].place == Place(str(file), 1, 1)
    assert tree["tls"].place == Place(str(file), 3, 3)
    inner, items = tree["tls"].data, tree["list"].data
    assert isinstance(inner, dict)
    assert isinstance(items, list)
    assert inner["verify"].place == Place(str(file), 4, 5)
    assert [item.place for item in items] == [Place(str(file), 5, 9), Place(str(file), 6, 3)]


def test_a_place_is_written_as_nats_server_writes_it() -> None:
    assert str(Place("a.conf", 1, 1)) == "a.conf:1:0"
    assert str(Place("a.conf", 2, 1)) == "a.conf:2:1"
    assert str(Place("tls.verify")) == "tls.verify"


def test_an_include_cycle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("port: 1\ninclude b.conf")
    (tmp_path / "b.conf").write_text("include a.conf")
    with pytest.raises(ConfigSyntaxError, match=r"include cycle: a\.conf → b\.conf → ") as caught:
        parse_file(str(tmp_path / "a.conf"))
    assert caught.value.place is not None
    assert caught.value.place.file.endswith("b.conf")


def test_many_includes_of_one_file_are_bounded(tmp_path: Path) -> None:
    for number in range(14):
        twice = f"include f{number + 1}.conf\n" * 2
        (tmp_path / f"f{number}.conf").write_text(twice)
    (tmp_path / "f14.conf").write_text("port: 1")
    with pytest.raises(ConfigSyntaxError, match="more than 4,096 files"):
        parse_file(str(tmp_path / "f0.conf"))


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{ a: ", "}"), ("[{ a: ", "}]")])
def test_depth_is_bounded(start: str, end: str) -> None:
    depth = DEPTH_MAX // (1 + (len(start) > 5))
    parse_text(f"a: {start * depth}1 {end * depth}")
    with pytest.raises(ConfigSyntaxError, match=f"more than {DEPTH_MAX} maps and arrays"):
        parse_text(f"a: {start * 100_000}")


def test_variables_that_double_are_bounded() -> None:
    lines = ["a0: [ x ]"] + [f"a{n}: [ $a{n - 1} , $a{n - 1} ]" for n in range(1, 40)]
    with pytest.raises(ConfigSyntaxError, match="with its variables written out"):
        parse_text("\n".join(lines))


def test_environment_variables_that_name_each_other_are_refused() -> None:
    with pytest.raises(ConfigSyntaxError, match="variable reference cycle for 'A'"):
        read("x: $A", A="$B", B="$A")


def test_a_long_single_line_takes_linear_time() -> None:
    parse_text("; ".join(f"key{n}: [ {n} , 'x' ]" for n in range(20_000)))


def settle(content: bytes) -> None:
    """Any text parses or gives an error with a place, in bounded time."""
    started = time.perf_counter()
    problem: ConfigError | None = None
    try:
        parse_text(content, environment={"KB": "3"})
    except ConfigError as error:
        problem = error
    if problem is not None:
        assert problem.place is not None
        assert problem.place.line >= 1
        assert problem.place.column >= 0
        assert problem.problem
    assert time.perf_counter() - started < SECONDS_PER_TEXT_MAX


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_give_a_place(content: bytes) -> None:
    settle(content)


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40))
def test_any_mix_of_parts_parses_or_gives_a_place(parts: list[str]) -> None:
    settle("".join(parts).encode())


@settings(max_examples=200, deadline=None)
@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_duration_that_is_written_reads_the_same(nanoseconds: int) -> None:
    assert parse_duration(duration_text(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.5, "1.5"),
        (100.0, "100"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.25e-7, "1.25e-07"),
        (0.000001, "0.000001"),
        (123456.789, "123456.789"),
    ],
)
def test_floats_are_written_as_go_writes_them(number: float, text: str) -> None:
    assert float_text(number, exponent_max=21) == text


def test_text_is_quoted_as_go_quotes_it() -> None:
    assert quote('a"b\\\n\x01é\u200b\udcff') == '"a\\"b\\\\\\n\\x01é\\u200b\\xff"'
