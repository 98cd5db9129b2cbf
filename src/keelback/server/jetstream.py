"""JetStream in a server: its store is opened and closed, accounts are served, as configured now."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keelback import _core
from keelback.auth.users import GLOBAL_ACCOUNT
from keelback.config.gotext import bytes_text
from keelback.errors import ServerError
from keelback.jetstream.api import PREFIX, SERVED, Api
from keelback.jetstream.api_level import API_LEVEL
from keelback.jetstream.stream_limits import NO_TIER, ServerLimits
from keelback.jetstream.transfers import SERVED as TRANSFERRED
from keelback.jetstream.transfers import Transfers
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server.jetstream_answers import Answers
from keelback.server.jetstream_limits import (
    account_limits,
    accounts_with_streams,
    log_file_bytes,
    missing_room,
    server_limits,
    with_room_of,
)

if TYPE_CHECKING:
    from keelback.monitor.streams import JetStreamFacts
    from keelback.server.pump import JetStreamEvent
    from keelback.server.settings import JetStreamSettings, ServerSettings

FOLDER: Final = "jetstream"
"""Of the store, in the directory that is configured."""

TRANSFERS_PREFIX: Final = "$JS.SNAPSHOT."

NS_PER_S: Final = 1_000_000_000

RULE: Final = "-------------------------------------------"


@dataclass(slots=True)
class _Running:
    """What there is while JetStream is on."""

    settings: JetStreamSettings
    directory: str
    declared: frozenset[str]
    """All accounts, with JetStream and without."""
    limits: ServerLimits
    store: _core.Store
    transfers: Transfers
    api: Api
    answers: Answers


class JetStream:
    """The streams and the API of one server, on or off. Belongs to the control loop.

    Args:
        plane: the core.
        server_name: the name in answers.
        server_id: its id in advisories.
    """

    def __init__(self, plane: _core.Plane, *, server_name: str, server_id: str) -> None:
        self._plane = plane
        self._server_name = server_name
        self._server_id = server_id
        self._running: _Running | None = None
        self._subscribed: set[tuple[str, str]] = set()

    @property
    def is_on(self) -> bool:
        """Whether there are streams."""
        return self._running is not None

    def open(self, settings: ServerSettings) -> None:
        """Open the store and serve what is in it.

        Raises:
            ServerError: the store cannot be used, and nothing in it was changed; or accounts are
                promised more than there is.
        """
        assert settings.jetstream is not None  # noqa: S101  # who calls has looked
        began = time.perf_counter()
        self._plane.log("INF", "Starting JetStream")
        directory = _directory_of(settings.jetstream)
        try:
            store = self._plane.open_store(
                directory,
                durable=settings.jetstream.durable,
                waiting_bytes_max=settings.jetstream.waiting_bytes_max,
                log_file_bytes=log_file_bytes(directory),
            )
        except _core.StoreError as error:
            raise ServerError(
                f"Can't start JetStream: {error}",
                hint=f"the store is {directory}; store_dir names another",
            ) from error
        try:
            running = self._make(settings, settings.jetstream, store, directory)
            self._log_facts(running)
            problems = self._enable_accounts(running, settings)
        except BaseException:
            self._plane.close_store()
            raise
        if problems:
            self._plane.close_store()
            raise ServerError(
                f"Can't start JetStream: {problems[0]}",
                hint="lower the limits of accounts, or raise those of `jetstream`",
            )
        for account, name in running.api.left_alone():
            if account not in running.api.accounts:
                problem = f"'{account} > {name}': the account has no JetStream"
                self._plane.log("ERR", f"JetStream: a stream is not served: {problem}")
        self._running = running
        took_ms = (time.perf_counter() - began) * 1000
        self._plane.log("INF", f"Took {took_ms:.3f}ms to start JetStream")

    def change(self, settings: ServerSettings) -> None:
        """Be as other settings say: on, off, with other limits or accounts.

        Raises:
            ServerError: it is to be on, and cannot be; then it is off.
        """
        running = self._running
        declared = _declared(settings)
        self._subscribed = {each for each in self._subscribed if each[0] in declared}
        if settings.jetstream is None:
            self.close()
        elif running is None:
            self._plane.log("INF", "Restarting JetStream")
            self.open(settings)
        else:
            self._change(running, settings, settings.jetstream)

    def close(self) -> None:
        """Let go of the store: what was published is safe, and nothing more is taken."""
        if self._running is None:
            return
        self._plane.log("INF", "Initiating JetStream Shutdown...")
        self.stop_answering()
        self._running = None
        self._plane.close_store()
        self._plane.log("INF", "JetStream Shutdown")

    def stop_answering(self) -> None:
        """Let go of the threads that answer; before the core ends."""
        if self._running is not None:
            self._running.transfers.close()
            self._running.answers.close()

    def facts(self) -> JetStreamFacts | None:
        """What monitoring is told; None while it is off. May be called from any thread."""
        from keelback.server.jetstream_facts import facts  # noqa: PLC0415  # msgspec

        running = self._running
        if running is None:
            return None
        return facts(
            running.api,
            running.store,
            running.settings,
            limits=running.limits,
            directory=running.directory,
            server_name=self._server_name,
            declared=running.declared,
        )

    def handle(self, request: JetStreamEvent) -> None:
        """Answer a request, on another thread; on the control loop."""
        running = self._running
        if running is None:
            return  # as nats-server: who asks a server that was switched off hears nothing
        if isinstance(request, _core.BatchAbandoned):
            running.answers.tell_abandoned(request)
        elif isinstance(request, _core.DiskTurned):
            running.answers.tell_turned(request)
        elif request.subject.startswith(TRANSFERS_PREFIX):
            running.transfers.take(request.subject, request.reply, request.payload)
        else:
            running.answers.take(request)

    def _make(
        self,
        settings: ServerSettings,
        jetstream: JetStreamSettings,
        store: _core.Store,
        directory: str,
    ) -> _Running:
        limits = server_limits(jetstream, directory)
        _limit_store(store, limits, jetstream)
        transfers = Transfers(self._plane, log=self._plane.log, domain=jetstream.domain)
        api = Api(
            store,
            limits=limits,
            server_name=self._server_name,
            version=NATS_SERVER_VERSION,
            domain=jetstream.domain,
            advise=self._plane.publish,
            transfers=transfers,
            message_bytes_max=settings.limits.max_payload,
            is_strict=jetstream.strict,
        )
        answers = Answers(
            self._plane,
            api,
            server_name=self._server_name,
            server_id=self._server_id,
            domain=jetstream.domain,
            system_account=settings.system_account,
            requests_max=jetstream.requests_max,
            info_requests_max=jetstream.info_requests_max,
        )
        declared = _declared(settings)
        return _Running(jetstream, directory, declared, limits, store, transfers, api, answers)

    def _change(
        self, running: _Running, settings: ServerSettings, jetstream: JetStreamSettings
    ) -> None:
        """Put limits and accounts in force; nothing else of the block changes while it is on."""
        # What was free when it was switched on is what there is.
        running.limits = server_limits(jetstream, running.directory, before=running.limits)
        running.settings, running.declared = jetstream, _declared(settings)
        running.api.set_limits(running.limits)
        _limit_store(running.store, running.limits, jetstream)
        wanted = accounts_with_streams(settings)
        for gone in sorted(set(running.api.accounts) - set(wanted)):
            running.api.remove_account(gone)
        for problem in self._enable_accounts(running, settings):
            self._plane.log("ERR", problem)

    def _enable_accounts(self, running: _Running, settings: ServerSettings) -> list[str]:
        """Give accounts what they are to have; says for which it is not there."""
        problems: list[str] = []
        api, store = running.api, running.store
        for name, held in sorted(accounts_with_streams(settings).items()):
            wanted = account_limits(held)
            before = {each: one.limits[NO_TIER] for each, one in api.accounts.items()}
            is_new = name not in before
            server = with_room_of(running.limits, api.reserved())
            if missing := missing_room(wanted, before.pop(name, None), before.values(), server):
                error = missing.error()
                problems.append(f"Error enabling jetstream on configured accounts: {error}")
                continue
            store.set_account_limits(name, held.max_memory, held.max_file)
            if not is_new:
                api.set_account_limits(name, {NO_TIER: wanted})
                continue
            api.add_account(name, {NO_TIER: wanted})
            for problem in api.take_up(name):
                self._plane.log("ERR", f"JetStream: a stream is not served: {problem}")
        self._subscribe(running, settings)
        return problems

    def _subscribe(self, running: _Running, settings: ServerSettings) -> None:
        """Have requests come in; those without JetStream are told so."""
        domain = running.settings.domain
        prefixes = [PREFIX, *([f"$JS.{domain}.API."] if domain else [])]
        for account in sorted(running.declared - {settings.system_account}):
            subjects = [prefix + served for prefix in prefixes for served in SERVED]
            subjects += TRANSFERRED if account in running.api.accounts else ()
            for subject in subjects:
                if (account, subject) not in self._subscribed:
                    self._plane.serve_requests(account, subject)
                    self._subscribed.add((account, subject))

    def _log_facts(self, running: _Running) -> None:
        settings, limits = running.settings, running.limits
        if not settings.store_dir:
            problem = "Temporary storage directory used, data could be lost on system reboot"
            self._plane.log("WRN", problem)
        lines = ["---------------- JETSTREAM ----------------"]
        if settings.strict:
            lines.append("  Strict:          true")
        lines += [
            f"  Max Memory:      {bytes_text(limits.memory_bytes_max)}",
            f"  Max Storage:     {bytes_text(limits.file_bytes_max)}",
            f'  Store Directory: "{running.directory}"',
        ]
        if settings.domain:
            lines.append(f"  Domain:          {settings.domain}")
        lines.append(f"  API Level:       {API_LEVEL}")
        promise = "on stable storage" if settings.durable else "not yet on stable storage"
        lines.append(f"  Acknowledged:    {promise}")
        for line in [*lines, RULE]:
            self._plane.log("INF", line)


def _limit_store(store: _core.Store, limits: ServerLimits, settings: JetStreamSettings) -> None:
    """Have the core refuse what is beyond the limits."""
    store.set_limits(limits.memory_bytes_max, limits.file_bytes_max)
    batch = settings.limits.batch
    store.set_batch_limits(
        open_of_stream=batch.inflight_per_stream,
        open_of_all=batch.inflight_total,
        messages=batch.messages_max,
        timeout_ns=round(batch.timeout_s * NS_PER_S),
    )


def _declared(settings: ServerSettings) -> frozenset[str]:
    return frozenset((GLOBAL_ACCOUNT, *(account.name for account in settings.accounts)))


def _directory_of(settings: JetStreamSettings) -> str:
    if settings.store_dir:
        return str(Path(settings.store_dir) / FOLDER)
    # As nats-server: the same after a restart.
    return str(Path(tempfile.gettempdir()) / "nats" / FOLDER)
