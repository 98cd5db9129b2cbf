"""JetStream in a server: the store is opened, accounts are served, requests answered.

Requests are answered on threads of their own: they wait for the disk.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keelback import _core, gojson
from keelback.auth.users import GLOBAL_ACCOUNT
from keelback.errors import ServerError
from keelback.jetstream import advisories
from keelback.jetstream.api import PREFIX, SERVED, Api
from keelback.jetstream.api_level import API_LEVEL
from keelback.jetstream.stream_limits import NO_TIER, AccountLimits, ServerLimits
from keelback.jetstream.transfers import SERVED as TRANSFERRED
from keelback.jetstream.transfers import Transfers
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server.settings import AccountJetStreamSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from keelback.monitor.streams import JetStreamFacts
    from keelback.server.settings import JetStreamSettings, ServerSettings

THREADS: Final = 4
"""That answer requests: one waits for the disk while others are served."""

FOLDER: Final = "jetstream"
"""Of the store, in the directory that is configured."""

TRANSFERS_PREFIX: Final = "$JS.SNAPSHOT."

RULE: Final = "-------------------------------------------"
_STEP: Final = 1024
_UNITS: Final = ("B", "KB", "MB", "GB", "TB", "PB")


class JetStream:
    """The streams and the API of one server.

    Args:
        plane: the core.
        settings: where the store is, and how much it holds.
        server_name: the name in answers.
        message_bytes_max: the longest message.
        accounts: those that have JetStream, with what they may hold.
        others: those that have not, and are told so.
        system_account: hears of what happens in the others.
    """

    def __init__(
        self,
        plane: _core.Plane,
        settings: JetStreamSettings,
        *,
        server_name: str,
        message_bytes_max: int,
        accounts: Mapping[str, AccountJetStreamSettings],
        others: Sequence[str] = (),
        system_account: str = "$SYS",
    ) -> None:
        self._plane = plane
        self._settings = settings
        self._server_name = server_name
        self._accounts = accounts
        self._message_bytes_max = message_bytes_max
        self._transfers = Transfers(plane, log=plane.log, domain=settings.domain)
        self._others = others
        self._system_account = system_account
        self._directory = _directory_of(settings)
        self._api: Api | None = None
        self._limits = ServerLimits(0, 0)
        self._store: _core.Store | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def directory(self) -> str:
        """Where the store is."""
        return self._directory

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
        self._limits = ServerLimits(
            _memory_bytes() if settings.max_memory < 0 else settings.max_memory,
            _disk_bytes(self.directory) if settings.max_file < 0 else settings.max_file,
        )
        self._store = store
        store.set_limits(self._limits.memory_bytes_max, self._limits.file_bytes_max)
        api = Api(
            store,
            limits=self._limits,
            server_name=self._server_name,
            version=NATS_SERVER_VERSION,
            domain=settings.domain,
            advise=self._plane.publish,
            transfers=self._transfers,
            message_bytes_max=self._message_bytes_max,
        )
        for account, held in self._accounts.items():
            store.set_account_limits(account, held.max_memory, held.max_file)
            api.add_account(account, {NO_TIER: _account_limits(held)})
        for problem in api.take_up():
            self._plane.log("ERR", f"JetStream: a stream is not served: {problem}")
        self._api = api
        self._log_facts()
        for account in (*self._accounts, *self._others):
            prefixes = [PREFIX, *([f"$JS.{settings.domain}.API."] if settings.domain else [])]
            for subject in (prefix + served for prefix in prefixes for served in SERVED):
                self._plane.serve_requests(account, subject)
        for account in self._accounts:
            for subject in TRANSFERRED:
                self._plane.serve_requests(account, subject)
        took_ms = (time.perf_counter() - began) * 1000
        self._plane.log("INF", f"Took {took_ms:.3f}ms to start JetStream")

    def facts(self) -> JetStreamFacts | None:
        """What monitoring is told; None before it is open. May be called from any thread."""
        from keelback.server.jetstream_facts import facts  # noqa: PLC0415  # msgspec

        if self._api is None or self._store is None:
            return None
        return facts(
            self._api,
            self._store,
            self._settings,
            limits=self._limits,
            directory=self.directory,
            server_name=self._server_name,
        )

    def handle(self, request: _core.Request | _core.BatchAbandoned) -> None:
        """Answer a request, on another thread; on the control loop."""
        if isinstance(request, _core.BatchAbandoned):
            self._tell_abandoned(request)
            return
        if request.subject.startswith(TRANSFERS_PREFIX):
            self._transfers.take(request.subject, request.reply, request.payload)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kb-js-api")
        self._pool.submit(self._answer, request)

    def close(self) -> None:
        """Let go of the threads; before the core ends."""
        self._transfers.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, request: _core.Request) -> None:
        if self._api is None or not request.reply:
            return
        try:
            then: list[Callable[[], None]] = []
            answer = self._api.answer(
                request.account,
                request.subject,
                request.headers,
                request.payload,
                client=lambda: self._client(request),
                then=then,
            )
            if answer is not None:
                self._plane.publish(request.account, request.reply, answer)
                self._tell(request, answer)
            for act in then:
                act()
        except Exception as error:  # noqa: BLE001  # one request must not end the others
            # Neither text nor subject: they may quote what must not stand in a log.
            self._plane.log("ERR", f"JetStream: a request failed: {type(error).__name__}")

    def _tell(self, request: _core.Request, answer: bytes) -> None:
        """Tell those who audit the API, if there are any."""
        plane, account = self._plane, request.account
        is_read = request.subject.split(".")[-3:-1] == ["MSG", "GET"]
        if is_read or not plane.has_interest(account, advisories.AUDIT):
            return
        event = advisories.audit(
            server=self._server_name,
            client=self._client(request),
            subject=request.subject,
            request=request.payload,
            response=answer,
            now_ns=time.time_ns(),
            domain=self._settings.domain,
        )
        plane.publish(account, advisories.AUDIT, event)

    def _tell_abandoned(self, batch: _core.BatchAbandoned) -> None:
        domain = self._settings.domain
        for account, named in ((batch.account, ""), (self._system_account, batch.account)):
            event = advisories.batch_abandoned(
                batch.stream,
                batch.batch,
                batch.reason,
                now_ns=time.time_ns(),
                domain=domain,
                account=named,
            )
            self._plane.publish(account, *event)

    def _client(self, request: _core.Request) -> dict[str, Any]:
        """Who asked, as far as it is known."""
        from keelback.monitor.connz import user_name  # noqa: PLC0415  # msgspec

        query = _core.ConnectionQuery(cid=request.connection, state="all")
        _, found = self._plane.connection_page(query) if request.connection else (0, [])
        if not found:
            return {"acc": request.account}
        client = found[0]
        known = {
            "start": gojson.time_text(client.start_ns),
            "host": client.ip,
            "id": client.cid,
            "acc": client.account,
            "user": user_name(client.user),
            "name": client.name,
            "lang": client.lang,
            "ver": client.version,
            "rtt": client.rtt_ns,
            "server": self._server_name,
            "kind": "Client",
            "client_type": "nats",
        }
        return {key: value for key, value in known.items() if value}

    def _log_facts(self) -> None:
        settings, limits = self._settings, self._limits
        if not settings.store_dir:
            problem = "Temporary storage directory used, data could be lost on system reboot"
            self._plane.log("WRN", problem)
        lines = [
            "---------------- JETSTREAM ----------------",
            "  Strict:          true",
            f"  Max Memory:      {_friendly(limits.memory_bytes_max)}",
            f"  Max Storage:     {_friendly(limits.file_bytes_max)}",
            f'  Store Directory: "{self.directory}"',
        ]
        if settings.domain:
            lines.append(f"  Domain:          {settings.domain}")
        lines.append(f"  API Level:       {API_LEVEL}")
        promise = "on stable storage" if settings.durable else "not yet on stable storage"
        lines.append(f"  Acknowledged:    {promise}")
        for line in [*lines, RULE]:
            self._plane.log("INF", line)


def accounts_with_streams(settings: ServerSettings) -> dict[str, AccountJetStreamSettings]:
    """The accounts that have JetStream: the global one, where no others are declared."""
    declared = [each for each in settings.accounts if each.name != settings.system_account]
    if not declared:
        return {GLOBAL_ACCOUNT: AccountJetStreamSettings()}
    return {each.name: each.jetstream for each in declared if each.jetstream is not None}


def _directory_of(settings: JetStreamSettings) -> str:
    if settings.store_dir:
        return str(Path(settings.store_dir) / FOLDER)
    # As nats-server: the same after a restart.
    return str(Path(tempfile.gettempdir()) / "nats" / FOLDER)


def _account_limits(held: AccountJetStreamSettings) -> AccountLimits:
    return AccountLimits(
        memory_bytes_max=held.max_memory,
        file_bytes_max=held.max_file,
        streams_max=held.max_streams,
        consumers_max=held.max_consumers,
        memory_stream_bytes_max=max(held.memory_max_stream_bytes, 0),
        file_stream_bytes_max=max(held.file_max_stream_bytes, 0),
        max_bytes_required=held.max_bytes_required,
    )


def _memory_bytes() -> int:
    """Three quarters of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 * 3


def _disk_bytes(directory: str) -> int:
    """Three quarters of what is free where the store is."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize // 4 * 3


def _friendly(count: int) -> str:
    """Bytes as nats-server shows them: `17.69 GB`."""
    size, unit = float(count), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.2f} {_UNITS[unit]}"
