"""Texts are accepted and refused by both servers alike, with the same lines."""

from __future__ import annotations

import os
import random
import re
from typing import TYPE_CHECKING

import pytest

from keelback.errors import ConfigError, ConfigRejected
from keelback.options.load import load_file

from .conftest import ENVIRONMENT, Judge, Verdict
from .texts import FILES, PARTS, WRITTEN, WRITTEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNTIME_ERROR = "runtime error: invalid memory address or nil pointer dereference"
SEEDS = range(int(os.environ.get("KEELBACK_CONFIG_SEEDS", "2")))
GENERATED_PER_SEED = 60
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

    Where nats-server goes on after a wrong type, it runs into a nil pointer; of a `tls` block it
    tells the first error that it meets, and Keelback all.
    """
    expected = [line for line in theirs.lines if RUNTIME_ERROR not in line]
    more = [line for line in mine.lines if line not in expected]
    if theirs.is_accepted or not all("error parsing tls" in line for line in more):
        return sorted(mine.lines) == sorted(expected)
    return all(line in mine.lines for line in expected) and bool(mine.lines)


def assert_alike(judge: Judge, texts: Sequence[bytes]) -> None:
    found = differences(judge, texts)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def refuses_on_purpose(verdict: Verdict) -> bool:
    """Keelback refuses what nats-server drops without a word, and what it does not have yet.

    Dropped are sizes with a suffix that is none (`1kbb`), sizes beyond 64 bits, which wrap around,
    and accounts that are neither a list nor a map.
    """
    return any(re.search(REFUSED_ON_PURPOSE, line) for line in verdict.lines)


REFUSED_ON_PURPOSE = (
    "is not supported yet|is not valid UTF-8|^expected integer, but got|is out of the range$"
    "|Expected map entries for accounts"
)


def test_written_texts(directory: Judge) -> None:
    texts = [text.encode() for text in WRITTEN] + list(WRITTEN_BYTES)
    assert_alike(directory, texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_generated_texts(directory: Judge, seed: int) -> None:
    source = random.Random(seed)
    texts = [
        "".join(source.choices(PARTS, k=source.randint(1, 12))).encode()
        for _ in range(GENERATED_PER_SEED)
    ]
    assert_alike(directory, texts)


@pytest.mark.parametrize("seed", SEEDS)
def test_cut_and_changed_texts(directory: Judge, seed: int) -> None:
    source = random.Random(seed)
    texts: list[bytes] = []
    for _ in range(GENERATED_PER_SEED):
        text = source.choice(WRITTEN)
        at = source.randint(0, len(text))
        texts.append(
            (text[:at] + source.choice(PARTS) + text[at + source.randint(0, 2) :]).encode()
        )
    assert_alike(directory, texts)
