"""Accounts as configured → the tables that the core routes and limits by."""

from __future__ import annotations

from keelback import _core
from keelback.auth.users import GLOBAL_ACCOUNT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.server.settings import ServerSettings


def account_tables(settings: ServerSettings) -> list[_core.AccountTable]:
    """One table for each account but the global one, which is there anyway."""
    return [
        _core.AccountTable(name=name)
        for name in sorted(settings.auth.accounts - {GLOBAL_ACCOUNT})
    ]
