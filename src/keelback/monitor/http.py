"""The monitoring port: HTTP around the documents. Heavy to import: aiohttp.

Documents are built on threads of their own, so that a large page delays no login.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from aiohttp import web

from keelback.monitor import absent, accounts, connz, healthz, jsz, subsz, varz
from keelback.monitor.access import Access
from keelback.monitor.document import INDENT, NO_INDENT, to_json
from keelback.monitor.healthz import Health
from keelback.monitor.index import index
from keelback.monitor.metrics import CONTENT_TYPE, metrics
from keelback.monitor.query import Query, QueryError
from keelback.monitor.stacks import debug_vars, stacks

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

    from keelback.monitor.facts import Facts

T = TypeVar("T")

CONNECTIONS_MAX: Final = 512
"""Beyond, new ones are closed at once: descriptors are for clients of the server."""

IDLE_S: Final = 75.0
"""A connection without a request for so long is closed; between the scrapes of Prometheus."""

HANDSHAKE_S: Final = 5.0

STOP_S: Final = 1.0
"""What requests under way may still take when the server stops."""

LINE_BYTES_MAX: Final = 65536
"""Of the request line, and of one header."""

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
EXPVAR: Final = "application/json; charset=utf-8"

PATH_CHARACTERS: Final = "/$&+,:;=@~"
"""Of those that mean something in a URL, the ones that may stand in a path as they are."""

IPQUEUES_INDENT: Final = 3

NOT_FOUND: Final = "404 page not found\n"


class Route:
    """One document.

    Args:
        read: parameters → what makes the document.
        counted: under what name requests are counted, "" for not at all.
        counts_refused: whether those with wrong parameters are counted, too.
        indent: spaces of a level of its JSON.
    """

    def __init__(
        self,
        read: Callable[[Query], Callable[[Facts], object]],
        counted: str = "",
        *,
        counts_refused: bool = True,
        indent: int = INDENT,
    ) -> None:
        self.read = read
        self.counted = counted
        self.counts_refused = counts_refused
        self.indent = indent


_SUBSZ: Final = Route(subsz.read_subsz, "/subsz")

ROUTES: Final[Mapping[str, Route]] = {
    "/varz": Route(lambda _: varz.varz, "/varz"),
    "/connz": Route(connz.read_connz, "/connz", counts_refused=False),
    "/routez": Route(absent.read_routez, "/routez", counts_refused=False),
    "/gatewayz": Route(absent.read_gatewayz, "/gatewayz"),
    "/leafz": Route(absent.read_leafz, "/leafz"),
    "/subsz": _SUBSZ,
    "/subscriptionsz": _SUBSZ,
    "/accountz": Route(accounts.read_accountz, "/accountz"),
    "/accstatz": Route(accounts.read_accstatz, "/accstatz"),
    "/jsz": Route(jsz.read_jsz, "/jsz"),
    "/healthz": Route(healthz.read_healthz, "/healthz", indent=NO_INDENT),
    "/ipqueuesz": Route(absent.read_ipqueuesz, indent=IPQUEUES_INDENT),
}


class Monitor:
    """Serves the documents of one server on one socket. Belongs to one event loop.

    Args:
        facts: the facts of the moment, given the requests counted so far; called on a thread.
        access: who may read.
        base_path: what stands before every path.
        log: writes a line to the server's log; from any thread.
        executor: where documents are built.
    """

    def __init__(
        self,
        facts: Callable[[Mapping[str, int]], Facts],
        *,
        access: Access,
        base_path: str,
        log: Callable[[Any, str], object],
        executor: Executor,
    ) -> None:
        self._facts = facts
        self._access = access
        self._base_path = normal_base_path(base_path)
        self._log = log
        self._executor = executor
        self._requests: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._http: _LimitedServer | None = None

    async def start(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve what comes to a socket that is bound; it is closed by `stop`."""
        self._http = _LimitedServer(
            self._answer,
            keepalive_timeout=IDLE_S,
            access_log=None,
            logger=_silent_logger(),
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
        )
        # Nothing is awaited before it is kept: where this is cancelled, `stop` closes the socket.
        self._server = await asyncio.get_running_loop().create_server(
            self._http,
            sock=listening,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_S,
            start_serving=False,
        )
        await self._server.start_serving()

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        if self._http is not None:
            await self._http.shutdown(STOP_S)
        self._access.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._serve(request)
        except QueryError as error:
            return _response(400, str(error), TEXT)
        except Exception as error:  # noqa: BLE001  # one request must not end the port
            # Neither text nor parameters: they may quote what must not stand in a log.
            self._log("ERR", f"Error serving {request.path}: {type(error).__name__}")
            return _response(500, "Internal Server Error\n", TEXT)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if not await self._access.allows(request.headers.get("Authorization", "")):
            refusal = _response(401, "Unauthorized\n", TEXT)
            refusal.headers["WWW-Authenticate"] = self._access.challenge
            return refusal
        path, parameters = request.path, request.rel_url.raw_query_string
        if not path.startswith("/"):
            return _not_found()
        if (clean := clean_path(path)) != path:
            return _redirect(clean, parameters)
        if path == (self._base_path or "/"):
            self._requests["/"] += 1
            return _response(200, index(await self._now(), self._base_path), HTML)
        if not path.startswith(f"{self._base_path}/"):
            return _not_found()
        return await self._page(path.removeprefix(self._base_path), parameters)

    async def _page(self, path: str, parameters: str) -> web.StreamResponse:
        route = ROUTES.get(path)
        if route is not None:
            return await self._document(route, Query(parameters))
        if path == "/metrics":
            return _response(200, await self._build(metrics), CONTENT_TYPE)
        if path == "/raftz":
            return _response(404, absent.NO_RAFT_NODES, TEXT)
        if path == "/stacksz":
            return _response(200, stacks(asyncio.get_running_loop()).encode(), JSON, cors=True)
        if path == "/debug/vars":
            return _response(200, debug_vars(), EXPVAR)
        return _not_found()

    async def _document(self, route: Route, query: Query) -> web.StreamResponse:
        if route.counted and route.counts_refused:
            self._requests[route.counted] += 1
        make = route.read(query)
        if route.counted and not route.counts_refused:
            self._requests[route.counted] += 1

        def build(facts: Facts) -> tuple[int, bytes]:
            document = make(facts)
            status = 200
            if isinstance(document, Health):
                status = self._note_health(document, query)
            return status, to_json(document, indent=route.indent)

        status, body = await self._build(build)
        return _response(status, body, JSON, cors=True)

    def _note_health(self, health: Health, query: Query) -> int:
        """Log what is wrong; the status is HTTP's here, and not told twice."""
        if query.flag("js-enabled"):
            self._log("WRN", "Healthcheck: js-enabled deprecated, use js-enabled-only instead")
        if health.complaint:
            self._log("WRN", health.complaint)
        status, health.status_code = health.status_code, 0
        return status

    async def _now(self) -> Facts:
        return await self._build(lambda facts: facts)

    async def _build(self, make: Callable[[Facts], T]) -> T:
        # A copy: the loop goes on counting while a thread reads.
        counted = dict(self._requests)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: make(self._facts(counted))
        )


class _LimitedServer(web.Server):
    """aiohttp's server of one handler, with a bound on connections."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()


def normal_base_path(path: str) -> str:
    """The base path with a slash in front and none behind; "" for the root."""
    clean = clean_path(f"/{path}").rstrip("/")
    return "" if clean == "/" else clean


def clean_path(path: str) -> str:
    """The path without empty steps, `.` and `..`; a slash at the end stays."""
    clean = posixpath.normpath(path)
    if clean.startswith("//"):
        clean = clean[1:]
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def _response(
    status: int, body: bytes | str, content_type: str, *, cors: bool = False
) -> web.Response:
    headers = {"Content-Type": content_type, "Server": "keelback"}
    if cors:
        headers["Access-Control-Allow-Origin"] = "*"
    return web.Response(
        status=status, body=body.encode() if isinstance(body, str) else body, headers=headers
    )


def _not_found() -> web.Response:
    response = _response(404, NOT_FOUND, TEXT)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _redirect(path: str, parameters: str) -> web.Response:
    target = quote(path, safe=PATH_CHARACTERS)
    if parameters:
        target += f"?{parameters}"
    body = f'<a href="{escape(target)}">Temporary Redirect</a>.\n\n'
    response = _response(307, body, HTML)
    response.headers["Location"] = target
    return response


def _silent_logger() -> logging.Logger:
    """What peers do wrong is their affair: aiohttp tells it to them, not to the log."""
    logger = logging.getLogger("keelback.monitor.http")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
