"""Rules → the table by which the core admits what needs no thought.

The core asks Python about the rest (`auth.authenticator`), which follows the whole order again:
the two must agree, and where the core cannot know enough it is told to ask.
"""

from __future__ import annotations

from keelback import _core
from keelback.auth.users import GLOBAL_ACCOUNT, AuthRules, User, is_bcrypt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.auth.permissions import PermissionTable


def compile_gate(rules: AuthRules, permissions: PermissionTable) -> _core.Gate:
    """The core's gate for these rules.

    Raises:
        PermissionRulesError: a user's permissions are invalid.
    """
    if not rules.required:
        return _core.Gate(required=False, default_account=GLOBAL_ACCOUNT)
    named = _named_users(rules)
    plain = [user for user in named if not is_bcrypt(user.password)]
    hashed = [user.name for user in named if is_bcrypt(user.password)]
    token = rules.token or None
    token_hashed = token is not None and is_bcrypt(token)
    return _core.Gate(
        required=True,
        default_account=GLOBAL_ACCOUNT,
        users=[_fast(user, permissions) for user in plain],
        ask_users=hashed,
        ask_nkey=bool(rules.nkeys),
        ask_all=_must_ask_all(rules, plain, hashed),
        token=None if token_hashed else token,
        ask_token=token_hashed,
        anonymous=_anonymous(rules, permissions),
        anonymous_ask=_must_ask_for_anonymous(rules),
    )


def _named_users(rules: AuthRules) -> tuple[User, ...]:
    """Users by name; the single user counts only where there is no table and no token.

    Source: the order of methods in `auth.authenticator`.
    """
    if rules.users:
        return rules.users
    if rules.user and not rules.token:
        return (User(name=rules.user, password=rules.password),)
    return ()


def _must_ask_all(rules: AuthRules, plain: list[User], hashed: list[str]) -> bool:
    # A certificate is mapped in Python. And where all passwords are digests, an unknown name
    # must take as long as a wrong password does, which the core's refusal at once would not.
    return (
        rules.authenticate is not None
        or (rules.verify_and_map and bool(rules.users))
        or (bool(hashed) and not plain)
    )


def _anonymous(rules: AuthRules, permissions: PermissionTable) -> _core.FastUser | None:
    if not rules.no_auth_user or rules.authenticate is not None:
        return None
    user = rules.users_by_name.get(rules.no_auth_user)
    if user is not None:
        return _fast(user, permissions)
    key = rules.nkeys_by_key.get(rules.no_auth_user)
    if key is None:
        return None
    return _core.FastUser(
        name=key.nkey,
        password="",
        account=key.account,
        permissions=permissions.get(key.permissions),
        connection_types=sorted(key.connection_types),
    )


def _must_ask_for_anonymous(rules: AuthRules) -> bool:
    """Whether the core cannot admit a client without credentials by itself.

    An nkey user is labelled as one; a digest never matches itself as a password, so that
    nats-server refuses such a no_auth_user; and a certificate decides by itself.
    """
    if not rules.no_auth_user:
        return False
    if rules.no_auth_user in rules.nkeys_by_key or rules.verify_and_map:
        return True
    user = rules.users_by_name.get(rules.no_auth_user)
    return user is not None and is_bcrypt(user.password)


def _fast(user: User, permissions: PermissionTable) -> _core.FastUser:
    return _core.FastUser(
        name=user.name,
        password=user.password,
        account=user.account,
        permissions=permissions.get(user.permissions),
        connection_types=sorted(user.connection_types),
    )
