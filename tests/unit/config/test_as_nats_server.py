"""Texts are accepted and refused by both servers alike, with the same lines."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from keelback.errors import ConfigError, ConfigRejected
from keelback.options.load import load_file

from .conftest import SEEDS, TEXTS_PER_SEED, Judge, Verdict
from .structured import ANYTHING, TOP_KEYS, later_blocks, made_up
from .texts import ENVIRONMENT, FILES, PARTS, WRITTEN, WRITTEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNTIME_ERROR = "runtime error: invalid memory address or nil pointer dereference"
RUNS_FOR_ORDER = 12


@pytest.fixture
def directory(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Judge]:
    """Both servers stand in the same directory, with the same environment."""
    for name, text in FILES.items():
        (judge.directory / name).write_text(text)
    monkeypatch.chdir(judge.directory)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return judge


def ours(name: str) -> Verdict:
    """What Keelback's check says of a file, without hints."""
    try:
        draft = load_file(name)
    except ConfigRejected as rejected:
        return Verdict("\n".join(map(str, (*rejected.warnings, *rejected.errors))))
    except ConfigError as error:
        return Verdict(str(error))
    if draft.warnings:
        return Verdict("\n".join(map(str, draft.warnings)))
    return Verdict(f"configuration file {name} is valid ({draft.config_digest})")


def differences(judge: Judge, texts: Sequence[bytes]) -> list[str]:
    """Where the two do not say the same, one line for each."""
    found: list[str] = []
    for text, (name, theirs) in zip(texts, judge.verdicts(texts), strict=True):
        mine = ours(name)
        if is_alike(mine, theirs) or refuses_on_purpose(mine):
            continue
        # nats-server reads maps in a random order: what it says may be different each time.
        again = judge.verdicts([text] * RUNS_FOR_ORDER)
        if not any(is_alike(ours(other), verdict) for other, verdict in again):
            found.append(f"{text!r}\n  theirs: {theirs.lines}\n  ours:   {mine.lines}")
    return found


def is_alike(mine: Verdict, theirs: Verdict) -> bool:
    """The same lines in any order.

    Where nats-server goes on after a wrong type, it runs into a nil pointer; of some errors it
    tells the first that it meets, and Keelback all. Of what is not supported yet, Keelback
    tells the keys that nobody knows, and leaves values alone.
    """
    expected = [line for line in theirs.lines if RUNTIME_ERROR not in line]
    told = [line for line in mine.lines if NOT_SUPPORTED not in line]
    more = [line for line in told if line not in expected]
    if not all(
        any(text in line and any(text in other for other in expected) for text in TOLD_ONCE)
        for line in more
    ):
        return False
    missing = [line for line in expected if line not in told]
    if told != mine.lines:
        return not any("nknown field" in line for line in missing)
    return not missing and mine.is_accepted == theirs.is_accepted


def assert_alike(judge: Judge, texts: Sequence[bytes]) -> None:
    found = differences(judge, texts)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def refuses_on_purpose(verdict: Verdict) -> bool:
    """Keelback refuses what nats-server drops without a word.

    Dropped are sizes with a suffix that is none (`1kbb`), sizes beyond 64 bits, which wrap around,
    accounts that are neither a list nor a map, and a second name of the system account, or one
    whose key is not in lower case.
    """
    return any(re.search(REFUSED_ON_PURPOSE, line) for line in verdict.lines)


TOLD_ONCE = ("error parsing tls", "Duplicate user")
NOT_SUPPORTED = "is not supported yet"
REFUSED_ON_PURPOSE = (
    "is not valid UTF-8|^expected integer, but got|is out of the range$"
    "|Expected map entries for accounts|system account name must be a string"
)


def test_written_texts(directory: Judge) -> None:
    texts = [text.encode() for text in WRITTEN] + list(WRITTEN_BYTES)
    assert_alike(directory, texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_generated_texts(directory: Judge, seed: int) -> None:
    source = random.Random(seed)
    texts = [
        "".join(source.choices(PARTS, k=source.randint(1, 12))).encode()
        for _ in range(TEXTS_PER_SEED)
    ]
    assert_alike(directory, texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_and_changed_texts(directory: Judge, seed: int) -> None:
    source = random.Random(seed)
    texts: list[bytes] = []
    for _ in range(TEXTS_PER_SEED):
        text = source.choice(WRITTEN)
        at = source.randint(0, len(text))
        texts.append(
            (text[:at] + source.choice(PARTS) + text[at + source.randint(0, 2) :]).encode()
        )
    assert_alike(directory, texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_made_up_configurations(directory: Judge, seed: int) -> None:
    source = random.Random(seed)
    assert_alike(directory, [made_up(source).encode() for _ in range(3 * TEXTS_PER_SEED)])


def test_every_key_with_a_value_of_every_type(directory: Judge) -> None:
    # Each key once in a file: nats-server goes on after an error at the top level.
    alone = ("server_name", "system", "no_auth", "store")
    keys = [key for key in TOP_KEYS if not key.startswith(alone)]
    texts = ["".join(f"{key}: {value}\n" for key in keys) for value in ANYTHING]
    texts += [f"{key}: {value}" for key in TOP_KEYS if key not in keys for value in ANYTHING]
    assert_alike(directory, [text.encode() for text in texts])


def test_nats_server_knows_every_key_of_what_comes_later(directory: Judge) -> None:
    # Of some blocks it calls a value of the wrong type an unknown field: one of these is right.
    unknown = [(text, key) for text, shape in later_blocks() for key in shape.keys]
    for value in ("3", "true", "x"):
        texts = [(text % f"{key}: {value}").encode() for text, key in unknown]
        verdicts = directory.verdicts(texts)
        unknown = [
            (text, key)
            for (text, key), (_, theirs) in zip(unknown, verdicts, strict=True)
            if any(re.search(f'nknown field.*"{key}"', line) for line in theirs.lines)
        ]
    assert not unknown


def test_no_key_of_what_comes_later_is_misspelt_without_a_word(directory: Judge) -> None:
    blocks = [text % "zzz: x" for text, _ in later_blocks()]
    verdicts = directory.verdicts([text.encode() for text in blocks])
    for text, (name, theirs) in zip(blocks, verdicts, strict=True):
        told = [line for line in ours(name).lines if NOT_SUPPORTED not in line]
        assert told, text
        # Some blocks nats-server reads without looking for what it does not know.
        if not any(name in text for name in ("resolver:", "latency", "jetstream_cluster_migrate")):
            lines = tuple(theirs.lines)
            assert all(any(line.endswith(mine) for line in lines) for mine in told), (text, lines)
