"""Sessions of requests from a seed: streams that are made, changed and deleted beside each other.

Most values are allowed alone; what is found here are rules that meet, and their order.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from tests.jetstream.case import MS, Case, S
from tests.jetstream.judge import MEGABYTE, Account, Request
from tests.jetstream.subject_cases import DESTINATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS: Final = 14
NAMES: Final = ("S", "T", "U")
_PATTERNS: Final = ("a", "b", "a.*", "a.b", "b.>", "c.*.d", "*.b", "S", "$JS.x", "a..b", ">", "d.*")
_PREFIXES: Final = ("", "$JS.hub.API", "hub", "a", "a.*", "$JS.API")


class _Draw:
    """What a field may hold."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def one(self, *values: Any) -> Any:
        return self._dice.choice(values)

    def pattern(self) -> str:
        return self._dice.choice(_PATTERNS)

    def subjects(self) -> list[str] | None:
        # Not an empty list: see DIFFERENT.
        return [self.pattern() for _ in range(self.one(0, 1, 1, 1, 2, 3))] or None

    def rule(self) -> dict[str, Any]:
        src = self.one("a.*", "b.>", "c.*.d", "a", "", self.pattern())
        dest = self.one("z", "z.$1", "z.>", ">", "", self.one(*DESTINATIONS))
        return {"src": src, "dest": dest}

    def origin(self) -> dict[str, Any]:
        origin: dict[str, Any] = {"name": self.one("S", "T", "U", "O", "O", "")}
        if self.one(True, False):
            origin["filter_subject"] = self.pattern()
        if self.one(True, False, False):
            origin["subject_transforms"] = [self.rule() for _ in range(self.one(1, 2))]
        if self.one(True, False, False, False):
            origin["external"] = {"api": self.one(*_PREFIXES), "deliver": self.one(*_PREFIXES)}
        if self.one(True, False, False, False, False):
            origin["consumer"] = {
                "name": self.one("d", "e", ""),
                "deliver_subject": self.one("x", "x.*"),
            }
        if self.one(True, False, False, False, False):
            origin["opt_start_seq"] = self.one(0, 1, 5)
        return origin

    def fields(self) -> dict[str, Callable[[], Any]]:
        flag = self.one
        ages = (0, 0, 50 * MS, 100 * MS, S, 60 * S, 600 * S, -1)
        return {
            "subjects": self.subjects,
            "retention": lambda: self.one("limits", "interest", "workqueue"),
            "max_consumers": lambda: self.one(-2, -1, 0, 5, 11),
            "max_msgs": lambda: self.one(-2, -1, 0, 5),
            "max_bytes": lambda: self.one(-1, 0, 1, MEGABYTE // 2, MEGABYTE, 100 * MEGABYTE),
            "max_age": lambda: self.one(*ages),
            "max_msgs_per_subject": lambda: self.one(-1, 0, 1, 5),
            "max_msg_size": lambda: self.one(-1, 0, 10, 100),
            "discard": lambda: self.one("old", "new"),
            "storage": lambda: self.one("file", "memory", "memory"),
            "num_replicas": lambda: self.one(0, 1, 1, 1, 1, 2, 6, -1),
            "no_ack": lambda: flag(True, False),
            "duplicate_window": lambda: self.one(*ages),
            "placement": lambda: self.one(None, {}, {"cluster": "c"}, {"preferred": "x"}),
            "mirror": lambda: self.one(None, self.origin()),
            "sources": lambda: [self.origin() for _ in range(self.one(1, 1, 2))],
            "compression": lambda: self.one("none", "s2"),
            "first_seq": lambda: self.one(0, 0, 5),
            "subject_transform": lambda: self.one(None, self.rule()),
            "republish": lambda: self.one(None, self.rule()),
            "allow_direct": lambda: flag(True, False),
            "mirror_direct": lambda: flag(True, False, False),
            "discard_new_per_subject": lambda: flag(True, False, False),
            "sealed": lambda: flag(True, False, False, False),
            "deny_delete": lambda: flag(True, False),
            "deny_purge": lambda: flag(True, False),
            "allow_rollup_hdrs": lambda: flag(True, False),
            "consumer_limits": lambda: {"max_ack_pending": self.one(0, 5)},
            "allow_msg_ttl": lambda: flag(True, False),
            "subject_delete_marker_ttl": lambda: self.one(0, 0, 1, S, -S),
            "allow_msg_counter": lambda: flag(True, False, False),
            "allow_atomic": lambda: flag(True, False),
            "allow_msg_schedules": lambda: flag(True, False),
            "persist_mode": lambda: self.one("", "default", "async"),
            "allow_batched": lambda: flag(True, False),
            "metadata": lambda: self.one(None, {"k": "v"}, {"_nats.ver": "x"}),
            "pedantic": lambda: flag(True, False, False),
        }


def session(seed: int) -> Case:
    """The session of a seed."""
    dice = random.Random(seed)
    draw = _Draw(dice)
    account: Account = draw.one("A", "A", "A", "B")
    made: dict[str, dict[str, Any]] = {}
    requests: list[Request] = []
    for _ in range(REQUESTS):
        name = dice.choice(NAMES)
        makers = draw.fields()
        chosen = dice.sample(sorted(makers), dice.choice((0, 1, 1, 2, 3, 5, 8)))
        fields = {field: makers[field]() for field in chosen}
        if account == "B":
            fields.setdefault("max_bytes", draw.one(1, 1000, MEGABYTE // 2))
        if name in made and dice.random() < 0.7:
            # Mostly what was there, so that a change is of one or two fields.
            body = (made[name] if dice.random() < 0.8 else {"name": name}) | fields
            requests.append(Request("UPDATE", name, body))
        else:
            body = {"name": name} | fields
            made[name] = {key: value for key, value in body.items() if key != "pedantic"}
            requests.append(Request("CREATE", name, body))
    return Case(tuple(requests), account=account, narrow=dice.random() < 0.2)
