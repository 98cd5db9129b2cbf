"""The calls that concern consumers: there are none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keelback.jetstream.calls import LIST_LIMIT, NAMES_LIMIT
from keelback.jetstream.errors import CONSUMER_CREATE, CONSUMER_NOT_FOUND

if TYPE_CHECKING:
    from keelback.jetstream.calls import Answer, Called
    from keelback.jetstream.registry import Registry


class ConsumerCalls:
    """The calls that concern consumers."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def names(self, called: Called, name: str) -> Answer:
        """Their names."""
        self._registry.kept(called.account, name)
        return {"total": 0, "offset": 0, "limit": NAMES_LIMIT, "consumers": []}

    def list(self, called: Called, name: str) -> Answer:
        """What they are."""
        self._registry.kept(called.account, name)
        return {"total": 0, "offset": 0, "limit": LIST_LIMIT, "consumers": []}

    def find(self, called: Called, name: str) -> Answer:
        """One of them."""
        self._registry.kept(called.account, name)
        raise CONSUMER_NOT_FOUND.error()

    def create(self, called: Called, name: str) -> Answer:
        """Make one."""
        self._registry.kept(called.account, name)
        raise CONSUMER_CREATE.error(err="keelback does not support consumers yet")
