"""/stacksz and /debug/vars: what the process is doing, for whoever looks into it."""

from __future__ import annotations

import asyncio
import gc
import io
import sys
import threading
import traceback
from typing import Final

from keelback.monitor.document import NO_INDENT, to_json
from keelback.monitor.process import resident_bytes, virtual_bytes

SECRET_FLAGS: Final = frozenset({"pass", "auth"})
"""Flags of the command line whose values are nobody's business."""

HIDDEN: Final = "[REDACTED]"


def stacks(loop: asyncio.AbstractEventLoop | None = None) -> str:
    """The stack of each Python thread, then of each task of the loop.

    To be called on the loop's own thread when a loop is given.
    """
    text = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # documented
        text.write(f"thread {ident} [{names.get(ident, 'unknown')}]:\n")
        text.writelines(traceback.format_stack(frame))
        text.write("\n")
    for task in asyncio.all_tasks(loop) if loop is not None else ():
        text.write(f"task {task.get_name()} [{'done' if task.done() else 'pending'}]:\n")
        task.print_stack(file=text)
        text.write("\n")
    return text.getvalue()


def debug_vars() -> bytes:
    """Go's expvar page: the command line, and those figures of memory that Python knows."""
    collections = sum(generation["collections"] for generation in gc.get_stats())
    figures = {
        "Sys": virtual_bytes(),
        "HeapSys": resident_bytes(),
        "NumGC": collections,
        "EnableGC": gc.isenabled(),
    }
    command = to_json(command_line(sys.orig_argv), indent=NO_INDENT)
    memory = to_json(figures, indent=NO_INDENT)
    return b'{\n"cmdline": ' + command + b',\n"memstats": ' + memory + b"\n}\n"


def command_line(arguments: list[str]) -> list[str]:
    """The arguments without their secrets."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next:
            shown.append(HIDDEN)
            hide_next = False
            continue
        name, equals, _ = argument.lstrip("-").partition("=")
        is_secret = argument.startswith("-") and name in SECRET_FLAGS
        shown.append(f"{argument.partition('=')[0]}={HIDDEN}" if is_secret and equals else argument)
        hide_next = is_secret and not equals
    return shown
