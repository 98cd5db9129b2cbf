"""Decides a CONNECT that the core asks about, by nats-server's order of methods.

Source: nats-server 2.15 `server/auth.go`, `processClientOrLeafAuthentication`. Proxies, user
JWTs and the authorization callout are other methods of the same order; their options are refused
at start as long as no step here knows them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Literal

from keelback import _core
from keelback.auth import nkeys, tls_map
from keelback.auth.callback import CallbackAuthenticator, CallbackError, ConnectionAttempt
from keelback.auth.passwords import PasswordChecker
from keelback.auth.permissions import PermissionRulesError, PermissionTable
from keelback.auth.users import (
    GLOBAL_ACCOUNT,
    AuthRules,
    NkeyUser,
    PermissionRules,
    User,
    is_bcrypt,
)

CONNECTION_TYPE: Final = {"tcp": "STANDARD", "in_process": "IN_PROCESS"}

LogLevel = Literal["INF", "WRN", "ERR", "DBG"]
Log = Callable[[LogLevel, str], None]
"""Takes a line that explains a decision; never given a secret."""

Decision = _core.Admission | _core.Refusal


class Authenticator:
    """Answers requests of the core for one set of rules. Belongs to one event loop.

    Args:
        rules: checked (`AuthRules.problems` found nothing).
        permissions: shared with the gate, so that equal rules share one handle.
        log: explains refusals.
        checker: compares passwords; made here when not given.
        loop: the embedding program's event loop, for an authenticator function.
        clock: seconds, monotonic; the checker's.
    """

    def __init__(
        self,
        rules: AuthRules,
        permissions: PermissionTable,
        *,
        log: Log,
        checker: PasswordChecker | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._rules = rules
        self._permissions = permissions
        self._log = log
        self._checker = checker or PasswordChecker(clock=clock)
        self._clock = clock
        self._users = rules.users_by_name
        self._nkeys = rules.nkeys_by_key
        self._decoy = next((u.password for u in self._users.values() if is_bcrypt(u.password)), "")
        self._callback = (
            None
            if rules.authenticate is None
            else CallbackAuthenticator(
                rules.authenticate,
                accounts=rules.accounts,
                timeout_s=rules.timeout_s,
                loop=loop,
            )
        )

    def decide_at_once(self, request: _core.AuthRequest) -> Decision | None:
        """The decision if nothing must be waited for; None asks for `decide`."""
        if self._callback is not None:
            return None
        claim = self._claim(request)
        if claim is None:
            return None if self._is_unknown_user(request) else self._refuse_nobody(request)
        if claim.secret is None:
            return self._admit(request, claim)
        matches = self._checker.matches_at_once(*claim.secret)
        if matches is None:
            return None
        return self._admit(request, claim) if matches else _refuse(request)

    async def decide(self, request: _core.AuthRequest) -> Decision:
        """The decision. A failure within is a refusal with a line in the log."""
        deadline = self._clock() + self._rules.timeout_s
        if self._callback is not None:
            return await self._decide_by_callback(self._callback, request)
        claim = self._claim(request)
        if claim is None:
            if self._is_unknown_user(request):
                await self._checker.waste(self._decoy, request.password, deadline=deadline)
            return self._refuse_nobody(request)
        if claim.secret is not None and not await self._checker.matches(
            *claim.secret, deadline=deadline
        ):
            return _refuse(request)
        return self._admit(request, claim)

    def close(self) -> None:
        """Let go of threads."""
        self._checker.close()
        if self._callback is not None:
            self._callback.close()

    def _claim(self, request: _core.AuthRequest) -> "_Claim | None":
        """Whom the client may turn out to be, and what is still to be proven; None for nobody."""
        if not self._rules.required:
            return _Claim(account=GLOBAL_ACCOUNT, label=_label(request))
        nkey = self._filled_in_nkey(request)
        if self._nkeys and nkey:
            return self._claim_by_nkey(request, nkey)
        if self._users:
            if self._rules.verify_and_map:
                return self._claim_by_certificate(request)
            if self._may_be_filled_in(request) and self._rules.no_auth_user in self._users:
                user = self._users[self._rules.no_auth_user]
                return self._claim_by_user(request, user, offered=user.password)
            if request.user:
                user = self._users.get(request.user)
                return user and self._claim_by_user(request, user, offered=request.password)
        return self._claim_by_single_credential(request)

    def _filled_in_nkey(self, request: _core.AuthRequest) -> str:
        if request.nkey or not self._may_be_filled_in(request):
            return request.nkey
        return self._rules.no_auth_user if self._rules.no_auth_user in self._nkeys else ""

    def _may_be_filled_in(self, request: _core.AuthRequest) -> bool:
        """Whether `no_auth_user` stands in for what the client did not say."""
        given = request.user or request.password or request.token
        return bool(self._rules.no_auth_user) and not given

    def _claim_by_nkey(self, request: _core.AuthRequest, nkey: str) -> "_Claim | None":
        user = self._nkeys.get(nkey)
        if user is None or not _may_connect(request, user):
            return None
        # Whoever names the nkey of no_auth_user need not sign, as in nats-server.
        if nkey != self._rules.no_auth_user:
            if not request.signature:
                self._explain(request, "Signature missing")
                return None
            if not nkeys.verify(nkey, request.nonce.encode(), request.signature):
                self._explain(request, "Signature not verified")
                return None
        return _Claim(account=user.account, label=f"nkey:{nkey}", rules=user.permissions)

    def _claim_by_certificate(self, request: _core.AuthRequest) -> "_Claim | None":
        if not request.certificates:
            self._explain(request, "User required in cert, no peer certificates found")
            return None
        names = tls_map.read_certificate(request.certificates[0])
        if names is None:
            self._explain(request, "User required in cert, none found")
            return None
        user = tls_map.map_user(names, self._users, CONNECTION_TYPE[request.kind])
        if user is None:
            self._explain(request, f"User in cert [{names.texts[-1]!r}], not found")
            return None
        if request.user:
            self._log(
                "WRN",
                f'User "{request.user}" found in connect proto, but user required from cert',
            )
        return self._claim_by_user(request, user, offered=request.password)

    def _claim_by_user(
        self, request: _core.AuthRequest, user: User, *, offered: str
    ) -> "_Claim | None":
        if not _may_connect(request, user):
            return None
        return _Claim(
            account=user.account,
            label=f"user:{user.name}",
            rules=user.permissions,
            secret=(user.password, offered),
        )

    def _claim_by_single_credential(self, request: _core.AuthRequest) -> "_Claim | None":
        rules = self._rules
        if rules.token:
            secret = (rules.token, request.token)
        elif rules.user and rules.user == request.user:
            secret = (rules.password, request.password)
        else:
            return None
        return _Claim(account=GLOBAL_ACCOUNT, label=_label(request), secret=secret)

    def _is_unknown_user(self, request: _core.AuthRequest) -> bool:
        """Whether the refusal must be as slow as that of a wrong password."""
        if request.reload:
            return False
        return bool(self._decoy and request.user) and request.user not in self._users

    def _refuse_nobody(self, request: _core.AuthRequest) -> _core.Refusal:
        """No to whom no user stands for; one that a reload took away is closed in silence."""
        is_single = bool(request.user) and request.user == self._rules.user
        user_is_gone = not is_single and request.user not in self._users
        is_gone = request.nkey not in self._nkeys if request.nkey else user_is_gone
        names_somebody = request.nkey or request.user or request.certificates
        if request.reload and names_somebody and is_gone:
            return _core.Refusal(connection=request.connection, reason="Client Closed")
        return _refuse(request)

    async def _decide_by_callback(
        self, callback: CallbackAuthenticator, request: _core.AuthRequest
    ) -> Decision:
        try:
            identity = await callback.identify(ConnectionAttempt.of(request))
            if identity is None:
                return _refuse(request)
            claim = _Claim(
                account=identity.account,
                label=f"user:{identity.name}",
                rules=identity.permissions,
            )
            return self._admit(request, claim)
        except (CallbackError, PermissionRulesError) as error:
            self._log("ERR", f"{_client(request)} - Authenticator function {error}")
            return _refuse(request)

    def _admit(self, request: _core.AuthRequest, claim: "_Claim") -> _core.Admission:
        return _core.Admission(
            connection=request.connection,
            account=claim.account,
            label=claim.label,
            permissions=self._permissions.get(claim.rules),
        )

    def _explain(self, request: _core.AuthRequest, why: str) -> None:
        self._log("DBG", f"{_client(request)} - {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A user found by name; `secret` is (configured, offered) where that is still to match."""

    account: str
    label: str
    rules: PermissionRules | None = None
    secret: tuple[str, str] | None = field(default=None, repr=False)


def _may_connect(request: _core.AuthRequest, user: User | NkeyUser) -> bool:
    types = user.connection_types
    return not types or CONNECTION_TYPE[request.kind] in types


def _label(request: _core.AuthRequest) -> str:
    """How logs name a user without a table entry; nats-server goes by what CONNECT says."""
    if request.nkey:
        return f"nkey:{request.nkey}"
    if request.user:
        return f"user:{request.user}"
    return "token" if request.token else ""


def _refuse(request: _core.AuthRequest) -> _core.Refusal:
    return _core.Refusal(connection=request.connection)


def _client(request: _core.AuthRequest) -> str:
    return f"{request.client_ip}:{request.client_port} - cid:{request.connection}"
