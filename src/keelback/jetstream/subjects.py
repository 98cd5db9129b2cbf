"""What the policy of streams asks about subjects: are they valid, literal, do two collide?

A subject is text here, not bytes: requests carry it in JSON. Messages never come this way.
Source: nats-server 2.15 `server/sublist.go`, whose corner cases show in its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ANY_ONE: Final = "*"
ANY_TAIL: Final = ">"

_SPACES: Final = frozenset(" \t\r\n\f")
_WILDCARDS: Final = frozenset((ANY_ONE, ANY_TAIL))
_NOT_IN_NAMES: Final = _SPACES | frozenset(".*>\\/")


def is_valid_name(name: str) -> bool:
    """Whether it can name a stream or a consumer, its length aside."""
    return bool(name) and _NOT_IN_NAMES.isdisjoint(name)


def is_valid(subject: str) -> bool:
    """Whether it is a subject, with or without wildcards."""
    tokens = subject.split(".")
    if ANY_TAIL in tokens[:-1]:
        return False
    return all(token and _SPACES.isdisjoint(token) for token in tokens)


def is_literal(subject: str) -> bool:
    """Whether no token of it is a wildcard."""
    return _WILDCARDS.isdisjoint(subject.split("."))


def is_subset(subject: str, pattern: str) -> bool:
    """Whether `pattern` matches all that `subject`, itself perhaps a pattern, matches."""
    return _is_subset(subject.split("."), pattern.split("."))


def _is_subset(tokens: list[str], pattern: list[str]) -> bool:
    for index, wanted in enumerate(pattern):
        if index >= len(tokens) or not wanted:
            return False
        if wanted == ANY_TAIL:
            return True
        token = tokens[index]
        if not token or token == ANY_TAIL:
            return False
        if token == ANY_ONE:
            if wanted != ANY_ONE:
                return False
        elif wanted[0] != ANY_ONE and token != wanted:
            return False
    return len(tokens) == len(pattern)


def collide(one: str, other: str) -> bool:
    """Whether there can be a subject that both match."""
    if one == other:
        return True
    ones, others = one.split("."), other.split(".")
    one_literal, other_literal = _WILDCARDS.isdisjoint(ones), _WILDCARDS.isdisjoint(others)
    if one_literal and other_literal:
        return False
    if one_literal:
        return _is_subset(ones, others)
    if other_literal:
        return _is_subset(others, ones)
    shorter, longer = sorted((ones, others), key=len)
    if len(shorter) != len(longer) and ANY_TAIL not in shorter:
        return False
    return all(map(_can_match, shorter, longer))


def any_collide(ones: Sequence[str], others: Sequence[str]) -> bool:
    """Whether a subject of the one list collides with one of the other.

    Literal subjects, of which there may be many thousands, are not held against each other.
    """
    literals = {subject for subject in ones if is_literal(subject)}
    if not literals.isdisjoint(others):
        return True
    patterns = [subject for subject in ones if subject not in literals]
    other_patterns = [subject for subject in others if not is_literal(subject)]
    return any(collide(one, other) for one in patterns for other in others) or any(
        collide(one, other) for one in literals for other in other_patterns
    )


def first_collision(subjects: Sequence[str]) -> dict[int, int]:
    """For each index whose subject collides with a later one, the first such index."""
    later_same: dict[str, int] = {}
    patterns: list[int] = []
    collisions: dict[int, int] = {}
    for index in range(len(subjects) - 1, -1, -1):
        subject = subjects[index]
        if is_literal(subject):
            found = [other for other in patterns if collide(subjects[other], subject)]
            found += [later_same[subject]] if subject in later_same else []
            later_same[subject] = index
        else:
            later = range(index + 1, len(subjects))
            found = [other for other in later if collide(subjects[other], subject)]
            patterns.append(index)
        if found:
            collisions[index] = min(found)
    return collisions


def _can_match(token: str, other: str) -> bool:
    if not token or not other:
        return False
    # By the first character alone, as nats-server looks at it: `*x` counts as a wildcard here.
    return token[0] in _WILDCARDS or other[0] in _WILDCARDS or token == other
