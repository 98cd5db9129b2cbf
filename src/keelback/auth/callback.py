"""A Python function as authenticator: `keelback.Server(authenticate=...)`.

The function sees a `ConnectionAttempt` and says who that is, or None. It runs on the embedding
program's event loop, when the server was started on one; otherwise an async function runs on the
control thread's loop and a plain one on a thread of its own, so that it may block.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keelback.auth.users import GLOBAL_ACCOUNT, PermissionRules

if TYPE_CHECKING:
    from keelback._core import AuthRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionAttempt:
    """What a client says of itself in CONNECT; "" where it says nothing.

    Its repr shows no secret.
    """

    connection: int
    in_process: bool
    client_ip: str
    client_port: int
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    nkey: str = ""
    signature: str = field(default="", repr=False)
    """Base64; of `nonce`, by the private half of `nkey` (`verify_nkey` checks it)."""
    nonce: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    name: str = ""
    lang: str = ""
    version: str = ""
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    """The client's chain in DER, its own first; empty without a client certificate."""

    @classmethod
    def of(cls, request: "AuthRequest") -> "ConnectionAttempt":
        """The record for a request of the core."""
        return cls(
            connection=request.connection,
            in_process=request.kind == "in_process",
            client_ip=request.client_ip,
            client_port=request.client_port,
            tls=request.tls,
            user=request.user,
            password=request.password,
            token=request.token,
            nkey=request.nkey,
            signature=request.signature,
            nonce=request.nonce,
            jwt=request.jwt,
            name=request.name,
            lang=request.lang,
            version=request.version,
            certificates=tuple(request.certificates),
        )

    def verify_nkey(self) -> bool:
        """Whether the client holds the private half of `nkey`."""
        from keelback.auth import nkeys  # noqa: PLC0415

        return nkeys.verify(self.nkey, self.nonce.encode(), self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """Who a client turned out to be: the answer of an authenticator function."""

    name: str
    account: str = GLOBAL_ACCOUNT
    permissions: PermissionRules | None = None


Answer = UserIdentity | str | None
"""A string is the name of a user of the global account who may do everything."""

AuthenticateFunction = Callable[[ConnectionAttempt], "Answer | Awaitable[Answer]"]


class CallbackError(Exception):
    """An authenticator function failed, was late, or answered something else; no secrets."""


class CallbackAuthenticator:
    """Runs one function for one connection at a time or many.

    Args:
        function: sync or async.
        accounts: that an answer may name.
        timeout_s: the answer must come by then; the client is turned away afterwards anyway.
        loop: the embedding program's event loop, None when it has none.
    """

    def __init__(
        self,
        function: AuthenticateFunction,
        *,
        accounts: frozenset[str],
        timeout_s: float,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._function = function
        self._accounts = accounts
        self._timeout_s = timeout_s
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None

    async def identify(self, attempt: ConnectionAttempt) -> UserIdentity | None:
        """Who this is; None: nobody whom we know.

        Raises:
            CallbackError: the function failed. The message names the kind of failure, never the
                exception's text, which may quote what the client sent.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._run(attempt)
        except TimeoutError:
            raise CallbackError(f"gave no answer within {self._timeout_s:g}s") from None
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a stranger's function raises means no
            raise CallbackError(f"raised {type(error).__name__}") from None
        identity = _identity(answer)
        if identity is not None and identity.account not in self._accounts:
            raise CallbackError(f'named an account that does not exist: "{identity.account}"')
        return identity

    def close(self) -> None:
        """Let the thread go; a call that still runs is not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    async def _run(self, attempt: ConnectionAttempt) -> object:
        own = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not own and self._loop.is_running():
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(self._call(attempt), self._loop)
            )
        if inspect.iscoroutinefunction(self._function) or self._loop is own:
            return await self._call(attempt)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="kb-auth")
        answer = await own.run_in_executor(self._pool, self._function, attempt)
        return await answer if inspect.isawaitable(answer) else answer

    async def _call(self, attempt: ConnectionAttempt) -> object:
        answer = self._function(attempt)
        return await answer if inspect.isawaitable(answer) else answer


def _identity(answer: object) -> UserIdentity | None:
    if answer is None or isinstance(answer, UserIdentity):
        return answer
    if isinstance(answer, str) and answer:
        return UserIdentity(name=answer)
    raise CallbackError(
        f"answered {type(answer).__name__}, allowed are UserIdentity, a user's name, or None"
    )
