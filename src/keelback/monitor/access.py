"""Who may read monitoring: everybody, or who knows a password or a token."""

from __future__ import annotations

import base64
import binascii
from time import monotonic
from typing import Final

from keelback.auth.passwords import PasswordChecker, plain_matches

CHECK_TIMEOUT_S: Final = 5.0
"""A wave of wrong passwords must not keep a right one waiting for ever."""

CREDENTIALS_BYTES_MAX: Final = 4096


class Access:
    """Checks the `Authorization` header. Belongs to one event loop.

    Args:
        user: name for basic authentication; "" is without.
        password: of the user, plain or a bcrypt digest.
        token: for `Bearer`, plain or a bcrypt digest; "" is without.
    """

    def __init__(self, *, user: str = "", password: str = "", token: str = "") -> None:
        self._user = user
        self._password = password
        self._token = token
        # One thread: whoever guesses passwords shall not have the machine's processors for it.
        self._checker = PasswordChecker(threads=1)

    def change(self, *, user: str, password: str, token: str) -> None:
        """Ask for these from the next request on; on the event loop."""
        self._user, self._password, self._token = user, password, token

    @property
    def is_restricted(self) -> bool:
        """Whether anything is asked for."""
        return bool(self._user or self._token)

    @property
    def challenge(self) -> str:
        """The `WWW-Authenticate` header of a refusal."""
        return 'Basic realm="monitoring", charset="UTF-8"' if self._user else "Bearer"

    async def allows(self, header: str) -> bool:
        """Whether a request with this `Authorization` header may read."""
        if not self.is_restricted:
            return True
        scheme, _, credentials = header.partition(" ")
        credentials = credentials.strip()
        if len(credentials) > CREDENTIALS_BYTES_MAX:
            return False
        if scheme.lower() == "bearer" and self._token:
            return await self._matches(self._token, credentials)
        if scheme.lower() != "basic" or not self._user:
            return False
        try:
            pair = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        user, _, password = pair.partition(":")
        # The password is compared for a wrong user, too: names must not be told by time.
        right_user = plain_matches(self._user, user)
        return await self._matches(self._password, password) and right_user

    def close(self) -> None:
        """Let the thread go."""
        self._checker.close()

    async def _matches(self, configured: str, offered: str) -> bool:
        return await self._checker.matches(
            configured, offered, deadline=monotonic() + CHECK_TIMEOUT_S
        )
