"""The official JavaScript client and async-nats (Rust), each by its own named checks."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.clients.credentials import (
    PASSWORD,
    TOKEN,
    TOKEN_CONFIGURATION,
    USER,
    USER_CONFIGURATION,
    UserKey,
    nkey_configuration,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.certificates import Certificates
    from tests.support.target import StartServer

# The checks stop by themselves after 20 s.
_RUN_TIME_MAX_S = 30.0

_COMMON = [
    "publish-subscribe",
    "wildcards",
    "request-reply",
    "no-responders",
    "queue-group",
    "headers",
    "drain",
    "large-payload",
    "user-password",
    "token",
    "nkey",
    "tls",
]
_NODE_ONLY = ["request-many", "unsubscribe-max", "echo", "rtt", "permission-violation"]
_NODE_STREAMS = ["streams", "key-value", "object-put"]
_RUST_ONLY = ["unsubscribe-after"]


@pytest.fixture
def configuration_of(
    certificates: Certificates, user_key: UserKey, tmp_path: Path
) -> dict[str, str]:
    """The server's configuration for each check that needs one."""
    streams = f'jetstream {{ store_dir: "{tmp_path / "js"}" }}'
    return {
        **dict.fromkeys(_NODE_STREAMS, streams),
        "user-password": USER_CONFIGURATION,
        "permission-violation": USER_CONFIGURATION,
        "token": TOKEN_CONFIGURATION,
        "nkey": nkey_configuration(user_key),
        "tls": certificates.configuration(),
    }


@pytest.fixture
def environment(
    certificates: Certificates, user_key: UserKey, stranger_key: UserKey
) -> dict[str, str]:
    """What the checks know about the server beside its address."""
    return {
        **os.environ,
        "NATS_USER": USER,
        "NATS_PASSWORD": PASSWORD,
        "NATS_TOKEN": TOKEN,
        "NATS_SEED": user_key.seed,
        "NATS_OTHER_SEED": stranger_key.seed,
        "NATS_CA": str(certificates.authority),
    }


@pytest.mark.parametrize("check", _COMMON + _NODE_ONLY + _NODE_STREAMS)
def test_the_javascript_client(
    check: str,
    node_checks: tuple[Path, Path, Path],
    start_server: StartServer,
    configuration_of: dict[str, str],
    environment: dict[str, str],
) -> None:
    server = start_server(configuration_of.get(check, ""))
    node, script, modules = node_checks
    _check(
        [str(node), str(script), check],
        {**environment, "NATS_URL": server.url, "NATS_MODULES": str(modules)},
    )


@pytest.mark.parametrize("check", _COMMON + _RUST_ONLY)
def test_async_nats(
    check: str,
    rust_checks: Path,
    start_server: StartServer,
    configuration_of: dict[str, str],
    environment: dict[str, str],
) -> None:
    server = start_server(configuration_of.get(check, ""))
    _check([str(rust_checks), check], {**environment, "NATS_URL": server.url})


def test_the_javascript_client_comes_back_after_a_restart(
    node_checks: tuple[Path, Path, Path],
    start_server: StartServer,
    environment: dict[str, str],
) -> None:
    server = start_server()
    node, script, modules = node_checks
    running = subprocess.Popen(
        [str(node), str(script), "reconnect"],
        env={**environment, "NATS_URL": server.url, "NATS_MODULES": str(modules)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    clock = threading.Timer(_RUN_TIME_MAX_S, running.kill)
    clock.start()
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"RESTART\n"
        server.stop()
        start_server(port=server.port)
        said = running.stdout.read()
        assert running.wait() == 0, said.decode()
    finally:
        clock.cancel()
        running.kill()
        running.communicate()


def _check(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_RUN_TIME_MAX_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")
