"""Plays the tables: nats-server's against both servers, Keelback's own against ours."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.reload.row import Row
from tests.reload.table import ENDS, OURS, TABLE
from tests.support.servers import TARGETS, ServerProcess, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.certificates import Certificates

NEEDED = "host: 127.0.0.1\nport: -1\n"
END = r"\] (Reloaded server configuration|Failed to reload server configuration: )"
CASES = [
    pytest.param(target, row, id=f"{target}-{row.name}")
    for row in TABLE
    for target in TARGETS
    if not (target == "genuine" and row.refused == ENDS)
]
CASES += [pytest.param("keelback", row, id=f"keelback-{row.name}") for row in OURS]


def filled_in(text: str, certificates: Certificates, directory: str) -> str:
    pair = certificates.server_pair
    text = text.replace("@ca", f'ca_file: "{certificates.authority}"')
    text = text.replace("@pin", f'"{certificates.client_pair.key_digest()}"')
    text = re.sub(r"@tls\((.*)\)", lambda found: certificates.configuration(found[1]), text)
    text = text.replace("@cert", str(pair.certificate)).replace("@key", str(pair.key))
    return text.replace("@dir", directory)


def told(server: ServerProcess, skip: int) -> list[str]:
    """What the log says from its line `skip` on, without time and process id."""
    lines = server.log.splitlines()[skip:]
    texts = [re.sub(r"^\[\d+\] (\d{4}/\S+ \S+ )?", "", line) for line in lines]
    texts = [text for text in texts if not text.startswith(("[DBG]", "[TRC]"))]
    texts = [re.sub(r"sha256:[0-9a-f]{64}", "sha256:…", text) for text in texts]
    return [re.sub(r"for Port: old=\d+", "for Port: old=<port>", text) for text in texts]


@pytest.fixture(scope="module")
def unchanged(certificates: Certificates) -> Iterator[Callable[[Target, Row], ServerProcess]]:
    """Servers by what they started with: a refused reload leaves them as they were."""
    with contextlib.ExitStack() as stack:
        running: dict[tuple[Target, str, tuple[str, ...]], ServerProcess] = {}

        def get(target: Target, row: Row) -> ServerProcess:
            key = (target, row.before, row.flags)
            if key not in running:
                running[key] = stack.enter_context(server_for(target, row, certificates))
            return running[key]

        yield get


@pytest.mark.parametrize(("target", "row"), CASES)
def test_a_reload_is_told_as_nats_server_tells_it(
    target: Target,
    row: Row,
    certificates: Certificates,
    unchanged: Callable[[Target, Row], ServerProcess],
) -> None:
    if row.refused:
        play(unchanged(target, row), row, certificates)
        return
    with server_for(target, row, certificates) as server:
        if "ports_file_dir" in row.before:
            wait_for_ports_file(server)
        play(server, row, certificates)


def server_for(target: Target, row: Row, certificates: Certificates) -> ServerProcess:
    server = ServerProcess(target, listens_by_flags=False)
    directory = str(server.directory)
    server.config = NEEDED + filled_in(row.before, certificates, directory) + "\n"
    server.arguments = tuple(filled_in(flag, certificates, directory) for flag in row.flags)
    return server


def play(server: ServerProcess, row: Row, certificates: Certificates) -> None:
    def fill(text: str) -> str:
        return filled_in(text, certificates, str(server.directory))

    before = len(server.log.splitlines())
    (server.directory / "server.conf").write_text(NEEDED + fill(row.after) + "\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(END, after=before)
    lines = told(server, before)
    assert lines[0] == '[INF] Trapped "hangup" signal'
    assert lines[1:] == [fill(line) for line in row.lines(ours=server.target == "keelback")]
    assert server.running


def wait_for_ports_file(server: ServerProcess) -> None:
    # nats-server writes it from a thread of its own; reading its log is no help.
    deadline = time.monotonic() + 10
    while not list(server.directory.glob("*.ports")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
