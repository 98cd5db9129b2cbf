"""The fixtures in a project of somebody else, with the two plugins for async tests."""

import pytest

PLAIN = """
def test_a_server_of_its_own(nats_server):
    assert nats_server.is_running
    assert nats_server.host == "127.0.0.1"

SERVERS = []

def test_several(nats_server_factory, nats_server):
    SERVERS.extend(nats_server_factory(server_name=name) for name in ("east", "west"))
    assert len({server.url for server in (*SERVERS, nats_server)}) == 3

def test_they_were_stopped():
    assert [server.is_running for server in SERVERS] == [False, False]

import pytest

@pytest.mark.parametrize("nats_server", [{"max_payload": 10}], indirect=True)
def test_options(nats_server):
    with nats_server.connect_in_process_sync(timeout_s=5) as pipe:
        assert b'"max_payload":10,' in pipe.recv()

def test_a_file(nats_server_factory, tmp_path):
    file = tmp_path / "server.conf"
    file.write_text("host: 127.0.0.1, port: -1, server_name: filed")
    server = nats_server_factory(config=file)
    with server.connect_in_process_sync(timeout_s=5) as pipe:
        assert b'"server_name":"filed"' in pipe.recv()
"""

ASYNCIO = """
import nats, pytest

async def greet(server, **options):
    async with await nats.connect(server.url, **options) as client:
        inbox = await client.subscribe("greet")
        await client.publish("greet", b"hello")
        return (await inbox.next_msg()).data

@pytest.mark.asyncio
async def test_greeting(nats_server):
    assert await greet(nats_server) == b"hello"

@pytest.mark.asyncio
async def test_tls(nats_server_factory):
    server = nats_server_factory(tls=True)
    context = nats_server_factory.certificates.client_context()
    assert server.url.startswith("tls://")
    assert await greet(server, tls=context) == b"hello"

@pytest.mark.asyncio
async def test_client_certificates(nats_server_factory):
    server = nats_server_factory(tls="verify")
    context = nats_server_factory.certificates.client_context(with_certificate=True)
    assert await greet(server, tls=context) == b"hello"
"""

ANYIO = """
import anyio, pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_greeting(nats_server):
    async with await anyio.connect_tcp("127.0.0.1", nats_server.port) as stream:
        assert (await stream.receive()).startswith(b"INFO ")
"""


def test_the_fixtures_serve_every_kind_of_test(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(test_plain=PLAIN, test_asyncio=ASYNCIO, test_anyio=ANYIO)
    outcome = pytester.runpytest_subprocess("-p", "keelback.testing.plugin", "-q")
    outcome.assert_outcomes(passed=9)


def test_the_fixtures_are_listed_with_what_they_give(pytester: pytest.Pytester) -> None:
    outcome = pytester.runpytest_subprocess("-p", "keelback.testing.plugin", "--fixtures", "-q")
    outcome.stdout.fnmatch_lines(["nats_server*", "*A NATS server of the test's own*"])


def test_loading_the_plugin_imports_no_server(pytester: pytest.Pytester) -> None:
    outcome = pytester.run(
        __import__("sys").executable,
        "-c",
        "import keelback.testing.plugin, sys; "
        "print([name for name in sys.modules if name.startswith(('keelback.server', "
        "'cryptography'))])",
    )
    outcome.stdout.fnmatch_lines(["[[][]]"])
