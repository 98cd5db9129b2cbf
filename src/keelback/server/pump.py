"""The pump: takes the core's events in batches and hands decisions back in batches.

Belongs to the control loop. One turn takes a bounded number of events, so that a wave of logins
does not keep lame duck or a stop from having its turn; what is left wakes the loop again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from keelback import _core
from keelback.server.log_output import forward_to_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.auth.authenticator import Authenticator, Decision
    from keelback.server.log_output import LogOutput

JetStreamEvent: TypeAlias = "_core.Request | _core.BatchAbandoned | _core.DiskTurned"

EVENTS_A_TURN: Final = 256
"""A login by nkey takes about 0.1 ms: a turn of them alone stays below 30 ms."""


SLOW_CONSUMERS_KEPT: Final = 16
"""The last of them, for `/metrics`: a series each."""


class Pump:
    """Moves events from one plane to those who decide.

    Args:
        plane: the core.
        authenticator: decides about CONNECT; None when the gate asks nothing.
        log: takes the lines that the core does not write itself; Python's `logging` without it.
        answer: takes requests to subjects that Python serves, and what streams tell; must not wait.
    """

    def __init__(
        self,
        plane: _core.Plane,
        authenticator: Authenticator | None,
        log: LogOutput | None = None,
        answer: Callable[[JetStreamEvent], object] | None = None,
    ) -> None:
        self._plane = plane
        self._authenticator = authenticator
        self._log = log
        self._answer_request = answer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deciding: dict[asyncio.Task[None], _core.AuthRequest] = {}
        self._admissions: list[_core.Admission] = []
        self._refusals: list[_core.Refusal] = []
        self._is_flush_scheduled = False
        self.slow_consumers: deque[_core.SlowConsumer] = deque(maxlen=SLOW_CONSUMERS_KEPT)
        """The last that were cut off, oldest first."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin: the loop calls whenever the core has events."""
        loop.add_reader(self._plane.wake_fd, self.turn)
        self._loop = loop

    async def detach(self) -> None:
        """End: no further event is taken; decisions under way are dropped."""
        if self._loop is not None:
            self._loop.remove_reader(self._plane.wake_fd)
            self._loop = None
        for task in self._deciding:
            task.cancel()
        await asyncio.gather(*self._deciding, return_exceptions=True)

    def close(self) -> None:
        """Let go of what decides."""
        if self._authenticator is not None:
            self._authenticator.close()

    def turn(self) -> None:
        """Take what there is, up to `EVENTS_A_TURN`, and answer what needs no waiting."""
        for event in self._plane.take_events(EVENTS_A_TURN):
            if isinstance(event, _core.AuthRequest):
                self._decide(event)
            elif isinstance(event, _core.LogLine):
                self._forward(event)
            elif isinstance(event, (_core.Request, _core.BatchAbandoned, _core.DiskTurned)):
                if self._answer_request is not None:
                    self._answer_request(event)
            elif isinstance(event, _core.LogFull) and self._log is not None:
                self._log.rotate_if_full()
            elif isinstance(event, _core.SlowConsumer):
                # Logged, counted and closed by the core: nothing to decide.
                self.slow_consumers.append(event)
        self.flush()

    def replace_authenticator(self, authenticator: Authenticator) -> None:
        """Decide by other rules from now on, also about what is under way; the old one is closed.

        What was decided before goes to the core first, in whose hands it can be judged again.
        """
        self.flush()
        old, self._authenticator = self._authenticator, authenticator
        under_way, self._deciding = self._deciding, {}
        for task, request in under_way.items():
            task.cancel()
            self._decide(request)
        self.flush()
        if old is not None:
            old.close()

    def flush(self) -> None:
        """Hand the decisions that gathered to the core: one call for each kind of answer."""
        self._is_flush_scheduled = False
        admissions, self._admissions = self._admissions, []
        refusals, self._refusals = self._refusals, []
        try:
            if admissions:
                self._plane.admit(admissions)
        except _core.CoreError as error:
            self._plane.log("ERR", f"The core refused an admission: {error}")
        if refusals:
            self._plane.refuse(refusals)

    def _decide(self, request: _core.AuthRequest) -> None:
        if self._authenticator is None:
            self._answer(_core.Refusal(connection=request.connection))
            return
        try:
            decision = self._authenticator.decide_at_once(request)
        except Exception as error:  # noqa: BLE001  # one login must not end the others
            self._refuse_after(request, error)
            return
        if decision is not None:
            self._answer(decision)
            return
        task = asyncio.get_running_loop().create_task(
            self._decide_later(self._authenticator, request)
        )
        self._deciding[task] = request
        task.add_done_callback(lambda done: self._deciding.pop(done, None))

    async def _decide_later(self, authenticator: Authenticator, request: _core.AuthRequest) -> None:
        try:
            self._answer(await authenticator.decide(request))
        except Exception as error:  # noqa: BLE001  # as above
            self._refuse_after(request, error)
        # Whoever else finishes in this turn of the loop goes with the same call.
        if not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def _forward(self, line: _core.LogLine) -> None:
        if self._log is None:
            forward_to_python(line)
        else:
            self._log.forward(line)

    def _answer(self, decision: Decision) -> None:
        if isinstance(decision, _core.Admission):
            self._admissions.append(decision)
        else:
            self._refusals.append(decision)

    def _refuse_after(self, request: _core.AuthRequest, error: Exception) -> None:
        # The kind alone: the text of an exception may quote what the client sent.
        self._plane.log(
            "ERR",
            f"cid:{request.connection} - Authentication failed inside the server: "
            f"{type(error).__name__}",
        )
        self._answer(_core.Refusal(connection=request.connection))
