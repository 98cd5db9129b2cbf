"""`keelback store`: sound stores are sound, each kind of damage is named, nothing is changed."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from keelback.cli.main import main
from tests.jetstream.scripts import api, create, headers
from tests.jetstream.test_streams import answers, ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOUND, DAMAGED, NOT_CHECKED = 0, 1, 2
MESSAGES = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with streams, some of which was removed."""
    folder = tmp_path_factory.mktemp("made") / "data"
    with ours(folder) as session:
        steps = [
            create("ORDERS", subjects=["o.>"]),
            create("PACKED", subjects=["p.>"], compression="s2"),
            create("EMPTY", subjects=["e.>"]),
            *[(f"o.{number % 9}", b"%d" % number * 20) for number in range(MESSAGES)],
            *[("p.x", b"the same again and again " * 20, headers("A: b"))] * 20,
            *[api("STREAM.MSG.DELETE.ORDERS", seq=seq) for seq in (3, 4, 90)],
            api("STREAM.PURGE.ORDERS", filter="o.5"),
        ]
        assert all(b'"error"' not in answer.payload for _, answer in answers(session, steps))
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code, and what was printed."""
    code = main(["store", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """All files: when they were changed, and what they hold."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_sound_store_is_sound_and_stays_as_it_is(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(store)
    code, out, err = run(capsys, "check", str(store))
    assert (code, err) == (SOUND, "")
    assert out.startswith("sound  ")
    code, out, _ = run(capsys, "check", "--json", str(store / "jetstream"))
    report: dict[str, Any] = json.loads(out)
    assert (code, report["damage"]) == (SOUND, [])
    assert report["records"] == MESSAGES + 20
    assert run(capsys, "info", str(store))[0] == SOUND
    assert snapshot(store) == before


def test_what_is_in_a_store_is_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(run(capsys, "info", "--json", str(store))[1])
    by_name = {stream["name"]: stream for stream in report["streams"]}
    assert list(by_name) == ["ORDERS", "PACKED", "EMPTY"]
    orders = by_name["ORDERS"]
    assert (orders["account"], orders["first_seq"], orders["last_seq"]) == ("$G", 1, MESSAGES)
    assert orders["messages"] == MESSAGES - orders["deleted"]
    assert by_name["PACKED"]["messages"] == 20
    out = run(capsys, "info", str(store))[1]
    assert "stream    $G > ORDERS" in out


def test_after_a_kill_it_is_sound(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "running"
    with ours(folder) as session:
        answers(session, [create("S", subjects=["s"]), *[("s", b"x" * 100)] * 50])
        # What a kill leaves is what stands in the files now.
        shutil.copytree(folder, tmp_path / "left")
    assert main(["store", "check", str(tmp_path / "left")]) == SOUND


def test_a_store_that_is_used_is_not_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ours(tmp_path / "data"):
        code, out, err = run(capsys, "check", str(tmp_path / "data"))
    assert (code, out) == (NOT_CHECKED, "")
    assert "used by another process" in err
    assert "hint: stop the server" in err


def test_where_no_store_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", str(tmp_path))
    assert code == NOT_CHECKED
    assert "no store is there" in err
    assert not list(tmp_path.iterdir())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5000 if len(content) > 5100 else 10] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"garbage that does not belong here")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("spoil", [flip, cut, remove])
@pytest.mark.parametrize("kind", ["store", "manifest.1", "*.segment", "*.live", "streams manifest"])
def test_damage_is_named(
    spoil: Callable[[Path], None],
    kind: str,
    store: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = store / "jetstream"
    if kind == "streams manifest":
        path = next(path for path in sorted((root / "streams").rglob("manifest.*")))
    elif kind == "manifest.1":
        path = next(path for path in sorted(root.glob("manifest.*")))
    else:
        path = next(path for path in sorted(root.rglob(kind)) if path.is_file())
    spoil(path)
    before = snapshot(store)
    code, out, _ = run(capsys, "check", str(store))
    assert code == DAMAGED, out
    if kind != "store":
        assert path.name in out or path.parent.name in out, out
    assert snapshot(store) == before


def test_what_stands_behind_an_open_segment_is_no_part_of_it(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = max((store / "jetstream").rglob("*.segment"), key=lambda path: path.stat().st_size)
    lengthen(path)
    code, out, _ = run(capsys, "check", "--json", str(store))
    assert (code, json.loads(out)["records"]) == (SOUND, MESSAGES + 20)


def test_segments_that_change_places_are_named(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = sorted((store / "jetstream").rglob("*.segment"))[:2]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    code, out, _ = run(capsys, "check", str(store))
    assert code == DAMAGED
    assert one.name in out
    assert str(one.parent.name) in out
    assert str(other.parent.name) in out


def test_flipped_bits_in_records_are_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = max((store / "jetstream").rglob("*.segment"), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    dice = random.Random(1)
    for _ in range(12):
        spoilt = bytearray(content)
        # In the first records, each of which is longer than what is drawn.
        at = 4096 + dice.randrange(4000)
        spoilt[at] ^= 1 << dice.randrange(8)
        path.write_bytes(spoilt)
        code, out, _ = run(capsys, "check", str(store))
        assert code == DAMAGED, at
        assert path.name in out
