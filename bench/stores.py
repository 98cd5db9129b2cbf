"""What a full store costs: opening it, and the memory that it keeps. Both servers in turn."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

from bars import Workload
from measure import Plan, Row, Sample, drive, keep
from servers import Contender, RunningServer, running

WINDOW = ',"duplicate_window":120000000000'
"""The default, named so that a change of it changes no figure."""
SHORT_WINDOW = ',"duplicate_window":100000000'
"""It is over when the server starts again: the store is older than its duplicate window."""
IDLE_S = 180.0
OPENINGS = 5
"""Each store is opened so many times; the figure is the quickest, for other work only adds."""


def opening(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """From exec to the listener, beyond what an empty store takes (ms)."""
    row = Row(workload)
    for side, contender in (("genuine", plan.genuine), ("ours", plan.ours)):
        progress(f"{workload.name}: {contender.name}")
        keep(row.side(side), lambda contender=contender: opened(plan, workload, contender))
    return row


def opened(plan: Plan, workload: Workload, contender: Contender) -> Sample:
    with directory(plan) as empty:
        nothing = min(started_ms(contender, empty) for _ in range(OPENINGS))
    sample: Sample = {}
    with directory(plan) as folder:
        fill(plan, workload, contender, folder, WINDOW)
        clean = min(started_ms(contender, folder) for _ in range(OPENINGS))
        sample["clean_ms"] = max(clean - nothing, 0.0)
        kill_under_load(plan, contender, folder)
        # Once: what the log had is in the segments the next time.
        sample["killed_ms"] = started_ms(contender, folder) - nothing
    with directory(plan) as folder:
        fill(plan, workload, contender, folder, SHORT_WINDOW)
        time.sleep(1)
        older = min(started_ms(contender, folder) for _ in range(OPENINGS))
        sample["older_ms"] = max(older - nothing, 0.0)
    return sample


def memory(plan: Plan, workload: Workload, progress: Callable[[str], None]) -> Row:
    """What a server keeps resident of a store that nobody asks, beyond an empty one (bytes)."""
    row = Row(workload)
    with contextlib.ExitStack() as stack:
        waiting: list[tuple[str, RunningServer, float]] = []
        for side, contender in (("genuine", plan.genuine), ("ours", plan.ours)):
            progress(f"{workload.name}: {contender.name}")

            def filled(side: str = side, contender: Contender = contender) -> Sample:
                folder = stack.enter_context(directory(plan))
                with server(contender, folder) as empty:
                    nothing = resident_bytes(empty.pid)
                held = stack.enter_context(server(contender, folder))
                publish(plan, workload, contender, held, WINDOW)
                waiting.append((side, held, nothing))
                return {"filled_bytes": resident_bytes(held.pid) - nothing}

            keep(row.side(side), filled)
        idle_s = 15.0 if plan.quick else IDLE_S
        progress(f"{workload.name}: idle for {idle_s:.0f} s")
        time.sleep(idle_s)
        for side, held, nothing in waiting:
            row.side(side).runs[0]["idle_bytes"] = resident_bytes(held.pid) - nothing
    return row


@contextlib.contextmanager
def directory(plan: Plan) -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=plan.directory) as folder:
        yield Path(folder)


def server(contender: Contender, folder: Path) -> contextlib.AbstractContextManager[RunningServer]:
    """A server whose store stays when it ends."""
    return running(contender, "streams", folder, keeps_store=True)


def started_ms(contender: Contender, folder: Path) -> float:
    with server(contender, folder) as started:
        return started.started_in_s * 1000


def fill(plan: Plan, workload: Workload, contender: Contender, folder: Path, config: str) -> None:
    with server(contender, folder) as held:
        publish(plan, workload, contender, held, config)


def publish(
    plan: Plan, workload: Workload, contender: Contender, held: RunningServer, config: str
) -> None:
    arguments = (workload.quick if plan.quick else None) or workload.arguments
    drive([*plan.load, *arguments, "--config", config], "", contender, held)


def kill_under_load(plan: Plan, contender: Contender, folder: Path) -> None:
    """Have messages on the way when the server is killed."""
    with server(contender, folder) as held:
        line = [*plan.load, "stream-publish", "--existing", "--seconds", "60"]
        line += ["--server", f"127.0.0.1:{held.port}"]
        load = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1.5)
            held.process.send_signal(signal.SIGKILL)
            held.process.wait()
        finally:
            load.kill()
            load.wait()


def resident_bytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) * 1024
    return 0.0
