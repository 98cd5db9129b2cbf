"""What monitoring tells of streams: as nats-server tells it, and what Keelback adds."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keelback
from tests.jetstream.scripts import api, create
from tests.jetstream.session import Session
from tests.support.servers import ServerProcess

if TYPE_CHECKING:
    from tests.support.servers import Target

ACCOUNTS: Final = """
accounts {
  A { jetstream { max_mem: 1000, max_file: 2000 }, users: [ { user: a, password: a } ] }
  B { jetstream: enabled, users: [ { user: b, password: b } ] }
  C { users: [ { user: c, password: c } ] }
}
http: "127.0.0.1:-1"
"""
STEPS: Final = [
    create("S", subjects=["s.>"], max_bytes=10_000),
    create("M", subjects=["m"], storage="memory"),
    ("s.a", b"1"),
    ("s.b", b"2"),
    ("m", b"3"),
    api("STREAM.MSG.DELETE.S", seq=1),
    api("STREAM.INFO.none"),
]
PATHS: Final = (
    "/varz",
    "/jsz",
    "/jsz?accounts=1",
    "/jsz?accounts=1&offset=1&limit=1",
    "/jsz?accounts=1&offset=7",
    "/jsz?accounts=1&limit=-1",
    "/jsz?streams=1",
    "/jsz?streams=1&config=1",
    "/jsz?consumers=1&raft=1",
    "/jsz?acc=A&streams=1",
    "/jsz?acc=B&streams=1",
    "/jsz?acc=C",
    "/jsz?leader-only=1&stream-leader-only=1",
    "/jsz?limit=x",
    "/healthz",
    "/healthz?details=1",
    "/healthz?account=B&stream=S",
    "/healthz?account=B&stream=none",
    "/healthz?account=B&stream=none&details=1",
    "/healthz?account=B&stream=S&consumer=none",
    "/healthz?account=C&stream=none",
    "/healthz?account=C",
    "/healthz?account=C&details=1",
    "/healthz?account=C&js-enabled-only=1",
    "/healthz?account=C&js-server-only=1",
    "/accountz?acc=B",
    "/accountz?acc=C",
)
VARYING: Final = re.compile(r'"(now|created|first_ts|last_ts|server_id|leader|store_dir)": "[^"]*"')


def get(port: str, path: str) -> tuple[int, str]:
    """The answer over HTTP."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextmanager
def serving(target: Target, folder: Path) -> Generator[str]:
    """A server with a few streams, with promises alike: its monitoring port."""
    block = f'jetstream {{ store_dir: "{folder}", sync: always, max_mem: 10MB, max_file: 10MB }}\n'
    with ServerProcess(target, block + ACCOUNTS) as server:
        match = server.wait_for_log(r"Starting http monitor on 127.0.0.1:(\d+)")
        with Session(*server.address, user="b") as session:
            for step in STEPS:
                session.ask(*step)
        yield match[1]


def normal(path: str, answer: tuple[int, str]) -> Any:
    """Without what differs from run to run; streams by name."""
    status, text = answer
    if not text.startswith("{"):
        return answer
    document = json.loads(VARYING.sub(r'"\1": ""', text))
    if path == "/varz":
        document = document["jetstream"]
    if path.startswith("/accountz"):
        document = document["account_detail"]["jetstream_enabled"]
    else:
        document.get("account_details", []).sort(key=lambda account: account["name"])
        for account in document.get("account_details", ()):
            account.get("stream_detail", []).sort(key=lambda stream: stream["name"])
    return status, json.dumps(document)


def test_both_servers_tell_the_same(tmp_path: Path) -> None:
    def told(target: Target) -> list[Any]:
        with serving(target, tmp_path / target) as port:
            return [normal(path, get(port, path)) for path in PATHS]

    for path, theirs, mine in zip(PATHS, told("genuine"), told("keelback"), strict=True):
        assert mine == theirs, path


def test_metrics_have_a_series_for_each_stream(tmp_path: Path) -> None:
    with serving("keelback", tmp_path) as port:
        _, page = get(port, "/metrics")
    lines = page.splitlines()

    def value(name: str, *labels: str) -> float:
        (line,) = (
            line
            for line in lines
            if line.startswith(f"{name}{{") and all(label in line for label in labels)
        )
        return float(line.rsplit(" ", 1)[1])

    stream = ('account="B"', 'stream_name="S"', 'is_stream_leader="true"')
    assert value("jetstream_server_jetstream_disabled") == 0
    assert value("jetstream_server_total_streams") == 2
    assert value("jetstream_server_total_messages") == 2
    assert value("jetstream_account_storage_used", 'account="B"') == 34
    assert value("jetstream_account_max_memory", 'account="A"') == 1000
    assert value("jetstream_stream_total_messages", *stream) == 1
    assert value("jetstream_stream_limit_bytes", *stream) == 10_000
    assert value("jetstream_stream_first_seq", *stream) == 2
    assert value("nats_stream_failing", *stream) == 0
    assert value("gnatsd_varz_jetstream_stats_storage") == 34
    assert value("gnatsd_accountz_jetstream_enabled", 'account_id="C"') == 0
    assert value("gnatsd_accountz_jetstream_enabled", 'account_id="B"') == 1


def test_damage_is_told_and_served_around(tmp_path: Path) -> None:
    options: dict[str, Any] = {"jetstream": {"store_dir": str(tmp_path)}, "host": "127.0.0.1"}
    with (
        keelback.Server(port=-1, **options) as server,
        Session("127.0.0.1", server.port) as session,
    ):
        session.ask(*create("S", subjects=["s"]))
        session.ask("s", b"one")
    manifest = tmp_path / "jetstream/streams/00000001/manifest.1"
    content = bytearray(manifest.read_bytes())
    content[len(content) // 2] ^= 1
    manifest.write_bytes(content)
    with keelback.Server(port=-1, **options) as server:
        health = server.healthz()
        assert health["status"] == "ok"
        assert [warning for warning in health["warnings"] if warning.startswith("S: ")], health
        with Session("127.0.0.1", server.port) as session:
            assert b'"seq":2' in session.ask("s", b"two").payload


def test_an_account_without_streams_is_healthy(tmp_path: Path) -> None:
    with serving("keelback", tmp_path) as port:
        assert get(port, "/healthz?account=A")[0] == 200
