"""Subjects as the policy of streams sees them, held against the rule said plainly."""

from __future__ import annotations

import itertools
import random

import pytest

from keelback.jetstream.subjects import (
    any_collide,
    collide,
    first_collision,
    is_literal,
    is_subset,
    is_valid,
    is_valid_name,
)

TOKENS = ("a", "b", "*")
PATTERNS = [
    ".".join(tokens) for length in (1, 2, 3) for tokens in itertools.product(TOKENS, repeat=length)
]
PATTERNS += [f"{pattern}.>" for pattern in PATTERNS if pattern.count(".") < 2] + [">"]
SUBJECTS = [
    ".".join(tokens)
    for length in (1, 2, 3, 4)
    for tokens in itertools.product("abx", repeat=length)
]


def matches(pattern: str, subject: str) -> bool:
    """The rule as the documentation of NATS states it."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">" and len(tokens) >= len(wanted):
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(
        one in ("*", other) for one, other in zip(wanted, tokens, strict=True)
    )


MATCHED = {
    pattern: {subject for subject in SUBJECTS if matches(pattern, subject)} for pattern in PATTERNS
}


def test_two_patterns_collide_when_one_subject_matches_both() -> None:
    for one, other in itertools.product(PATTERNS, repeat=2):
        assert collide(one, other) == bool(MATCHED[one] & MATCHED[other]), (one, other)


def test_a_pattern_is_a_subset_when_the_other_matches_all_of_its_subjects() -> None:
    for one, other in itertools.product(PATTERNS, repeat=2):
        assert is_subset(one, other) == (MATCHED[one] <= MATCHED[other]), (one, other)


def test_lists_collide_as_their_subjects_do() -> None:
    dice = random.Random(1)
    for _ in range(500):
        ones = dice.choices(PATTERNS, k=dice.randrange(4))
        others = dice.choices(PATTERNS, k=dice.randrange(4))
        plainly = any(collide(one, other) for one in ones for other in others)
        assert any_collide(ones, others) == plainly, (ones, others)


def test_the_first_collision_is_with_the_next_subject_that_collides() -> None:
    dice = random.Random(2)
    for _ in range(500):
        subjects = dice.choices(PATTERNS, k=dice.randrange(7))
        plainly = {
            index: min(later)
            for index, subject in enumerate(subjects)
            if (
                later := [
                    other
                    for other in range(index + 1, len(subjects))
                    if collide(subject, subjects[other])
                ]
            )
        }
        assert first_collision(subjects) == plainly, subjects


@pytest.mark.parametrize("subject", ["a", "a.b", "*", "a.*.b", ">", "a.>", "a*", "é", "$JS.x"])
def test_subject_is_valid(subject: str) -> None:
    assert is_valid(subject)


@pytest.mark.parametrize("subject", ["", ".", "a.", ".a", "a..b", ">.a", "a b", "a.\t", "a\r"])
def test_subject_is_invalid(subject: str) -> None:
    assert not is_valid(subject)


def test_a_wildcard_is_a_whole_token() -> None:
    assert is_literal("a*.b>")
    assert not is_literal("a.*")
    assert not is_literal("a.>")


@pytest.mark.parametrize("name", ["", "a.b", "a*", "a>b", "a b", "a\tb", "a/b", "a\\b"])
def test_name_is_invalid(name: str) -> None:
    assert not is_valid_name(name)
