"""Keelback: a complete NATS messaging system as one Python package.

Names are imported when they are first used, so that `import keelback` costs nothing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.auth.callback import ConnectionAttempt, UserIdentity
    from keelback.auth.users import PermissionRules, ResponseRule
    from keelback.server.embed import Server

__all__ = ["ConnectionAttempt", "PermissionRules", "ResponseRule", "Server", "UserIdentity"]

_HOMES = {
    "ConnectionAttempt": "keelback.auth.callback",
    "PermissionRules": "keelback.auth.users",
    "ResponseRule": "keelback.auth.users",
    "Server": "keelback.server.embed",
    "UserIdentity": "keelback.auth.callback",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *_HOMES))
