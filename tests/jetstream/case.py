"""What a case is made of: requests to one account, written shortly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.jetstream.judge import Account, Request

S: Final = 1_000_000_000
MS: Final = 1_000_000


@dataclass(frozen=True)
class Case:
    """Some requests to one account."""

    requests: tuple[Request, ...]
    account: Account = "A"
    narrow: bool = False

    def __str__(self) -> str:
        last = self.requests[-1]
        return f"{last.verb.lower()}-{last.payload[:80].decode('utf-8', 'replace')}"


def new(**fields: Any) -> Request:
    return Request("CREATE", fields.get("name", "S"), {"name": "S", **fields})


def change(**fields: Any) -> Request:
    return Request("UPDATE", fields.get("name", "S"), {"name": "S", **fields})


def alone(**fields: Any) -> Case:
    return Case((new(**fields),))


ORIGIN: Final = new(name="O", subjects=["o.>"], max_msg_size=1000, allow_direct=True)
PLAIN_ORIGIN: Final = new(name="O", subjects=["o.>"])


def mirror(*before: Request, beside: dict[str, Any] | None = None, **fields: Any) -> Case:
    return Case((*before, new(mirror={"name": "O", **fields}, **(beside or {}))))


def source(*before: Request, beside: dict[str, Any] | None = None, **fields: Any) -> Case:
    return Case((*before, new(sources=[{"name": "O", **fields}], **(beside or {}))))


def pairs(*rules: tuple[str, str]) -> list[dict[str, str]]:
    return [{"src": src, "dest": dest} for src, dest in rules]
