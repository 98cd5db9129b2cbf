"""Configurations of mirrors and sources: each of their rules broken, and what is allowed."""

from __future__ import annotations

from typing import Any, Final

from tests.jetstream.case import (
    ORIGIN,
    PLAIN_ORIGIN,
    Case,
    S,
    alone,
    change,
    mirror,
    new,
    pairs,
    source,
)
from tests.jetstream.judge import Request


def mirrors() -> list[Case]:
    external = {"api": "$JS.hub.API", "deliver": "hub.deliver"}
    durable = {"name": "d", "deliver_subject": "to.d"}
    beside = [
        {"first_seq": 5},
        {"subjects": ["a"]},
        {"sources": [{"name": "P"}]},
        {"allow_msg_counter": True},
        {"allow_atomic": True},
        {"allow_batched": True},
        {"allow_msg_schedules": True},
        {"subject_delete_marker_ttl": S},
        {"allow_msg_ttl": True},
        {"max_msg_size": 999},
        {"max_msg_size": 1000},
        {"max_age": 5 * S},
        {"mirror_direct": True},
        {"duplicate_window": 5 * S},
        {"retention": "workqueue"},
        {"sealed": True},
        {"no_ack": True},
        {"republish": {"src": ">", "dest": "r.>"}},
        {"subject_transform": {"src": "o.>", "dest": "p.>"}},
    ]
    transforms = [
        pairs(("o.>", "")),
        pairs(("o.*", "p.$1")),
        pairs(("o..x", "p")),
        pairs(("", "")),
        pairs(("", "p.>")),
        pairs(("o.*", "p.$2")),
        pairs(("o.*", "p..x")),
        pairs(("o.*", "p.{{nope(1)}}")),
        pairs(("o.*", "a"), ("o.a", "b")),
        pairs(("o.a", "a"), ("o.b", "b")),
        pairs(("o.*", "a.$1"), ("p.*", "b.$1")),
        pairs(("o.*", "a"), ("", "b")),
    ]
    return [
        *(mirror(beside=fields) for fields in beside),
        *(mirror(ORIGIN, beside=fields) for fields in beside),
        *(
            mirror(origin, beside={"mirror_direct": direct, "pedantic": True})
            for origin in (ORIGIN, PLAIN_ORIGIN)
            for direct in (False, True)
        ),
        *(mirror(subject_transforms=rules) for rules in transforms),
        mirror(filter_subject="o.a", subject_transforms=pairs(("o.*", "p.$1"))),
        *(mirror(filter_subject=text) for text in ("o.a", "o.>", "o..a", "o a", "")),
        *(mirror(name=name) for name in ("", "a.b", "S", "x" * 300)),
        mirror(name="", external=external),
        *(mirror(ORIGIN, external=external | fields) for fields in _PREFIXES),
        mirror(external={}),
        mirror(consumer=durable),
        *(mirror(consumer=durable | fields) for fields in _BAD_CONSUMERS),
        mirror(consumer=durable, opt_start_seq=1),
        mirror(consumer=durable, opt_start_time="2024-01-01T00:00:00Z"),
        mirror(consumer=durable, filter_subject="o.a"),
        mirror(consumer=durable, subject_transforms=pairs(("o.a", "b"))),
        mirror(consumer=durable, external=external),
        mirror(opt_start_seq=5, opt_start_time="2024-01-01T00:00:00.5+02:00"),
    ]


_PREFIXES: Final[list[dict[str, str]]] = [
    {},
    {"deliver": ""},
    {"deliver": "hub.*"},
    {"deliver": "hub.>"},
    {"deliver": "hub..x"},
    {"deliver": "o"},
    {"api": ""},
    {"api": "$JS.*.API"},
    {"api": "$JS.API"},
    {"api": "$JS..API"},
    {"api": 'a"*b .c'},
    {"api": "$JS.>"},
]
_BAD_CONSUMERS: Final[list[dict[str, str]]] = [
    {"name": ""},
    {"name": "a.b"},
    {"deliver_subject": ""},
    {"deliver_subject": "to.*"},
    {"deliver_subject": "to.>"},
    {"deliver_subject": "to..d"},
    {"deliver_subject": "to d"},
]


def sources() -> list[Case]:
    external = {"api": "$JS.hub.API", "deliver": "hub.deliver"}
    durable = {"name": "d", "deliver_subject": "to.d"}
    one = {"name": "O"}
    lists: list[list[dict[str, Any] | None]] = [
        [None],
        [one, one],
        [one, one | {"filter_subject": ">"}],
        [one, one | {"filter_subject": "a"}],
        [one | {"filter_subject": "a"}, one | {"subject_transforms": pairs(("a", ""))}],
        [one, one | {"external": external}],
        [one | {"external": external}, one | {"external": external}],
        [one | {"external": {"api": "$JS.b.API"}}, one | {"external": {"api": "$JS.c.API"}}],
        [one | {"external": {}}, one],
        [one | {"consumer": durable}, one | {"consumer": durable}],
        [
            one | {"consumer": durable, "subject_transforms": pairs(("a", "b"))},
            one | {"consumer": durable, "subject_transforms": pairs(("b", "c"))},
        ],
        [one | {"consumer": durable}, one | {"consumer": durable | {"name": "e"}}],
        [one, {"name": "P"}, {"name": "Q", "opt_start_seq": 9}],
    ]
    transforms = [
        pairs(("o.>", "")),
        pairs(("o.*", "p.$1")),
        pairs(("o..x", "p")),
        pairs(("", "")),
        pairs(("o.*", "p.$2")),
        pairs(("o.*", "a"), ("o.a", "b")),
        pairs(("o.a", "a"), ("o.*", "b")),
        pairs(("o.*.a", "a"), ("o.b.*", "b")),
        pairs(("o.a", "a"), ("o.b", "b")),
        pairs(("", "a"), ("", "b")),
    ]
    return [
        *(alone(sources=sources) for sources in lists),
        *(source(subject_transforms=rules) for rules in transforms),
        source(filter_subject="o.a", subject_transforms=pairs(("o.*", "p.$1"))),
        *(source(filter_subject=text) for text in ("o.a", "o..a", "o a")),
        *(source(name=name) for name in ("", "a.b", "S")),
        *(source(ORIGIN, external=external | fields) for fields in _PREFIXES),
        *(source(consumer=durable | fields) for fields in _BAD_CONSUMERS),
        source(consumer=durable, opt_start_seq=1),
        source(consumer=durable, opt_start_time="2024-01-01T00:00:00Z"),
        source(consumer=durable, filter_subject="o.a"),
        source(consumer=durable),
        source(ORIGIN, beside={"max_msg_size": 999}),
        source(ORIGIN, beside={"max_msg_size": 1000}),
        source(beside={"allow_msg_schedules": True}),
        *(
            Case((ORIGIN, new(sources=[one, {"name": "P", "external": external | fields}])))
            for fields in ({}, {"deliver": "o"}, {"deliver": "o.x"})
        ),
        source(beside={"subjects": ["a"]}),
        source(beside={"duplicate_window": S}),
        source(beside={"allow_msg_counter": True, "allow_direct": True}),
    ]


def cycles() -> list[Case]:
    def sourcing(name: str, origin: str, **fields: Any) -> Request:
        return new(name=name, sources=[{"name": origin, **fields}])

    with_subject = new(name="S", subjects=["s"], sources=[{"name": "O", "filter_subject": "s"}])
    return [
        Case((sourcing("S", "S"),)),
        Case((sourcing("S", "S", filter_subject="x"),)),
        Case((sourcing("O", "S"), sourcing("S", "O"))),
        Case((sourcing("O", "S", filter_subject="x"), sourcing("S", "O", filter_subject="x"))),
        Case((sourcing("P", "S"), sourcing("O", "P"), sourcing("S", "O"))),
        Case((new(name="O", mirror={"name": "S"}), sourcing("S", "O"))),
        Case((sourcing("O", "S"), new(mirror={"name": "O"}))),
        Case((new(name="O", mirror={"name": "S"}), new(mirror={"name": "O"}))),
        Case((new(mirror={"name": "S"}),)),
        Case((new(mirror={"name": "S", "external": {"api": "$JS.x.API"}}),)),
        Case((sourcing("O", "S", external={"api": "$JS.x.API"}), sourcing("S", "O"))),
        Case(
            (
                new(name="O", subjects=["s"], sources=[{"name": "S", "filter_subject": "s"}]),
                sourcing("S", "O"),
            )
        ),
        Case(
            (
                new(name="O", subjects=["t"], sources=[{"name": "S", "filter_subject": "s"}]),
                sourcing("S", "O"),
            )
        ),
        Case((new(name="O"), with_subject, change(name="O", sources=[{"name": "S"}]))),
    ]
