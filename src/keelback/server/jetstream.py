"""JetStream in a server: the store is opened, accounts are served, requests answered.

Requests are answered on threads of their own: they wait for the disk.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keelback import _core
from keelback.errors import ServerError
from keelback.jetstream.api import PREFIX, SERVED, Api
from keelback.jetstream.api_level import API_LEVEL
from keelback.jetstream.stream_limits import ServerLimits
from keelback.options.compatibility import NATS_SERVER_VERSION

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from keelback.server.settings import JetStreamSettings

THREADS: Final = 4
"""That answer requests: one waits for the disk while others are served."""

FOLDER: Final = "jetstream"
"""Of the store, in the directory that is configured."""

RULE: Final = "-------------------------------------------"
_STEP: Final = 1024
_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB")


class JetStream:
    """The streams and the API of one server.

    Args:
        plane: the core.
        settings: where the store is, and how much it holds.
        server_name: the name in answers.
        accounts: those that have JetStream.
    """

    def __init__(
        self,
        plane: _core.Plane,
        settings: JetStreamSettings,
        *,
        server_name: str,
        accounts: list[str],
    ) -> None:
        self._plane = plane
        self._settings = settings
        self._server_name = server_name
        self._accounts = accounts
        self._api: Api | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def directory(self) -> str:
        """Where the store is."""
        return str(Path(self._settings.store_dir) / FOLDER)

    def open(self) -> None:
        """Open the store and serve what is in it; before clients can connect.

        Raises:
            ServerError: the store cannot be used; nothing in it was changed.
        """
        began = time.perf_counter()
        self._plane.log("INF", "Starting JetStream")
        try:
            store = self._plane.open_store(self.directory, durable=self._settings.durable)
        except _core.StoreError as error:
            raise ServerError(
                f"Can't start JetStream: {error}",
                hint=f"the store is {self.directory}; store_dir names another",
            ) from error
        settings = self._settings
        api = Api(
            store,
            limits=ServerLimits(settings.max_memory, settings.max_file),
            server_name=self._server_name,
            version=NATS_SERVER_VERSION,
            domain=settings.domain,
        )
        for account in self._accounts:
            api.add_account(account)
        for problem in api.take_up():
            self._plane.log("ERR", f"JetStream: a stream is not served: {problem}")
        self._api = api
        self._log_facts()
        for account in self._accounts:
            prefixes = [PREFIX, *([f"$JS.{settings.domain}.API."] if settings.domain else [])]
            for subject in (prefix + served for prefix in prefixes for served in SERVED):
                self._plane.serve_requests(account, subject)
        took_ms = (time.perf_counter() - began) * 1000
        self._plane.log("INF", f"Took {took_ms:.3f}ms to start JetStream")

    def handle(self, request: _core.Request) -> None:
        """Answer a request, on another thread; on the control loop."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kb-js-api")
        self._pool.submit(self._answer, request)

    def close(self) -> None:
        """Let go of the threads; before the core ends."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, request: _core.Request) -> None:
        if self._api is None or not request.reply:
            return
        try:
            answer = self._api.answer(
                request.account, request.subject, request.headers, request.payload
            )
            if answer is not None:
                self._plane.publish(request.account, request.reply, answer)
        except Exception as error:  # noqa: BLE001  # one request must not end the others
            # Neither text nor subject: they may quote what must not stand in a log.
            self._plane.log("ERR", f"JetStream: a request failed: {type(error).__name__}")

    def _log_facts(self) -> None:
        settings = self._settings
        lines = [
            "---------------- JETSTREAM ----------------",
            "  Strict:          true",
            f"  Max Memory:      {_friendly(settings.max_memory)}",
            f"  Max Storage:     {_friendly(settings.max_file)}",
            f'  Store Directory: "{self.directory}"',
        ]
        if settings.domain:
            lines.append(f"  Domain:          {settings.domain}")
        lines.append(f"  API Level:       {API_LEVEL}")
        promise = "on stable storage" if settings.durable else "not yet on stable storage"
        lines.append(f"  Acknowledged:    {promise}")
        for line in [*lines, RULE]:
            self._plane.log("INF", line)


def _friendly(count: int) -> str:
    """Bytes as nats-server shows them: `17.69 GB`."""
    size, unit = float(count), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.2f} {_UNITS[unit]}"
