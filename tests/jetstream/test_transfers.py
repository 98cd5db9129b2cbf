"""Streams are backed up and restored, between the genuine server and ours in every direction."""

# The types of nats-py are incomplete.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import json
import re
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from keelback.jetstream import transfers
from tests.jetstream.archives import WAIT_S, ask, back_up, client_at, restore
from tests.jetstream.scripts import api, create, headers
from tests.jetstream.session import Session
from tests.jetstream.test_streams import genuine, ours
from tests.support.servers import TARGETS, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

    from nats.aio.client import Client

    from tests.jetstream.scripts import Step
    from tests.support.servers import Target

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

FILL: Final[list[Step]] = [
    create("S", subjects=["s.>"], allow_direct=True, duplicate_window=60_000_000_000),
    *[(f"s.{number % 7}", b"%d" % number * number) for number in range(200)],
    ("s.id", b"with an id", headers("Nats-Msg-Id: one")),
    ("s.header", b"", headers("A: b", "C: d")),
    ("s.large", bytes(300_000)),
    *[api("STREAM.MSG.DELETE.S", seq=seq) for seq in (1, 2, 50, 51, 90, 203)],
]
BAD: Final[list[Step]] = [
    api("STREAM.SNAPSHOT.S"),
    api("STREAM.SNAPSHOT.none", deliver_subject="x"),
    ("$JS.API.STREAM.SNAPSHOT.S", b"no json"),
    ("$JS.API.STREAM.SNAPSHOT.none", b"no json"),
    ("$JS.API.STREAM.SNAPSHOT.S", b"{}"),
    api("STREAM.SNAPSHOT.S", deliver_subject="a b"),
    api("STREAM.SNAPSHOT.S", deliver_subject="a.*"),
    api("STREAM.RESTORE.S"),
    api("STREAM.RESTORE.none"),
    ("$JS.API.STREAM.RESTORE.none", b"no json"),
    api("STREAM.RESTORE.none", config={"name": "other"}),
    api("STREAM.RESTORE.none", config={"name": "none", "max_msg_size": "x"}),
    api("STREAM.RESTORE.S", config={"name": "S", "subjects": ["s.>"]}),
    api("STREAM.RESTORE.none", config={"name": "none", "subjects": ["n"]}),
]
RESTORE_ID: Final = re.compile(rb"(\$JS\.SNAPSHOT\.RESTORE\.none\.)\w+")


def filled(server: ServerProcess) -> None:
    with Session(*server.address) as session:
        for step in FILL:
            assert b'"error"' not in session.ask(*step).payload, step


def server_of(target: Target, folder: Path) -> ServerProcess:
    return ServerProcess(target, f'jetstream {{ store_dir: "{folder}" }}')


async def contents(client: Client) -> tuple[dict[str, Any], list[tuple[str, Any, bytes]]]:
    """The state of the stream, and its messages."""
    info = await ask(client, "STREAM.INFO.S", {"deleted_details": True, "subjects_filter": ">"})
    found: list[tuple[str, Any, bytes]] = []
    for seq in range(info["state"]["first_seq"], info["state"]["last_seq"] + 1):
        body = json.dumps({"seq": seq}).encode()
        message = await client.request("$JS.API.DIRECT.GET.S", body, timeout=WAIT_S)
        head = message.headers or {}
        found.append((head.get("Nats-Subject", ""), head, message.data))
    # An archive does not tell when the last message came that was removed, and the bytes of a
    # message are counted otherwise in memory.
    del info["state"]["last_ts"], info["state"]["bytes"]
    return info["state"], found


@pytest.mark.parametrize("storage", ["file", "memory"])
@pytest.mark.parametrize("source", TARGETS)
async def test_an_archive_is_restored_by_both(source: Target, storage: str, tmp_path: Path) -> None:
    with server_of(source, tmp_path / "source") as server:
        filled(server)
        async with client_at(server.url) as client:
            expected = await contents(client)
            answer, archive, ends = await back_up(client, "S", chunk_size=2000, no_consumers=True)
    assert answer["state"]["messages"] == expected[0]["messages"]
    assert ends == [{"Status": "204"}]
    config = answer["config"] | {"storage": storage}
    for target in TARGETS:
        with server_of(target, tmp_path / target) as server:
            async with client_at(server.url) as client:
                made = await restore(client, config, archive)
                assert made["config"]["storage"] == storage
                assert await contents(client) == expected, target
                info = await ask(client, "STREAM.INFO.S")
                assert info["created"] == made["created"]
                if target == "keelback":  # see docs/differences.md
                    again = await client.request("s.id", b"x", headers={"Nats-Msg-Id": "one"})
                    assert json.loads(again.data)["duplicate"]
                after = json.loads((await client.request("s.new", b"x")).data)
                assert after == {"stream": "S", "seq": expected[0]["last_seq"] + 1}


async def test_archives_and_answers_are_alike(tmp_path: Path) -> None:
    """What one message more or less would change: sizes of archives, the way they end."""
    found: dict[Target, list[Any]] = {}
    for target in TARGETS:
        with server_of(target, tmp_path / target) as server:
            filled(server)
            async with client_at(server.url) as client:
                await ask(client, "STREAM.PURGE.S", {"keep": 3})
                large = await back_up(client, "S", chunk_size=1024, window_size=2048)
                await ask(client, "STREAM.PURGE.S")
                small = await back_up(client, "S")
                missing = await ask(client, "STREAM.SNAPSHOT.none", {"deliver_subject": "x"})
                found[target] = [large[2], small[2], missing, *map(untimed, (large[0], small[0]))]
    assert found["keelback"] == found["genuine"]


def untimed(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from run to run."""
    times = ("first_ts", "last_ts")
    state = {key: value for key, value in answer["state"].items() if key not in times}
    return answer | {"state": state}


async def test_refusals_are_alike(tmp_path: Path) -> None:
    answers: list[list[bytes]] = []
    for start in (genuine, ours):
        with start(tmp_path / start.__name__) as session:
            session.ask(*FILL[0])
            asked = [session.ask(*step).masked().payload for step in BAD]
            answers.append([RESTORE_ID.sub(rb"\1ID", answer) for answer in asked])
    for step, theirs, mine in zip(BAD, *answers, strict=True):
        assert mine == theirs, step


async def test_a_restoration_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with server_of("keelback", tmp_path / "js") as server:
        filled(server)
        async with client_at(server.url) as client:
            answer, archive, _ = await back_up(client, "S")
            assert (await ask(client, "STREAM.DELETE.S"))["success"]
            spoilt = [
                archive[:-1],
                archive[: len(archive) // 2],
                b"",
                b"no archive at all",
                archive[:1000] + bytes([archive[1000] ^ 1]) + archive[1001:],
                archive + archive,
            ]
            for each in spoilt:
                refused = await restore(client, answer["config"], each)
                assert refused["error"]["err_code"] == 10062, refused
                assert (await ask(client, "STREAM.NAMES"))["total"] == 0
            made = await restore(client, answer["config"], archive)
            assert made["state"]["messages"] == answer["state"]["messages"]


async def test_a_restoration_that_is_left_alone_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "PATIENCE_S", 0.2)
    with ours(tmp_path / "js") as session:
        session.listen("$JS.EVENT.ADVISORY.STREAM.RESTORE_COMPLETE.S")
        begun = session.ask(*api("STREAM.RESTORE.S", config={"name": "S", "subjects": ["s"]}))
        subject = json.loads(begun.payload)["deliver_subject"]
        assert session.ask(subject, b"the first chunk").payload == b""
        while not session.heard:
            session.ask(*api("INFO"))
        assert json.loads(session.heard[0][1].payload)["bytes"] == len(b"the first chunk")
        made = session.ask(*create("S", subjects=["s"]))
        assert b'"did_create":true' in made.payload


async def test_a_restoration_that_a_crash_cut_off_is_gone(tmp_path: Path) -> None:
    with server_of("keelback", tmp_path / "js") as server:
        filled(server)
        async with client_at(server.url) as client:
            answer, archive, _ = await back_up(client, "S")
            config = answer["config"] | {"name": "T", "subjects": ["t.>"]}
            begun = await ask(client, "STREAM.RESTORE.T", {"config": config})
            await client.request(begun["deliver_subject"], archive[:-1], timeout=WAIT_S)
            server.send_signal(signal.SIGKILL)
            server.wait()
    with server_of("keelback", tmp_path / "js") as server:
        async with client_at(server.url) as client:
            assert (await ask(client, "STREAM.NAMES"))["streams"] == ["S"]
            made = await restore(client, config, archive)
            assert made["state"]["messages"] == answer["state"]["messages"]


async def test_a_backup_waits_for_who_asked_before_subscribing(tmp_path: Path) -> None:
    """As the `nats` command does, which has a wildcard for all answers from the beginning."""
    with server_of("keelback", tmp_path / "js") as server:
        filled(server)
        async with client_at(server.url) as client:
            every = await client.subscribe("in.*")
            await ask(client, "STREAM.SNAPSHOT.S", {"deliver_subject": "in.one"})
            one = await client.subscribe("in.one")
            assert (await one.next_msg(WAIT_S)).data == (await every.next_msg(WAIT_S)).data != b""


async def test_a_backup_that_nobody_takes_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "INTEREST_S", 0.1)
    with ours(tmp_path / "js") as session:
        for step in FILL:
            session.ask(*step)
        session.listen("$JS.EVENT.ADVISORY.STREAM.SNAPSHOT_COMPLETE.S")
        session.ask(*api("STREAM.SNAPSHOT.S", deliver_subject="nobody"))
        while not session.heard:
            session.ask(*api("INFO"))
        assert json.loads(session.heard[0][1].payload)["error"] == "no interest"
