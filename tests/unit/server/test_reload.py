"""A reload against a plane that notes what it is told: in which order, and all or nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from keelback.errors import ServerError
from keelback.server.embed import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.fake_core import Plane

pytestmark = pytest.mark.usefixtures("core")

USERS = {"users": [{"user": "ann", "password": "a"}, {"user": "bob", "password": "b"}]}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(host="127.0.0.1", port=-1) as running:
        yield running


def plane_of(server: Server) -> Plane:
    return server._plane_to_connect_to()


def calls(plane: Plane, *names: str) -> list[str]:
    return [call[0] for call in plane.calls if call[0] in names]


def last(plane: Plane, name: str) -> Any:
    return [call[1] for call in plane.calls if call[0] == name][-1]


def reloaded_lines(plane: Plane) -> list[str]:
    texts = [text for _, text in plane.lines]
    return texts[texts.index("Server is ready") + 1 :]


def test_limits_are_live(server: Server) -> None:
    server.reload(max_payload=512, ping_interval=30)
    plane = plane_of(server)
    assert last(plane, "set_limits").max_payload == 512
    assert last(plane, "set_limits").ping_interval == 30.0
    info, is_announced = plane.infos[-1]
    assert info.max_payload == 512
    # As nats-server: clients of now get no new INFO.
    assert not is_announced
    assert reloaded_lines(plane) == [
        "Reloaded: authorization users",
        "Reloaded: accounts",
        "Reloaded: ping_interval = 30s",
        "Reloaded: max_payload = 512",
        "Reloaded server configuration ",
    ]


def test_the_new_rules_hold_before_connections_are_judged_by_them(server: Server) -> None:
    server.reload(authorization=USERS, accounts={"LAB": {}})
    plane = plane_of(server)
    names = ("set_account", "set_gate", "reauthorize")
    assert calls(plane, *names) == ["set_account", "set_gate", "reauthorize"]
    assert sorted(user.name for user in last(plane, "set_gate").users) == ["ann", "bob"]
    server.reload({"host": "127.0.0.1", "port": -1})
    assert ("remove_account", "LAB") in plane.calls
    assert not last(plane, "set_gate").required


def test_a_refused_reload_changes_nothing(server: Server) -> None:
    plane = plane_of(server)
    before = list(plane.calls)
    with pytest.raises(ServerError, match="config reload not supported for ServerName"):
        server.reload(max_payload=512, server_name="x")
    with pytest.raises(ServerError, match='unknown field "max_paylod"'):
        server.reload(max_paylod=1)
    took_events = ("take_events", 0)
    assert [call for call in plane.calls if call[0] != "take_events"] == [
        call for call in before if call[0] != "take_events"
    ], took_events
    assert plane.infos[-1][0].max_payload == 1048576
    # What was refused is not remembered either.
    server.reload(ping_max=3)
    assert last(plane, "set_limits").max_payload == 1048576


def test_changes_add_up_and_options_given_anew_replace_them(server: Server) -> None:
    plane = plane_of(server)
    server.reload(max_payload=512)
    server.reload(ping_max=5)
    assert last(plane, "set_limits").max_payload == 512
    server.reload({"host": "127.0.0.1", "port": -1, "ping_max": 7})
    assert last(plane, "set_limits").max_payload == 1048576
    assert last(plane, "set_limits").ping_max == 7


def test_without_a_file_there_is_nothing_to_read_again(server: Server) -> None:
    with pytest.raises(ServerError, match="can only reload config when a file is provided") as told:
        server.reload()
    assert told.value.hint == "or give the options that are to change"


def test_a_file_is_read_again_with_the_keywords_over_it(tmp_path: Path) -> None:
    file = tmp_path / "server.conf"
    file.write_text("host: 127.0.0.1, port: 4222, max_payload: 512, ping_max: 3")
    with Server(config=file, port=-1, ping_max=9) as server:
        plane = plane_of(server)
        assert plane.limits.max_payload == 512
        assert plane.limits.ping_max == 9
        file.write_text("host: 127.0.0.1, port: 4222, max_payload: 1024, ping_max: 4")
        server.reload()
        assert last(plane, "set_limits").max_payload == 1024
        assert last(plane, "set_limits").ping_max == 9
        assert reloaded_lines(plane)[-1].startswith("Reloaded server configuration (sha256:")
    # What a reload brought is there at the next start.
    with server:
        assert plane_of(server).limits.max_payload == 1024


def test_a_server_that_does_not_run_is_not_reloaded() -> None:
    server = Server(port=-1)
    with pytest.raises(ServerError, match="not running"):
        server.reload(max_payload=1)
    with server:
        pass
    with pytest.raises(ServerError, match="not running"):
        server.reload(max_payload=1)


def test_the_excess_of_connections_is_closed_the_youngest_first(server: Server) -> None:
    plane = plane_of(server)
    plane.open_connections = [1, 2, 3, 4]
    server.reload(max_connections=2)
    assert plane.closed == [
        (3, "Maximum Connections Exceeded"),
        (4, "Maximum Connections Exceeded"),
    ]
    assert plane.closing_errors == ["maximum connections exceeded"] * 2
    lines = reloaded_lines(plane)
    assert lines[:2] == [
        "Closed 2 connections to fall within max_connections",
        "Reloaded: max_connections = 2",
    ]


def test_pid_and_ports_files_move(server: Server, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    server.reload(pid_file=tmp_path / "pid", ports_file_dir=first)
    assert (tmp_path / "pid").read_text().isdigit()
    assert len(list(first.glob("*.ports"))) == 1
    server.reload(ports_file_dir=second)
    assert not list(first.iterdir())
    assert len(list(second.glob("*.ports"))) == 1
    server.reload(ports_file_dir="")
    assert not list(second.iterdir())


def test_the_log_is_opened_anew(server: Server, tmp_path: Path) -> None:
    plane = plane_of(server)
    server.reload(debug=True, log_file=tmp_path / "log")
    settings = last(plane, "set_log")
    assert settings["fd"] >= 0
    assert settings["debug"]
    with pytest.raises(ServerError, match="error opening file: open /nowhere/log"):
        server.reload(log_file="/nowhere/log")
    assert last(plane, "set_log") == settings


def test_the_listener_stays_open_and_takes_its_mode_anew(server: Server) -> None:
    plane = plane_of(server)
    before = calls(plane, "listen", "stop_listening")
    server.reload(max_payload=512)
    assert calls(plane, "listen", "stop_listening") == before == ["listen"]
    listener = last(plane, "set_listener_tls")
    assert (listener.port, listener.tls_mode) == (server.port, "off")


def test_it_can_be_asked_for_from_many_threads(server: Server) -> None:
    sizes = range(1000, 1010)
    threads = [
        threading.Thread(target=server.reload, kwargs={"max_payload": size}) for size in sizes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [line for line in reloaded_lines(plane_of(server)) if "max_payload" in line]
    assert sorted(told) == [f"Reloaded: max_payload = {size}" for size in sizes]


def test_it_can_be_asked_for_on_the_programs_event_loop() -> None:
    async def scenario() -> None:
        async with Server(host="127.0.0.1", port=-1) as server:
            server.reload(max_payload=512)
            assert last(plane_of(server), "set_limits").max_payload == 512

    asyncio.run(scenario())
