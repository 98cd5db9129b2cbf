"""Plays a case against a running server and says, to the line, where it went otherwise."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from tests.conformance import pattern
from tests.support import nkeys
from tests.support.wire import CRLF, Connection, FramingError, SilentError, show

if TYPE_CHECKING:
    from tests.conformance.script import Case, Step
    from tests.support.servers import ServerProcess

EXPECT_TIMEOUT_S: Final = float(os.environ.get("KEELBACK_WIRE_TIMEOUT_S", "5"))
# Between two halves of a split send. Nothing tells a client when the server has read the first
# half; too short a pause tests less, and fails nothing.
SPLIT_PAUSE_S: Final = 0.0003
# A server's own PING comes two seconds after CONNECT at the earliest. On a machine so slow that a
# case takes longer it is answered unless the script expects it.
PING_BY_ITSELF_S: Final = 1.5


class Deviation(AssertionError):  # noqa: N818 - this is a finding, not a failure of the player
    """The server answered otherwise than the script says."""


def play(case: Case, server: ServerProcess) -> None:
    """Play a case; with `split: each`, once whole and once for each place to cut what is sent.

    Raises:
        Deviation: with the script's line, what was expected and what came.
    """
    longest = _Round(case, server, None).play()
    if case.settings.split == "each":
        for offset in range(1, longest):
            _Round(case, server, offset).play()


class _Peer:
    """One named connection of a case, with the INFO that greeted it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        greeting = connection.read_operation(EXPECT_TIMEOUT_S)
        if greeting is None or not greeting.startswith(b"INFO "):
            message = f"a connection begins with INFO, not with {show(greeting or b'EOF')}"
            raise FramingError(message)
        self.greeting: bytes = greeting
        self.nonce = str(json.loads(greeting[5:]).get("nonce", ""))
        # A script may expect the greeting; when it first expects something else, it is passed over.
        self.greeting_is_next = True

    def next_operation(self, *, info_is_wanted: bool, ping_is_wanted: bool) -> bytes | None:
        first, self.greeting_is_next = self.greeting_is_next, False
        if first and info_is_wanted:
            return self.greeting
        while True:
            operation = self.connection.read_operation(EXPECT_TIMEOUT_S)
            age_s = time.monotonic() - self.connection.opened_at
            if operation != b"PING\r\n" or ping_is_wanted or age_s < PING_BY_ITSELF_S:
                return operation
            self.connection.send(b"PONG\r\n")


class _Round:
    """One run through a case."""

    def __init__(self, case: Case, server: ServerProcess, cut_at: int | None) -> None:
        self._case = case
        self._server = server
        self._cut_at = cut_at
        self._peers: dict[str, _Peer] = {}

    def play(self) -> int:
        """Do all steps; the length in bytes of the longest send."""
        longest = 0
        steps = self._case.steps
        try:
            for (action, _), group in itertools.groupby(steps, lambda s: (s.action, s.peer)):
                if action == "any-order":
                    self._expect_in_any_order(list(group))
                else:
                    longest = max(longest, *map(self._do, group))
        finally:
            unread = {name: peer.connection.leave() for name, peer in self._peers.items()}
        for name, data in unread.items():
            # Nothing may be left that the script does not know of, but a PING of the server's own.
            if data.replace(b"PING\r\n", b""):
                raise self._deviation(
                    steps[-1], f"the case ends, and {name} still has {show(data)}"
                )
        return longest

    def _do(self, step: Step) -> int:
        try:
            match step.action:
                case "send":
                    return self._send(step)
                case "half-close":
                    self._peer(step).connection.half_close()
                case "connect":
                    self._connect(step)
                case "server":
                    self._order_server(step)
                case "closed":
                    self._peer(step).connection.read_to_end(EXPECT_TIMEOUT_S)
                case "eof":
                    self._expect_end(step)
                case "silence":
                    self._peer(step).connection.send(b"PING\r\n")
                    self._expect(step, "PONG")
                case _:
                    self._expect(step, step.text)
        except SilentError as error:
            unread = show(error.unread) if error.unread else "nothing"
            raise self._deviation(step, f"{unread}, for {EXPECT_TIMEOUT_S:g} s") from error
        except FramingError as error:
            raise self._deviation(step, str(error)) from error
        return 0

    def _peer(self, step: Step) -> _Peer:
        if step.peer not in self._peers:
            self._connect(step)
        return self._peers[step.peer]

    def _connect(self, step: Step) -> None:
        receive_buffer_bytes = None
        if step.action == "connect":
            words = step.text.split()
            if words[0] == "leave":
                self._peers.pop(step.peer).connection.leave()
                return
            if len(words) > 1:
                receive_buffer_bytes = int(words[1].removeprefix("receive-buffer="))
        connection = Connection(self._server.address, receive_buffer_bytes=receive_buffer_bytes)
        try:
            self._peers[step.peer] = _Peer(connection)
        except BaseException:
            connection.close()
            raise

    def _send(self, step: Step) -> int:
        peer = self._peer(step)
        data = b"".join(
            nkeys.sign(part.name, peer.nonce).encode()
            if isinstance(part, pattern.Signature)
            else part
            for part in pattern.send_parts(step.text)
        )
        if self._cut_at is None or self._cut_at >= len(data):
            peer.connection.send(data)
        else:
            peer.connection.send(data[: self._cut_at])
            time.sleep(SPLIT_PAUSE_S)
            peer.connection.send(data[self._cut_at :])
        return len(data)

    def _order_server(self, step: Step) -> None:
        verb, _, argument = step.text.partition(" ")
        match verb:
            case "signal":
                self._server.send_signal(signal.Signals[argument])
            case "log":
                self._server.wait_for_log(argument, EXPECT_TIMEOUT_S)
            case "pause":
                # For what only time brings about and nothing announces: an expiry.
                time.sleep(float(argument))
            case _:
                raise self._deviation(step, f"the script orders what the player cannot do: {verb}")

    def _expect(self, step: Step, text: str) -> None:
        operation = self._peer(step).next_operation(
            info_is_wanted=text.startswith(("INFO", "<INFO>")), ping_is_wanted=text == "PING"
        )
        if operation is None:
            raise self._deviation(step, "the end of the connection")
        if problem := pattern.compile_expected(text).mismatch(operation):
            raise self._deviation(step, f"{show(operation.removesuffix(CRLF))}  ({problem})")

    def _expect_end(self, step: Step) -> None:
        operation = self._peer(step).next_operation(info_is_wanted=False, ping_is_wanted=False)
        if operation is not None:
            raise self._deviation(step, show(operation))

    def _expect_in_any_order(self, steps: list[Step]) -> None:
        waiting = list(steps)
        while waiting:
            try:
                operation = self._peer(steps[0]).next_operation(
                    info_is_wanted=False, ping_is_wanted=False
                )
            except (SilentError, FramingError) as error:
                raise self._deviation(waiting[0], str(error)) from error
            for step in waiting:
                if operation and not pattern.compile_expected(step.text).mismatch(operation):
                    waiting.remove(step)
                    break
            else:
                raise self._deviation(waiting[0], show(operation or b"EOF"))

    def _deviation(self, step: Step, got: str) -> Deviation:
        cut = "" if self._cut_at is None else f"  (each send cut after byte {self._cut_at})"
        server_log = "\n".join(self._server.log.splitlines()[-12:])
        return Deviation(
            f"{self._case.path.name}:{step.line}: {self._case.title}{cut}\n"
            f"   script: {step.source}\n"
            f" expected: {step.text}\n"
            f"      got: {got}\n"
            f"the end of the {self._server.target} server's log:\n{server_log}"
        )
