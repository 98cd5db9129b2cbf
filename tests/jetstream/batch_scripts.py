"""Batches of messages, one step after the other; and random ones from a seed."""

from __future__ import annotations

import random
from typing import Final

from tests.jetstream.scripts import Step, api, create, headers, update


def part(
    batch: str, sequence: int | str, *more: str, subject: str = "a.a", payload: bytes = b"x"
) -> Step:
    """A message of a batch."""
    lines = (f"Nats-Batch-Id: {batch}", f"Nats-Batch-Sequence: {sequence}", *more)
    return (subject, payload, headers(*lines))


LAST: Final = "Nats-Batch-Commit: 1"
END: Final = "Nats-Batch-Commit: eob"


def atomic(storage: str) -> list[Step]:
    """Batches that are stored whole or not at all."""
    info = api("STREAM.INFO.A", subjects_filter=">")
    return [
        create("A", subjects=["a.>"], storage=storage, allow_atomic=True, allow_rollup_hdrs=True),
        part("one", 1, LAST),
        part("two", 1),
        part("two", 2, subject="a.b"),
        info,
        part("two", 3, LAST, "A: b", payload=b"last"),
        info,
        api("STREAM.MSG.GET.A", seq=4),
        part("three", 1),
        part("three", 2, END),
        api("STREAM.MSG.GET.A", seq=5),
        part("alone", 1, END),
        part("gap", 1),
        part("gap", 3),
        part("gap", 2, LAST),
        part("unknown", 2),
        part("unknown", 1001),
        part("unknown", 1002, END),
        part("x" * 65, 1),
        part("none", "x"),
        ("a.a", b"", headers("Nats-Batch-Id: none")),
        ("a.a", b"", headers("Nats-Batch-Id:", "Nats-Batch-Sequence: 1")),
        part("commit", 1, "Nats-Batch-Commit: 2"),
        part("commit", 1, "Nats-Batch-Commit:"),
        part("level", 1, "Nats-Required-Api-Level: 2"),
        part("level", 2, "Nats-Required-Api-Level: 9"),
        part("level", 1, LAST, "Nats-Required-Api-Level: 2"),
        api("STREAM.MSG.GET.A", last_by_subj="a.a"),
        part("ids", 1, "Nats-Msg-Id: 1"),
        part("ids", 2, LAST, "Nats-Msg-Id: 2"),
        part("ids", 1, "Nats-Msg-Id: 3"),
        part("ids", 2, LAST, "Nats-Msg-Id: 3"),
        part("ids", 1, LAST, "Nats-Msg-Id: 2"),
        ("a.a", b"", headers("Nats-Msg-Id: 3")),
        ("a.a", b"", headers("Nats-Msg-Id: 1")),
        info,
        part("last", 1, "Nats-Expected-Last-Sequence: 9"),
        part("last", 2, LAST),
        part("last", 1, "Nats-Expected-Last-Sequence: 99", LAST),
        part("last", 1),
        part("last", 2, "Nats-Expected-Last-Sequence: 12", LAST),
        part("last", 1),
        part("last", 2, "Nats-Expected-Last-Sequence: 13", LAST),
        info,
        part("subject", 1, "Nats-Expected-Last-Subject-Sequence: 0", subject="a.new"),
        part("subject", 2, "Nats-Expected-Last-Subject-Sequence: 3", subject="a.b"),
        part("subject", 3, LAST),
        part("subject", 1, subject="a.c"),
        part("subject", 2, "Nats-Expected-Last-Subject-Sequence: 0", LAST, subject="a.c"),
        part("subject", 1, LAST, "Nats-Expected-Last-Subject-Sequence: 1", subject="a.c"),
        part("subject", 1, LAST, "Nats-Expected-Last-Subject-Sequence-Subject: a.b"),
        part("msg", 1),
        part("msg", 2, LAST, "Nats-Expected-Last-Msg-Id: 1"),
        part("other", 1, LAST, "Nats-Expected-Stream: B"),
        part("ttl", 1, LAST, "Nats-TTL: 1h"),
        part("ttl", 1, LAST, "Nats-TTL: nonsense"),
        part("source", 1, LAST, "Nats-Stream-Source: x"),
        part("incr", 1, LAST, "Nats-Incr: 1"),
        part("incr", 1, LAST, "Nats-Incr: x"),
        part("schedule", 1, LAST, "Nats-Schedule: @every 1s"),
        part("rollup", 1, subject="a.b"),
        part("rollup", 2, LAST, "Nats-Rollup: sub", subject="a.b"),
        part("rollup", 1, subject="a.b"),
        part("rollup", 2, LAST, "Nats-Rollup: all", subject="a.b"),
        part("rollup", 1, LAST, "Nats-Rollup: x", subject="a.b"),
        part("rollup", 1, "Nats-Rollup: sub", subject="a.b"),
        part("rollup", 2, LAST, subject="a.b"),
        info,
        part("rollup", 1, "Nats-Rollup: all", subject="a.b"),
        part("rollup", 2, LAST, subject="a.b"),
        info,
        part("off", 1),
        update("A", subjects=["a.>"], storage=storage),
        part("off", 2, LAST),
        update("A", subjects=["a.>"], storage=storage, allow_atomic=True),
        part("off", 2, LAST),
        create("N", subjects=["n.>"], storage=storage, allow_atomic=True, no_ack=True),
        create(
            "L",
            subjects=["l.>"],
            storage=storage,
            allow_atomic=True,
            max_msgs=3,
            max_msg_size=150,
            discard="new",
            max_msgs_per_subject=2,
            discard_new_per_subject=True,
        ),
        part("full", 1, subject="l.a"),
        part("full", 2, subject="l.a"),
        part("full", 3, LAST, subject="l.a"),
        part("full", 1, subject="l.a"),
        part("full", 2, subject="l.a"),
        part("full", 3, subject="l.b"),
        part("full", 4, LAST, subject="l.c"),
        part("full", 1, subject="l.a"),
        part("full", 2, LAST, subject="l.b"),
        part("full", 1, LAST, subject="l.b", payload=bytes(150)),
        api("STREAM.INFO.L", subjects_filter=">"),
        create(
            "T",
            subjects=["t.>"],
            storage=storage,
            allow_atomic=True,
            subject_transform={"src": "t.*", "dest": "u.{{wildcard(1)}}"},
        ),
        part("turned", 1, subject="t.a"),
        part("turned", 2, LAST, "Nats-Expected-Last-Subject-Sequence: 0", subject="t.b"),
        api("STREAM.INFO.T", subjects_filter=">"),
        part("large", 1),
        *[part("large", number) for number in range(2, 1002)],
        part("largest", 1),
        *[part("largest", number) for number in range(2, 1001)],
        part("largest", 1001, END),
        api("STREAM.INFO.A"),
        *[part(f"open{number}", 1) for number in range(51)],
        api("STREAM.INFO.A"),
    ]


_HEADERS: Final = (
    "Nats-Msg-Id: {}",
    "Nats-Expected-Last-Sequence: {}",
    "Nats-Expected-Last-Subject-Sequence: {}",
    "Nats-Rollup: sub",
    "Nats-Rollup: all",
    "Nats-TTL: 1h",
    "Nats-TTL: 0",
    "Nats-Expected-Stream: A",
)


def random_batches(seed: int, storage: str) -> list[Step]:
    """Batches from a seed, with what a few messages before and beside them do."""
    dice = random.Random(seed)
    max_bytes = dice.choice((-1, -1, 600))
    # Where bytes are limited, nats-server stores a part of a batch that ends otherwise.
    ends = (LAST, LAST, END) if max_bytes < 0 else (LAST,)
    steps: list[Step] = [
        create(
            "A",
            subjects=["a.>"],
            storage=storage,
            allow_atomic=True,
            allow_rollup_hdrs=dice.random() < 0.8,
            allow_msg_ttl=dice.random() < 0.5,
            max_msgs=dice.choice((-1, -1, 5)),
            max_bytes=max_bytes,
            discard=dice.choice(("old", "new")),
            max_msgs_per_subject=dice.choice((-1, -1, 1, 2)),
        )
    ]

    def lines() -> list[str]:
        chosen = dice.sample(_HEADERS, dice.choice((0, 0, 1, 1, 2)))
        return [line.format(dice.randrange(12)) for line in chosen]

    for number in range(dice.randrange(12, 20)):
        subject = f"a.{dice.randrange(3)}"
        if dice.random() < 0.3:
            steps.append((subject, b"alone", headers("A: b", *lines())))
            continue
        length = dice.randrange(1, 6)
        for sequence in range(1, length + 1):
            more = lines()
            if sequence == length:
                more.append(dice.choice(ends))
            steps.append(part(str(number), sequence, *more, subject=f"a.{dice.randrange(3)}"))
        steps.append(api("STREAM.INFO.A", subjects_filter=">"))
    return steps
