"""Lines to syslogs on this machine."""

import os
import re
import socket
import threading
from pathlib import Path

import pytest

from keelback.errors import ServerError
from keelback.server import syslog
from keelback.server.syslog import Syslog

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)"
STAMP = r"[JFMASOND][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"


def received(listening: socket.socket) -> bytes:
    """All that one connection brings, until its end."""
    connection, _ = listening.accept()
    with connection:
        data = b""
        while part := connection.recv(65536):
            data += part
        return data


def test_udp_has_nats_servers_form_and_severities() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        log = Syslog(f"udp://127.0.0.1:{listening.getsockname()[1]}")
        for level in ("INF", "WRN", "ERR", "FTL", "DBG", "TRC"):
            log.write(level, f"a {level}")
        lines = [listening.recv(1000).decode() for _ in range(6)]
        log.close()
    tag = re.escape(os.path.basename(__import__("sys").argv[0]))
    head = re.compile(rf"<(\d)>{MOMENT} {socket.gethostname()} {tag}\[{os.getpid()}\]: (.*)\n")
    found = [head.fullmatch(line) for line in lines]
    assert [match and (match[1], match[3]) for match in found] == [
        ("5", "a INF"),
        ("4", "a WRN"),
        ("3", "a ERR"),
        ("2", "a FTL"),
        ("7", "a DBG"),
        ("5", "a TRC"),
    ]


def test_tcp_gets_every_line_before_the_end() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        log = Syslog(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        for number in range(100):
            log.write("INF", f"line {number}")
        closing = threading.Thread(target=log.close)
        closing.start()
        data = received(listening).decode()
        closing.join()
    assert [line.rpartition(": ")[2] for line in data.splitlines()] == [
        f"line {number}" for number in range(100)
    ]


@pytest.mark.parametrize("prefix", ["unix:", "unix://"])
def test_a_unix_socket_gets_the_local_form(tmp_path: Path, prefix: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.listen()
        log = Syslog(f"{prefix}{tmp_path / 'log'}")
        log.write("INF", "hello")
        log.close()
        line = received(listening).decode()
    assert re.fullmatch(rf"<5>{STAMP} \S+\[{os.getpid()}\]: hello\n", line)


def test_the_local_one_is_of_facility_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "LOCAL_SOCKETS", (str(tmp_path / "none"), str(tmp_path / "log")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        listening.settimeout(10)
        log = Syslog()
        log.write("ERR", "hello")
        assert re.fullmatch(rf"<27>{STAMP} \S+: hello\n", listening.recv(1000).decode())
        log.close()


def test_a_connection_that_broke_is_made_anew() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        log = Syslog(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        listening.accept()[0].close()
        listening.settimeout(0.05)
        # The first lines may be lost in the kernel: it takes them until it knows.
        for number in range(200):
            log.write("INF", f"line {number}")
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            break
        connection.settimeout(10)
        assert b"line " in connection.recv(1000)
        connection.close()
        log.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("foo://x", 'error invalid network type: "foo"'),
        ("udp://nohost", 'syslog: "dial udp: address nohost: missing port in address"'),
        ("unix:/nowhere/log", "connect: no such file or directory"),
    ],
)
def test_what_cannot_be_reached_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ServerError, match=re.escape(problem)):
        Syslog(url)


def test_no_local_syslog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "LOCAL_SOCKETS", ())
    with pytest.raises(ServerError) as caught:
        Syslog()
    assert str(caught.value) == 'error connecting to syslog: "Unix syslog delivery error"'
