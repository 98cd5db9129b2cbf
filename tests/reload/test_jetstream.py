"""JetStream switched on and off, and limited, by a reload: both servers answer and tell the same.

What the log says is in the table.
"""

from __future__ import annotations

import fcntl
import json
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.jetstream.scripts import Step, api, create, headers, update
from tests.jetstream.session import Session
from tests.jetstream.test_monitoring import get
from tests.support.servers import TARGETS, ServerProcess

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from tests.support.servers import Target

END: Final = r"\] (Reloaded server configuration|Failed to reload server configuration: )"
HEAD: Final = 'host: 127.0.0.1\nport: -1\nhttp: "127.0.0.1:-1"\n'
ON: Final = 'jetstream { store_dir: "@", max_mem: 10MB, max_file: 10MB }\n'
S: Final = create("S", subjects=["s.>"], allow_direct=True)
VARYING: Final = frozenset(
    (
        *("now", "created", "first_ts", "last_ts", "server_id", "leader", "store_dir"),
        # By the promise that an acknowledgement is; and a genuine server that was switched on again
        # has forgotten to tell of `compress_ok`.
        *("sync_always", "compress_ok"),
    )
)


class Reloaded:
    """A server whose configuration is changed as it runs."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self._server = server
        self._folder = folder
        found = server.wait_for_log(r"Starting http monitor on 127.0.0.1:(\d+)")
        self._port = found[1]

    @property
    def server(self) -> ServerProcess:
        """The process."""
        return self._server

    def reload(self, text: str) -> str:
        """Have it read another configuration; what its log says meanwhile."""
        before = len(self._server.log.splitlines())
        (self._server.directory / "server.conf").write_text(filled_in(text, self._folder))
        self._server.send_signal(signal.SIGHUP)
        self._server.wait_for_log(END, after=before)
        return "\n".join(self._server.log.splitlines()[before:])

    def ask(self, steps: Sequence[Step], user: str = "") -> list[Any]:
        """The answers to a client."""
        with Session(*self._server.address, user=user) as session:
            return [session.ask(*step).masked() for step in steps]

    def told(self, *paths: str) -> list[Any]:
        """What monitoring says, without what differs from run to run."""
        return [self._told(path) for path in paths]

    def _told(self, path: str) -> Any:
        status, text = get(self._port, path)
        document = without_varying(json.loads(text))
        if path == "/varz":
            document = document["jetstream"]
            document.pop("config", None)
        document.get("account_details", []).sort(key=lambda account: account["name"])
        return status, document


def without_varying(value: Any) -> Any:
    """A document without what differs from run to run."""
    if isinstance(value, list):
        return [without_varying(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: without_varying(each) for key, each in value.items() if key not in VARYING}


def filled_in(text: str, folder: Path) -> str:
    return HEAD + text.replace("@", str(folder)) + "\n"


@contextmanager
def started(target: Target, text: str, folder: Path) -> Generator[Reloaded]:
    server = ServerProcess(target, filled_in(text, folder), listens_by_flags=False)
    with server:
        yield Reloaded(server, folder)


def accounts(a: str = "", b: str = "jetstream: enabled", *, has_a: bool = True) -> str:
    """JetStream, and the accounts A and B with what they may have of it."""

    def one(name: str, more: str) -> str:
        user = name.lower()
        return f"{name} {{\n{more}\nusers: [ {{ user: {user}, password: {user} }} ]\n}}\n"

    return f"{ON}accounts {{\n{one('A', a) if has_a else ''}{one('B', b)}}}\n"


def test_streams_end_and_come_back(tmp_path: Path) -> None:
    def of(target: Target) -> list[Any]:
        asked = [api("INFO"), api("STREAM.INFO.S"), api("DIRECT.GET.S", seq=1), ("s.a", b"3")]
        paths = ("/jsz", "/jsz?acc=$G&streams=1", "/varz", "/healthz")
        with started(target, ON, tmp_path / target) as on:
            seen = on.ask([S, ("s.a", b"1"), ("s.a", b"2")])
            on.reload("")
            seen += on.told(*paths)
            # The API is silent, on both: the next test waits for that.
            seen += on.ask([("s.a", b"lost"), api("DIRECT.GET.S", seq=1)])
            on.reload(ON)
            return seen + on.told(*paths) + on.ask(asked)

    theirs, mine = map(of, TARGETS)
    assert mine == theirs


def test_a_server_that_was_switched_off_answers_no_request(tmp_path: Path) -> None:
    for target in TARGETS:
        with started(target, ON, tmp_path / target) as on:
            on.reload("")
            with Session(*on.server.address) as session:
                session.listen("answer")
                session.publish("$JS.API.INFO", b"", b"", "answer")
                session.ask("nobody", b"")  # was asked later, and is answered
                assert session.heard == []


def test_a_store_that_was_let_go_of_can_be_opened_by_another(tmp_path: Path) -> None:
    with started("keelback", ON, tmp_path) as on:
        on.ask([S, ("s.a", b"1"), ("s.b", b"2")])
        opened = open_files(on.server.pid, tmp_path)
        on.reload("")
        assert opened
        assert not open_files(on.server.pid, tmp_path)
        assert not {name for name in threads(on.server.pid) if name.startswith("kb-js")}
        with started("keelback", ON, tmp_path) as other:
            assert b'"seq":3' in other.ask([("s.a", b"3")])[0].payload


def open_files(pid: int, folder: Path) -> set[Path]:
    found = (each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir())
    return {each for each in found if each.is_relative_to(folder)}


def threads(pid: int) -> set[str]:
    return {(each / "comm").read_text().strip() for each in Path(f"/proc/{pid}/task").iterdir()}


def test_a_store_that_cannot_be_opened_is_tried_again_at_the_next_reload(tmp_path: Path) -> None:
    folder = tmp_path / "jetstream"
    folder.mkdir()
    with started("keelback", "", tmp_path) as server, (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "[WRN] Can't start JetStream: " in server.reload(ON)
        error = "JetStream not enabled (10076)"
        assert server.told("/healthz") == [(503, {"status": "unavailable", "error": error})]
        assert server.told("/jsz")[0][1]["disabled"]
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert "Reloaded: JetStream" in server.reload(ON)
        assert server.told("/healthz") == [(200, {"status": "ok"})]
        assert b'"did_create":true' in server.ask([S])[0].payload


def test_limits_of_an_account_hold_at_once(tmp_path: Path) -> None:
    asked = [
        api("INFO"),
        api("STREAM.NAMES"),
        ("s.a", b"x" * 100),
        ("m.a", b"x" * 100),
        create("T", subjects=["t"]),
        api("DIRECT.GET.S", seq=1),
    ]

    def of(target: Target) -> list[Any]:
        memory = create("M", subjects=["m.>"], storage="memory")
        with started(target, accounts("jetstream: enabled"), tmp_path / target) as on:
            seen = on.ask([S, memory, ("s.a", b"1"), ("m.a", b"1")], "a")
            on.reload(accounts("jetstream { max_mem: 50, max_file: 60, max_streams: 1 }"))
            seen += on.told("/jsz?accounts=1", "/healthz") + on.ask(asked, "a")
            on.reload(accounts("jetstream { max_mem: 1000, max_file: 1000, max_streams: 2 }"))
            return seen + on.ask(asked, "a")

    theirs, mine = map(of, TARGETS)
    assert mine == theirs


def test_an_account_loses_jetstream_and_gets_it_again(tmp_path: Path) -> None:
    asked = [api("INFO"), api("STREAM.NAMES"), ("s.a", b"x"), ("m.a", b"x"), create("T")]
    asked += [api("DIRECT.GET.S", seq=1)]

    def of(target: Target) -> list[Any]:
        memory = create("M", subjects=["m.>"], storage="memory")
        with started(target, accounts("jetstream: enabled"), tmp_path / target) as on:
            seen = on.ask([S, memory, ("s.a", b"1"), ("m.a", b"1")], "a")
            on.reload(accounts())
            seen += on.told("/healthz", "/healthz?account=A&stream=S")
            seen += on.ask(asked, "a") + on.ask([api("INFO")], "b")
            on.reload(accounts("jetstream: enabled"))
            # What is in memory is gone.
            return seen + on.told("/healthz") + on.ask(asked, "a")

    theirs, mine = map(of, TARGETS)
    assert mine == theirs


def test_an_account_that_is_declared_again_has_its_streams(tmp_path: Path) -> None:
    text = accounts("jetstream: enabled")
    with started("keelback", text, tmp_path) as on:
        on.ask([S, ("s.a", b"1")], "a")
        on.reload(accounts(has_a=False))
        error = "JetStream account 'A' could not be resolved"
        assert on.told("/healthz") == [(503, {"status": "unavailable", "error": error})]
        on.reload(text)
        assert on.told("/healthz") == [(200, {"status": "ok"})]
        # Each request is answered once.
        with Session(*on.server.address, user="a") as session:
            assert b'"seq":2' in session.ask("s.a", b"2").payload
            answers = [session.ask(*api("STREAM.NAMES")) for _ in range(3)]
            assert [b'"streams":["S"]' in answer.payload for answer in answers] == [True] * 3
            assert session.heard == []


def test_accounts_are_not_promised_more_than_there_is(tmp_path: Path) -> None:
    def of(target: Target) -> list[Any]:
        with started(target, accounts("jetstream: enabled"), tmp_path / target) as on:
            log = on.reload(accounts("jetstream { max_mem: 50MB, max_file: 5MB }"))
            memory = [line.partition("[ERR] ")[2] for line in log.splitlines() if "[ERR]" in line]
            log = on.reload(accounts("jetstream { max_mem: 5MB, max_file: 50MB }"))
            file = [line.partition("[ERR] ")[2] for line in log.splitlines() if "[ERR]" in line]
            before = on.ask([api("INFO")], "a")
            on.reload(accounts("jetstream { max_mem: 8MB, max_file: 8MB }"))
            return [memory, file, before, on.ask([api("INFO")], "a")]

    theirs, mine = map(of, TARGETS)
    assert mine == theirs
    assert "insufficient memory resources available (10028)" in mine[0][0]


def test_a_raised_limit_of_the_server_lets_messages_in(tmp_path: Path) -> None:
    def sized(size: str) -> str:
        return f'jetstream {{ store_dir: "@", max_mem: {size}, max_file: {size} }}'

    asked = [("s.a", b"x" * 400)] * 4
    asked += [create("T", subjects=["t"], max_bytes=2000), api("STREAM.DELETE.T")]

    def of(target: Target) -> list[Any]:
        with started(target, sized("1000"), tmp_path / target) as on:
            seen = on.ask([S, *asked])
            on.reload(sized("2100"))
            return seen + on.told("/jsz") + on.ask(asked)

    theirs, mine = map(of, TARGETS)
    assert mine == theirs


def test_limits_of_streams_are_told_and_hold(tmp_path: Path) -> None:
    def limited(more: str) -> str:
        sizes = "max_mem: 10MB, max_file: 10MB"
        return f'jetstream {{ store_dir: "@", {sizes}, unique_tag: " AZ ", limits {{ {more} }} }}'

    every = (
        "max_request_batch: 3, max_ha_assets: 4, duplicate_window: 30s, max_ack_pending: 5,"
        "default_max_consumers: 7,"
        "batch { max_inflight_per_stream: 1, max_inflight_total: 2, max_msgs: 2, timeout: 4s }"
    )
    minute = 60_000_000_000
    asked = [
        create("S", subjects=["s"], allow_atomic=True),
        create("T", subjects=["t"], duplicate_window=minute),
        ("s", b"1", headers("Nats-Batch-Id: b", "Nats-Batch-Sequence: 1")),
        ("s", b"2", headers("Nats-Batch-Id: c", "Nats-Batch-Sequence: 1")),
        ("s", b"2", headers("Nats-Batch-Id: b", "Nats-Batch-Sequence: 2")),
        ("s", b"3", headers("Nats-Batch-Id: b", "Nats-Batch-Sequence: 3")),
    ]
    after = [
        create("T", subjects=["t"], duplicate_window=minute),
        create("U", subjects=["u"], duplicate_window=minute + 1),
        create("V", subjects=["v"]),
        update("S", subjects=["s"], duplicate_window=minute + 1, allow_atomic=True),
    ]

    def of(target: Target) -> list[Any]:
        with started(target, limited(every), tmp_path / target) as on:
            seen = on.told("/jsz", "/varz") + on.ask(asked)
            on.reload(limited("duplicate_window: 60s, batch {}"))
            return seen + on.told("/jsz", "/varz") + on.ask(after)

    theirs, mine = map(of, TARGETS)
    assert mine == theirs


def test_requests_with_unknown_fields_are_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    text = ON.replace("max_mem", "strict: false, max_mem")
    asked = [
        create("S", subjects=["s"], colour="blue", mirror=None),
        api("STREAM.INFO.S", colour="blue", subjects_filter=">"),
        api("STREAM.MSG.GET.S", seq="one", colour="blue"),
        update("S", subjects=["s"], consumer_limits={"colour": 1}),
    ]

    def of(target: Target) -> list[Any]:
        with started(target, text, tmp_path / target) as on:
            return on.told("/jsz") + on.ask(asked)

    theirs, mine = map(of, TARGETS)
    assert mine == theirs
