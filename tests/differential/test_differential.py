"""Generated sessions get the same answers from the genuine server and from ours.

`KEELBACK_SESSIONS` is how many (300), `KEELBACK_SEED` where the seeds begin (1). A failure names
its seed; `KEELBACK_SEED=<seed> KEELBACK_SESSIONS=1 pytest tests/differential -k <profile>` repeats
it.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.differential.exchange import normalise
from tests.differential.generator import generate
from tests.differential.judge import Difference, Judge, smaller_sessions
from tests.differential.profiles import ACCOUNTS, LIMITS, OPEN, PROFILES, USERS, Profile
from tests.support.servers import ServerPool, ServerProcess, Target, require

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.both_servers

SESSIONS: Final = int(os.environ.get("KEELBACK_SESSIONS", "300"))
FIRST_SEED: Final = int(os.environ.get("KEELBACK_SEED", "1"))
SESSIONS_OF_ITSELF: Final = max(1, SESSIONS // 4)
SESSIONS_FOR_A_PLANT: Final = 400


def seeds(sessions: int) -> Iterator[int]:
    """The seeds of one profile when all profiles together hold `sessions`."""
    count = -(-sessions // len(PROFILES))
    return iter(range(FIRST_SEED, FIRST_SEED + count))


def first_difference(judge: Judge, profile: Profile, numbers: Iterator[int]) -> Difference | None:
    """The first session of these seeds over which the servers differ."""
    return next(filter(None, (judge.compare(generate(seed, profile)) for seed in numbers)), None)


def explain(found: Difference, judge: Judge, target: Target) -> str:
    """What a person needs: the seed, the small session with its answers, the whole session."""
    session = found.session
    name = target if target != "genuine" else "other"
    return (
        f"seed {session.seed}, profile {session.profile}: KEELBACK_SEED={session.seed} "
        f"KEELBACK_SESSIONS=1 pytest tests/differential -k {session.profile}\n\n"
        f"shrunk:\n{judge.shrink(found).report('genuine', name)}\n\n"
        f"whole:\n{found.report('genuine', name)}"
    )


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_sessions_are_answered_alike(
    profile: Profile, target: Target, server_pool: ServerPool
) -> None:
    """Against ours: the promise. Against a second genuine server: that the judge is just."""
    __tracebackhide__ = True
    require("genuine")
    sessions = SESSIONS_OF_ITSELF if target == "genuine" else SESSIONS
    with ServerProcess(target, profile.config) as other:
        judge = Judge(server_pool.get("genuine", profile.config), other)
        found = first_difference(judge, profile, seeds(sessions))
        explanation = explain(found, judge, target) if found else ""
        unstable = judge.unstable_count
    if explanation:
        pytest.fail(explanation, pytrace=False)
    # A judge that had to look twice all the time would prove little.
    assert unstable <= 1 + sessions // 50


@pytest.mark.parametrize(
    ("profile", "old", "new"),
    [
        (LIMITS, "max_subscriptions: 4", "max_subscriptions: 5"),
        (LIMITS, "max_subscription_tokens: 3", "max_subscription_tokens: 4"),
        (LIMITS, "max_control_line: 160", "max_control_line: 163"),
        (USERS, "max: 2", "max: 3"),
        (USERS, 'deny: ["a.c", "*.b.c"]', 'deny: ["*.b.c"]'),
        (USERS, "no_auth_user: open", "no_auth_user: some"),
        (ACCOUNTS, "B { users", "C { users"),
    ],
    ids=lambda value: value.name if isinstance(value, Profile) else str(value)[:24],
)
def test_a_planted_difference_is_found_and_shrunk(
    profile: Profile, old: str, new: str, server_pool: ServerPool
) -> None:
    """The judge must be able to condemn: one server's configuration differs in one place."""
    require("genuine")
    assert old in profile.config
    with ServerProcess("genuine", profile.config.replace(old, new)) as other:
        judge = Judge(server_pool.get("genuine", profile.config), other)
        found = first_difference(judge, profile, iter(range(1, SESSIONS_FOR_A_PLANT)))
        assert found is not None
        small = judge.shrink(found, within_s=1.0)
    assert len(small.session.steps) <= len(found.session.steps)
    assert small.first != small.second
    assert "after step" in small.report("one", "other")


def test_a_seed_gives_the_same_session_each_time() -> None:
    """Otherwise a failure could not be repeated."""
    assert generate(7, OPEN) == generate(7, OPEN)
    assert generate(7, OPEN) != generate(8, OPEN)


def test_smaller_sessions_are_smaller() -> None:
    """Shrinking comes to an end."""
    session = generate(3, OPEN)

    def weight(steps: object) -> int:
        return len(repr(steps))

    candidates = list(smaller_sessions(session))
    assert candidates
    assert all(weight(candidate.steps) < weight(session.steps) for candidate in candidates)


def test_what_differs_by_nature_is_forgotten_and_nothing_else() -> None:
    """The member of a group, the order within one message, identity; not counts, not bytes."""
    one = [b"MSG a q0-1 1\r\nx\r\n", b"MSG a s1 1\r\nx\r\n", b"PONG\r\n"]
    other = [b"MSG a s1 1\r\nx\r\n", b"MSG a q0-2 1\r\nx\r\n", b"PING\r\n", b"PONG\r\n"]
    assert normalise(one) == normalise(other)
    assert normalise(one) != normalise(one[1:])
    assert normalise([b"MSG a 1 1\r\nx\r\n", b"MSG a 2 1\r\ny\r\n"]) != normalise(
        [b"MSG a 2 1\r\ny\r\n", b"MSG a 1 1\r\nx\r\n"]
    )
    twice = [b"-ERR 'Invalid Publish Subject'\r\n", b"-ERR 'Invalid Publish Subject'\r\n"]
    assert normalise(twice) == normalise(twice[1:]) != ()
    assert normalise([b'INFO {"port":1,"x":1} \r\n']) == normalise([b'INFO {"port":2,"x":1} \r\n'])
    assert normalise([b'INFO {"port":1,"x":1} \r\n']) != normalise([b'INFO {"port":1,"x":2} \r\n'])
    assert normalise([b'INFO {"port":1} \r\n']) != normalise([b'INFO {"port":"1"} \r\n'])


def test_a_session_reads_as_a_script() -> None:
    """What a failure shows can be made a case of: sends, fences and ends."""
    session = generate(5, OPEN)
    script = session.as_script().splitlines()
    ends = [line for line in script if line.endswith("> EOF")]
    assert len(ends) == len(session.peers)
    assert len(script) == sum(len(step.operations) + 1 for step in session.steps)
    assert dataclasses.replace(session, seed=1).as_script() == session.as_script()
