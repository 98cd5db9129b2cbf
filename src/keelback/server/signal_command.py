"""`--signal`: tell a running server on this machine to stop, reload, reopen its log, and so on.

Texts and rules are nats-server's (`server/signal.go`), with two exceptions that keep an operator
from harm: a process id must be positive (`kill -1` would reach every process that there is), and a
newline behind the number in a pid file does not matter.
"""

# pathlib takes longer to import than the command takes: `os` it is.
# ruff: noqa: PTH118, PTH119, PTH123, PTH208
from __future__ import annotations

import os
import signal

from keelback.config.gotext import quote
from keelback.errors import ServerError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

SIGNALS: Final = {
    "stop": signal.SIGKILL,
    "quit": signal.SIGINT,
    "term": signal.SIGTERM,
    "reopen": signal.SIGUSR1,
    "reload": signal.SIGHUP,
    "ldm": signal.SIGUSR2,
}
"""What each word of `--signal` sends."""

PROGRAM: Final = "nats-server"
OWN_PROGRAM: Final = "keelback-server"
OWN_MODULES: Final = ("keelback.server", "keelback.server.main")
PROCESS_ID_MAX: Final = (1 << 31) - 1
"""What the system call takes."""

PID_FILE_BYTES_MAX: Final = 64


def send(
    parameters: str,
    *,
    processes: str = "/proc",
    kill: Callable[[int, int], None] = os.kill,
) -> None:
    """Send what `--signal` was given: `<signal>`, or `<signal>=<pid>`.

    Args:
        parameters: the pid may be a number, a file that holds one, or the beginning of some and
            a `*`. Without it, there must be exactly one server.
        processes: where the system tells of its processes.
        kill: sends a signal to a process.

    Raises:
        UsageError: the parameters are wrong, or do not say which server.
        ServerError: a process could not be signalled; the message has one line for each.
    """
    command, *rest = parameters.split("=")
    if len(rest) > 1:
        raise UsageError(
            f"invalid signal parameters: [{' '.join(rest[1:])}]", hint="write --signal reload=1234"
        )
    wanted = _pid_file_content(rest[0]) if rest else ""
    beginning, is_glob = wanted.removesuffix("*"), wanted.endswith("*")
    if beginning and _process_id(beginning) is None:
        raise UsageError(
            f"invalid pid: {beginning}",
            hint="give a process id, the name of a pid file, or the beginning of ids and a `*`",
        )
    if beginning and not is_glob:
        chosen = [int(beginning)]
    else:
        chosen = _servers_that_run(processes, is_one_wanted=not is_glob)
    number = SIGNALS.get(command)
    if number is None:
        raise UsageError(f"unknown signal {quote(command)}", hint=f"there are {', '.join(SIGNALS)}")
    failures = [
        failure
        for process_id in chosen
        if not is_glob or str(process_id).startswith(beginning)
        for failure in _send_one(command, process_id, number, kill)
    ]
    if failures:
        # As in nats-server, each failure is on a line of its own, and the first line is empty.
        raise ServerError("".join(f"\n{failure}" for failure in failures))


def running_servers(processes: str = "/proc") -> list[int]:
    """The process ids of every nats-server and keelback-server here, this process left out.

    Raises:
        UsageError: the system does not tell of its processes.
    """
    try:
        names = os.listdir(processes)
    except OSError as error:
        raise UsageError(
            "unable to resolve pid, try providing one", hint="write --signal reload=1234"
        ) from error
    found = (int(name) for name in names if name.isascii() and name.isdigit())
    return sorted(
        process_id
        for process_id in found
        if process_id != os.getpid() and _is_server(os.path.join(processes, str(process_id)))
    )


def _servers_that_run(processes: str, *, is_one_wanted: bool) -> list[int]:
    found = running_servers(processes)
    if len(found) > 1 and is_one_wanted:
        lines = "".join(f"\n{process_id}" for process_id in found)
        raise UsageError(
            f"multiple {PROGRAM} processes running:{lines}",
            hint="name one of them, or all with `*`: --signal reload='*'",
        )
    if not found:
        raise UsageError(
            f"no {PROGRAM} processes running", hint=f"{OWN_PROGRAM} was looked for as well"
        )
    return found


def _is_server(directory: str) -> bool:
    """Whether the process that this directory tells of is a server."""
    # As pgrep does for nats-server: a part of the name is enough.
    if PROGRAM in _first_bytes(os.path.join(directory, "comm")):
        return True
    return any(
        os.path.basename(word) == OWN_PROGRAM or word in OWN_MODULES
        for word in _program_words(_first_bytes(os.path.join(directory, "cmdline")))
    )


def _program_words(command_line: str) -> Iterator[str]:
    """What names the program: the first word, and behind Python its script or its module."""
    words = command_line.split("\0")
    yield words[0]
    if "python" not in os.path.basename(words[0]):
        return
    rest = iter(words[1:])
    for word in rest:
        if word == "-m":
            yield next(rest, "")
            return
        if not word.startswith("-"):
            yield word
            return


def _first_bytes(file: str) -> str:
    """The beginning of a file; nothing when it cannot be read: processes end at any time."""
    try:
        with open(file, "rb") as opened:
            return opened.read(4096).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _pid_file_content(text: str) -> str:
    """What a file of this name holds, or the text itself when there is none."""
    try:
        with open(text, "rb") as opened:
            content = opened.read(PID_FILE_BYTES_MAX).decode("utf-8", "replace")
    except (OSError, ValueError):
        return text
    return content.strip()


def _process_id(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(PROCESS_ID_MAX)):
        return None
    return int(text) if 0 < int(text) <= PROCESS_ID_MAX else None


def _send_one(
    command: str, process_id: int, number: int, kill: Callable[[int, int], None]
) -> Iterator[str]:
    try:
        kill(process_id, number)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield f"signal {quote(command)} {process_id}: {reason}"
