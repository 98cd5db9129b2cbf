"""The `nats` command, as far as it needs no JetStream."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import pytest

from tests.clients.credentials import PASSWORD, USER, USER_CONFIGURATION
from tests.support.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.support.certificates import Certificates
    from tests.support.servers import ServerProcess
    from tests.support.target import StartServer

_RUN_TIME_MAX_S = 30.0


class NatsCommand:
    """Runs the command against one server, with a home of its own so that no context is found."""

    def __init__(self, command: Path, home: Path, server: ServerProcess) -> None:
        self.command = str(command)
        self.server = server
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("NATS_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "NATS_URL": server.url,
            "NO_COLOR": "1",
        }

    def run(self, *arguments: str, succeeds: bool = True) -> str:
        """Run it to its end and return what it printed, errors included."""
        done = subprocess.run(
            [self.command, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_RUN_TIME_MAX_S,
            check=False,
            text=True,
        )
        assert (done.returncode == 0) == succeeds, done.stdout
        return done.stdout

    @contextmanager
    def running(self, *arguments: str) -> Generator[Running]:
        """Run it in the background; it is ended when the block ends."""
        process = subprocess.Popen(
            [self.command, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        clock = threading.Timer(_RUN_TIME_MAX_S, process.kill)
        clock.start()
        try:
            yield Running(process)
        finally:
            clock.cancel()
            process.kill()
            process.communicate()


class Running:
    """A command in the background."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def until_subscribed(self, server: ServerProcess, subject: str) -> Self:
        """Wait until somebody is subscribed to `subject`: a request to it finds a responder.

        The request reaches the command under test too, with the payload `probe`.
        """
        with Connection(server.address) as probe:
            probe.greeted(
                b'CONNECT {"verbose":false,"headers":true,"no_responders":true,"protocol":1}\r\n'
            )
            probe.send(b"SUB probe.reply 1\r\n")
            # No event tells when another connection has subscribed; asking is cheap and bounded.
            for _ in range(20_000):
                probe.send(b"PUB %b probe.reply 5\r\nprobe\r\n" % subject.encode())
                if b"NATS/1.0 503" not in probe.fence():
                    return self
        message = f"nobody subscribed to {subject}"
        raise TimeoutError(message)

    def text(self) -> str:
        """All that it printed until it ended by itself, which must be with success."""
        assert self.process.stdout is not None
        printed = self.process.stdout.read()
        assert self.process.wait() == 0, printed
        return printed


@pytest.fixture
def nats(nats_command: Path, server: ServerProcess, tmp_path: Path) -> NatsCommand:
    """The command, with a server that has its defaults."""
    return NatsCommand(nats_command, tmp_path, server)


def test_pub_and_sub(nats: NatsCommand) -> None:
    # The probe is the first message, the published ones follow.
    with nats.running("sub", "orders.*", "--count", "3", "--raw") as listener:
        listener.until_subscribed(nats.server, "orders.new")
        nats.run("pub", "orders.new", "first")
        nats.run("pub", "orders.old", "second")
        assert listener.text().split() == ["probe", "first", "second"]


def test_headers(nats: NatsCommand) -> None:
    with nats.running("sub", "with.headers", "--count", "2") as listener:
        listener.until_subscribed(nats.server, "with.headers")
        nats.run("pub", "with.headers", "body", "-H", "Kind:order")
        printed = listener.text()
    assert re.search(r"^Kind: order$", printed, re.MULTILINE), printed


def test_a_queue_group_takes_each_message_once(nats: NatsCommand) -> None:
    with nats.running("sub", "work", "--queue", "workers", "--count", "6", "--raw") as member:
        member.until_subscribed(nats.server, "work")
        nats.run("pub", "work", "task {{Count}}", "--count", "5")
        assert member.text().split("\n")[1:6] == [f"task {number}" for number in range(1, 6)]


def test_request_and_reply(nats: NatsCommand) -> None:
    with nats.running("reply", "help", "here it is") as responder:
        responder.until_subscribed(nats.server, "help")
        assert "here it is" in nats.run("request", "help", "please", "--raw")


def test_a_request_that_nobody_answers(nats: NatsCommand) -> None:
    # The command counts that as an answer: it ends with success.
    assert "No responders are available" in nats.run("request", "nobody.listens", "please")


def test_rtt(nats: NatsCommand) -> None:
    answers = json.loads(nats.run("rtt", "3", "--json"))
    assert len(answers) == 1
    assert nats.server.url in json.dumps(answers)


def test_the_check_that_monitoring_systems_run(nats: NatsCommand) -> None:
    printed = nats.run("server", "check", "connection", "--format", "json")
    assert json.loads(printed)["status"] == "OK"


def test_bench_publishing(nats: NatsCommand) -> None:
    printed = nats.run("bench", "pub", "bench", "--msgs", "20000", "--size", "128", "--no-progress")
    assert re.search(r"msgs/sec", printed), printed


def test_a_bench_subscriber_hears_all(nats: NatsCommand) -> None:
    # It ends by itself only when it has heard each of the messages, the probe among them.
    with nats.running("bench", "sub", "bench", "--msgs", "20001", "--no-progress") as subscriber:
        subscriber.until_subscribed(nats.server, "bench")
        nats.run("bench", "pub", "bench", "--msgs", "20000", "--size", "16", "--no-progress")
        assert "msgs/sec" in subscriber.text()


def test_bench_service(nats: NatsCommand) -> None:
    with nats.running("bench", "service", "serve", "asked", "--no-progress") as service:
        service.until_subscribed(nats.server, "asked")
        printed = nats.run("bench", "service", "request", "asked", "--msgs", "500", "--no-progress")
    assert "msgs/sec" in printed


def test_user_and_password(nats_command: Path, start_server: StartServer, tmp_path: Path) -> None:
    nats = NatsCommand(nats_command, tmp_path, start_server(USER_CONFIGURATION))
    nats.run("pub", "orders", "x", "--user", USER, "--password", PASSWORD)
    assert "Authorization Violation" in nats.run("pub", "orders", "x", succeeds=False)


def test_tls(
    nats_command: Path,
    start_server: StartServer,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    nats = NatsCommand(nats_command, tmp_path, start_server(certificates.configuration()))
    nats.run("pub", "orders", "x", "--tlsca", str(certificates.authority))
    assert "certificate" in nats.run("pub", "orders", "x", succeeds=False)


def test_tls_with_a_client_certificate(
    nats_command: Path,
    start_server: StartServer,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    server = start_server(certificates.configuration("handshake_first: auto", verify=True))
    nats = NatsCommand(nats_command, tmp_path, server)
    pair, trust = certificates.client_pair, ("--tlsca", str(certificates.authority))
    shown = (*trust, "--tlscert", str(pair.certificate), "--tlskey", str(pair.key))
    nats.run("pub", "orders", "x", *shown)
    nats.run("pub", "orders", "x", *shown, "--tlsfirst")
    assert "certificate" in nats.run("pub", "orders", "x", *trust, succeeds=False)
