"""What a signal does, and the exit code that it leads to."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from tests.support.servers import ServerProcess, Target, require
from tests.support.wire import Connection

BOTH = pytest.mark.both_servers


@BOTH
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "terminated")]
)
def test_int_and_term_stop_with_0(target: Target, number: signal.Signals, name: str) -> None:
    with ServerProcess(target) as server:
        server.send_signal(number)
        assert server.wait() == 0
        server.wait_for_log(f'Trapped "{name}" signal')
        server.wait_for_log("Server Exiting..")


@BOTH
def test_usr2_is_lame_duck_in_which_term_is_ignored_and_int_is_not(target: Target) -> None:
    config = 'lame_duck_duration: "30s", lame_duck_grace_period: "10s"'
    with ServerProcess(target, config) as server, Connection(server.address) as client:
        client.greeted()
        server.send_signal(signal.SIGUSR2)
        server.wait_for_log("Entering lame duck mode, stop accepting new clients")
        server.send_signal(signal.SIGTERM)
        server.wait_for_log('Trapped "terminated" signal')
        assert server.running
        server.send_signal(signal.SIGINT)
        assert server.wait() == 0


@BOTH
def test_lame_duck_without_clients_ends_with_0(target: Target) -> None:
    with ServerProcess(target) as server:
        server.send_signal(signal.SIGUSR2)
        assert server.wait() == 0


@BOTH
def test_quit_tells_what_threads_do_and_ends_with_2(target: Target) -> None:
    with ServerProcess(target) as server:
        server.send_signal(signal.SIGQUIT)
        assert server.wait() == 2
        server.wait_for_log("SIGQUIT: quit")
        what = {"genuine": r"^goroutine \d+", "keelback": r"Thread MainThread:$"}[target]
        server.wait_for_log(what)


def test_quit_names_the_tasks_of_the_control_loop() -> None:
    with ServerProcess("keelback") as server:
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("File log re-open ignored")
        server.send_signal(signal.SIGQUIT)
        assert server.wait() == 2
        server.wait_for_log(r"lifecycle\.py., line \d+, in _serve")
        lines = server.log.splitlines()
        dump = lines[next(i for i, line in enumerate(lines) if "SIGQUIT" in line) :]
        assert all(re.match(r"\[\d+\] \S+ \S+ \[ERR\] ", line) for line in dump)


@BOTH
def test_hup_without_a_file_is_an_error_and_the_server_goes_on(target: Target) -> None:
    with ServerProcess(target) as server:
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(
            "Failed to reload server configuration: can only reload config when a file is "
            "provided using -c or --config"
        )
        with Connection(server.address) as client:
            client.greeted()
        assert server.running


@BOTH
def test_usr1_without_a_log_file_is_ignored(target: Target) -> None:
    with ServerProcess(target, "", "-T=false") as server:
        server.send_signal(signal.SIGUSR1)
        server.wait_for_log("File log re-open ignored, not a file logger")


@BOTH
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("nonsense",), 1),
        (("-c", "/nowhere/server.conf"), 1),
        (("-P", "/nowhere/server.pid", "-p", "-1", "-a", "127.0.0.1"), 1),
        (("-l", "/nowhere/server.log", "-p", "-1", "-a", "127.0.0.1"), 1),
        (("-r", "foo://x", "-p", "-1", "-a", "127.0.0.1"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_exit_codes(target: Target, arguments: tuple[str, ...], code: int) -> None:
    outcome = subprocess.run(
        [*require(target), *arguments], capture_output=True, check=False, timeout=60
    )
    assert outcome.returncode == code
