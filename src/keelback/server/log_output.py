"""Where the log goes: standard error, a file that is rotated, a syslog, or Python's `logging`.

The core writes to a descriptor by itself; for what is no descriptor it hands lines up as events.
Rotation begins with the core's word that the file is full: Python renames it, opens the next one
and gives that to the core.

Source: nats-server 2.15 `server/log.go`, `logger/log.go`.
"""

# pathlib takes longer to import than the rest of the start takes: `os` it is.
# ruff: noqa: PTH104, PTH107, PTH118, PTH208
from __future__ import annotations

import os
import time

from keelback.errors import ServerError
from keelback.server.files import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from keelback import _core
    from keelback.server.settings import LogSettings
    from keelback.server.syslog import Syslog

LOG_FILE_MODE: Final = 0o640

STANDARD_ERROR: Final = 2

PYTHON_LEVELS: Final = {"TRC": 5, "DBG": 10, "INF": 20, "WRN": 30, "ERR": 40, "FTL": 50}
"""nats-server's levels in Python's numbers; a trace is below `logging.DEBUG`."""

NANOSECONDS: Final = 1_000_000_000
STAMP_PARTS: Final = (4, 2, 2, 2, 2, 2, 9)
"""Digits of each part of a backup's name: year, month, day, hour, minute, second, nanosecond."""


class Destination:
    """An opened place for lines; nothing goes there before `LogOutput.switch_to`."""

    def __init__(self, settings: LogSettings) -> None:
        """Open what the settings name: a file, else a syslog, else standard error.

        Raises:
            ServerError: it cannot be opened.
        """
        self.settings = settings
        self.descriptor = STANDARD_ERROR
        self.syslog: Syslog | None = None
        if settings.file:
            self.descriptor = open_log_file(settings.file)
        elif settings.remote_syslog or settings.syslog:
            from keelback.server.syslog import Syslog  # noqa: PLC0415  # for those who ask for it

            self.syslog = Syslog(settings.remote_syslog)
            self.descriptor = -1
        elif settings.to_python:
            self.descriptor = -1

    def close(self) -> None:
        """Let go of what was opened."""
        if self.settings.file:
            os.close(self.descriptor)
        if self.syslog is not None:
            self.syslog.close()


class LogOutput:
    """The log of one running core. Belongs to the control loop once that runs."""

    def __init__(self, plane: _core.Plane) -> None:
        self._plane = plane
        self._settings: LogSettings | None = None
        self._syslog: Syslog | None = None
        self._size_limit = 0

    def switch_to(self, destination: Destination) -> None:
        """Write there from now on; a file that is too large already is rotated first."""
        settings, before = destination.settings, self._syslog
        self._settings, self._syslog = settings, destination.syslog
        self._size_limit = settings.size_limit if settings.file else 0
        try:
            written = os.fstat(destination.descriptor).st_size if settings.file else 0
            self._point_core_to(destination.descriptor, written)
        finally:
            if settings.file:
                os.close(destination.descriptor)  # the core has a duplicate of its own
        if before is not None:
            before.close()
        if 0 < self._size_limit < written:
            self._plane.log("INF", "Rotating logfile...")
            self.rotate_if_full()

    def reopen(self) -> None:
        """Open the log file again by its name, after somebody moved it away."""
        settings = self._settings
        if settings is None or not settings.file:
            self._plane.log("INF", "File log re-open ignored, not a file logger")
            return
        try:
            destination = Destination(settings)
        except ServerError as error:
            self._plane.log("ERR", f"File log re-open failed: {error}")
            return
        self.switch_to(destination)
        self._plane.log("INF", "File log re-opened")

    def rotate_if_full(self) -> None:
        """Move the file aside and begin another, unless that has happened meanwhile."""
        settings = self._settings
        if settings is None or not settings.file or not self._size_limit:
            return
        try:
            if os.stat(settings.file).st_size > self._size_limit:  # noqa: PTH116
                self._rotate(settings)
        except OSError as error:
            # As nats-server: at twice the size it is tried again; no line is lost meanwhile.
            self._size_limit *= 2
            self._point_core_again(settings)
            self._plane.log(
                "ERR",
                f"Unable to rotate the logfile ({reason_of(error)}), will attempt next rotation "
                f"at size {self._size_limit}",
            )

    def forward(self, line: _core.LogLine) -> None:
        """Hand on a line that the core does not write itself."""
        if self._syslog is not None:
            self._syslog.write(line.level, line.text)
            return
        forward_to_python(line)

    def close(self) -> None:
        """The last line was handed on: let a syslog go."""
        if self._syslog is not None:
            self._syslog.close()
            self._syslog = None

    def _rotate(self, settings: LogSettings) -> None:
        backup = f"{settings.file}.{backup_stamp(time.time_ns())}"
        os.rename(settings.file, backup)
        descriptor = _open_to_append(settings.file)
        self._size_limit = settings.size_limit
        try:
            written = 0
            if settings.format == "text":
                # Written here, so that no other line comes before it.
                line = _line(settings, f'Rotated log, backup saved as "{backup}"')
                written = os.write(descriptor, line.encode())
            self._point_core_to(descriptor, written)
        finally:
            os.close(descriptor)
        if settings.format == "json":
            self._plane.log("INF", f'Rotated log, backup saved as "{backup}"')
        if settings.max_files > 0:
            self._purge(settings.file, settings.max_files - 1)

    def _purge(self, file: str, keep: int) -> None:
        directory, base = os.path.split(file)
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError as error:
            self._plane.log(
                "ERR",
                f'Unable to read directory "{directory or "."}" for log purge '
                f"({reason_of(error)}), will attempt next rotation",
            )
            return
        backups = [name for name in names if is_backup(name, base)]
        for name in backups[: max(0, len(backups) - keep)]:
            try:
                os.remove(os.path.join(directory, name))
            except OSError as error:
                self._plane.log(
                    "ERR",
                    f'Unable to remove backup log file "{name}" ({reason_of(error)}), will '
                    "attempt next rotation",
                )
                return
            self._plane.log("INF", f'Purged log file "{name}"')

    def _point_core_again(self, settings: LogSettings) -> None:
        try:
            descriptor = _open_to_append(settings.file)
        except OSError:
            return  # what was open stays open
        try:
            self._point_core_to(descriptor, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _point_core_to(self, descriptor: int, written: int) -> None:
        settings = self._settings
        assert settings is not None  # noqa: S101  # set by whoever calls
        to_descriptor = descriptor >= 0
        self._plane.set_log(
            fd=descriptor,
            debug=settings.debug,
            trace=settings.trace,
            logtime=settings.logtime,
            utc_offset=0 if settings.utc else time.localtime().tm_gmtoff,
            colour=descriptor == STANDARD_ERROR and os.isatty(STANDARD_ERROR),
            pid=os.getpid() if to_descriptor else 0,
            json=settings.format == "json" and to_descriptor,
            size_limit=self._size_limit if to_descriptor else 0,
            written=written,
            trace_system=settings.trace_verbose,
        )


def open_log_file(file: str) -> int:
    """A descriptor that appends to the log file.

    Raises:
        ServerError: it cannot be opened.
    """
    try:
        return _open_to_append(file)
    except OSError as error:
        raise ServerError(f"error opening file: open {file}: {reason_of(error)}") from error


def forward_to_python(line: _core.LogLine) -> None:
    """Hand a line of the core to `logging.getLogger("keelback")`."""
    import logging  # noqa: PLC0415

    logging.getLogger("keelback").log(PYTHON_LEVELS.get(line.level, logging.INFO), "%s", line.text)


def backup_stamp(time_ns: int) -> str:
    """The end of a backup's name: `YYYY.MM.DD.HH.MM.SS.nnnnnnnnn`, local time."""
    seconds, rest = divmod(time_ns, NANOSECONDS)
    return f"{time.strftime('%Y.%m.%d.%H.%M.%S', time.localtime(seconds))}.{rest:09d}"


def is_backup(name: str, base: str) -> bool:
    """Whether a file's name is one that a rotation of the log file `base` gave."""
    parts = name.removeprefix(f"{base}.").split(".")
    return (
        name.startswith(f"{base}.")
        and len(parts) == len(STAMP_PARTS)
        and all(
            part.isascii() and part.isdigit() and len(part) == digits
            for part, digits in zip(parts, STAMP_PARTS, strict=True)
        )
    )


def _open_to_append(file: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(file, flags, LOG_FILE_MODE)


def _line(settings: LogSettings, text: str) -> str:
    """A line as the core writes it, with the end that nats-server gives to this one."""
    moment = ""
    if settings.logtime:
        seconds, rest = divmod(time.time_ns(), NANOSECONDS)
        when = time.gmtime(seconds) if settings.utc else time.localtime(seconds)
        moment = f"{time.strftime('%Y/%m/%d %H:%M:%S', when)}.{rest // 1000:06d} "
    return f"[{os.getpid()}] {moment}[INF] {text}\r\n"
