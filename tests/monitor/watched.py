"""A server whose monitoring is watched, nats-server or ours, and what is the same in two answers.

The process of nats-server is told its port by the configuration; Keelback runs inside the test,
from the same configuration and the settings of its monitoring.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keelback.options import ServerOptions
from keelback.server.compile import compile_settings
from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import MonitorSettings, ServerSettings
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST: Final = "127.0.0.1"
WAIT_S: Final = 10.0

FORMATS: Final = (
    ("time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z")),
    ("duration", re.compile(r"(\d+y)?(\d+d)?(\d+h)?(\d+m)?\d+s|\d+(\.\d+)?(ns|µs|ms|s)")),
)
"""What a text has to look like wherever the other server's does."""


@dataclass(frozen=True)
class Answer:
    """What HTTP gave."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Watched:
    """A running server and its monitoring port."""

    def __init__(
        self, target: str, address: tuple[str, int], port: int, tls: ssl.SSLContext | None
    ) -> None:
        self.target = target
        self.address = address
        self.port = port
        self._tls = tls

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request on a connection of its own."""
        if self._tls is None:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=WAIT_S)
        else:
            connection = http.client.HTTPSConnection(
                HOST, self.port, timeout=WAIT_S, context=self._tls
            )
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(
                response.status, dict(response.getheaders()), response.read().decode("utf-8")
            )
        finally:
            connection.close()

    def wait_for(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """The document, as soon as it is what is wanted."""
        deadline = time.monotonic() + WAIT_S
        while True:
            document = self.ask(path).json
            if wanted(document):
                return document
            assert time.monotonic() < deadline, f"{self.target}: {document}"
            time.sleep(0.01)


def genuine(config: str, *, https: ssl.SSLContext | None = None) -> Iterator[Watched]:
    """nats-server with this configuration; a generator that stops it."""
    key = "http" if https is None else "https"
    with ServerProcess("genuine", f"{key}: '{HOST}:-1'\n{config}") as server:
        match = server.wait_for_log(rf"Starting {key} monitor on {HOST}:(\d+)")
        yield Watched("genuine", server.address, int(match[1]), https)


def keelback(
    config: str, folder: Path, *, https: ssl.SSLContext | None = None, **monitor: object
) -> Iterator[Watched]:
    """Keelback with this configuration; a generator that stops it."""
    file = folder / "keelback.conf"
    file.write_text(config, encoding="utf-8")
    settings = compile_settings(ServerOptions.from_file(str(file)), log_to_python=True)
    ports = {"http_port": -1} if https is None else {"https_port": -1}
    changed = settings.replace(
        host=HOST, port=-1, monitor=MonitorSettings(host=HOST, **ports, **monitor)
    )
    assert isinstance(changed, ServerSettings)
    lifecycle = Lifecycle(changed)
    lifecycle.start()
    lifecycle.run_in_background()
    try:
        assert lifecycle._monitor is not None
        yield Watched("keelback", (lifecycle.host, lifecycle.port), lifecycle._monitor.port, https)
    finally:
        lifecycle.stop()


def shape(value: Any) -> Any:
    """Keys in their order and types of values; texts by the format that they have."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    if isinstance(value, (int, float)):
        return "number"
    return next((name for name, form in FORMATS if form.fullmatch(value)), "text")
