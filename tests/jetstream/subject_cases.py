"""Subjects, transforms and what is republished: each rule broken, and what is allowed."""

from __future__ import annotations

from typing import Final

from tests.jetstream.case import Case, alone, change, new


def subjects() -> list[Case]:
    lists: list[list[str]] = [
        [],
        ["a"],
        ["a", "b.*", "c.>"],
        [""],
        ["a."],
        [".a"],
        ["a..b"],
        ["a b"],
        ["a\tb"],
        [" "],
        ["a.>.b"],
        ["a*", "a>b"],
        ["a", "a"],
        ["a", "b", "a"],
        ["a.*", "a.b"],
        ["a.b", "a.*"],
        ["a.>", "a.b.c"],
        ["*.b", "a.*"],
        ["a.*", "b.*"],
        ["a.*.c", "a.>"],
        ["a.*", "a.*.c"],
        ["a.>", "b.*.>"],
        ["*x.a", "b.a"],
        ["*x.*", "b.*"],
        ['q"\\.*', 'q"\\.a'],
        ["é.*", "é.a"],
        [">"],
        [">", "a"],
        ["*"],
        ["*.>"],
        ["*.*"],
        ["$JS.>"],
        ["$JS.API.x"],
        ["$JS.EVENT.>"],
        ["$JS.EVENT.ADVISORY.x"],
        ["$JS.*.x"],
        ["$JSC.a"],
        ["$NRG.a"],
        ["$SYS.>"],
        ["$SYS.ACCOUNT.>"],
        ["$SYS.ACCOUNT.A.x"],
        ["$SYS.REQ.a"],
        ["$KV.B.>"],
    ]
    others = ["t", "t.*", "t.>", "*", "u", ">"]
    return [
        *(
            alone(subjects=subjects, no_ack=no_ack)
            for subjects in lists
            for no_ack in (False, True)
        ),
        alone(subjects=[">"], no_ack=True, num_replicas=3),
        *(
            Case((new(name="T", subjects=[mine]), new(subjects=[other], no_ack=True)))
            for mine in ("t", "t.a", "t.*", "*.a")
            for other in others
        ),
        Case((new(name="T", subjects=["t"]), new(subjects=["a"]), change(subjects=["a", "t"]))),
        Case((new(name="T", subjects=["t"]), new(subjects=["a"]), change(subjects=["b"]))),
        Case((new(name="T", subjects=["S"]), new())),
    ]


DESTINATIONS: Final = (
    "b", "b.$1", "b.$2", "b.$3", "b.$0", "b.$x", "b.$", "$1", "b..c", "b.", "b c", "b.*", "b.>",
    ">", "b.>.c", "{{}}", "{{x}}", "{{wildcard(1)}}", "{{ Wildcard ( 2 ) }}", "{{wildcard()}}",
    "{{wildcard(1,2)}}", "{{wildcard(a)}}", "{{wildcard(3)}}", "{{wildcard(-1)}}",
    "{{wildcard(99999999999999999999)}}", "{{partition(5)}}", "{{partition(5,1,2)}}",
    "{{partition()}}", "{{partition(a)}}", "{{partition(5,a)}}", "{{partition(5,9)}}",
    "{{partition(2147483648)}}", "{{split(1,-)}}", "{{split(1)}}", "{{split(1,2,3)}}",
    "{{split(a,-)}}", "{{split(1, -)}}", "{{split(1,- )}}", "{{split(9,-)}}",
    "{{splitFromLeft(1,2)}}", "{{SplitFromRight(1,2)}}", "{{splitfromleft(1)}}",
    "{{sliceFromLeft(1,2)}}", "{{sliceFromRight(1,x)}}", "{{SliceFromRight(1,2,3)}}",
    "{{left(1,2)}}", "{{right(1,2)}}", "{{left(1)}}", "{{random(5)}}", "{{random(5,6)}}",
    "{{random()}}", "{{random(a)}}", "{{nope(1)}}", "x{{wildcard(1)}}", "{{wildcard(1)}}x",
    "a.{{wildcard(1)}}.b.{{partition(3,2)}}", "{{wildcard(1)}}.{{nope()}}", "{{wildcard(1) }}",
    "{{WILDCARD(1)}}", "{{splitFromLeft(1,2147483648)}}", "{{split(1,.)}}", "",
)  # fmt: skip


def transforms() -> list[Case]:
    sources = ("a", "a.*.*", "a.>", "", "a..b", "a b", ">")
    return [
        *(
            alone(subjects=["a.>"], subject_transform={"src": src, "dest": dest})
            for src in ("a", "a.*.*")
            for dest in DESTINATIONS
        ),
        *(
            alone(subjects=["a.>"], subject_transform={"src": src, "dest": dest})
            for src in sources
            for dest in ("b", "b.$1", "b.>", "")
        ),
        *(
            alone(subjects=["a.>"], republish={"src": "a.*.*", "dest": dest})
            for dest in DESTINATIONS
        ),
        *(
            alone(subjects=["a.*"], republish={"src": src, "dest": dest}, pedantic=pedantic)
            for src in ("a.*", "", ">", "a", "a..b")
            for dest in ("b.$1", "a.b", "b", ">", "b.>", "")
            for pedantic in (False, True)
        ),
        *(
            alone(
                subjects=subjects,
                subject_transform={"src": src, "dest": dest},
                republish={"src": republished, "dest": ">", "headers_only": True},
                pedantic=pedantic,
            )
            for subjects in (["a.*"], ["a.>"], ["a.*", "b"])
            for src, dest in (("a.*", "b.$1"), ("a.>", "b.>"), ("a.*", "a.c"))
            for republished in ("", ">", "a.>")
            for pedantic in (False, True)
        ),
        Case((new(subjects=["a"]), change(subjects=["a"], republish={"dest": "r.>"}))),
        Case((new(subjects=["a"]), change(subjects=["a"], republish={"dest": "r"}))),
        Case((new(subjects=["a"], subject_transform={"src": "a", "dest": "b"}),
              change(subjects=["a"]))),
    ]  # fmt: skip
