"""`keelback.Server`, as a program uses it."""

import asyncio
import logging
import os
import subprocess
import sys
import threading

import pytest

from keelback.errors import ServerError
from keelback.server.embed import Server
from keelback.server.settings import LogSettings, ServerSettings, TlsSettings
from tests.unit import fake_core

pytestmark = pytest.mark.usefixtures("core")


def server_of(**settings: object) -> Server:
    given = {"port": -1, "log": LogSettings(to_python=True), **settings}
    return Server.from_settings(ServerSettings(**given))


def test_with_starts_and_stops() -> None:
    before = set(threading.enumerate())
    with server_of() as server:
        assert server.is_running
        assert server.port == 40001
        assert server.url == server.client_url == "nats://127.0.0.1:40001"
        assert server.server_id.startswith("N")
    assert not server.is_running
    assert set(threading.enumerate()) == before


def test_async_with_starts_and_stops_and_it_can_start_again() -> None:
    async def scenario() -> None:
        server = server_of()
        async with server:
            first = server.server_id
        async with server:
            assert server.is_running
            assert server.server_id != first
        assert not server.is_running

    asyncio.run(scenario())


def test_start_and_stop_are_idempotent() -> None:
    server = server_of()
    server.stop()
    server.start()
    first = server.server_id
    server.start()
    assert server.server_id == first
    server.stop()
    server.stop()
    assert not server.is_running


def test_several_run_side_by_side() -> None:
    with server_of() as one, server_of() as other:
        assert one.server_id != other.server_id
        one.stop()
        assert other.is_running


def test_urls() -> None:
    with server_of(host="::", client_advertise="out.example.com:99") as server:
        assert server.url == "nats://[::1]:40001"
        assert server.client_url == "nats://out.example.com:99"
    secured = server_of(port=4443, tls=TlsSettings(certificates=()))
    assert secured.url == "tls://127.0.0.1:4443"


def test_a_free_port_is_not_known_before_the_start() -> None:
    with pytest.raises(ServerError, match="chosen when the server starts"):
        _ = server_of().url


def test_every_line_reaches_pythons_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="keelback"), server_of():
        pass
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "Starting nats-server"
    assert told[-1] == "Server Exiting.."
    assert "Server is ready" in told


def test_a_forked_child_is_refused() -> None:
    with server_of() as server:
        parent = server._process_id
        server._process_id = parent + 1
        for use in (server.start, server.stop, server.connect_in_process_sync):
            with pytest.raises(ServerError, match=f"belongs to process {parent + 1}"):
                use()
        # Leaving the block in the child neither stops the server nor raises.
        server.__exit__(None, None, None)
        assert server.is_running
        server._process_id = parent


def test_without_a_running_server_there_is_nothing_to_connect_to() -> None:
    with pytest.raises(ServerError, match="not running"):
        server_of().connect_in_process_sync()
    server = server_of()
    with server:
        pass
    with pytest.raises(ServerError, match="not running"):
        server.connect_in_process_sync()


def test_in_process_connections_are_pipes_of_the_core() -> None:
    async def scenario() -> None:
        async with server_of() as server:
            reader, writer = await server.connect_in_process()
            pipe = server._plane_to_connect_to().pipes[-1]
            assert isinstance(pipe, fake_core.Pipe)
            pipe.feed(b"INFO {}\r\n")
            assert await reader.readline() == b"INFO {}\r\n"
            writer.write(b"PING\r\n")
            assert pipe.sent == b"PING\r\n"
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


def test_a_program_that_forgets_to_stop_ends_all_the_same() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "import tests.unit.conftest\n"
        "from keelback.server.embed import Server\n"
        "from keelback.server.settings import *\n"
        "import keelback.server.lifecycle as lifecycle\n"
        "from tests.unit import fake_core\n"
        "settings = ServerSettings(port=-1, log=LogSettings(to_python=True))\n"
        "lifecycle._core = fake_core\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.startswith('keelback.') and hasattr(module, '_core'):\n"
        "        module._core = fake_core\n"
        "server = Server.from_settings(settings).start()\n"
        "import atexit\n"
        "plane = server._lifecycle.plane\n"
        "atexit._run_exitfuncs()\n"
        "print(plane.is_shut_down, server.is_running)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, ":".join(p for p in (os.getcwd(), *sys.path) if p)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["True", "False"]


def test_importing_keelback_imports_nothing_else() -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "import keelback\n"
        "print([name for name in sys.modules if name.startswith('keelback.')])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program, ":".join(p for p in sys.path if p)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout.strip() == "[]"


def test_public_names_are_found_where_they_are_used() -> None:
    import keelback

    assert keelback.Server is Server
    assert "Server" in dir(keelback)
    with pytest.raises(AttributeError, match="no attribute 'Sever'"):
        _ = keelback.Sever
