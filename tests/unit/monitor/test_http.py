"""The monitoring port: paths, methods, headers, who may read; with a stand-in core."""

from __future__ import annotations

import asyncio
import json
import socket
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import bcrypt
import pytest
from yarl import URL

from keelback.monitor import http
from keelback.monitor.access import Access
from keelback.monitor.http import Monitor, clean_path, normal_base_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit import fake_core
    from tests.unit.monitor.conftest import MakeFacts


class Client:
    def __init__(self, address: str, session: aiohttp.ClientSession, lines: Any) -> None:
        self.address = address
        self._session = session
        self.lines = lines

    async def ask(
        self, path: str | URL, method: str = "GET", **options: Any
    ) -> tuple[int, dict[str, str], str]:
        async with self._session.request(
            method, path, allow_redirects=False, **options
        ) as response:
            return response.status, dict(response.headers), await response.text()


@asynccontextmanager
async def served(
    make_facts: MakeFacts, *, base_path: str = "", access: Access | None = None, **facts: Any
) -> AsyncIterator[Client]:
    lines: list[tuple[str, str]] = []
    with ThreadPoolExecutor(2) as pool:
        monitor = Monitor(
            lambda requests: make_facts(requests=requests, **facts),
            access=access or Access(),
            base_path=base_path,
            log=lambda level, text: lines.append((level, text)),
            executor=pool,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        await monitor.start(listening)
        try:
            async with aiohttp.ClientSession(address) as session:
                yield Client(address, session, lines)
        finally:
            await monitor.stop()


async def test_a_document_has_its_headers(make_facts: MakeFacts) -> None:
    async with served(make_facts) as client:
        status, headers, text = await client.ask("/varz")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Server"] == "keelback"
    assert json.loads(text)["server_id"] == "NID"
    assert text.startswith('{\n  "server_id"')


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_any_method_is_served(make_facts: MakeFacts, method: str) -> None:
    async with served(make_facts) as client:
        status, _, text = await client.ask("/leafz", method, data=b"ignored")
    assert (status, json.loads(text)["leafnodes"]) == (200, 0)


async def test_head_has_the_length_alone(make_facts: MakeFacts) -> None:
    async with served(make_facts) as client:
        status, headers, text = await client.ask("/healthz", "HEAD")
    assert (status, headers["Content-Length"], text) == (200, "15", "")


@pytest.mark.parametrize("path", ["/varz/", "/nothing", "/expvarz", "/debug/pprof", "/VARZ"])
async def test_what_is_not_there(make_facts: MakeFacts, path: str) -> None:
    async with served(make_facts) as client:
        status, headers, text = await client.ask(path)
    assert (status, text) == (404, "404 page not found\n")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


async def test_a_base_path_stands_before_everything(make_facts: MakeFacts) -> None:
    async with served(make_facts, base_path="nats/") as client:
        found = {
            path: (await client.ask(path))[0]
            for path in ("/", "/varz", "/nats", "/nats/", "/nats/varz", "/nats/metrics")
        }
    assert found == {
        "/": 404,
        "/varz": 404,
        "/nats": 200,
        "/nats/": 404,
        "/nats/varz": 200,
        "/nats/metrics": 200,
    }


async def test_every_link_of_the_index_is_there(make_facts: MakeFacts) -> None:
    async with served(make_facts, base_path="/a&b") as client:
        _, headers, page = await client.ask("/a&b")
        links = [part.split('"')[0].replace("&amp;", "&") for part in page.split('href="')[1:]]
        found = {link: (await client.ask(link))[0] for link in links}
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert found.pop("/a&b/raftz") == 404  # no Raft nodes
    assert set(found.values()) == {200}
    assert "/a&b/metrics" in found


async def test_an_unclean_path_is_redirected(make_facts: MakeFacts) -> None:
    async with served(make_facts) as client:
        status, headers, _ = await client.ask("/.//varz?x=1")
    assert (status, headers["Location"]) == (307, "/varz?x=1")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//elsewhere.com", "/elsewhere.com"),
        ("//%0d%0aX:1%5C", "/%0D%0AX:1%5C"),
        ("//a%3Fb", "/a%3Fb"),
    ],
)
async def test_a_redirect_leads_to_this_server(
    make_facts: MakeFacts, path: str, location: str
) -> None:
    async with served(make_facts) as client:
        status, headers, _ = await client.ask(URL(client.address + path, encoded=True))
    assert (status, headers["Location"]) == (307, location)


async def test_requests_are_counted(make_facts: MakeFacts) -> None:
    async with served(make_facts) as client:
        for path in (
            "/",
            "/subsz",
            "/subscriptionsz?subs=x",
            "/connz?limit=x",
            "/stacksz",
            "/none",
        ):
            await client.ask(path)
        _, _, text = await client.ask("/varz")
    assert json.loads(text)["http_req_stats"] == {"/": 1, "/subsz": 2, "/varz": 1}


async def test_a_wrong_parameter_is_answered_in_plain_text(make_facts: MakeFacts) -> None:
    async with served(make_facts) as client:
        status, headers, text = await client.ask("/connz?sort=x")
    assert (status, text) == (400, "invalid sorting option: x")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Access-Control-Allow-Origin" not in headers


async def test_ill_health_is_a_status_and_a_line(make_facts: MakeFacts) -> None:
    async with served(make_facts, is_ready=False) as client:
        status, headers, text = await client.ask("/healthz?js-enabled=1")
        lines = client.lines
    assert (status, headers["Content-Type"]) == (500, "application/json")
    assert json.loads(text) == {
        "status": "error",
        "error": "failed to be ready for connections after 1ms: server",
    }
    assert lines == [
        ("WRN", "Healthcheck: js-enabled deprecated, use js-enabled-only instead"),
        (
            "WRN",
            'Healthcheck failed: "failed to be ready for connections after 1ms: server"',
        ),
    ]


async def test_a_fault_of_ours_is_one_answer_and_one_line(
    make_facts: MakeFacts, plane: fake_core.Plane
) -> None:
    plane.counters = {}
    async with served(make_facts) as client:
        status, _, _ = await client.ask("/varz?acc=secret")
        again, _, _ = await client.ask("/healthz")
        lines = client.lines
    assert (status, again) == (500, 200)
    assert lines == [("ERR", "Error serving /varz: KeyError")]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/stacksz", "application/json"),
        ("/debug/vars", "application/json; charset=utf-8"),
        ("/ipqueuesz?all=1", "application/json"),
    ],
)
async def test_other_pages(make_facts: MakeFacts, path: str, content_type: str) -> None:
    async with served(make_facts) as client:
        status, headers, text = await client.ask(path)
    assert (status, headers["Content-Type"]) == (200, content_type)
    assert text


def basic(user: str, password: str) -> dict[str, str]:
    pair = b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


async def test_who_knows_the_password_or_the_token_may_read(make_facts: MakeFacts) -> None:
    access = Access(user="op", password="pä:ss", token="tok")
    async with served(make_facts, access=access) as client:
        allowed = [
            (await client.ask("/healthz", headers=headers))[0]
            for headers in (basic("op", "pä:ss"), {"Authorization": "Bearer tok"})
        ]
        refused = [
            await client.ask("/healthz", headers=headers)
            for headers in (
                {},
                basic("op", "no"),
                basic("no", "pä:ss"),
                {"Authorization": "Bearer no"},
                {"Authorization": "Basic %%%"},
                {"Authorization": "Basic " + "a" * 5000},
            )
        ]
    assert allowed == [200, 200]
    assert {status for status, _, _ in refused} == {401}
    assert refused[0][1]["WWW-Authenticate"].startswith("Basic ")


async def test_a_bcrypt_digest_does_as_well(make_facts: MakeFacts) -> None:
    digest = bcrypt.hashpw(b"tok", bcrypt.gensalt(4)).decode()
    async with served(make_facts, access=Access(token=digest)) as client:
        status, headers, _ = await client.ask("/varz", headers={"Authorization": "Bearer no"})
        allowed, _, _ = await client.ask("/varz", headers={"Authorization": "Bearer tok"})
    assert (status, headers["WWW-Authenticate"], allowed) == (401, "Bearer", 200)


async def test_connections_beyond_the_limit_are_closed(
    make_facts: MakeFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 1)
    async with served(make_facts) as client:
        assert (await client.ask("/healthz"))[0] == 200  # kept alive
        address = URL(client.address)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        assert await reader.read() == b""
        writer.close()
        assert (await client.ask("/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("written", "means"), [("", ""), ("/", ""), ("nats", "/nats"), ("//a//b/", "/a/b")]
)
def test_a_base_path_is_made_clean(written: str, means: str) -> None:
    assert normal_base_path(written) == means


def test_a_slash_at_the_end_stays() -> None:
    assert [clean_path(each) for each in ("/", "//", "/a/", "/a/../b/./c")] == [
        "/",
        "/",
        "/a/",
        "/b/c",
    ]
