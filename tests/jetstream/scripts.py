"""What is asked of both servers, one step after the other; answers are compared byte for byte.

A step is `(subject, payload)`, or has headers as well, without their first and last line.
"""

from __future__ import annotations

import json
from typing import Any, Final

Step = tuple[str, bytes] | tuple[str, bytes, bytes]

API: Final = "$JS.API."


def api(call: str, **body: Any) -> Step:
    """A request to the API; without a body when none is given."""
    return (API + call, json.dumps(body).encode() if body else b"")


def create(name: str, **config: Any) -> Step:
    """A stream is made."""
    return api(f"STREAM.CREATE.{name}", name=name, **config)


def update(name: str, **config: Any) -> Step:
    """A stream is changed."""
    return api(f"STREAM.UPDATE.{name}", name=name, **config)


def headers(*lines: str) -> bytes:
    """The lines of a header block."""
    return "".join(f"{line}\r\n" for line in lines).encode()


def life(storage: str) -> list[Step]:
    """A stream from its beginning to its end."""
    return [
        api("STREAM.NAMES"),
        api("STREAM.LIST"),
        api("STREAM.INFO.S"),
        create("S", subjects=["s.>"], storage=storage),
        create("S", subjects=["s.>"], storage=storage),
        create("S", subjects=["t.>"], storage=storage),
        create("T", subjects=["s.a"], storage=storage),
        create("T", subjects=["t"], storage=storage, max_msgs=3, max_bytes=1000),
        api("STREAM.NAMES"),
        api("STREAM.NAMES", subject="t"),
        api("STREAM.NAMES", offset=1),
        api("STREAM.LIST", offset=5),
        ("s.a", b"one"),
        ("s.b", b"two"),
        ("s.a", b"three", headers("A: b")),
        ("s.c", b""),
        *[("t", b"x" * 10)] * 5,
        api("STREAM.INFO.T"),
        api("STREAM.INFO.S", subjects_filter=">"),
        api("STREAM.INFO.S", subjects_filter="s.a"),
        api("STREAM.INFO.S", subjects_filter="none"),
        api("STREAM.MSG.GET.S", seq=1),
        api("STREAM.MSG.GET.S", seq=3),
        api("STREAM.MSG.GET.S", seq=3, no_hdr=True),
        api("STREAM.MSG.GET.S", seq=9),
        api("STREAM.MSG.GET.S", last_by_subj="s.a"),
        api("STREAM.MSG.GET.S", last_by_subj="s.*"),
        api("STREAM.MSG.GET.S", last_by_subj="none"),
        api("STREAM.MSG.GET.S", next_by_subj="s.b"),
        api("STREAM.MSG.GET.S", next_by_subj="s.a", seq=2),
        api("STREAM.MSG.GET.S", start_time="2020-01-01T00:00:00Z"),
        api("STREAM.MSG.GET.S", start_time="2200-01-01T00:00:00Z"),
        api("STREAM.MSG.GET.S", seq=1, last_by_subj="s.a"),
        api("STREAM.MSG.GET.S", batch=2, seq=1),
        api("STREAM.MSG.GET.S"),
        (API + "STREAM.MSG.GET.S", b"{}"),
        (API + "STREAM.MSG.GET.S", b"not json"),
        (API + "STREAM.MSG.GET.S", b'{"seq":"x"}'),
        (API + "STREAM.MSG.GET.S", b'{"sequence":1}'),
        api("STREAM.MSG.GET.none", seq=1),
        api("STREAM.MSG.DELETE.S", seq=2),
        api("STREAM.MSG.DELETE.S", seq=2),
        api("STREAM.MSG.DELETE.S", seq=3, no_erase=True),
        api("STREAM.MSG.DELETE.S", seq=3, no_erase=True),
        api("STREAM.MSG.DELETE.S", seq=99),
        api("STREAM.MSG.DELETE.S", seq=99, no_erase=True),
        api("STREAM.MSG.DELETE.S", seq=0),
        api("STREAM.MSG.DELETE.S"),
        api("STREAM.MSG.DELETE.none", seq=1),
        api("STREAM.INFO.S", deleted_details=True),
        api("STREAM.INFO.S", nonsense=1),
        api("STREAM.MSG.GET.S", seq=2),
        update("S", subjects=["s.>", "u"], storage=storage, max_msgs=2),
        update("S", subjects=["s.>"], storage="memory" if storage == "file" else "file"),
        update("none", subjects=["none"]),
        ("u", b"new subject"),
        api("STREAM.INFO.S", deleted_details=True, subjects_filter=">"),
        api("STREAM.PURGE.S", filter="u"),
        api("STREAM.PURGE.S", seq=1, keep=1),
        api("STREAM.PURGE.S", nonsense=1),
        api("STREAM.PURGE.none"),
        api("STREAM.INFO.S"),
        ("s.a", b"after"),
        api("STREAM.PURGE.S", keep=1),
        api("STREAM.PURGE.S"),
        api("STREAM.INFO.S"),
        ("s.a", b"after a purge"),
        api("CONSUMER.NAMES.S"),
        api("CONSUMER.LIST.S"),
        api("CONSUMER.INFO.S.none"),
        api("CONSUMER.INFO.none.none"),
        api("CONSUMER.DELETE.S.none"),
        api("CONSUMER.NAMES.none"),
        api("STREAM.DELETE.S", seq=1),
        (API + "STREAM.DELETE.S", b"{}"),
        api("STREAM.DELETE.S"),
        api("STREAM.INFO.S"),
        api("STREAM.NAMES"),
        (API + "STREAM.INFO.T", b"", headers("Nats-Required-Api-Level: 99")),
        (API + "STREAM.INFO.T", b"", headers("Nats-Required-Api-Level: 5")),
        (API + "STREAM.INFO.T", b"garbage that is passed over"),
        api("STREAM.DELETE.T"),
        api("INFO"),
    ]


def publishing(storage: str) -> list[Step]:
    """What headers ask for, and what is refused."""
    a = "p.a"
    return [
        create("P", subjects=["p.>"], storage=storage, max_msg_size=200, allow_rollup_hdrs=True),
        (a, b"1", headers("Nats-Msg-Id: one")),
        (a, b"2", headers("Nats-Msg-Id: one")),
        (a, b"2", headers("Nats-Msg-Id: two", "Nats-Expected-Last-Msg-Id: one")),
        (a, b"3", headers("Nats-Expected-Last-Msg-Id: one")),
        (a, b"3", headers("Nats-Expected-Stream: P")),
        (a, b"3", headers("Nats-Expected-Stream: Q")),
        (a, b"3", headers("Nats-Expected-Last-Msg-Id: two")),
        (a, b"4", headers("Nats-Expected-Last-Sequence: 3")),
        (a, b"4", headers("Nats-Expected-Last-Sequence: 2")),
        (a, b"5", headers("Nats-Expected-Last-Sequence: nonsense")),
        (a, b"5", headers("Nats-Expected-Last-Sequence:")),
        ("p.new", b"1", headers("Nats-Expected-Last-Subject-Sequence: 0")),
        ("p.new", b"1", headers("Nats-Expected-Last-Subject-Sequence: 0")),
        (
            "p.b",
            b"1",
            headers(
                "Nats-Expected-Last-Subject-Sequence: 4",
                "Nats-Expected-Last-Subject-Sequence-Subject: p.*",
            ),
        ),
        ("p.b", b"1", headers("Nats-Expected-Last-Subject-Sequence-Subject: p.*")),
        (a, b"x" * 201),
        (a, b"x" * 190, headers("A: b")),
        (a, b"x" * 201, headers("Nats-Expected-Last-Sequence: 77")),
        (a, b"x" * 201, headers("Nats-Msg-Id: one")),
        (a, b"x" * 201, headers("Nats-Expected-Stream: Q")),
        (a, b"x" * 201, headers("Nats-Incr: one")),
        (a, b"x" * 201, headers("Nats-TTL: 1h")),
        (a, b"x" * 201, headers("Nats-Batch-Id: b", "Nats-Batch-Sequence: 1")),
        (a, b"", headers("Nats-Incr: 1")),
        (a, b"", headers("Nats-Incr: one")),
        (a, b"", headers("Nats-TTL: 1h")),
        (a, b"", headers("Nats-TTL: never")),
        (a, b"", headers("Nats-TTL: nonsense")),
        (a, b"", headers("Nats-TTL: 0")),
        (a, b"", headers("Nats-Schedule: @every 1s")),
        (a, b"", headers("Nats-Schedule: @every 1s", "Nats-Expected-Last-Sequence: 77")),
        (a, b"", headers("Nats-Schedule-Next: purge", "Nats-Scheduler: p.b")),
        (a, b"", headers("Nats-Schedule-Next: other")),
        (a, b"", headers("Nats-Scheduler: p.b")),
        (a, b"", headers("Nats-Stream-Source: x")),
        (a, b"", headers('Nats-Rollup: nonsense "<x>')),
        (a, b"", headers("Nats-Batch-Id: b", "Nats-Batch-Sequence: 1")),
        (a, b"rolled", headers("Nats-Rollup: sub")),
        api("STREAM.INFO.P", subjects_filter=">"),
        (a, b"all", headers("Nats-Rollup: ALL")),
        api("STREAM.INFO.P", subjects_filter=">"),
        (a, b"with status", b"")[:2],
        api("STREAM.MSG.GET.P", last_by_subj=a),
        create("L", subjects=["l.>"], storage=storage, max_msgs=3, discard="new"),
        *[("l.a", b"x")] * 4,
        create(
            "M",
            subjects=["m.>"],
            storage=storage,
            max_msgs_per_subject=2,
            discard="new",
            discard_new_per_subject=True,
        ),
        *[("m.a", b"x")] * 3,
        ("m.b", b"x"),
        create("B", subjects=["b.>"], storage=storage, max_bytes=200, discard="new"),
        ("b.a", b"x" * 100),
        ("b.a", b"x" * 100),
        create("R", subjects=["r.>"], storage=storage),
        ("r.a", b"", headers("Nats-Rollup: sub")),
        update("R", subjects=["r.>"], storage=storage, sealed=True),
        ("r.a", b"sealed"),
        api("STREAM.PURGE.R"),
        api("STREAM.MSG.DELETE.R", seq=1),
        create("D", subjects=["d.>"], storage=storage, deny_delete=True, deny_purge=True),
        ("d.a", b"x"),
        api("STREAM.PURGE.D"),
        api("STREAM.MSG.DELETE.D", seq=1),
        create(
            "X",
            subjects=["x.>"],
            storage=storage,
            subject_transform={"src": "x.*", "dest": "y.{{wildcard(1)}}.z"},
            first_seq=100,
        ),
        ("x.one", b"transformed"),
        ("x.one.two", b"as it is"),
        api("STREAM.MSG.GET.X", seq=100),
        api("STREAM.INFO.X", subjects_filter=">"),
        create("V", subjects=["v.>"], storage=storage, allow_msg_ttl=True),
        ("v.a", b"", headers("Nats-TTL: 1h")),
        ("v.a", b"", headers("Nats-TTL: never")),
        ("v.a", b"", headers("Nats-TTL: nonsense")),
        ("v.a", b"", headers("Nats-TTL: 500ms")),
        ("v.a", b"", headers("Nats-TTL: nonsense", "Nats-Msg-Id: v")),
        api("STREAM.INFO.V"),
        api("INFO"),
    ]


def direct(storage: str) -> list[Step]:
    """Messages that are asked for past the API; one answer each."""
    get = API + "DIRECT.GET.G"

    def ask(**body: Any) -> Step:
        return (get, json.dumps(body).encode())

    return [
        create("G", subjects=["g.>"], storage=storage, allow_direct=True),
        *[(f"g.{number % 3}", b"x%d" % number) for number in range(9)],
        ("g.h", b"with headers", headers("A: b", "Nats-Msg-Id: id")),
        api("STREAM.MSG.DELETE.G", seq=4),
        (get, b""),
        (get, b"{}"),
        (get, b"nonsense"),
        (get, b"[]"),
        (get, b'{"seq":"1"}'),
        (get, b'{"seq":1.5}'),
        (get, b'{"SEQ":1,"unknown":2}'),
        ask(seq=1),
        ask(seq=4),
        ask(seq=99),
        ask(seq=10),
        ask(seq=10, no_hdr=True),
        ask(last_by_subj="g.1"),
        ask(last_by_subj="g.*"),
        ask(last_by_subj="none"),
        ask(next_by_subj="g.1"),
        ask(next_by_subj="g.0", seq=2),
        ask(next_by_subj="none"),
        ask(start_time="2020-01-01T00:00:00Z"),
        ask(start_time="2200-01-01T00:00:00Z"),
        ask(start_time="nonsense"),
        ask(seq=1, last_by_subj="g.1"),
        ask(seq=1, start_time="2020-01-01T00:00:00Z"),
        ask(last_by_subj="g.1", next_by_subj="g.1"),
        ask(last_by_subj="g.1", batch=2),
        ask(multi_last=["none"]),
        ask(multi_last=["g.>"], up_to_time="2020-01-01T00:00:00Z"),
        ask(multi_last=["g.>"], up_to_seq=1, up_to_time="2020-01-01T00:00:00Z"),
        (get, b'{"seq":1}', headers("Nats-Required-Api-Level: 99")),
        (f"{get}.g.1", b""),
        (f"{get}.g.h", b""),
        (f"{get}.g.h", b'{"no_hdr":true}'),
        (f"{get}.none", b""),
        (f"{get}.g.1", b'{"seq":1}'),
        (f"{get}.g.1", b"nonsense"),
        update("G", subjects=["g.>"], storage=storage),
        ask(seq=1),
    ]


BATCHES: Final[tuple[dict[str, Any], ...]] = (
    {"seq": 1, "batch": 3},
    {"seq": 1, "batch": 100},
    {"seq": 4, "batch": 1},
    {"seq": 99, "batch": 3},
    {"next_by_subj": "g.1", "batch": 2},
    {"next_by_subj": "g.>", "seq": 5, "batch": 4},
    {"next_by_subj": "none", "batch": 2},
    {"start_time": "2020-01-01T00:00:00Z", "batch": 2},
    {"seq": 1, "batch": 100, "max_bytes": 10},
    {"seq": 1, "batch": 3, "no_hdr": True},
    {"multi_last": ["g.*"]},
    {"multi_last": ["g.1", "g.>"], "batch": 2},
    {"multi_last": ["g.*"], "up_to_seq": 5},
    {"multi_last": ["g.*"], "seq": 8},
    {"multi_last": ["g.*"], "up_to_time": "2200-01-01T00:00:00Z"},
    {"multi_last": ["none"]},
)
"""Direct gets with several answers, after the steps of `direct` without its last two."""
