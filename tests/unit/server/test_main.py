"""The command, on the stand-in for the core: exit codes and real signals."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from keelback.server import main
from keelback.server.settings import LogSettings, ServerSettings
from tests.unit import fake_core

PROGRAM = """
import sys
sys.path[:0] = sys.argv[1].split(":")
from tests.unit import fake_core
import keelback
sys.modules["keelback._core"] = keelback._core = fake_core

class Plane(fake_core.Plane):
    def log(self, level, text):
        print(text, flush=True)
    def connections(self):
        return []

fake_core.Plane = Plane
from keelback.server import main
heavy = {"asyncio", "cryptography", "logging", "msgspec", "socket"}
print("imported early:", sorted(heavy & set(sys.modules)), flush=True)
sys.exit(main.run_command(["-p", "-1", "-a", "127.0.0.1"]))
"""


class Running:
    """A server process whose log lines are read one by one."""

    def __init__(self) -> None:
        paths = ":".join(path for path in (os.getcwd(), *sys.path) if path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, paths], stdout=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []

    def read_until(self, line: str) -> None:
        assert self.process.stdout is not None
        for read in self.process.stdout:
            self.lines.append(read.rstrip("\n"))
            if self.lines[-1] == line:
                return
        raise AssertionError(f"{line!r} did not come: {self.lines}")

    def end(self) -> int:
        assert self.process.stdout is not None
        self.lines += self.process.stdout.read().splitlines()
        self.process.stdout.close()
        return self.process.wait(timeout=30)


@pytest.mark.parametrize(
    ("caught", "name"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_right_after_the_listener_opened_ends_the_server_cleanly(
    caught: signal.Signals, name: str
) -> None:
    # The control loop has not begun by then: the signal has to wait for it, not get lost.
    running = Running()
    running.read_until("Server is ready")
    running.process.send_signal(caught)
    assert running.end() == 0
    assert running.lines[-3:] == [
        f'Trapped "{name}" signal',
        "Initiating Shutdown...",
        "Server Exiting..",
    ]
    assert running.lines[0] == "imported early: []"


def test_hup_and_usr1_do_not_end_it_and_lame_duck_does() -> None:
    running = Running()
    running.read_until("Server is ready")
    running.process.send_signal(signal.SIGHUP)
    running.read_until(
        "Failed to reload server configuration: can only reload config when a file is provided "
        "using -c or --config"
    )
    running.process.send_signal(signal.SIGUSR1)
    running.read_until("File log re-open ignored, not a file logger")
    running.process.send_signal(signal.SIGUSR2)
    assert running.end() == 0
    assert running.lines[-4:] == [
        'Trapped "user defined signal 2" signal',
        "Entering lame duck mode, stop accepting new clients",
        "Initiating Shutdown...",
        "Server Exiting..",
    ]


def test_quit_tells_what_every_thread_and_task_is_doing_and_ends_with_2() -> None:
    running = Running()
    running.read_until("Server is ready")
    running.process.send_signal(signal.SIGUSR1)
    running.read_until("File log re-open ignored, not a file logger")  # the loop runs
    running.process.send_signal(signal.SIGQUIT)
    running.read_until("SIGQUIT: quit")
    assert running.end() == 2
    told = running.lines[running.lines.index("SIGQUIT: quit") :]
    assert "Thread MainThread:" in told
    assert any(line.startswith("Task ") for line in told)
    assert any("lifecycle.py" in line and "_serve" in line for line in told)
    assert "Server Exiting.." not in told


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["--version"], 0, "nats-server: v2.15.1"),
        (["-p", "-1", "nonsense"], 1, 'unrecognized command: "nonsense"'),
    ],
)
def test_what_only_prints(
    core: object, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, shown: str
) -> None:
    assert main.run_command(arguments) == code
    out, err = capfd.readouterr()
    assert shown in out + err


@pytest.fixture
def handlers_kept() -> Iterator[None]:
    numbers = (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGQUIT,
    )
    kept = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


@pytest.mark.usefixtures("core", "handlers_kept")
def test_a_server_that_cannot_start_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    in_use = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    monkeypatch.setattr(fake_core.Plane, "refuse_to_listen", in_use)
    assert main.serve(ServerSettings(port=4222)) == 1
    # The log has told why; before there is one, standard error does.
    assert capfd.readouterr().err == ""
    assert main.serve(ServerSettings(log=LogSettings(file="/nowhere/log"))) == 1
    told = "error opening file: open /nowhere/log: no such file or directory\n"
    assert capfd.readouterr().err.endswith(told)
