"""The language by itself: values, places, bounds; and that no text breaks the reader."""

from __future__ import annotations

import random
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keelback.config import parse_file, parse_text
from keelback.config.digest import _json
from keelback.config.gotext import duration_text, float_text, parse_duration, quote
from keelback.config.lexer import Lexer
from keelback.config.parser import _Parser, _Session
from keelback.config.tree import DEPTH_MAX, STRING_BYTES_PER_WEIGHT
from keelback.errors import ConfigError, ConfigRejected, ConfigSyntaxError, Place
from keelback.options.load import KNOWN_KEYS, load_file, load_mapping, load_text

from .conftest import EXAMPLES_FACTOR
from .properties import settle_options
from .structured import made_up
from .texts import ENVIRONMENT, FILES, PARTS, WRITTEN

FUZZ_CORPUS = Path(__file__).resolve().parents[3] / "fuzz/corpus/configuration"
SECONDS_PER_TEXT_MAX = 2.0
BYTES_PER_TEXT_BYTE_MAX = 1500
"""A two-letter value of a list is a `Value`, its place and its string: a few hundred bytes."""

REPEATED = (
    *(
        "#\n",
        "// c\n",
        "a:'x'\n",
        "'a' 'x'\n",
        'a:"x"\n',
        "a:(\nx\n)\n",
        "a:[x\n]\n",
        "a:1\nb:$a\n",
    ),
    *(
        "a:{b:1 }\n",
        "a\n",
        "a:1 /\n",
        'a:"\\x41"\n',
        "a:1.5\n",
        "a:[",
        "{",
        "a:2024-01-02T03:04:05Z\n",
    ),
)
"""What a long text may consist of."""


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


class CountingText(str):
    """A text that counts the characters that were looked at to find others."""

    looked_at = 0

    def find(self, wanted: str, start: int = 0, end: int | None = None) -> int:
        at = super().find(wanted, start, len(self) if end is None else end)
        CountingText.looked_at += (at if at >= 0 else len(self) if end is None else end) - start
        return at

    __slots__ = ()


@pytest.mark.parametrize("part", REPEATED)
def test_a_text_is_not_searched_again_and_again(part: str) -> None:
    lexer = Lexer((part * 3000).encode(), "")
    lexer.text = CountingText(lexer.text)
    CountingText.looked_at = 0
    with suppress(ConfigSyntaxError):
        _Parser(lexer, _Session({})).parse()
    assert CountingText.looked_at <= 8 * len(lexer.text)


@pytest.mark.parametrize("part", REPEATED)
def test_memory_is_bounded_by_the_text(part: str) -> None:
    content = (part * 1000).encode()
    tracemalloc.start()
    with suppress(ConfigSyntaxError):
        parse_text(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < BYTES_PER_TEXT_BYTE_MAX * len(content) + 100_000


def test_only_so_many_unknown_keys_get_a_hint() -> None:
    with pytest.raises(ConfigRejected) as caught:
        load_text("".join(f"prt{number}: 1\n" for number in range(200)))
    assert len(caught.value.errors) == 200
    assert 0 < sum(bool(error.hint) for error in caught.value.errors) <= 50


def test_environment_variables_may_be_used_often() -> None:
    text = "".join(f"a{number}: $HOST\n" for number in range(6000))
    assert len(read(text, HOST="x")) == 6000  # type: ignore[arg-type]


def settle(content: bytes) -> None:
    """Any text parses or gives an error with a place, in bounded time."""
    started = time.perf_counter()
    tree = problem = None
    try:
        tree = parse_text(content, environment={"KB": "3"})
    except ConfigError as error:
        problem = error
    if problem is not None:
        assert problem.place is not None
        assert problem.place.line >= 1
        assert problem.place.column >= 0
        assert problem.problem
    if tree is not None:
        # What a tree weighs bounds what it comes to when it is written out.
        written = len(_json(tree))
        assert written <= 16 * STRING_BYTES_PER_WEIGHT * tree.weight
    assert time.perf_counter() - started < SECONDS_PER_TEXT_MAX


@settings(max_examples=int(400 * EXAMPLES_FACTOR), deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_parse_or_give_a_place(content: bytes) -> None:
    settle(content)


@settings(max_examples=int(800 * EXAMPLES_FACTOR), deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=40))
def test_any_mix_of_parts_parses_or_gives_a_place(parts: list[str]) -> None:
    settle("".join(parts).encode())


@settings(max_examples=int(100 * EXAMPLES_FACTOR), deadline=None)
@given(st.text(max_size=200), st.integers(1, 40))
def test_any_text_repeated_parses_or_gives_a_place(text: str, times: int) -> None:
    settle((text * times).encode("utf-8", "surrogatepass"))


@settings(max_examples=int(300 * EXAMPLES_FACTOR), deadline=None)
@given(st.integers(0, 1 << 32), st.floats(0, 1), st.sampled_from(("", *PARTS)))
def test_any_configuration_gives_options_or_says_why_not(seed: int, cut: float, part: str) -> None:
    text = made_up(random.Random(seed))
    at = int(cut * len(text))
    settle_options(lambda: load_text(text.encode()))
    settle_options(lambda: load_text((text[:at] + part + text[at + 1 :]).encode()))


@settings(max_examples=int(100 * EXAMPLES_FACTOR), deadline=None)
@given(st.sampled_from(WRITTEN), st.sampled_from(WRITTEN), st.floats(0, 1))
def test_any_two_texts_in_one_another_give_options_or_say_why_not(
    outer: str, inner: str, cut: float
) -> None:
    at = int(cut * len(outer))
    settle_options(lambda: load_text(f"{outer[:at]}{inner}{outer[at:]}".encode()))


@pytest.mark.parametrize("text", sorted(FUZZ_CORPUS.iterdir()), ids=lambda text: text.name)
def test_what_fuzzing_begins_with_gives_options_or_says_why_not(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name, content in FILES.items():
        Path(name).write_text(content)
    Path("fuzzed.conf").write_bytes(text.read_bytes())
    settle_options(lambda: load_file("fuzzed.conf"), ("fuzzed.conf", *FILES))


PYTHON_DATA = st.recursive(
    st.one_of(
        st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(KNOWN_KEYS)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from((*KNOWN_KEYS, "users", "A", "user")), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(
    max_examples=int(300 * EXAMPLES_FACTOR),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.dictionaries(st.sampled_from(KNOWN_KEYS), PYTHON_DATA, max_size=4))
def test_any_python_data_gives_options_or_says_why_not(mapping: dict[str, object]) -> None:
    settle_options(lambda: load_mapping(mapping))


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
