"""Starting and stopping the servers that are measured. Each run gets a fresh one."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

USER = "bench"
PASSWORD = "a-password-for-the-benchmark"
STREAMS = {"streams": "", "streams-lazy": "2m", "streams-always": "always"}
"""How a server with streams is configured: its `sync_interval`, "" for the default."""

STORE = "store"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0


class BenchError(Exception):
    """One measurement could not be made; the others go on."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of the comparison: a command that takes nats-server's flags, or the relay."""

    name: str
    command: tuple[str, ...]
    is_relay: bool = False

    def arguments(self, port: int, secured: str, directory: Path) -> list[str]:
        """The whole command line for a server on `port`."""
        if self.is_relay:
            return [*self.command, "relay", "--port", str(port)]
        line = [*self.command, "-a", "127.0.0.1", "-p", str(port)]
        if secured == "password":
            line += ["-c", str(password_configuration(directory))]
        elif secured == "tls":
            certificate, key = certificate_files(directory)
            line += ["--tls", "--tlscert", str(certificate), "--tlskey", str(key)]
        elif secured in STREAMS:
            line += ["-c", str(streams_configuration(directory, STREAMS[secured]))]
        return line


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that accepts connections."""

    port: int
    pid: int
    """The process that listens: not a wrapper that started it."""
    started_in_s: float
    """From just before exec to the first connection accepted (seconds)."""
    process: subprocess.Popen[bytes]
    """What was started."""


@contextlib.contextmanager
def running(
    contender: Contender,
    secured: str,
    directory: Path,
    options: Sequence[str] = (),
    *,
    keeps_store: bool = False,
) -> Generator[RunningServer]:
    """A fresh server; it is killed by its process id on the way out.

    Args:
        contender: which.
        secured: "", "password", "tls", or one of `STREAMS`.
        directory: for its files.
        options: more of its flags.
        keeps_store: whether what it stored stays.

    Raises:
        BenchError: it did not listen in time, or ended; with the end of its log.
    """
    port = free_port()
    line = [*contender.arguments(port, secured, directory), *options]
    with tempfile.TemporaryFile(dir=directory) as log:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=clean_environment(),
            )
        except OSError as error:
            raise BenchError(f"{shlex.join(line)}: {error}") from error
        try:
            started_in_s = wait_for_listener(process, port, began, log.fileno())
            yield RunningServer(port, listening_pid(process.pid, port), started_in_s, process)
        finally:
            stop(process)
            # A run of streams leaves hundreds of megabytes.
            if not keeps_store:
                shutil.rmtree(directory / STORE, ignore_errors=True)


def wait_for_listener(
    process: subprocess.Popen[bytes], port: int, began: float, log_fd: int
) -> float:
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=START_TIMEOUT_S).close()
            return time.perf_counter() - began
        waited_s = time.perf_counter() - began
        if process.poll() is not None or waited_s > START_TIMEOUT_S:
            size = os.fstat(log_fd).st_size
            said = os.pread(log_fd, 600, max(0, size - 600)).decode(errors="replace").strip()
            what = "ended" if process.poll() is not None else "does not listen"
            raise BenchError(f"the server {what} after {waited_s:.1f} s: {said or 'no output'}")
        # The resolution of the start-up figures; spinning would take a core from the server.
        time.sleep(0.0003)


def stop(process: subprocess.Popen[bytes]) -> None:
    for end in (process.terminate, process.kill):
        end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening_pid(pid: int, port: int) -> int:
    """`pid` or its descendant that holds the listening socket of `port`."""
    wanted = f"socket:[{listening_inode(port)}]"
    waiting = [pid]
    while waiting:
        candidate = waiting.pop()
        folder = Path("/proc") / str(candidate)
        with contextlib.suppress(OSError):
            if any(descriptor_is(entry, wanted) for entry in (folder / "fd").iterdir()):
                return candidate
            for children in folder.glob("task/*/children"):
                waiting += [int(child) for child in children.read_text().split()]
    raise BenchError(f"no process below {pid} listens on port {port}")


def descriptor_is(entry: Path, wanted: str) -> bool:
    # A descriptor may be closed between listing and reading.
    with contextlib.suppress(OSError):
        return str(entry.readlink()) == wanted
    return False


def listening_inode(port: int) -> str:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return fields[9]
    raise BenchError(f"nothing listens on port {port}")


def password_configuration(directory: Path) -> Path:
    """One user, and time enough for ten thousand of them to log in at once."""
    path = directory / "password.conf"
    path.write_text(
        f'authorization {{\n  user: {USER}\n  password: "{PASSWORD}"\n  timeout: 60\n}}\n'
    )
    return path


def streams_configuration(directory: Path, sync_interval: str) -> Path:
    """JetStream in an empty store."""
    path = directory / "streams.conf"
    sync = f"sync_interval: {sync_interval}" if sync_interval else ""
    path.write_text(f'jetstream {{ store_dir: "{directory / STORE}"\n {sync}\n}}\n')
    return path


def certificate_files(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself; made once for a run."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if not certificate.exists():
        line = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        line += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
        line += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        line += ["-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(line, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchError(f"no certificate could be made with openssl: {error}") from error
    return certificate, key


def raise_descriptor_limit() -> None:
    """Ten thousand connections need a descriptor each; servers inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def command(line: str) -> tuple[str, ...]:
    """A command line with its program found: beside this Python, or on PATH.

    Raises:
        BenchError: there is no such program.
    """
    words = shlex.split(line)
    beside = Path(sys.executable).parent / words[0]
    if "/" in words[0]:
        path = str(Path(words[0]).absolute())
        found = path if os.access(path, os.X_OK) else None
    else:
        found = str(beside) if os.access(beside, os.X_OK) else shutil.which(words[0])
    if found is None:
        raise BenchError(f"{words[0]}: no such program")
    return (behind_shim(found), *words[1:])


def clean_environment() -> dict[str, str]:
    """The environment without what makes Python start otherwise than a user's does."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def behind_shim(path: str) -> str:
    """The program itself where `path` is a version manager's shell script.

    Such a script takes longer than the server that it starts: it would be in the start-up figures.
    """
    if Path(path).parent.name != "shims":
        return path
    done = subprocess.run(
        ["pyenv", "which", Path(path).name], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip() or path
