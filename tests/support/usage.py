"""What a process uses of the machine: memory, descriptors, processor time. Linux's proc(5)."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

# The state of a socket that listens, as proc(5) writes it: TCP_LISTEN.
_LISTENING = "0A"


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """The figures of the process with this id, as they are when asked for."""

    pid: int

    def resident_bytes(self) -> int:
        """Memory that the process holds now (RSS)."""
        return self._status_bytes("VmRSS")

    def resident_bytes_peak(self) -> int:
        """The most memory that it held since `reset_peak`, or its start."""
        return self._status_bytes("VmHWM")

    def reset_peak(self) -> None:
        """Let `resident_bytes_peak` count from now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def descriptor_count(self) -> int:
        """Open file descriptors of the process."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def connection_count(self, port: int) -> int:
        """TCP connections over IPv4 that the process holds open, accepted on its `port`."""
        sockets = Path(f"/proc/{self.pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        accepted = {
            f"socket:[{fields[9]}]"
            for fields in map(str.split, sockets)
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] != _LISTENING
        }
        return sum(self._link(path) in accepted for path in Path(f"/proc/{self.pid}/fd").iterdir())

    def processor_s(self) -> float:
        """Processor time used so far, user and system, in seconds."""
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _link(path: Path) -> str:
        try:
            return str(path.readlink())
        except FileNotFoundError:
            # Closed since the directory was read.
            return ""

    def _status_bytes(self, key: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        found = re.search(rf"^{key}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            message = f"no {key} in the status of process {self.pid}"
            raise RuntimeError(message)
        return int(found[1]) * 1024
