"""`keelback store`: what is in a store, and whether all of it is as it was written.

It is read while no server has it open; nothing of it changes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keelback import _core, gojson

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND: Final = 0
DAMAGED: Final = 1
NOT_CHECKED: Final = 2

_FOLDER: Final = "jetstream"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_STREAM_FIELDS: Final = (
    "account",
    "name",
    "messages",
    "bytes",
    "first_seq",
    "last_seq",
    "subjects",
    "deleted",
    "folder",
    "files",
    "file_bytes",
)

EXAMPLES: Final = """examples:
  keelback store check /var/lib/keelback
  keelback store info --json ./data

exit codes of check: 0 all of it is as it was written; 1 some of it is not, and is named;
2 it could not be checked: no store is there, or a server has it open
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `keelback store` its actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, run, text in (
        ("check", _check, "read every record of a store, and name what is damaged"),
        ("info", _info, "show what is in a store"),
    ):
        action = actions.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ". No server may have it open.",
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("directory", metavar="DIR", help="what `store_dir` names")
        action.add_argument("--json", action="store_true", help="for scripts")
        action.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class _Paint:
    """Colours, where a terminal shows them."""

    is_on: bool

    def __call__(self, text: str, colour: int) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.is_on else text

    def good(self, text: str) -> str:
        return self(text, 32)

    def bad(self, text: str) -> str:
        return self(text, 31)


def _check(parsed: argparse.Namespace) -> int:
    report = _look(parsed.directory, verify=True)
    if report is None:
        return NOT_CHECKED
    if parsed.json:
        _print_json(report)
    else:
        paint = _paint()
        for damage in report.damage:
            sys.stdout.write(f"{paint.bad('damaged')}  {damage}\n")
        sound = f"{report.records:,} records in {len(report.streams)} streams"
        if report.damage:
            sys.stdout.write(f"{len(report.damage)} damaged places; {sound} were read\n")
        else:
            sys.stdout.write(f"{paint.good('sound')}  {sound}, {_size(report.bytes)}\n")
    return DAMAGED if report.damage else SOUND


def _info(parsed: argparse.Namespace) -> int:
    report = _look(parsed.directory, verify=False)
    if report is None:
        return NOT_CHECKED
    if parsed.json:
        _print_json(report)
        return SOUND
    log = f"{report.log_files} files, {_size(report.log_bytes)}"
    lines = [f"store     {report.store}, format {report.version}", f"log       {log}"]
    lines += [f"all       {_size(report.bytes)}"]
    for stream in report.streams:
        lines += [
            "",
            f"stream    {stream.account} > {stream.name}",
            f"messages  {stream.messages:,}, {_size(stream.bytes)}, {stream.subjects:,} subjects",
            f"sequences {stream.first_seq:,} to {stream.last_seq:,}, {stream.deleted:,} deleted",
            f"created   {gojson.time_text(stream.created_ns)}",
            f"files     {stream.files}, {_size(stream.file_bytes)}, in {stream.folder}",
        ]
    sys.stdout.write("\n".join(lines) + "\n")
    for damage in report.damage:
        sys.stdout.write(f"{_paint().bad('damaged')}  {damage}\n")
    return SOUND


def _look(directory: str, *, verify: bool) -> _core.StoreReport | None:
    """What is in a store; None where that cannot be said, and the reason was."""
    folder = _folder_of(Path(directory))
    if folder is None:
        return _refuse(f"{directory}: no store is there", "give what `store_dir` names")
    progress = _progress() if verify else None
    try:
        return _core.look_at_store(str(folder), verify=verify, progress=progress)
    except _core.StoreError as error:
        return _refuse(f"{folder}: {error}", "stop the server that uses it, or check a copy")
    finally:
        if progress is not None:
            sys.stderr.write("\r\x1b[K")


def _folder_of(directory: Path) -> Path | None:
    for folder in (directory / _FOLDER, directory):
        if any((folder / name).exists() for name in ("store", "log", "streams")):
            return folder
    return None


def _refuse(problem: str, hint: str) -> None:
    sys.stderr.write(f"keelback: {problem}\n  hint: {hint}\n")


def _progress() -> Callable[[int, int], object] | None:
    """Shows how much was read, on a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, whole: int) -> None:
        share = min(100 * done // max(whole, 1), 100)
        sys.stderr.write(f"\r{share:3} %  {_size(done)} of {_size(whole)}")
        sys.stderr.flush()

    return show


def _paint() -> _Paint:
    return _Paint(sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def _print_json(report: _core.StoreReport) -> None:
    streams = [
        {field: getattr(stream, field) for field in _STREAM_FIELDS}
        | {"created": gojson.time_text(stream.created_ns)}
        for stream in report.streams
    ]
    document = {
        "store": report.store,
        "version": report.version,
        "bytes": report.bytes,
        "log": {"files": report.log_files, "bytes": report.log_bytes},
        "records": report.records,
        "damage": report.damage,
        "streams": streams,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _size(count: int) -> str:
    size, unit = float(count), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
