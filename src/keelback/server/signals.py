"""What the command does on a signal. Nothing here is installed by an embedded server.

Handlers run between two bytecodes of the main thread, so they only post to the control loop;
before that has begun, what was posted waits. QUIT is the exception: it asks what a server does
that may not come to do anything more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

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

PIPE_BYTES: Final = 4096

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
    # Python runs a handler between two bytecodes: one that came in just before the loop went to
    # sleep would wait for some other event. A byte in a pipe wakes the loop.
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    post(lambda: _wake_by(reader))


def _wake_by(reader: int) -> None:
    """Have the control loop wake when a signal comes; on the loop."""
    import asyncio  # noqa: PLC0415  # runs already

    asyncio.get_running_loop().add_reader(reader, os.read, reader, PIPE_BYTES)


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

    def tell(line: str) -> None:
        if lifecycle.is_running:
            lifecycle.log("ERR", line)
        else:
            sys.stderr.write(f"{line}\n")

    try:
        tell("SIGQUIT: quit")
        for line in (*thread_lines(frame), *task_lines()):
            tell(line)
        if lifecycle.is_running:
            lifecycle.forward_log()
    finally:
        os._exit(DUMP_EXIT_CODE)


def thread_lines(frame: FrameType | None) -> Iterator[str]:
    """Each Python thread with its stack; `frame` is where the signal interrupted this one.

    Nothing is imported here: the signal may have come in the middle of an import.
    """
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, own in sys._current_frames().items():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        yield f"Thread {names.get(ident, ident)}:"
        stack = frame if frame is not None and ident == threading.get_ident() else own
        places: list[str] = []
        while stack is not None:
            places.append(_place(stack))
            stack = stack.f_back
        yield from reversed(places)


def task_lines() -> Iterator[str]:
    """Each task of the control loop, with what it waits for, from the outside in."""
    # The signal may have come in the middle of the import of asyncio: then there are none.
    all_tasks = getattr(sys.modules.get("asyncio"), "all_tasks", None)
    try:
        tasks = () if all_tasks is None else all_tasks()
    except RuntimeError:  # no loop runs on this thread
        return
    for task in tasks:
        yield f"Task {task.get_name()}:"
        waiting: object = task.get_coro()
        # `Task.get_stack` shows the outermost function alone.
        while (frame := getattr(waiting, "cr_frame", None)) is not None:
            yield _place(frame)
            waiting = getattr(waiting, "cr_await", None)


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
