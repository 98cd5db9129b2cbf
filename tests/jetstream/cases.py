"""Configurations by hand: each rule broken once, and what is allowed beside it.

A case is a list of requests to an empty account; the last is what it is about.
"""

from __future__ import annotations

from typing import Any, Final

from tests.jetstream.case import MS, ORIGIN, Case, S, alone, change, new, pairs, source
from tests.jetstream.judge import MEGABYTE, Request, Verb
from tests.jetstream.origin_cases import cycles, mirrors, sources
from tests.jetstream.subject_cases import subjects, transforms


def _names() -> list[Case]:
    tokens = ["S", "a-b_c", "é", "x" * 255, "x" * 256, "$S", "a\\b", "a/b", "a\tb"]
    cases = [
        Case((Request("CREATE", token, {"name": token}),)) for token in tokens if "\t" not in token
    ]
    return [
        *cases,
        *(Case((Request("UPDATE", t, {"name": t}),)) for t in ["S", "x" * 256, "a\\b", "a/b"]),
        *(
            Case((Request(verb, "S", {"name": name}),))
            for verb in _VERBS
            for name in ["", "T", "a b", "a.b", "a*", ">", "a\tb", "\u00a0"]
        ),
        Case((Request("CREATE", "S", b""),)),
        Case((Request("UPDATE", "S", b""),)),
    ]


_VERBS: Final[tuple[Verb, ...]] = ("CREATE", "UPDATE")


def _texts() -> list[Case]:
    return [
        alone(description="d" * 4096),
        alone(description="d" * 4097),
        alone(description="é" * 2049),
        alone(description='<a href="x">&amp;</a>\u2028\u2029\n\t\x00\x7f\ud83d\ude00'),
        alone(metadata={"b": "1", "a": "2", "é": "<>"}),
        alone(metadata={"k": "v" * (128 * 1024 - 17)}),
        alone(metadata={"k": "v" * (128 * 1024 - 16)}),
        alone(metadata={"_nats.ver": "1", "_nats.level": "9", "_nats.req.level": "7"}),
        Case((new(), change(metadata={"k": "v" * (128 * 1024)}))),
        Case((new(), change(metadata={"k": "v" * (128 * 1024 - 1)}))),
        Case((new(), change(metadata={"_nats.ver": "x", "a": "b"}))),
    ]


def _counts() -> list[Case]:
    names = ("max_msgs", "max_msgs_per_subject", "max_bytes", "max_msg_size", "max_consumers")
    return [
        alone(**{name: value, "pedantic": pedantic})
        for name in names
        for value in (-5, -1, 0, 1, 7)
        for pedantic in (False, True)
    ] + [
        alone(num_replicas=count, storage=storage)
        for count in (-1, 0, 1, 2, 5, 6)
        for storage in ("file", "memory")
    ]


def _times() -> list[Case]:
    values = (-1, 0, 1, 100 * MS - 1, 100 * MS, 90 * S, 120 * S, 121 * S, 3600 * S)
    return [
        Case((new(max_age=age, duplicate_window=window, pedantic=pedantic),), narrow=narrow)
        for age in (-1, 0, 1, 100 * MS, 60 * S, 3600 * S)
        for window in values
        for pedantic in (False, True)
        for narrow in (False, True)
    ]


def _flags() -> list[Case]:
    counter = {"allow_msg_counter": True}
    schedules = {"allow_msg_schedules": True}
    marker = {"subject_delete_marker_ttl": S}
    per_subject = {"discard_new_per_subject": True}
    on = {"allow_msg_ttl": True, "allow_rollup_hdrs": True}
    asynchronous = {"persist_mode": "async"}
    cases: list[dict[str, Any]] = [
        {"deny_purge": True, "allow_rollup_hdrs": True},
        {"deny_purge": True, "deny_delete": True},
        counter,
        counter | {"discard": "new"},
        counter | {"allow_msg_ttl": True},
        counter | schedules,
        counter | {"retention": "interest"},
        counter | {"retention": "workqueue"},
        counter | marker,
        per_subject,
        per_subject | {"discard": "new"},
        per_subject | {"discard": "new", "max_msgs_per_subject": 1},
        {"discard": "NEW"},
        marker,
        marker | {"deny_purge": True},
        marker | {"allow_msg_ttl": True},
        marker | on,
        {"subject_delete_marker_ttl": 1},
        {"subject_delete_marker_ttl": -1},
        schedules,
        schedules | {"discard": "new"},
        schedules | {"deny_purge": True},
        schedules | {"allow_rollup_hdrs": True},
        asynchronous,
        asynchronous | {"storage": "memory"},
        asynchronous | {"num_replicas": 3},
        asynchronous | {"allow_atomic": True},
        asynchronous | {"allow_batched": True},
        {"persist_mode": "default"},
        {"persist_mode": ""},
        {"allow_atomic": True},
        {"allow_batched": True},
        {"allow_msg_ttl": True},
        {"sealed": True},
        {"mirror_direct": True},
        {"allow_direct": True},
        {"no_ack": True},
        {"first_seq": 18446744073709551615},
        {"compression": "s2"},
        {"compression": "s2", "storage": "memory"},
        {"retention": "interest"},
        {"retention": "workqueue", "discard": "new"},
        {"consumer_limits": {"inactive_threshold": S, "max_ack_pending": 5}},
        {"consumer_limits": {"inactive_threshold": -S, "max_ack_pending": -5}},
        {"consumer_limits": {}},
    ]
    return [alone(**fields, pedantic=pedantic) for fields in cases for pedantic in (False, True)]


def _placement() -> list[Case]:
    places: list[dict[str, Any]] = [
        {},
        {"tags": []},
        {"tags": None},
        {"tags": ["a", "!b"]},
        {"cluster": "c"},
        {"preferred": "n"},
        {"cluster": "", "preferred": ""},
    ]
    return [alone(placement=place) for place in places]


def _limits() -> list[Case]:
    def limited(*requests: Request) -> Case:
        return Case(requests, account="B")

    half = {"max_bytes": MEGABYTE // 2}
    return [
        limited(new()),
        limited(new(max_bytes=MEGABYTE)),
        limited(new(max_bytes=3 * MEGABYTE // 2)),
        limited(new(max_bytes=3 * MEGABYTE // 2 + 1)),
        limited(new(max_bytes=3 * MEGABYTE)),
        limited(new(max_bytes=3 * MEGABYTE, storage="file")),
        limited(new(max_bytes=2 * MEGABYTE, storage="file")),
        limited(new(max_bytes=MEGABYTE, storage="file", num_replicas=3)),
        limited(new(max_bytes=MEGABYTE // 2, storage="memory")),
        limited(new(max_bytes=MEGABYTE // 2 + 1, storage="memory")),
        limited(new(max_bytes=2 * MEGABYTE, storage="memory")),
        limited(new(max_consumers=11, max_bytes=1)),
        limited(new(max_consumers=10, max_bytes=1)),
        limited(new(max_consumers=11)),
        limited(*(new(name=name, max_bytes=1) for name in "TUVW")),
        limited(*(new(name=name, max_bytes=1) for name in "TUVT")),
        limited(*(new(name=name, max_bytes=MEGABYTE) for name in "TUV")),
        limited(*(new(name=name, max_bytes=MEGABYTE, storage="file") for name in "TUV")),
        limited(*(new(name=name, **half, storage="memory") for name in "TUV")),
        limited(new(name="T", max_bytes=MEGABYTE), new(**half), change(max_bytes=MEGABYTE)),
        limited(new(name="T", max_bytes=MEGABYTE), new(**half), change(max_bytes=MEGABYTE + 1)),
        limited(new(**half), change(max_bytes=3 * MEGABYTE // 2)),
        limited(new(**half), change(max_bytes=2 * MEGABYTE)),
        limited(new(**half), change()),
        limited(new(**half), change(**half, max_consumers=11)),
        limited(new(**half), change(max_bytes=1)),
        alone(max_bytes=257 * MEGABYTE),
        alone(max_bytes=257 * MEGABYTE, storage="file"),
        alone(max_bytes=65 * MEGABYTE, storage="memory"),
        alone(max_bytes=64 * MEGABYTE, storage="memory"),
        alone(max_bytes=9223372036854775807),
        Case((new(name="T", max_bytes=200 * MEGABYTE), new(max_bytes=56 * MEGABYTE))),
        Case((new(name="T", max_bytes=200 * MEGABYTE), new(max_bytes=57 * MEGABYTE))),
        Case((new(max_bytes=200 * MEGABYTE), change(max_bytes=256 * MEGABYTE))),
        Case((new(max_bytes=200 * MEGABYTE), change(max_bytes=257 * MEGABYTE))),
        Case((new(max_bytes=256 * MEGABYTE), new(name="T", subjects=["t"]))),
        Case((new(max_bytes=256 * MEGABYTE), change())),
    ]


def _again() -> list[Case]:
    full = {"subjects": ["a"], "max_age": 5 * S, "metadata": {"a": "b"}}
    return [
        Case((new(), new())),
        Case((new(), new(max_msgs=5))),
        Case((new(**full), new(**full))),
        Case((new(**full), new(**full | {"metadata": {"a": "c"}}))),
        Case((new(**full), new(**full | {"metadata": {"a": "b", "_nats.req.level": "9"}}))),
        Case((new(**full), new(**full | {"metadata": {"a": "b", "_nats.ver": "9"}}))),
        Case((new(), new(storage="file", retention="limits", max_msgs=-1, subjects=["S"]))),
        Case((new(sources=[{"name": "O"}]), new(sources=[{"name": "O"}]))),
        Case((new(sources=[{"name": "O"}]), new(sources=[{"name": "P"}]))),
        Case((new(mirror={"name": "O"}), new(mirror={"name": "O"}))),
        Case((new(mirror={"name": "O"}), ORIGIN, new(mirror={"name": "O"}))),
        Case((new(), Request("DELETE", "S"), new(max_msgs=5))),
        Case((new(), new(num_replicas=3))),
    ]


def _updates() -> list[Case]:
    def both(before: dict[str, Any], after: dict[str, Any]) -> Case:
        return Case((new(**before), change(**after)))

    mirrored = {"mirror": {"name": "O"}}
    flags = ("deny_delete", "deny_purge", "allow_msg_ttl", "allow_msg_counter", "allow_direct",
             "allow_msg_schedules", "allow_atomic", "allow_batched", "no_ack", "mirror_direct",
             "allow_rollup_hdrs", "discard_new_per_subject")  # fmt: skip
    policies = ("limits", "interest", "workqueue")
    changes: list[dict[str, Any]] = [
        {"max_msgs": 5, "max_bytes": 1000, "max_age": S, "max_msg_size": 9},
        {"storage": "memory"},
        {"num_replicas": 3},
        {"num_replicas": 0},
        {"compression": "s2"},
        {"first_seq": 7},
        {"description": "x", "metadata": {"a": "b"}},
        {"persist_mode": "async"},
        {"duplicate_window": S},
        {"sealed": True},
        {"sealed": True, "max_age": 5 * S, "duplicate_window": S},
        {"sealed": True, "allow_rollup_hdrs": True},
        {"sealed": True, "deny_purge": True, "pedantic": True},
        {"sources": [{"name": "O"}]},
        {"subjects": ["z"], "sources": [{"name": "O", "filter_subject": "a..b"}]},
        {"placement": {}},
        {"placement": {"cluster": "x"}},
        {"consumer_limits": {"max_ack_pending": 3}},
        {"discard": "new", "discard_new_per_subject": True, "max_msgs_per_subject": 3},
        {"subject_delete_marker_ttl": S},
        {"max_msgs": -7, "pedantic": True},
        mirrored,
        {"foo": 1},
    ]
    return [
        *(both({}, after) for after in changes),
        *(both({"retention": a}, {"retention": b}) for a in policies for b in policies),
        *(both({flag: a}, {flag: b}) for flag in flags for a in (False, True) for b in (False, True)
          if flag not in ("mirror_direct", "discard_new_per_subject") or not a),
        both({"allow_msg_schedules": True}, {"allow_rollup_hdrs": True}),
        both({"subject_delete_marker_ttl": S}, {}),
        both({"subject_delete_marker_ttl": S}, {"allow_msg_ttl": True}),
        both({}, {"republish": {"src": "a"}}),
        both({}, {"republish": {"src": "a.>", "headers_only": True}}),
        both({"persist_mode": "async"}, {}),
        both({"storage": "memory"}, {}),
        both(mirrored, mirrored),
        both(mirrored, {"mirror": {"name": "P"}}),
        both(mirrored, {"mirror": {"name": "O", "filter_subject": "a"}}),
        both(mirrored, {}),
        both(mirrored, {"subjects": ["a"]}),
        both({"sources": [{"name": "O"}]}, {}),
        both({"sources": [{"name": "O"}]}, {"sources": [{"name": "P"}, {"name": "O"}]}),
        Case((new(), change(sealed=True), change())),
        Case((new(), change(sealed=True), change(sealed=True))),
        Case((new(), change(sealed=True), change(sealed=True, deny_delete=True, deny_purge=True,
                                                 max_msgs=5))),
        Case((new(), change(sealed=True), new(deny_delete=True, deny_purge=True))),
        Case((change(),)),
        Case((new(), Request("UPDATE", "S", {"name": "T"}))),
        Case((new(), Request("UPDATE", "T", {"name": "S"}))),
        Case((new(), Request("UPDATE", "S", b"{"))),
    ]  # fmt: skip


def _levels() -> list[Case]:
    levels = ("0", "5", "6", "-1", "+5", "x", "5.0", "00005", "99999999999999999999", "1_0")
    return [Case((Request("CREATE", "S", {"name": "S"}, level=level),)) for level in levels]


def _whole() -> list[Case]:
    """Every field at once, as far as they go together."""
    common = {
        "description": "all", "max_consumers": 5, "max_msgs": 6, "max_bytes": 7000,
        "max_age": 8 * S,
        "max_msgs_per_subject": 9, "max_msg_size": 10, "num_replicas": 1, "no_ack": True,
        "placement": {"cluster": "c", "tags": ["t"]}, "compression": "s2", "allow_direct": True,
        "metadata": {"k": "v"}, "consumer_limits": {"inactive_threshold": S, "max_ack_pending": 2},
    }  # fmt: skip
    own = {
        "subjects": ["a.*", "b"], "retention": "interest", "discard": "new", "storage": "memory",
        "duplicate_window": S, "first_seq": 3, "discard_new_per_subject": True,
        "subject_transform": {"src": "a.*", "dest": "c.$1"}, "deny_delete": True,
        "republish": {"src": "c.*", "dest": "d.$1", "headers_only": True}, "allow_atomic": True,
        "allow_rollup_hdrs": True, "allow_msg_ttl": True, "subject_delete_marker_ttl": 2 * S,
        "allow_batched": True, "persist_mode": "default", "deny_purge": False, "sealed": False,
    }  # fmt: skip
    origin = {
        "name": "O", "opt_start_seq": 4, "subject_transforms": pairs(("x.*", "y.$1"), ("z", "")),
        "external": {"api": "$JS.hub.API", "deliver": "hub"},
    }  # fmt: skip
    return [
        alone(**common, **own),
        alone(**common, **own, pedantic=True),
        alone(**common, mirror=origin, mirror_direct=True),
        alone(**common, sources=[origin, {"name": "P", "opt_start_time": "2024-01-01T00:00:00Z"}]),
    ]


CASES: Final[list[Case]] = [
    case
    for group in (
        _names, _texts, _counts, _times, _flags, mirrors, sources, cycles, subjects,
        transforms, _placement, _limits, _again, _updates, _levels, _whole,
    )
    for case in group()
]  # fmt: skip

DIFFERENT: Final[list[tuple[str, Case]]] = [
    (
        # Nothing that a list does depends on it, and who repeats a request means the same.
        "an empty list and no list are one to us: the stream is there already, and equal",
        Case((new(sources=[]), new())),
    ),
    (
        "the same within a source",
        Case((source(subject_transforms=[]).requests[0], source().requests[0])),
    ),
    (
        "it reads 64 bytes at first, and of a wrong escape there it shows what it has read",
        Case((Request("CREATE", "S", b'{"name":"S","description":"' + b"x" * 33 + b'\\uxxxx"}'),)),
    ),
]
"""What is decided otherwise than by nats-server, and why; the last answer is the one."""
