"""The control loop: one asyncio loop for each server, on a thread of its own when embedded.

A user's blocked loop stalls no login and no lame duck. asyncio is imported when the loop begins,
which is after the listener is open.
"""

from __future__ import annotations

import _thread
import threading

from keelback.errors import ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future
    from typing import Any, Final

THREAD_NAME: Final = "kb-control"

NOT_RUNNING: Final = "the server is not running"


class ControlLoop:
    """Runs one coroutine that lives as long as its server, and whatever is posted meanwhile.

    `main` runs on it; `after` is called when it has ended, on the loop's thread. `post` may be
    called from any thread and from signal handlers, also before the loop begins.
    """

    def __init__(
        self,
        main: Callable[[], Coroutine[Any, Any, None]],
        *,
        after: Callable[[], object] | None = None,
    ) -> None:
        self._main = main
        self._after = after
        # Guards `_loop` and `_posted`. Reentrant: a signal handler may interrupt `post` itself.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._posted: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None
        self._has_ended = False
        self._calls: set[Future[None]] = set()

    def start_thread(self) -> None:
        """Begin on a thread of its own, in the background."""
        # A daemon: a program that forgets to stop its server must still be able to end.
        self._thread = threading.Thread(target=self.run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Run until the coroutine ends, on the calling thread."""
        try:
            import asyncio  # noqa: PLC0415  # 30 to 90 ms

            loop = asyncio.new_event_loop()
            try:
                loop.run_until_complete(self._begin(loop))
            finally:
                loop.close()
        finally:
            self._end()
            if self._after is not None:
                self._after()

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._loop = loop
            self._loop_thread = _thread.get_ident()
            posted, self._posted = self._posted, []
        for callback in posted:
            loop.call_soon(callback)
        try:
            await self._main()
        finally:
            with self._lock:
                self._loop = None

    def post(self, callback: Callable[[], object]) -> None:
        """Have the loop call this soon; kept until the loop begins, dropped after it ended."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(callback)
            else:
                self._posted.append(callback)

    def call(self, function: Callable[[], None]) -> None:
        """Have the loop call this, and wait until it has; what it raises is raised here.

        Raises:
            ServerError: the loop ended before it came to that.
        """
        if self._is_own_thread:
            function()
            return
        from concurrent.futures import Future  # noqa: PLC0415  # comes with asyncio anyway

        answer: Future[None] = Future()

        def answered() -> None:
            try:
                function()
            except BaseException as error:  # noqa: BLE001  # it belongs to whoever asked
                answer.set_exception(error)
            else:
                answer.set_result(None)

        with self._lock:
            if self._has_ended:
                raise ServerError(NOT_RUNNING)
            self._calls.add(answer)
            self.post(answered)
        try:
            answer.result()
        finally:
            with self._lock:
                self._calls.discard(answer)

    @property
    def _is_own_thread(self) -> bool:
        return self._loop is not None and self._loop_thread == _thread.get_ident()

    def _end(self) -> None:
        with self._lock:
            self._has_ended = True
            calls, self._calls = self._calls, set()
        for call in calls:
            if not call.done():
                call.set_exception(ServerError(NOT_RUNNING))

    def join(self) -> None:
        """Wait for the thread to end, unless it is the one that asks."""
        if self._thread is not None and self._thread.ident != _thread.get_ident():
            self._thread.join()
