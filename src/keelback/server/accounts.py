"""Accounts as configured → the tables that the core routes and limits by."""

from __future__ import annotations

from keelback import _core
from keelback.auth.users import GLOBAL_ACCOUNT
from keelback.server.settings import AccountSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from keelback.server.settings import ServerSettings

UNLIMITED: Final = AccountSettings(name="")


def account_tables(settings: ServerSettings) -> list[_core.AccountTable]:
    """One table for each account but the global one, which is there anyway."""
    limits = {account.name: account for account in settings.accounts}
    tables: list[_core.AccountTable] = []
    for name in sorted(settings.auth.accounts - {GLOBAL_ACCOUNT}):
        account = limits.get(name, UNLIMITED)
        tables.append(
            _core.AccountTable(
                name=name,
                max_connections=account.max_connections,
                max_subscriptions=account.max_subscriptions,
                max_payload=account.max_payload,
            )
        )
    return tables
