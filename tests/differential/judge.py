"""Says whether two servers agree about a session, and finds the small one within a large one."""

from __future__ import annotations

import dataclasses
import random
import time
from typing import TYPE_CHECKING, Final

from tests.differential.exchange import Outcome, hold
from tests.support.wire import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.differential.session import Session, Step
    from tests.support.servers import ServerProcess

# A connection's end takes effect for others at a moment of its own, on any server. A difference
# counts when it comes again each time: no outcome of the one is ever an outcome of the other.
REPEATS: Final = 4
SHRINK_S: Final = 20.0


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A session that two servers answer differently, with an outcome of each."""

    session: Session
    first: Outcome
    second: Outcome

    def report(self, first: str, second: str) -> str:
        """Where the answers part, for a person; `first` and `second` name the servers."""
        lines = [self.session.as_script(), ""]
        for (label, ours), (_, theirs) in zip(self.first, self.second, strict=False):
            if ours != theirs:
                lines.append(f"after {label}:")
                lines += [f"  {first:>9}: {show(operation)}" for operation in ours]
                lines += [f"  {second:>9}: {show(operation)}" for operation in theirs]
                break
        return "\n".join(lines)


class Judge:
    """Holds sessions with two servers of the same configuration."""

    def __init__(self, first: ServerProcess, second: ServerProcess) -> None:
        """Judge between these two running servers."""
        self._servers = (first, second)
        self.unstable_count = 0

    def compare(self, session: Session) -> Difference | None:
        """How the servers differ over the session; None when they agree."""
        firsts: dict[Outcome, None] = {}
        seconds: dict[Outcome, None] = {}
        for attempt in range(REPEATS + 1):
            # Each server gets its own cuts: no split of the bytes may change an answer.
            for number, outcomes in enumerate((firsts, seconds)):
                splits = random.Random(f"{session.seed}:{attempt}:{number}")
                outcomes[hold(session, self._servers[number], splits)] = None
            if firsts.keys() & seconds.keys():
                self.unstable_count += attempt > 0
                return None
        return Difference(session, next(iter(firsts)), next(iter(seconds)))

    def shrink(self, found: Difference, within_s: float = SHRINK_S) -> Difference:
        """The smallest session found within `within_s` seconds that still shows a difference."""
        deadline = time.monotonic() + within_s
        smallest = found
        progress = True
        while progress:
            progress = False
            for candidate in smaller_sessions(smallest.session):
                if time.monotonic() > deadline:
                    return smallest
                if difference := self.compare(candidate):
                    smallest = difference
                    progress = True
                    break
        return smallest


def smaller_sessions(session: Session) -> Iterator[Session]:
    """Sessions with something less, the boldest first: a connection, steps, operations, bytes."""
    steps = session.steps
    if len(session.peers) > 1:
        for peer in session.peers:
            yield _with(session, tuple(step for step in steps if step.peer != peer))
    for size in (len(steps) // 2, len(steps) // 4, 1):
        for at in range(0, len(steps), size) if size else ():
            if rest := steps[:at] + steps[at + size :]:
                yield _with(session, rest)
    for number, step in enumerate(steps):
        for at in range(len(step.operations)):
            fewer = step.operations[:at] + step.operations[at + 1 :]
            if fewer:
                yield _replaced(session, number, dataclasses.replace(step, operations=fewer))
    for number, step in enumerate(steps):
        if step.last:
            yield from _with_fewer_bytes(session, number, step)


def _with_fewer_bytes(session: Session, number: int, step: Step) -> Iterator[Session]:
    """Only a last step may be cut anywhere: the others must stay whole for their fence."""
    data = step.data
    for size in (len(data) // 2, len(data) // 4, 1):
        for at in range(0, len(data), size) if size else ():
            less = data[:at] + data[at + size :]
            yield _replaced(session, number, dataclasses.replace(step, operations=(less,)))


def _with(session: Session, steps: tuple[Step, ...]) -> Session:
    return dataclasses.replace(session, steps=steps)


def _replaced(session: Session, number: int, step: Step) -> Session:
    steps = session.steps
    return _with(session, (*steps[:number], step, *steps[number + 1 :]))
