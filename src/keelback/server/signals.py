"""What the command does on a signal. Nothing here is installed by an embedded server.

Handlers run between two bytecodes of the main thread, so they only post to the control loop;
before that has begun, what was posted waits. QUIT is the exception: it asks what a server does
that may not come to do anything more.
"""

from __future__ import annotations

import os
import signal
import sys

from keelback.errors import KeelbackError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Final

    from keelback.server.lifecycle import Lifecycle

GO_NAMES: Final = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hangup",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGUSR2: "user defined signal 2",
}

DUMP_EXIT_CODE: Final = 2
"""As of a Go program that QUIT ends."""


def install(lifecycle: Lifecycle, post: Callable[[Callable[[], object]], None]) -> None:
    """Handle the signals that nats-server handles, from now on.

    Args:
        lifecycle: of the server that the signals are for.
        post: has the control loop call a function; safe in a signal handler.
    """
    for number in GO_NAMES:
        signal.signal(
            number, lambda caught, _frame: post(lambda: handle(lifecycle, signal.Signals(caught)))
        )
    signal.signal(signal.SIGQUIT, lambda _, frame: dump_and_exit(lifecycle, frame))


def handle(lifecycle: Lifecycle, caught: signal.Signals) -> None:
    """Do what the signal asks; on the control loop."""
    lifecycle.log("INF", f'Trapped "{GO_NAMES[caught]}" signal')
    if caught is signal.SIGINT:
        lifecycle.request_stop()
    elif caught is signal.SIGTERM:
        # A service manager that loses patience must not cut a lame duck short; INT may.
        if not lifecycle.is_lame_duck:
            lifecycle.request_stop()
    elif caught is signal.SIGUSR2:
        lifecycle.request_lame_duck()
    elif caught is signal.SIGHUP:
        try:
            lifecycle.reload()
        except KeelbackError:
            return  # the log has told why, and the server goes on as before
    else:
        lifecycle.log_output.reopen()


def dump_and_exit(lifecycle: Lifecycle, frame: FrameType | None) -> None:
    """Write what every thread and task is doing to the log, and end the process at once."""
    try:
        lines = ["SIGQUIT: quit", *thread_lines(frame), *task_lines()]
        if lifecycle.is_running:
            for line in lines:
                lifecycle.log("ERR", line)
            lifecycle.forward_log()
        else:
            sys.stderr.write("\n".join(lines) + "\n")
    finally:
        os._exit(DUMP_EXIT_CODE)


def thread_lines(frame: FrameType | None) -> Iterator[str]:
    """Each Python thread with its stack; `frame` is where the signal interrupted this one."""
    import threading  # noqa: PLC0415  # once in a server's life
    import traceback  # noqa: PLC0415

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, own in sys._current_frames().items():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        stack = frame if frame is not None and ident == threading.get_ident() else own
        yield f"Thread {names.get(ident, ident)}:"
        for entry in traceback.format_stack(stack):
            yield from entry.rstrip().splitlines()


def task_lines() -> Iterator[str]:
    """Each task of the control loop, with what it waits for, from the outside in."""
    import asyncio  # noqa: PLC0415  # there already, if there are tasks

    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs on this thread
        return
    for task in tasks:
        yield f"Task {task.get_name()}:"
        waiting: object = task.get_coro()
        # `Task.get_stack` shows the outermost function alone.
        while (frame := getattr(waiting, "cr_frame", None)) is not None:
            code = frame.f_code
            yield f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
            waiting = getattr(waiting, "cr_await", None)
