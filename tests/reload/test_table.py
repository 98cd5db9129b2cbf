"""Plays the table against both servers."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.reload.table import TABLE, Row
from tests.support.servers import TARGETS, ServerProcess, Target

if TYPE_CHECKING:
    from tests.support.certificates import Certificates

NEEDED = "host: 127.0.0.1\nport: -1\n"
END = r"\] (Reloaded server configuration|Failed to reload server configuration: )"
CASES = [
    pytest.param(target, row, id=f"{target}-{row.name}")
    for row in TABLE
    for target in TARGETS
    if not (target == "genuine" and row.refused == "-")
]


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


@pytest.mark.parametrize(("target", "row"), CASES)
def test_a_reload_is_told_as_nats_server_tells_it(
    target: Target, row: Row, certificates: Certificates
) -> None:
    server = ServerProcess(target, listens_by_flags=False)
    directory = str(server.directory)
    fill = lambda text: filled_in(text, certificates, directory)  # noqa: E731
    server.config = NEEDED + fill(row.before) + "\n"
    server.arguments = tuple(map(fill, row.flags))
    with server:
        if "ports_file_dir" in row.before:
            wait_for_ports_file(server)
        before = len(server.log.splitlines())
        (server.directory / "server.conf").write_text(NEEDED + fill(row.after) + "\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log(END)
        lines = told(server, before)
        assert lines[0] == '[INF] Trapped "hangup" signal'
        assert lines[1:] == [fill(line) for line in row.lines(ours=target == "keelback")]
        assert server.running


def wait_for_ports_file(server: ServerProcess) -> None:
    # nats-server writes it from a thread of its own; reading its log is no help.
    import time

    deadline = time.monotonic() + 10
    while not list(server.directory.glob("*.ports")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
