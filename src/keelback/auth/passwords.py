"""Passwords and tokens: plain ones in constant time, bcrypt digests off the control thread.

bcrypt is slow on purpose. Three things keep a wave of logins from being slow for that reason:
a right password is remembered (by a keyed digest; neither password nor bcrypt digest is kept),
equal questions under way are asked once, and a question nobody waits for any more is dropped.
"""

import asyncio
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final

from keelback.auth.users import is_bcrypt

BCRYPT_PASSWORD_BYTES: Final = 72
"""bcrypt reads no further, and Go's does not complain either."""

REMEMBERED_MAX: Final = 4096
"""Right passwords remembered: 32-byte keys, about half a megabyte when full."""


def plain_matches(configured: str, offered: str) -> bool:
    """Compare two plain secrets; the time taken does not tell where they differ."""
    return hmac.compare_digest(_encode(configured), _encode(offered))


class PasswordChecker:
    """Compares what clients offer with what is configured. Belongs to one event loop.

    Args:
        threads: bcrypt comparisons at one time; 0 takes one less than there are processors.
        compare: stands in for bcrypt in tests: `(offered, digest) -> bool`.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        threads: int = 0,
        compare: Callable[[bytes, bytes], bool] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._threads = threads or max(1, (os.cpu_count() or 1) - 1)
        self._compare = compare or _bcrypt_matches
        self._clock = clock
        self._pool: ThreadPoolExecutor | None = None
        self._secret = os.urandom(32)
        # Guarded by the event loop: only its thread reads or writes these two.
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        self._under_way: dict[bytes, _Question] = {}

    def matches_at_once(self, configured: str, offered: str) -> bool | None:
        """The answer when it needs no bcrypt; None when it does."""
        if not is_bcrypt(configured):
            return plain_matches(configured, offered)
        key = self._key(configured, offered)
        if key in self._remembered:
            self._remembered.move_to_end(key)
            return True
        return None

    async def matches(self, configured: str, offered: str, *, deadline: float) -> bool:
        """Whether `offered` is the password.

        Args:
            configured: plain or bcrypt digest.
            offered: what the client sent.
            deadline: by this checker's clock; when it has passed before the comparison began,
                the answer is no, because the client was turned away meanwhile.
        """
        at_once = self.matches_at_once(configured, offered)
        if at_once is not None:
            return at_once
        key = self._key(configured, offered)
        if not await self._ask(key, configured, offered, deadline):
            return False
        self._remembered[key] = None
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return True

    async def waste(self, configured: str, offered: str, *, deadline: float) -> None:
        """Take as long as a wrong password would: an unknown user must not be told by time."""
        if is_bcrypt(configured):
            await self._ask(self._key(configured, offered), configured, offered, deadline)

    def close(self) -> None:
        """Let the threads go; comparisons that have not begun are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    async def _ask(self, key: bytes, digest: str, offered: str, deadline: float) -> bool:
        question = self._under_way.get(key)
        if question is not None:
            question.deadline = max(question.deadline, deadline)
            return await asyncio.shield(question.answer)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="kb-bcrypt")
        question = _Question(deadline)
        password = _encode(offered)[:BCRYPT_PASSWORD_BYTES]
        question.answer = asyncio.ensure_future(
            asyncio.get_running_loop().run_in_executor(
                self._pool, self._answer, question, password, digest.encode()
            )
        )
        self._under_way[key] = question
        try:
            return await asyncio.shield(question.answer)
        finally:
            self._under_way.pop(key, None)

    def _answer(self, question: "_Question", password: bytes, digest: bytes) -> bool:
        """Runs on a thread of the pool."""
        if self._clock() >= question.deadline:
            return False
        return self._compare(password, digest)

    def _key(self, configured: str, offered: str) -> bytes:
        message = _encode(configured) + b"\0" + _encode(offered)[:BCRYPT_PASSWORD_BYTES]
        return hmac.digest(self._secret, message, hashlib.sha256)


class _Question:
    """One comparison under way; `deadline` is the latest of those who wait for it."""

    __slots__ = ("answer", "deadline")
    answer: "asyncio.Future[bool]"

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


def _bcrypt_matches(password: bytes, digest: bytes) -> bool:
    import bcrypt  # noqa: PLC0415  # only servers with a digest configured need it

    try:
        return bcrypt.checkpw(password, digest)
    except ValueError:  # the digest has the prefix, but not the form of one
        return False


def _encode(secret: str) -> bytes:
    # A lone surrogate cannot come from UTF-8 on the wire, but it can from Python: no exception.
    return secret.encode(errors="surrogatepass")
