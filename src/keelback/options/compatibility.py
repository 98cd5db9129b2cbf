"""The nats-server whose behaviour this is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NATS_SERVER_VERSION: Final = "2.15.1"
