"""The configurations under which sessions are held, and who may log in under each."""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """A configuration text, and what a generated CONNECT may carry under it.

    Wrong logins are tried seldom: they end a connection. `headers`: the server supports them.
    """

    name: str
    config: str
    logins: tuple[dict[str, str], ...] = ({},)
    wrong_logins: tuple[dict[str, str], ...] = ({"user": "nobody", "pass": "x"},)
    headers: bool = True


def _login(user: str, password: str = "x") -> dict[str, str]:
    return {"user": user, "pass": password}


OPEN: Final = Profile("open", 'server_name: "twin"\n')
LIMITS: Final = Profile(
    "limits",
    'server_name: "twin"\nmax_payload: 48\nmax_control_line: 160\nmax_subscriptions: 4\n'
    "max_subscription_tokens: 3\n",
)
NO_HEADERS: Final = Profile(
    "no-headers", 'server_name: "twin"\nno_header_support: true\n', headers=False
)
# No subscription is allowed by a pattern that ends in `*`: the servers read that differently.
# Nobody else has the password of `open`: after an early operation nats-server takes it for one that
# is missing.
USERS: Final = Profile(
    "users",
    """server_name: "twin"
authorization { users: [
  { user: open, password: unknown }
  { user: all, password: x }
  { user: some, password: x, permissions: {
      publish: { allow: ["a.>", "b", "r.*"], deny: ["a.c", "*.b.c"] }
      subscribe: { allow: ["a.>", "b.>", "r.>"], deny: ["a.b", "b.c.*"] } } }
  { user: not, password: x, permissions: {
      publish: { deny: ["b.>", "c"] }, subscribe: { deny: ["a.b", "c.>", "b.* Q00"] } } }
  { user: reply, password: x, permissions: {
      subscribe: ["a.>", "b.>", "c.>"], allow_responses: { max: 2, expires: "1m" } } }
] }
no_auth_user: open
""",
    (
        {},
        *(_login(user) for user in ("all", "some", "some", "not", "reply", "reply", "reply")),
    ),
    (_login("all", "wrong"), _login("some", ""), _login("nobody")),
)
ACCOUNTS: Final = Profile(
    "accounts",
    """server_name: "twin"
accounts {
  A { users: [ { user: a1, password: x }, { user: a2, password: x, permissions: {
      subscribe: { deny: "a.>" } } } ] }
  B { users: [ { user: b1, password: x } ] }
}
""",
    (_login("a1"), _login("a1"), _login("a2"), _login("b1"), _login("b1")),
    (_login("b1", "no"), {}),
)
PROFILES: Final = (OPEN, LIMITS, NO_HEADERS, USERS, ACCOUNTS)
