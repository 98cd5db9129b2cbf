"""Servers as child processes: which binary, how it is started, watched and stopped.

Knows the two targets of the shared tests: `genuine` (nats-server) and `keelback` (ours). Both print
nats-server's start-up lines, and that is all this module relies on. Knows nothing of the protocol.
"""

from __future__ import annotations

import collections
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import pytest

from tests.support.usage import Usage

if TYPE_CHECKING:
    import signal
    from types import TracebackType

Target = Literal["genuine", "keelback"]
TARGETS: Final[tuple[Target, ...]] = ("genuine", "keelback")

REPOSITORY: Final = Path(__file__).resolve().parents[2]
START_TIMEOUT_S: Final = 20.0
STOP_TIMEOUT_S: Final = 10.0
LOG_LINES_MAX: Final = 2_000
LISTENING: Final = re.compile(r"Listening for client connections on (\S+):(\d+)")


class ServerFailedError(Exception):
    """A server did not start, or died, or did not stop; the message carries its log."""


def command_of(target: Target) -> list[str] | None:
    """The command that starts `target`, or None when it is not installed.

    `KEELBACK_SERVER` and `NATS_SERVER` name a command (words as in a shell); without them the
    commands are looked for in the repository's `.venv`, beside this Python, and on `PATH`.
    """
    variable, name = {
        "genuine": ("NATS_SERVER", "nats-server"),
        "keelback": ("KEELBACK_SERVER", "keelback-server"),
    }[target]
    if named := os.environ.get(variable):
        return shlex.split(named)
    beside = Path(sys.executable).parent / name
    candidates = [beside] if target == "genuine" else [REPOSITORY / ".venv/bin" / name, beside]
    for candidate in candidates:
        if candidate.exists():
            return [str(candidate)]
    if target == "genuine" and (found := shutil.which(name)):
        return [found]
    return None


def require(target: Target) -> list[str]:
    """The command that starts `target`; skips the test when there is none."""
    command = command_of(target)
    if command is None:
        pytest.skip(f"no {target} server: install it, or set NATS_SERVER or KEELBACK_SERVER")
    return command


class ServerProcess:
    """One running server on 127.0.0.1. A context manager; stopped by its pid.

    The configuration must not name a client port: address and port are given as flags, unless
    they are left to it.
    """

    def __init__(
        self,
        target: Target,
        config: str = "",
        *arguments: str,
        port: int | None = None,
        listens_by_flags: bool = True,
    ) -> None:
        """Describe a server; `start` (or `with`) starts it.

        Args:
            target: which binary.
            config: the text of its configuration file; without any, none is named.
            arguments: further flags for its command line.
            port: where it listens; without one the system chooses, and the log tells.
            listens_by_flags: False leaves address and port to the configuration.
        """
        self.target: Target = target
        self.config = config
        self.host = "127.0.0.1"
        self.port = port or 0
        self.arguments = arguments
        self._listens_by_flags = listens_by_flags
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES_MAX)
        self._changed = threading.Condition()  # guards _lines and _ended
        self._ended = False
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def directory(self) -> Path:
        """A directory of this server's own, removed when it stops; holds its configuration."""
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(prefix="keelback-test-")
        return Path(self._directory.name)

    @property
    def pid(self) -> int:
        """The process id, while it runs."""
        if self._process is None:
            message = "the server was not started"
            raise ServerFailedError(message)
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `socket.connect` takes them."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://{self.host}:{self.port}"

    @property
    def usage(self) -> Usage:
        """What it takes of the machine, while it runs."""
        return Usage(self.pid)

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server wrote to its standard error so far, at most the last 2,000 lines."""
        with self._changed:
            return "\n".join(self._lines)

    def start(self) -> None:
        """Start the process and wait for `Server is ready`.

        Raises:
            ServerFailedError: it ended, or took longer than 20 s; the message has the log.
        """
        self.start_silently()
        try:
            listening = self.wait_for_log(LISTENING.pattern, START_TIMEOUT_S)
            self.port = int(listening[2])
            self.wait_for_log("Server is ready", START_TIMEOUT_S)
        except ServerFailedError:
            self.stop()
            raise

    def start_silently(self) -> None:
        """Start the process; for one whose log goes elsewhere than to standard error."""
        command = require(self.target)
        if self._listens_by_flags:
            command += ["-a", self.host, "-p", str(self.port or -1)]
        if self.config:
            config_path = self.directory / "server.conf"
            config_path.write_text(self.config, encoding="utf-8")
            command += ["-c", str(config_path)]
        self._process = subprocess.Popen(
            [*command, *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.directory,
        )
        self._reader = threading.Thread(target=self._read_log, name="server-log", daemon=True)
        self._reader.start()

    def wait_for_log(
        self, pattern: str, timeout_s: float = 10.0, *, after: int = 0
    ) -> re.Match[str]:
        """Wait until a line of the log contains the regular expression `pattern`; its match.

        The first `after` lines are not looked at.

        Raises:
            ServerFailedError: the log ended first, or `timeout_s` seconds went by.
        """
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for line in itertools.islice(self._lines, after, None):
                    if match := expression.search(line):
                        return match
                remaining_s = deadline - time.monotonic()
                if self._ended or remaining_s <= 0:
                    why = "ended" if self._ended else f"was silent for {timeout_s:g} s"
                    log = "\n".join(self._lines)
                    message = f"{self.target} server {why} before {pattern!r}; its log:\n{log}"
                    raise ServerFailedError(message)
                self._changed.wait(remaining_s)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's process."""
        if self._process is not None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait until the process has ended by itself; its exit status."""
        if self._process is None:
            message = "the server was not started"
            raise ServerFailedError(message)
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """End the process (SIGTERM, after 10 s SIGKILL) and remove its directory."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            if self._reader is not None:
                self._reader.join(STOP_TIMEOUT_S)
            if self._process.stderr is not None:
                self._process.stderr.close()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _read_log(self) -> None:
        """Gather the log, line by line, until the process closes it (a thread of its own)."""
        if self._process is None or self._process.stderr is None:
            return
        for line in self._process.stderr:
            with self._changed:
                self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class ServerPool:
    """Running servers by target and configuration text, so that tests with one text share one.

    Holds at most `servers_max`: the one that was not asked for the longest makes room.
    """

    def __init__(self, servers_max: int = 6) -> None:
        """Make an empty pool of at most `servers_max` servers."""
        self._servers_max = servers_max
        self._servers: collections.OrderedDict[tuple[Target, str], ServerProcess]
        self._servers = collections.OrderedDict()

    def get(self, target: Target, config: str = "") -> ServerProcess:
        """A running server with this configuration; one that died meanwhile is started anew."""
        key = (target, config)
        server = self._servers.pop(key, None)
        if server is not None and not server.running:
            server.stop()
            server = None
        if server is None:
            while len(self._servers) >= self._servers_max:
                self._servers.popitem(last=False)[1].stop()
            server = ServerProcess(target, config)
            server.start()
        self._servers[key] = server
        return server

    def close(self) -> None:
        """Stop all."""
        while self._servers:
            self._servers.popitem()[1].stop()
