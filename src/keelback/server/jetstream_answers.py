"""Requests to JetStream's API are answered, on threads of their own: they wait for the disk.

Source: nats-server 2.15 `server/jetstream_api.go`, `apiDispatch`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from keelback import _core, gojson
from keelback.jetstream import advisories

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from keelback.jetstream.api import Api

THREADS: Final = 4
"""That answer requests: one waits for the disk while others are served."""


class Answers:
    """Answers requests to one API.

    Args:
        plane: the core.
        api: what answers.
        server_name: the name in advisories.
        server_id: its id there.
        domain: of JetStream, "" without one.
        system_account: hears of what happens in the others.
        requests_max: that wait; one more, and all that wait are dropped.
        info_requests_max: the same for requests that only look.
    """

    def __init__(
        self,
        plane: _core.Plane,
        api: Api,
        *,
        server_name: str,
        server_id: str,
        domain: str,
        system_account: str,
        requests_max: int,
        info_requests_max: int,
    ) -> None:
        self._plane = plane
        self._api = api
        self._server_name = server_name
        self._server_id = server_id
        self._domain = domain
        self._system_account = system_account
        self._requests = Waiting("JetStream API", requests_max)
        self._info_requests = Waiting("JetStream API info", info_requests_max)
        self._pool: ThreadPoolExecutor | None = None

    def take(self, request: _core.Request) -> None:
        """Answer a request, on another thread. Does not wait."""
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kb-js-api")
        waiting = self._info_requests if _only_looks(request.subject) else self._requests
        number = waiting.add()
        if dropped := waiting.drop_if_full():
            self._tell_dropped(waiting, dropped)
        else:
            self._pool.submit(self._answer, waiting, number, request)

    def tell_abandoned(self, batch: _core.BatchAbandoned) -> None:
        """Tell the account, and the system account, that a batch was given up."""
        for account, named in ((batch.account, ""), (self._system_account, batch.account)):
            event = advisories.batch_abandoned(
                batch.stream,
                batch.batch,
                batch.reason,
                now_ns=time.time_ns(),
                domain=self._domain,
                account=named,
            )
            self._plane.publish(account, *event)

    def tell_turned(self, disk: _core.DiskTurned) -> None:
        """Tell the system account that a disk takes nothing any more."""
        if disk.why:
            event = advisories.out_of_space(
                server=self._server_name,
                server_id=self._server_id,
                stream=disk.stream,
                now_ns=time.time_ns(),
                domain=self._domain,
            )
            self._plane.publish(self._system_account, *event)

    def close(self) -> None:
        """Let go of the threads; what is being answered still is."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, waiting: Waiting, number: int, request: _core.Request) -> None:
        if not waiting.take(number) or not request.reply:
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
            domain=self._domain,
        )
        plane.publish(account, advisories.AUDIT, event)

    def _tell_dropped(self, waiting: Waiting, dropped: int) -> None:
        self._plane.log("WRN", f"{waiting.name} queue limit reached, dropping {dropped} requests")
        event = advisories.api_limit_reached(
            server=self._server_name, dropped=dropped, now_ns=time.time_ns(), domain=self._domain
        )
        self._plane.publish(self._system_account, *event)

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


class Waiting:
    """Requests of one kind that wait for a thread. Thread-safe.

    Args:
        name: what they are, for the log.
        most: with so many all are dropped, as in nats-server.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self._most = most
        # Guards what follows; nothing else is done under it.
        self._lock = threading.Lock()
        self._next = 0
        self._dropped_below = 0
        self._count = 0

    def add(self) -> int:
        """One more waits: its number."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._count += 1
            return number

    def drop_if_full(self) -> int:
        """Drop all that wait when they are more than may; how many those are."""
        with self._lock:
            if self._count < self._most:
                return 0
            dropped, self._count = self._count, 0
            self._dropped_below = self._next
            return dropped

    def take(self, number: int) -> bool:
        """The one with this number waits no more; whether it is to be answered."""
        with self._lock:
            if number < self._dropped_below:
                return False
            self._count -= 1
            return True


_LOOKING: Final = (
    *("INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO."),
    *("CONSUMER.NAMES.", "CONSUMER.LIST.", "CONSUMER.INFO."),
)


def _only_looks(subject: str) -> bool:
    """Whether a request tells of streams and consumers, and changes nothing."""
    return subject.partition(".API.")[2].startswith(_LOOKING)
