"""A call of JetStream's API: the request as those who answer it see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer: TypeAlias = dict[str, Any]

TYPE_PREFIX: Final = "io.nats.jetstream.api.v1."

NAMES_LIMIT: Final = 1024
LIST_LIMIT: Final = 256
"""Names, and descriptions, on one page."""


@dataclass(frozen=True, slots=True)
class Called:
    """A request, taken apart."""

    account: str
    subject: str
    headers: bytes
    body: bytes
    client: Callable[[], Mapping[str, Any]]
    """Who asked."""
    then: list[Callable[[], None]]
    """What is done when the answer was sent."""


Call: TypeAlias = Callable[[Called, str], Answer]
"""Answers a request that concerns a stream, "" where it concerns none; raises `ApiError`."""
