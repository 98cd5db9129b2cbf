"""`--signal`: which process it finds, what it sends, and what it says; with real children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from keelback.errors import ServerError, UsageError
from keelback.server import main
from keelback.server.signal_command import SIGNALS, running_servers, send
from tests.support.servers import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHILD = """#!{python}
import signal, sys
def caught(number, _):
    print(signal.Signals(number).name, flush=True)
    sys.exit(0)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, caught)
print("ready", flush=True)
while True:
    signal.pause()
"""
NO_PROCESS = 99_999_999
"""Above the highest process id that Linux gives."""


@contextmanager
def child(directory: Path, name: str, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A process that waits for a signal, run from a script of this name."""
    script = directory / name
    script.write_text(CHILD.format(python=sys.executable))
    script.chmod(0o755)
    with subprocess.Popen([*before, str(script)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    """What the child said at its end, or the signal that ended it."""
    assert process.stdout is not None
    said = process.stdout.read().strip()
    code = process.wait(timeout=30)
    return said or signal.Signals(-code).name


class Processes:
    """A `/proc` of our own, so that no server but those of the test is found."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "proc"
        self.path.mkdir()
        (self.path / "self").mkdir()

    def add(self, process_id: int, *, name: str = "", words: tuple[str, ...] = ()) -> None:
        directory = self.path / str(process_id)
        directory.mkdir()
        (directory / "comm").write_text(f"{name}\n")
        (directory / "cmdline").write_text("".join(f"{word}\0" for word in words))

    def send(self, parameters: str) -> None:
        send(parameters, processes=str(self.path))


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


@pytest.mark.parametrize(("command", "number"), SIGNALS.items())
def test_each_word_sends_its_signal(tmp_path: Path, command: str, number: signal.Signals) -> None:
    with child(tmp_path, "server") as process:
        send(f"{command}={process.pid}")
        assert told(process) == number.name


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_pid_file_names_the_process(tmp_path: Path, end: str) -> None:
    file = tmp_path / "server.pid"
    with child(tmp_path, "server") as process:
        file.write_text(f"{process.pid}{end}")
        send(f"reload={file}")
        assert told(process) == "SIGHUP"


@pytest.mark.parametrize("parameters", ["quit", "quit="])
def test_the_one_server_needs_no_name(
    tmp_path: Path, processes: Processes, parameters: str
) -> None:
    with child(tmp_path, "server") as process:
        processes.add(process.pid, name="nats-server")
        processes.add(1, name="init", words=("/sbin/init",))
        processes.send(parameters)
        assert told(process) == "SIGINT"


def test_a_star_means_all_whose_id_begins_so(tmp_path: Path, processes: Processes) -> None:
    with child(tmp_path, "one") as one, child(tmp_path, "two") as two:
        for process in (one, two):
            processes.add(process.pid, name="keelback-server", words=("/bin/keelback-server",))
        processes.send("ldm=9999999*")
        processes.send("reopen=*")
        assert told(one) == "SIGUSR1"
        assert told(two) == "SIGUSR1"


def test_servers_are_found_by_their_names(tmp_path: Path) -> None:
    with (
        child(tmp_path, "nats-server") as theirs,
        child(tmp_path, "keelback-server") as ours,
        child(tmp_path, "server") as neither,
    ):
        found = running_servers()
        assert {theirs.pid, ours.pid} <= set(found)
        assert neither.pid not in found
        assert found == sorted(found)


@pytest.mark.parametrize(
    ("words", "is_server"),
    [
        (("/usr/bin/keelback-server", "-p", "1"), True),
        (("/usr/bin/python3", "/opt/bin/keelback-server"), True),
        (("/usr/bin/python3.12", "-I", "/opt/bin/keelback-server"), True),
        (("python", "-m", "keelback.server.main", "-c", "x"), True),
        (("python", "-m", "keelback.serverless"), False),
        (("python", "-m"), False),
        (("vi", "keelback-server"), False),
        (("python", "run.py", "keelback-server"), False),
        ((), False),
    ],
)
def test_a_command_line_tells_a_server(
    processes: Processes, words: tuple[str, ...], *, is_server: bool
) -> None:
    processes.add(7, name="python3", words=words)
    assert running_servers(str(processes.path)) == [7] * is_server


def test_the_command_does_not_find_itself(processes: Processes) -> None:
    processes.add(os.getpid(), name="keelback-server")
    with pytest.raises(UsageError, match=r"^no nats-server processes running$"):
        processes.send("reload")


def test_several_servers_are_listed(processes: Processes) -> None:
    for process_id in (300, 20, 1000):
        processes.add(process_id, name="nats-server")
    with pytest.raises(UsageError) as caught:
        processes.send("reload")
    assert str(caught.value) == "multiple nats-server processes running:\n20\n300\n1000"


def test_without_a_list_of_processes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unable to resolve pid, try providing one$"):
        send("reload", processes=str(tmp_path / "nothing"))


def test_every_failure_is_told(processes: Processes) -> None:
    for process_id in (11, 12, 21):
        processes.add(process_id, name="nats-server")
    asked: list[int] = []

    def kill(process_id: int, number: int) -> None:
        asked.append(process_id)
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(ServerError) as caught:
        send("stop=1*", processes=str(processes.path), kill=kill)
    assert asked == [11, 12]
    assert str(caught.value) == (
        '\nsignal "stop" 11: operation not permitted\nsignal "stop" 12: operation not permitted'
    )


@pytest.mark.parametrize("process_id", ["0", "-1", "-5*", "0*", "abc", "1 2", "٣", "9" * 30])
def test_what_is_no_process_id_reaches_nobody(process_id: str) -> None:
    def kill(process_id: int, number: int) -> None:
        raise AssertionError((process_id, number))

    beginning = process_id.removesuffix("*")
    with pytest.raises(UsageError) as caught:
        send(f"stop={process_id}", kill=kill)
    assert str(caught.value) == f"invalid pid: {beginning}"


REFUSED_ALIKE = (
    "reload=abc",
    "reload=abc*",
    f"nonsense={NO_PROCESS}",
    f"reload={NO_PROCESS}",
    "a=b=c=d",
    f"={NO_PROCESS}",
    f'quo"te={NO_PROCESS}',
)


@pytest.mark.parametrize("parameters", REFUSED_ALIKE)
def test_refused_as_nats_server_refuses(
    parameters: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = require("genuine")
    theirs = subprocess.run(
        [*program, "--signal", parameters], capture_output=True, text=True, check=False, timeout=30
    )
    assert main.run_command(["--signal", parameters]) == theirs.returncode == 1
    mine = capsys.readouterr()
    assert mine.err.partition("hint: ")[0] == theirs.stderr
    assert mine.out == theirs.stdout == ""


def test_the_command_is_silent_when_it_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with child(tmp_path, "server") as process:
        # The signal comes before the configuration is read, as in nats-server.
        assert main.run_command(["-c", "nothing.conf", "-sl", f"term={process.pid}"]) == 0
        assert told(process) == "SIGTERM"
    assert capsys.readouterr() == ("", "")
