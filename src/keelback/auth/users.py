"""Users and their rules as an operator means them: plain data, checked, not yet compiled.

Knows no option and no core. `AuthRules.problems` repeats nats-server's sentences.
"""

from __future__ import annotations

from keelback.auth import nkeys
from keelback.auth.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, ClassVar, Final

GLOBAL_ACCOUNT: Final = "$G"

CONNECTION_TYPES: Final = frozenset(
    ("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS")
)

DEFAULT_RESPONSE_MESSAGES: Final = 1
DEFAULT_RESPONSE_EXPIRES_S: Final = 120.0


BCRYPT_VERSIONS: Final = ("$2a$", "$2b$", "$2x$", "$2y$")
BCRYPT_COST: Final = slice(4, 6)


def is_bcrypt(password: str) -> bool:
    """Whether a configured password or token is a bcrypt digest: `$2b$10$…`."""
    # The same as nats-server's expression ^\$2[abxy]\$\d{2}\$.* without the import of `re`.
    cost = password[BCRYPT_COST]
    return (
        password.startswith(BCRYPT_VERSIONS)
        and cost.isascii()
        and cost.isdigit()
        and password[BCRYPT_COST.stop : BCRYPT_COST.stop + 1] == "$"
    )


class ResponseRule(Record):
    """`allow_responses`: a reply subject that was received may be published to for a while.

    0 stands for the default (1 message, 120 seconds), a negative number for no limit.
    """

    max_messages: int = 0
    expires_s: float = 0.0


class PermissionRules(Record):
    """One user's allow and deny lists as configured.

    An allow list that is None allows all, an empty one nothing. A subscribe entry may carry a
    queue pattern after a space: `"orders.* workers"`.
    """

    publish_allow: tuple[str, ...] | None = None
    publish_deny: tuple[str, ...] = ()
    subscribe_allow: tuple[str, ...] | None = None
    subscribe_deny: tuple[str, ...] = ()
    responses: ResponseRule | None = None


class User(Record):
    """A user by name; `password` is plain or a bcrypt digest."""

    SECRETS: ClassVar[frozenset[str]] = frozenset(("password",))

    name: str
    password: str = ""
    account: str = GLOBAL_ACCOUNT
    permissions: PermissionRules | None = None
    connection_types: frozenset[str] = frozenset()


class NkeyUser(Record):
    """A user by public nkey (`U…`), who signs the nonce of INFO."""

    nkey: str
    account: str = GLOBAL_ACCOUNT
    permissions: PermissionRules | None = None
    connection_types: frozenset[str] = frozenset()


class AuthRules(Record):
    """All that decides who may connect to one server.

    `users` and `nkeys` are None when there is no such table; an empty table is one that nobody
    is in. `user` with `password` is the single user of `authorization`, `token` its token.
    """

    SECRETS: ClassVar[frozenset[str]] = frozenset(("password", "token"))

    users: tuple[User, ...] | None = None
    nkeys: tuple[NkeyUser, ...] | None = None
    user: str = ""
    password: str = ""
    token: str = ""
    no_auth_user: str = ""
    verify_and_map: bool = False
    timeout_s: float = 2.0
    accounts_declared: tuple[str, ...] = ()
    """Accounts that exist even if no user is in them."""
    authenticate: Callable[..., Any] | None = None
    """A Python function that decides instead of the tables (`auth.callback`)."""

    @property
    def required(self) -> bool:
        """Whether a CONNECT needs to be decided at all (`auth_required`)."""
        return (
            self.authenticate is not None
            or self.users is not None
            or self.nkeys is not None
            or bool(self.user or self.token)
        )

    @property
    def needs_nonce(self) -> bool:
        """Whether INFO carries a nonce to sign."""
        return bool(self.nkeys) or self.authenticate is not None

    @property
    def users_by_name(self) -> Mapping[str, User]:
        """The table that CONNECT's `user` is looked up in."""
        return {user.name: user for user in self.users or ()}

    @property
    def nkeys_by_key(self) -> Mapping[str, NkeyUser]:
        """The table that CONNECT's `nkey` is looked up in."""
        return {user.nkey: user for user in self.nkeys or ()}

    @property
    def accounts(self) -> frozenset[str]:
        """Every account that a connection can be bound to."""
        everyone = (*(self.users or ()), *(self.nkeys or ()))
        named = frozenset(user.account for user in everyone)
        return named | {GLOBAL_ACCOUNT, *self.accounts_declared}

    @property
    def has_plain_passwords(self) -> bool:
        """Whether a secret is configured that is not a digest: worth a warning at start.

        A user without a password who is found by his certificate has none to be plain.
        """
        if self.password and not is_bcrypt(self.password):
            return True
        return any(
            not is_bcrypt(user.password)
            for user in self.users or ()
            if user.password or not self.verify_and_map
        )

    def problems(self) -> Iterator[str]:
        """What is wrong with these rules, in nats-server's words; nothing when all is well."""
        yield from _duplicates("user", [user.name for user in self.users or ()])
        yield from _duplicates("nkey", [user.nkey for user in self.nkeys or ()])
        for key in self.nkeys or ():
            if not nkeys.is_public(key.nkey, "U"):
                yield "Not a valid public nkey for a user"
        for user in (*(self.users or ()), *(self.nkeys or ())):
            for name in sorted(user.connection_types - CONNECTION_TYPES):
                yield f'unknown connection type "{name}"'
        yield from self._problems_of_no_auth_user()

    def _problems_of_no_auth_user(self) -> Iterator[str]:
        name = self.no_auth_user
        if not name:
            return
        if self.users is None and self.nkeys is None:
            yield f'no_auth_user: "{name}" present, but users/nkeys are not defined'
        elif name not in self.users_by_name and name not in self.nkeys_by_key:
            yield (
                f'no_auth_user: "{name}" not present as user or nkey in authorization block '
                "or account configuration"
            )


def _duplicates(kind: str, names: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f'Duplicate {kind} "{name}" detected'
        seen.add(name)
