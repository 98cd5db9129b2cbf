"""What the process shows of itself."""

from __future__ import annotations

import asyncio
import json

from keelback.monitor.process import UsageSampler
from keelback.monitor.stacks import command_line, debug_vars, stacks


def test_usage_is_of_this_process() -> None:
    usage = UsageSampler().read()
    assert usage.memory_bytes > 1_000_000
    assert usage.cores >= 1
    assert usage.cpu_percent >= 0


async def test_stacks_show_threads_and_tasks() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(waits_for_ever(), name="patient")
    await asyncio.sleep(0)
    text = stacks(asyncio.get_running_loop())
    task.cancel()
    assert "thread" in text
    assert "test_stacks_show_threads_and_tasks" in text
    assert "task patient [pending]" in text
    assert "waits_for_ever" in text


def test_the_command_line_keeps_its_secrets() -> None:
    shown = command_line(["s", "--pass", "p", "-auth=t", "--user", "u", "--auth", "x", "-p", "1"])
    assert shown == [
        "s",
        "--pass",
        "[REDACTED]",
        "-auth=[REDACTED]",
        "--user",
        "u",
        "--auth",
        "[REDACTED]",
        "-p",
        "1",
    ]


def test_debug_vars_are_json() -> None:
    assert set(json.loads(debug_vars())) == {"cmdline", "memstats"}
