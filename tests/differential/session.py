"""A session: what one to three connections do to a server, step after step.

Plain data, so that it can be generated from a seed, played, shrunk and shown as a wire script.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from tests.support.wire import show

PEER_NAMES: Final = "abc"
LONG_RUN: Final = re.compile(r"([a-z=-])\1{39,}")


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Operations that one connection sends in one piece (cut anywhere on its way).

    After a step every connection is fenced by PING and PONG. A `last` step is its connection's
    end: its bytes may be anything, then it is half-closed and read to the end.
    """

    peer: int
    operations: tuple[bytes, ...]
    last: bool = False

    @property
    def data(self) -> bytes:
        """All bytes of the step."""
        return b"".join(self.operations)


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """The steps, and the seed they came from (a shrunk session keeps the seed of the whole)."""

    seed: int
    profile: str
    steps: tuple[Step, ...]

    @property
    def peers(self) -> tuple[int, ...]:
        """The connections that take part."""
        return tuple(sorted({step.peer for step in self.steps}))

    def as_script(self) -> str:
        """The session as lines of a wire script, to read and to make a case of."""
        lines: list[str] = []
        for step in self.steps:
            name = PEER_NAMES[step.peer]
            lines += [f"{name}> {_sent(operation)}" for operation in step.operations]
            lines.append(f"{name}> EOF" if step.last else f"{name}< SILENCE")
        return "\n".join(lines)


def _sent(data: bytes) -> str:
    text = show(data, bytes_max=1_000_000).replace("<", "\\<")
    text = LONG_RUN.sub(lambda run: f"<{len(run[0])}*{run[1]}>", text)
    return text[: -len("\\r\\n")] if data.endswith(b"\r\n") else f"{text}\\c"
