"""The log of a running server as JSON: each line is an object, and says what the text says."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.servers import ServerFailedError, ServerProcess
from tests.support.wire import Connection

from .test_files import started_with_log

if TYPE_CHECKING:
    from pathlib import Path

AUTHORIZATION = 'authorization { user: ann, password: "right-secret" }\n'
TEXT_LINE = re.compile(r"\[(\d+)\] \S+ \S+ \[([A-Z]{3})\] (.*)")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
LEVELS = {"INF": "info", "WRN": "warn", "ERR": "error", "DBG": "debug", "TRC": "trace"}
SECRETS = ("right-secret", "wrong-secret", "secret-token")
SERVER_ID = re.compile(r"\bN[A-Z2-7]{55}\b")


def come_and_go(address: tuple[str, int]) -> None:
    """One client that is let in, and one that is not."""
    with Connection(address) as client:
        client.greeted(b'CONNECT {"user":"ann","pass":"right-secret","verbose":false}\r\n')
    with Connection(address) as client:
        client.line()
        client.send(b'CONNECT {"user":"ann","pass":"wrong-secret","auth_token":"secret-token"}\r\n')
        assert client.read_to_end() == b"-ERR 'Authorization Violation'\r\n"


def stopped(server: ServerProcess) -> None:
    """Stop it as an operator does, and read its log to the end."""
    server.send_signal(signal.SIGINT)
    assert server.wait() == 0


def objects(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


def assert_fields(told: list[dict[str, Any]], pid: int) -> None:
    for line in told:
        assert list(line) == ["time", "level", "pid", "message"]
        assert TIME.fullmatch(line["time"])
        assert line["level"] in LEVELS.values()
        assert line["pid"] == pid
        assert isinstance(line["message"], str)


def assert_whole_session(told: list[dict[str, Any]]) -> None:
    """A start, both clients and a shutdown are there."""
    lines = [(line["level"], line["message"]) for line in told]
    assert lines[0] == ("info", "Starting nats-server")
    assert ("info", "Server is ready") in lines
    assert any(level == "debug" and "Client connection created" in text for level, text in lines)
    assert any(level == "trace" and "<<- [PING]" in text for level, text in lines)
    assert any(level == "error" and "authentication error" in text for level, text in lines)
    assert ("info", 'Trapped "interrupt" signal') in lines
    assert lines[-1] == ("info", "Server Exiting..")


def assert_no_secret(log: str) -> None:
    assert "[REDACTED]" in log
    assert not [secret for secret in SECRETS if secret in log]


def alike(level: str, message: str) -> tuple[str, str]:
    """A line without what is another one in each run."""
    message = SERVER_ID.sub("ID", message)
    return level, re.sub(r"sha256:\w+|server-\w+|/\S+/|\d+", "#", message)


@pytest.mark.parametrize("how", ["flag", "file"])
def test_each_line_on_standard_error_is_an_object(how: str) -> None:
    flags = ["--log_format", "json"] if how == "flag" else []
    config = AUTHORIZATION + ("log_format: json\n" if how == "file" else "")
    with ServerProcess("keelback", config, "-DV", *flags) as server:
        come_and_go(server.address)
        server.wait_for_log("authentication error")
        stopped(server)
        server.wait_for_log("Server Exiting")
        told = objects(server.log)
        assert_fields(told, server.pid)
        assert_whole_session(told)
        assert_no_secret(server.log)


@pytest.mark.parametrize("how", ["flag", "file"])
def test_each_line_of_a_log_file_is_an_object(how: str, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    config = f'{AUTHORIZATION}log_file: "{file}"\ndebug: true\ntrace: true\n'
    flags = ["--log_format", "json"] if how == "flag" else []
    config += "log_format: json\n" if how == "file" else ""
    server = started_with_log("keelback", config, file, *flags)
    try:
        come_and_go(server.address)
        stopped(server)
        told = objects(file.read_text())
        assert_fields(told, server.pid)
        assert_whole_session(told)
        assert_no_secret(file.read_text())
        assert server.log == ""
    finally:
        server.stop()


def test_without_times_no_object_has_one() -> None:
    config = "log_format: json\nlogtime: false\n"
    with ServerProcess("keelback", config) as server:
        assert {tuple(line) for line in objects(server.log)} == {("level", "pid", "message")}


def test_objects_say_what_the_text_says() -> None:
    told: dict[str, Counter[tuple[str, str]]] = {}
    for form in ("text", "json"):
        config = f"{AUTHORIZATION}log_format: {form}\n"
        with ServerProcess("keelback", config, "-DV") as server:
            come_and_go(server.address)
            server.wait_for_log("authentication error")
            stopped(server)
            server.wait_for_log("Server Exiting")
            if form == "json":
                lines = [(line["level"], line["message"]) for line in objects(server.log)]
            else:
                found = [TEXT_LINE.fullmatch(line) for line in server.log.splitlines()]
                assert all(found)
                lines = [(LEVELS[match[2]], match[3]) for match in found if match]
        # Threads may write in another order.
        told[form] = Counter(alike(*line) for line in lines)
    assert told["json"] == told["text"]


def test_a_port_that_is_taken_is_told_of_as_an_object() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ServerProcess("keelback", "log_format: json\n", port=taken.getsockname()[1])
        with pytest.raises(ServerFailedError):
            server.start()
    told = objects(server.log)
    assert told[-1]["level"] == "fatal"
    assert told[-1]["message"].startswith("Error listening on port: 127.0.0.1:")
