"""Batches of messages, one step after the other; and random ones from a seed."""

from __future__ import annotations

import random
from typing import Final

from tests.jetstream.scripts import (
    API,
    Step,
    api,
    create,
    direct,
    headers,
    life,
    publishing,
    update,
)


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


Fast = tuple[str, str, tuple[str, ...]]
"""A message of a fast batch: its subject, the control in its reply, its headers."""

FAST: Final[tuple[Fast, ...]] = tuple(
    (subject, control, tuple(lines))
    for subject, control, *lines in (
        ("a.a", "one.2.fail.1.0"),
        ("a.a", "one.2.fail.2.1"),
        ("a.a", "one.2.fail.3.1"),
        ("a.b", "one.2.fail.4.2"),
        ("a.a", "one.2.fail.5.1"),
        ("a.a", "once.9.fail.1.2"),
        ("a.a", "eob.9.ok.1.0"),
        ("a.a", "eob.9.ok.2.1"),
        ("a.a", "eob.9.ok.3.3"),
        ("a.a", "gap.9.fail.1.0"),
        ("a.a", "gap.9.fail.3.1"),
        ("a.a", "gap.9.fail.4.1"),
        ("a.a", "gaps.9.ok.1.0"),
        ("a.a", "gaps.9.ok.5.1"),
        ("a.a", "gaps.9.ok.4.1"),
        ("a.a", "back.9.ok.1.0"),
        ("a.a", "back.9.ok.1.1"),
        ("a.a", "again.9.fail.1.0"),
        ("a.a", "again.9.fail.1.0"),
        ("a.a", "ping.1.ok.1.0"),
        ("a.a", "ping.1.ok.1.4"),
        ("a.a", "ping.1.ok.3.4"),
        ("a.a", "ping.1.ok.4.1"),
        ("a.a", "ping.1.ok.5.3"),
        ("a.a", "unknown.1.ok.2.4"),
        ("a.a", "fresh.1.ok.1.4"),
        ("a.a", "fresh.1.ok.2.3"),
        ("a.a", "pinged.1.fail.1.0"),
        ("a.a", "pinged.1.fail.2.4"),
        ("a.a", "pinged.1.fail.2.1"),
        ("a.a", "unknown.9.ok.2.1"),
        ("a.a", "x" * 65 + ".9.ok.1.0"),
        ("a.a", "bad.9.maybe.1.0"),
        ("a.a", "bad.9.ok.0.0"),
        ("a.a", "bad.9.ok.1.5"),
        ("a.a", "bad.9.ok.1.1"),
        ("a.a", "bad.9.ok.1.3"),
        ("a.a", "flow.x.ok.1.0"),
        ("a.a", "flow.x.ok.2.3"),
        ("a.a", "level.9.ok.1.0", "Nats-Required-Api-Level: 2"),
        ("a.a", "level.9.ok.2.1", "Nats-Required-Api-Level: 9"),
        ("a.a", "level.9.ok.3.1"),
        ("a.a", "ids.1.fail.1.0", "Nats-Msg-Id: 1"),
        ("a.a", "ids.1.fail.2.1", "Nats-Msg-Id: 1"),
        ("a.a", "ids.1.fail.3.1", "Nats-Msg-Id: 2"),
        ("a.a", "ids.1.fail.4.2", "Nats-Msg-Id: 2"),
        ("a.a", "known.1.fail.1.2", "Nats-Msg-Id: 2"),
        ("a.a", "known.1.ok.1.2", "Nats-Msg-Id: 2"),
        ("a.a", "known.1.fail.1.0", "Nats-Msg-Id: 2"),
        ("a.a", "known.1.fail.2.2"),
        ("a.a", "last.1.fail.1.0", "Nats-Expected-Last-Sequence: 1"),
        ("a.a", "last.1.fail.1.0"),
        ("a.a", "last.1.fail.2.1", "Nats-Expected-Last-Sequence: 1"),
        ("a.a", "last.1.fail.3.1"),
        ("a.a", "last.1.ok.1.0"),
        ("a.a", "last.1.ok.2.1", "Nats-Expected-Last-Sequence: 1"),
        ("a.a", "last.1.ok.3.1", "Nats-Expected-Last-Subject-Sequence: 1"),
        ("a.a", "last.1.ok.4.2", "Nats-Expected-Stream: B"),
        ("a.a", "roll.1.ok.1.0", "Nats-Rollup: sub"),
        ("a.a", "roll.1.ok.2.1", "Nats-Rollup: all"),
        ("a.a", "roll.1.ok.3.2", "Nats-Rollup: x"),
        ("a.a", "two.4.ok.1.0"),
        ("a.a", "three.4.ok.1.0"),
        *(("a.a", f"two.4.ok.{sequence}.1") for sequence in range(2, 20)),
        *(("a.a", f"three.4.ok.{sequence}.1") for sequence in range(2, 20)),
        ("a.a", "two.4.ok.20.3"),
        ("a.a", "three.4.ok.20.2"),
        ("a.a", "long.65535.ok.1.0"),
        *(("a.a", f"long.65535.ok.{sequence}.1") for sequence in range(2, 1010)),
        ("a.a", "long.65535.ok.1010.3"),
        ("n.a", "off.9.ok.1.0"),
        ("s.a", "small.9.ok.1.0", "A: " + "x" * 100),
        ("s.a", "small.9.ok.1.0"),
        ("s.a", "small.9.ok.2.1"),
        ("s.a", "small.9.ok.3.1"),
        ("s.a", "small.9.ok.4.3"),
        ("s.a", "full.9.fail.1.0"),
        ("q.a", "quiet.1.ok.1.0"),
        ("q.a", "quiet.1.ok.2.3"),
    )
)


def fast_streams(storage: str) -> list[Step]:
    """The streams of `FAST`."""
    full = {"max_msgs": 2, "discard": "new", "max_msg_size": 100}
    return [
        create("A", subjects=["a.>"], storage=storage, allow_batched=True, allow_rollup_hdrs=True),
        create("N", subjects=["n.>"], storage=storage),
        create("S", subjects=["s.>"], storage=storage, allow_batched=True, **full),
        create("Q", subjects=["q.>"], storage=storage, allow_batched=True, no_ack=True),
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


def random_fast(seed: int) -> list[Fast]:
    """Messages of fast batches from a seed."""
    dice = random.Random(seed)
    batches: list[list[Fast]] = []
    for batch in range(3):
        gap = dice.choice(("ok", "fail"))
        found: list[Fast] = []
        batches.append(found)
        flow, length = dice.randrange(1, 6), dice.randrange(1, 14)
        for sequence in range(1, length + 1):
            if dice.random() < 0.1:
                continue
            operation = 0 if sequence == 1 else 1
            if sequence == length:
                operation = dice.choice((1, 2, 2, 3)) if sequence > 1 else dice.choice((0, 2))
            elif dice.random() < 0.1:
                operation = 4
            chosen = dice.sample(_HEADERS, dice.choice((0, 0, 0, 1, 1, 2)))
            lines = tuple(line.format(dice.randrange(12)) for line in chosen)
            control = f"{seed}-{batch}.{flow}.{gap}.{sequence}.{operation}"
            found.append((f"a.{dice.randrange(3)}", control, lines))
    # Batches beside each other, each in its order.
    mixed: list[Fast] = []
    while any(batches):
        mixed.append(dice.choice([batch for batch in batches if batch]).pop(0))
    return mixed


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


def counters(storage: str) -> list[Step]:
    """Messages that add to the total of their subject."""

    def add(subject: str, text: str, *more: str, payload: bytes = b"") -> Step:
        return (subject, payload, headers(f"Nats-Incr: {text}", *more))

    return [
        create("C", subjects=["c.>"], storage=storage, allow_msg_counter=True, allow_direct=True),
        add("c.a", "5"),
        add("c.a", "+7"),
        add("c.b", "-3"),
        add("c.a", "-20"),
        add("c.a", "123456789012345678901234567890"),
        add("c.a", "0"),
        api("STREAM.MSG.GET.C", last_by_subj="c.a"),
        (API + "DIRECT.GET.C.c.b", b""),
        add("c.a", "x"),
        add("c.a", ""),
        add("c.a", "1.5"),
        add("c.a", "1", payload=b"x"),
        ("c.a", b""),
        ("c.a", b"x"),
        ("c.a", b"", headers("A: b")),
        ("c.a", b"", headers("Nats-Msg-Id: none")),
        add("c.a", "1", "Nats-Msg-Id: one"),
        add("c.a", "1", "Nats-Msg-Id: one"),
        ("c.a", b"", headers("Nats-Msg-Id: one")),
        add("c.a", "1", "Nats-Expected-Stream: C"),
        add("c.a", "1", "Nats-Rollup: sub"),
        add("c.a", "1", "Nats-Expected-Last-Sequence: 1"),
        add("c.a", "1", "Nats-Expected-Last-Subject-Sequence: 1"),
        add("c.a", "1", "Nats-Expected-Last-Msg-Id: one"),
        add("c.a", "1", "Nats-Expected-Last-Subject-Sequence-Subject: c.a"),
        add("c.a", "1", "Nats-Schedule: @every 1s"),
        add("c.a", "1", "A: b"),
        api("STREAM.MSG.GET.C", last_by_subj="c.a"),
        api("STREAM.PURGE.C", filter="c.a"),
        add("c.a", "2"),
        api("STREAM.MSG.DELETE.C", seq=3),
        add("c.b", "2"),
        api("STREAM.INFO.C", subjects_filter=">"),
        create("D", subjects=["d.>"], storage=storage, allow_msg_counter=True, max_msg_size=60),
        add("d.a", "9" * 20),
        add("d.a", "1"),
        add("d.a", "1", "Long: " + "x" * 60),
        create("E", subjects=["e"], storage=storage),
        add("e", "1"),
        create(
            "T",
            subjects=["t.>"],
            storage=storage,
            allow_msg_counter=True,
            max_msgs_per_subject=1,
            subject_transform={"src": "t.*", "dest": "u.{{wildcard(1)}}"},
        ),
        add("t.a", "1"),
        add("t.a", "1"),
        api("STREAM.INFO.T", subjects_filter=">"),
        update("C", subjects=["c.>"], storage=storage),
    ]


ALL: Final = (life, publishing, direct, atomic, counters)
"""Every script, each of a storage."""
