"""Where lines go, and a log file's rotation."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keelback.errors import ServerError
from keelback.server.log_output import Destination, LogOutput, backup_stamp, is_backup
from keelback.server.settings import LogSettings
from tests.unit.fake_core import Plane

pytestmark = pytest.mark.usefixtures("core")

BACKUP = re.compile(r"server\.log\.\d{4}(\.\d\d){5}\.\d{9}")


class WritingPlane(Plane):
    """Writes lines to the file, as the core does."""

    fd = -1

    def set_log(self, **fields: object) -> None:
        super().set_log(**fields)
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = os.dup(int(str(fields["fd"])))
        self.written = int(str(fields["written"]))

    def log(self, level: str, text: str) -> None:
        super().log(level, text)
        os.write(self.fd, f"[{level}] {text}\n".encode())

    @property
    def settings(self) -> dict[str, object]:
        return [call[1] for call in self.calls if call[0] == "set_log"][-1]


@pytest.fixture
def plane() -> Iterator[WritingPlane]:
    made = WritingPlane()
    yield made
    if made.fd >= 0:
        os.close(made.fd)


def output_of(plane: WritingPlane, file: Path, **settings: object) -> LogOutput:
    output = LogOutput(plane)
    output.switch_to(Destination(LogSettings(file=str(file), **settings)))
    return output


def backups(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if BACKUP.fullmatch(name))


def test_a_full_file_is_put_aside_and_the_next_one_says_where(
    plane: WritingPlane, tmp_path: Path
) -> None:
    file = tmp_path / "server.log"
    output = output_of(plane, file, size_limit=500)
    assert plane.settings["size_limit"] == 500
    plane.log("INF", "x" * 600)
    output.rotate_if_full()
    (backup,) = backups(tmp_path)
    assert (tmp_path / backup).read_text() == f"[INF] {'x' * 600}\n"
    first = file.read_bytes()
    assert re.fullmatch(
        rb"\[\d+\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[INF\] "
        rb'Rotated log, backup saved as "' + str(tmp_path / backup).encode() + rb'"\r\n',
        first,
    )
    assert plane.written == len(first)
    # A word that came late about the file that was full changes nothing.
    plane.log("INF", "y")
    output.rotate_if_full()
    assert len(backups(tmp_path)) == 1


def test_a_file_that_is_too_large_at_start_is_put_aside_at_once(
    plane: WritingPlane, tmp_path: Path
) -> None:
    file = tmp_path / "server.log"
    file.write_text("old\n" * 100)
    output_of(plane, file, size_limit=50)
    (backup,) = backups(tmp_path)
    assert (tmp_path / backup).read_text().endswith("old\n[INF] Rotating logfile...\n")
    assert "Rotated log, backup saved as" in file.read_text()


def test_so_many_files_are_kept_and_the_oldest_go(plane: WritingPlane, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    older = [f"server.log.2020.01.02.03.04.05.00000000{digit}" for digit in range(3)]
    others = ["server.log.txt", "server.log.2020.1.2.3.4.5.6", "other.log"]
    for name in (*older, *others):
        (tmp_path / name).write_text("")
    output = output_of(plane, file, size_limit=50, max_files=3)
    plane.log("INF", "x" * 60)
    output.rotate_if_full()
    assert older[2] in backups(tmp_path)
    assert len(backups(tmp_path)) == 2
    assert all((tmp_path / name).exists() for name in others)
    told = [text for _, text in plane.lines if text.startswith("Purged")]
    assert told == [f'Purged log file "{name}"' for name in older[:2]]


def test_fewer_files_than_are_kept_stay(plane: WritingPlane, tmp_path: Path) -> None:
    output = output_of(plane, tmp_path / "server.log", size_limit=50, max_files=5)
    for _ in range(2):
        plane.log("INF", "x" * 60)
        output.rotate_if_full()
    assert len(backups(tmp_path)) == 2


def test_json_lines_stay_json(plane: WritingPlane, tmp_path: Path) -> None:
    output = output_of(plane, tmp_path / "server.log", size_limit=50, format="json")
    assert plane.settings["json"]
    plane.log("INF", "x" * 60)
    output.rotate_if_full()
    (backup,) = backups(tmp_path)
    assert plane.lines[-1] == ("INF", f'Rotated log, backup saved as "{tmp_path / backup}"')


def test_a_file_that_was_moved_away_is_opened_again(plane: WritingPlane, tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    output = output_of(plane, file, size_limit=5000)
    file.rename(tmp_path / "moved.log")
    output.reopen()
    assert file.read_text() == "[INF] File log re-opened\n"
    assert plane.settings["size_limit"] == 5000


def test_what_cannot_be_reopened_goes_on(plane: WritingPlane, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    output = output_of(plane, folder / "server.log")
    folder.rename(tmp_path / "moved")
    output.reopen()
    assert plane.lines[-1][1].startswith("File log re-open failed: error opening file: open ")
    assert "re-open failed" in (tmp_path / "moved" / "server.log").read_text()


def test_a_rotation_that_fails_is_tried_again_at_twice_the_size(
    plane: WritingPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "server.log"
    output = output_of(plane, file, size_limit=50)
    plane.log("INF", "x" * 60)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    output.rotate_if_full()
    assert plane.settings["size_limit"] == 100
    assert plane.lines[-1] == (
        "ERR",
        "Unable to rotate the logfile (permission denied), will attempt next rotation at size 100",
    )


def test_a_file_that_cannot_be_opened_is_told_as_go_tells_it() -> None:
    with pytest.raises(ServerError) as caught:
        Destination(LogSettings(file="/nowhere/log"))
    assert str(caught.value) == ("error opening file: open /nowhere/log: no such file or directory")


def test_names_of_backups() -> None:
    stamp = backup_stamp(1_700_000_000_000_000_123)
    assert stamp.endswith(".000000123")
    assert is_backup(f"a.log.{stamp}", "a.log")
    for name in ("a.log", f"b.log.{stamp}", f"a.log.{stamp}.gz", f"a.log.x{stamp[1:]}"):
        assert not is_backup(name, "a.log")
