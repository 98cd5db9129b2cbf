"""Flags: Go's rules, nats-server's texts, and flags over the file."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from keelback.options.command_line import CommandLine, parse_command_line
from keelback.options.flag_table import FLAGS, help_text
from tests.support.servers import require

if TYPE_CHECKING:
    from pathlib import Path

    from keelback.options import ServerOptions

REFUSED_ALIKE: tuple[tuple[str, ...], ...] = (
    ("-p", "x"),
    ("-p",),
    ("-p=",),
    ("-p", "99999999999999999999"),
    ("-p", "0x"),
    ("---p",),
    ("-=3",),
    ("--",  "foo"),
    ("foo",),
    ("-D", "foo"),
    ("-D=maybe",),
    ("--bogus",),
    ("-bogus=3",),
    ("-t",),
    ("--tls",),
    ("--tls", "--tlscert", "nothing.pem"),
    ("--tls", "--tlscert", "nothing.pem", "--tlskey", "nothing.pem"),
    ("--tlsverify",),
    ("-c", "nothing.conf"),
    ("-c", "nothing.conf", "-t"),
    ("-n", "a b"),
    ("-m", "x"),
    ("-ms",),
    ("--log_size_limit", "1MB"),
    ("--max_traced_msg_len=",),
    ("-s=perhaps",),
    ("-r",),
    ("-sl",),
    ("--profile", "x"),
    ("--cluster",),
    ("--connect_retries", "1.5"),
    ("-js", "help!"),
    ("-DVV=3",),
)  # fmt: skip


def options(*arguments: str) -> ServerOptions:
    outcome = parse_command_line(arguments)
    assert outcome.options is not None, outcome.standard_error
    return outcome.options


def error_line(outcome: CommandLine) -> str:
    return outcome.standard_error.split("\n", 1)[0]


@pytest.mark.parametrize("arguments", REFUSED_ALIKE, ids=" ".join)
def test_refused_as_nats_server_refuses(arguments: tuple[str, ...], tmp_path: Path) -> None:
    program = require("genuine")
    theirs = subprocess.run(
        [*program, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    mine = parse_command_line(arguments)
    assert mine.options is None
    assert error_line(mine) == theirs.stderr.split("\n", 1)[0]
    assert mine.exit_code == theirs.returncode
    assert bool(mine.standard_output) == bool(theirs.stdout)


@pytest.mark.parametrize(
    "spelling", [("-p", "4333"), ("--p=4333",), ("-port=0x10ed",), ("--port", "+4_333")]
)
def test_the_spellings_of_a_number(spelling: tuple[str, ...]) -> None:
    assert options(*spelling).port == 4333


def test_every_flag_of_a_plain_option() -> None:
    read = options(
        *("-a", "::1", "-p", "-1", "-n", "x", "-P", "pid", "-l", "log", "-T=false", "-D", "-V"),
        *("--logtime_utc", "--client_advertise", "a:1", "--ports_file_dir", "d", "--threads", "2"),
        *("--user", "u", "--pass", "w", "--auth", "t"),
        *("-m", "-1", "-s", "-r", "udp://h:514", "--log_size_limit", "9", "--log_format", "json"),
        *("--max_traced_msg_len", "7"),
    )
    assert (read.monitor.http_port, read.monitor.https_port) == (-1, 0)
    assert (read.log.syslog, read.log.remote_syslog) == (True, "udp://h:514")
    assert (read.log.log_size_limit, read.log.log_format) == (9, "json")
    assert read.log.max_traced_msg_len == 7
    assert (read.host, read.port, read.server_name, read.threads) == ("::1", 0, "x", 2)
    assert (read.pid_file, read.ports_file_dir, read.client_advertise) == ("pid", "d", "a:1")
    assert (read.log.log_file, read.log.logtime, read.log.logtime_utc) == ("log", False, True)
    assert (read.log.debug, read.log.trace, read.log.trace_verbose) == (True, True, False)
    authorization = read.authorization
    assert (authorization.user, authorization.password, authorization.token) == ("u", "w", "t")


def test_tracing_flags_in_nats_servers_order() -> None:
    log = options("-DVV", "-VV=false").log
    assert (log.debug, log.trace, log.trace_verbose) == (True, False, False)


def test_all_names_of_a_flag_mean_the_same() -> None:
    for flag in FLAGS.values():
        value = {"nothing": "=true", "text": "=json", "number": "=7"}[flag.takes]
        lines = [parse_command_line([f"--{name}{value}"]) for name in flag.names]
        outcomes = {(repr(line.options), line.exit_code, line.signal) for line in lines}
        assert len(outcomes) == 1, flag.names


def test_a_log_format_that_is_none() -> None:
    outcome = parse_command_line(["--log_format", "xml"])
    assert outcome.exit_code == 1
    problem = "nats-server: --log_format: log_format must be 'text' or 'json'"
    assert error_line(outcome) == problem


def test_a_signal_comes_before_the_configuration() -> None:
    outcome = parse_command_line(["--signal", "reload=12", "-c", "nothing.conf"])
    assert (outcome.signal, outcome.options, outcome.exit_code) == ("reload=12", None, 0)
    assert not outcome.standard_error


@pytest.mark.parametrize("name", ["help", "version"])
def test_a_text_that_is_asked_for_comes_before_a_signal(name: str) -> None:
    outcome = parse_command_line([f"--{name}", "--signal", "reload"])
    assert outcome.standard_output
    assert not outcome.signal


def test_every_flag_of_nats_server_is_known() -> None:
    program = require("genuine")
    usage = subprocess.run(
        [*program, "--help"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    names = set(re.findall(r"(?<![\w-])--?(\w+)", usage))
    assert {"p", "port", "ms", "DVV", "signal", "cluster_listen", "help_tls"} <= names
    assert names <= FLAGS.keys()


def test_flags_override_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("listen: 127.0.0.1:4333\nserver_name: file\ndebug: true\nping_interval: 20\n")
    outcome = parse_command_line(["-c", str(file), "-p", "4444", "-D=false"])
    assert outcome.options is not None
    assert outcome.options.host == "127.0.0.1"
    assert outcome.options.port == 4444
    assert outcome.options.server_name == "file"
    assert not outcome.options.log.debug
    assert "ping_interval should be converted to a duration" in outcome.standard_error


@pytest.mark.parametrize(
    "name", sorted({flag.names[-1] for flag in FLAGS.values() if not flag.is_supported})
)
def test_what_is_not_there_yet_is_refused_by_name(name: str) -> None:
    outcome = parse_command_line([f"--{name}" + ("" if FLAGS[name].takes == "nothing" else "=1")])
    assert outcome.exit_code == 1
    assert error_line(outcome) == f"nats-server: flag -{name} is not supported yet"


def test_texts_that_are_asked_for() -> None:
    assert parse_command_line(["--version"]).standard_output.startswith(
        "nats-server: v2.15.1\nkeelback"
    )
    assert parse_command_line(["VERSION"]).standard_output.startswith("nats-server: v2.15.1")
    assert parse_command_line(["-h"]).standard_output == help_text()
    assert "TLS_AES_128_GCM_SHA256" in parse_command_line(["--help_tls"]).standard_output


def test_a_check_tells_everything_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text("max_paylod: 1\nping_interval: 3\nport: x\n")
    outcome = parse_command_line(["-t", "-c", str(file)])
    assert outcome.exit_code == 1
    assert outcome.standard_error.split("\n")[:-1] == [
        (
            f'nats-server: {file}:2:1: invalid use of field "ping_interval": ping_interval should '
            "be converted to a duration"
        ),
        'hint: write a number with its unit, in quotes: `ping_interval: "20s"`',
        f'{file}:1:0: unknown field "max_paylod"',
        "hint: did you mean `max_payload`? (a size without quotes, default 1MB)",
        f"{file}:3:1: interface conversion: interface {{}} is string, not int64",
        "hint: give a number, such as `1000`",
    ]


def test_a_check_of_a_good_file_prints_the_digest(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text(f"port: 4222\npid_file: '{os.devnull}'\n")
    outcome = parse_command_line(["-t", "-c", str(file)])
    assert (outcome.exit_code, outcome.options) == (0, None)
    assert f"configuration file {file} is valid (sha256:" in outcome.standard_error
