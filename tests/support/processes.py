"""Server processes under test: nats-server itself (`genuine`) or Keelback.

Knows how to start one on a port of the system's choice, to tell what it uses, and to stop it.
Knows no protocol.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

Target = Literal["keelback", "genuine"]
TARGETS: tuple[Target, ...] = ("keelback", "genuine")

REPOSITORY = Path(__file__).resolve().parents[2]

_START_TIME_MAX_S = 15.0
_STOP_TIME_MAX_S = 10.0
_STILL_S = 0.5
# A whole line, so that a log read while it is written does not give half a port.
_LISTENING = re.compile(r"Listening for client connections on (\S+):(\d+)\n")


class ServerMissingError(Exception):
    """There is no such server on this machine; the message says where it was looked for."""


class ServerDiedError(Exception):
    """The server ended before it was ready; the message holds its log."""


def server_command(target: Target) -> str:
    """Find the executable of a target.

    Raises:
        ServerMissingError: it is not where it should be.
    """
    if target == "genuine":
        beside = Path(sys.executable).with_name("nats-server")
        found = os.environ.get("NATS_SERVER") or (
            str(beside) if beside.exists() else shutil.which("nats-server")
        )
        if found is None:
            message = "no nats-server: neither NATS_SERVER, nor beside this Python, nor on PATH"
            raise ServerMissingError(message)
        return found
    found = os.environ.get("KEELBACK_SERVER") or str(REPOSITORY / ".venv/bin/keelback-server")
    if not Path(found).exists():
        message = f"no keelback-server at {found}: run `make build` or set KEELBACK_SERVER"
        raise ServerMissingError(message)
    return found


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server; its log is a file in the directory that it was started with."""

    target: Target
    host: str
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @classmethod
    def start(
        cls,
        target: Target,
        directory: Path,
        *,
        configuration: str = "",
        arguments: Sequence[str] = (),
        port: int | None = None,
    ) -> Self:
        """Start a server on 127.0.0.1 and wait until it says that it is ready.

        Args:
            target: which server.
            directory: takes its configuration and its log.
            configuration: text of a configuration file; none when empty.
            arguments: further flags.
            port: to listen on; without it the system chooses.

        Raises:
            ServerMissingError: there is no such server.
            ServerDiedError: it ended, or was not ready in time.
        """
        number = len(list(directory.glob("server-*.log"))) + 1
        log_file = directory / f"server-{number}.log"
        command = [server_command(target), "-a", "127.0.0.1", "-p", str(port or -1), *arguments]
        if configuration:
            configuration_file = directory / f"server-{number}.conf"
            configuration_file.write_text(configuration)
            command += ["-c", str(configuration_file)]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory
            )
        deadline = time.monotonic() + _START_TIME_MAX_S
        while True:
            text = log_file.read_text(errors="replace")
            listening = _LISTENING.search(text)
            if listening is not None and "Server is ready" in text:
                server = cls(target, listening[1], int(listening[2]), process, log_file)
                server._settle()
                return server
            if process.poll() is not None or time.monotonic() > deadline:
                _end(process)
                message = f"{' '.join(command)} was not ready (exit {process.returncode}):\n{text}"
                raise ServerDiedError(message)
            time.sleep(0.002)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `socket.connect` takes them."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"nats://{self.host}:{self.port}"

    def log(self) -> str:
        """All that the server has logged so far."""
        return self.log_file.read_text(errors="replace")

    def is_running(self) -> bool:
        """Whether the process that was started is still there."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """End the process, by force when it does not go in time; nothing when it has ended."""
        _end(self.process)

    def resident_bytes(self) -> int:
        """Memory that the process holds now (RSS)."""
        return self._status_bytes("VmRSS")

    def resident_bytes_peak(self) -> int:
        """The most memory that it held since `reset_peak`, or its start."""
        return self._status_bytes("VmHWM")

    def reset_peak(self) -> None:
        """Let `resident_bytes_peak` count from now (Linux: proc(5), `clear_refs`)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def descriptor_count(self) -> int:
        """Open file descriptors of the process."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def _settle(self) -> None:
        """Wait until it opens no more descriptors by itself: the listener is there before the rest.

        Nothing tells from outside when a process has begun all that it begins.
        """
        deadline = time.monotonic() + _START_TIME_MAX_S
        last, since = self.descriptor_count(), time.monotonic()
        while time.monotonic() < min(deadline, since + _STILL_S):
            time.sleep(0.02)
            now = self.descriptor_count()
            if now != last:
                last, since = now, time.monotonic()

    def processor_s(self) -> float:
        """Processor time used so far, user and system, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status_bytes(self, key: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            message = f"no {key} in the status of process {self.process.pid}"
            raise RuntimeError(message)
        return int(found[1]) * 1024


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_TIME_MAX_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
