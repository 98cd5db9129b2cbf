"""Hostile sessions: what a stranger sends, and how the server must answer it.

Each kind draws the details of one session from a seed, so that the same session comes again.
The tests run each kind; `promises.py` runs hundreds of all of them. The answers are nats-server's
(2.15.1), to the letter; see `tests/conformance` for the protocol between well-meaning peers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.support.wire import CONNECT, Connection

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.support.servers import ServerProcess

CONTROL_LINE_BYTES_MAX = 4096
PAYLOAD_BYTES_MAX = 1024 * 1024


class Outcome(StrEnum):
    """How a session ends, as its peer sees it."""

    SERVED = "served"
    """The server takes it, and answers a PING on the same connection."""
    REFUSED = "refused, connection kept"
    """`-ERR`, and the connection goes on."""
    CLOSED_WITH_ERROR = "closed with -ERR"
    CLOSED_IN_SILENCE = "closed in silence"
    LEFT = "left by the peer"
    """The peer goes in the middle, by closing or by a reset."""


@dataclass(frozen=True, slots=True)
class Session:
    """What one peer does: send `data`, and be answered with `answer` before the outcome."""

    data: bytes
    outcome: Outcome
    answer: bytes = b""
    """The text between the quotes of `-ERR`, for the outcomes that have one."""
    connect: bytes = CONNECT
    """Sent and answered first; empty when `data` is the first that the server hears."""


class WrongAnswerError(Exception):
    """The server answered a session in another way; the message tells both ways."""


def run_session(server: ServerProcess, session: Session) -> None:
    """Be that peer.

    Raises:
        WrongAnswerError: the session ended in another way than it must.
        TimeoutError: the server did not answer.
    """
    with Connection(server.address) as client:
        if session.connect:
            client.greeted(session.connect)
        else:
            client.line()
        if session.outcome is Outcome.LEFT:
            client.send(session.data)
            client.reset()
            return
        client.send(session.data)
        if session.outcome in (Outcome.SERVED, Outcome.REFUSED):
            answer = b"\r\n".join(client.fence())
        else:
            answer = client.read_to_end()
    _judge(session, answer)


def _judge(session: Session, answer: bytes) -> None:
    error = b"-ERR '" + session.answer + b"'"
    held = {
        Outcome.SERVED: b"-ERR" not in answer,
        Outcome.REFUSED: error in answer,
        Outcome.CLOSED_WITH_ERROR: error in answer,
        Outcome.CLOSED_IN_SILENCE: b"-ERR" not in answer,
        Outcome.LEFT: True,
    }[session.outcome]
    if not held:
        message = (
            f"{session.data[:100]!r} must be {session.outcome.value} {session.answer!r}, "
            f"but was answered {answer[-300:]!r}"
        )
        raise WrongAnswerError(message)


def oversized_control_line(seed: random.Random) -> Session:
    """A line that is longer than any may be, whether it ends or not."""
    verb = seed.choice([b"PUB ", b"SUB ", b"HPUB ", b"UNSUB ", b"CONNECT {", b"pub\t"])
    # Well above the limit: the server counts the arguments without the verb.
    excess = seed.choice([16, 100, 5000, 60_000])
    end = seed.choice([b"", b" 1\r\n"])
    data = verb + b"x" * (CONTROL_LINE_BYTES_MAX + excess) + end
    return Session(data, Outcome.CLOSED_WITH_ERROR, b"maximum control line exceeded")


def huge_payload_size(seed: random.Random) -> Session:
    """A size above the limit, refused before a byte of the payload is sent."""
    size = seed.choice([PAYLOAD_BYTES_MAX + 1, 99_999_999, 999_999_999, 2**29])
    line = seed.choice([b"PUB a %d\r\n", b"PUB a reply %d\r\n", b"HPUB a 12 %d\r\n"]) % size
    return Session(line, Outcome.CLOSED_WITH_ERROR, b"Maximum Payload Violation")


def overflowing_number(seed: random.Random) -> Session:
    """A number that fits no integer, or would come out small if it wrapped around."""
    number = seed.choice([2**31, 2**32 + 5, 2**63, 2**64 + 5, 10**30, 10**400])
    line = seed.choice(["PUB a {}", "PUB a reply {}", "HPUB a {} 20", "HPUB a 12 {}"])
    return Session(line.format(number).encode() + b"\r\n", Outcome.CLOSED_IN_SILENCE)


def negative_number(seed: random.Random) -> Session:
    """A size below zero, or with a sign, or that is no number at all."""
    number = seed.choice(["-1", "-999999999", "+5", "0x10", "1e3", "5.0", "--5", "٣", "NaN"])
    line = seed.choice(["PUB a {}", "HPUB a {} 20", "HPUB a 12 {}", "PUB a reply {}"])
    return Session(line.format(number).encode() + b"\r\n", Outcome.CLOSED_IN_SILENCE)


def missing_arguments(seed: random.Random) -> Session:
    """Too few arguments, or too many."""
    line = seed.choice(
        [
            b"PUB",
            b"PUB a",
            b"PUB a b c 5",
            b"HPUB a 5",
            b"HPUB a b c 5 5",
            b"SUB",
            b"SUB a",
            b"SUB a b c d",
            b"UNSUB 1 2 3",
        ],
    )
    # A verb alone is not yet one: its arguments begin after a space.
    return Session(line + b" \r\n", Outcome.CLOSED_IN_SILENCE)


def unknown_operation(seed: random.Random) -> Session:
    """Bytes that begin no operation: another protocol, noise, or nothing at all."""
    data = seed.choice(
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\r\n",
            b"\x00" * seed.randint(1, 2000),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"SUBMIT a 1\r\n",
            b"PUBLISH a 1\r\n",
            b"\xff\xfe" + seed.randbytes(200),
            b"MSG a 1 0\r\n\r\n",
            b"RS+ a b\r\n",
        ]
    )
    return Session(data, Outcome.CLOSED_WITH_ERROR, b"Unknown Protocol Operation")


def payload_without_its_end(seed: random.Random) -> Session:
    """A payload that is longer or shorter than its size says."""
    data = seed.choice([b"PUB a 2\r\nabc\r\n", b"PUB a 5\r\nab\r\nPING\r\n", b"PUB a 1\r\na\n\n"])
    return Session(data, Outcome.CLOSED_WITH_ERROR, b"Unknown Protocol Operation")


def header_longer_than_message(seed: random.Random) -> Session:
    """A header block that claims more than the whole message holds."""
    total = seed.randint(0, 1000)
    line = b"HPUB a %d %d\r\n" % (total + seed.randint(1, 10**6), total)
    return Session(line + b"x" * total + b"\r\n", Outcome.CLOSED_IN_SILENCE)


def header_that_is_none(seed: random.Random) -> Session:
    """A header block of the declared size whose bytes are anything: they are passed on."""
    block = seed.choice([b"", b"XXXX", b"NATS/1.0", b"NATS/9.9\r\nA\r\n", b"\x00\xff" * 50])
    body = seed.randbytes(seed.randint(0, 300))
    size, total = len(block), len(block) + len(body)
    data = b"SUB a 1\r\nHPUB a %d %d\r\n%b\r\n" % (size, total, block + body)
    return Session(data, Outcome.SERVED)


def headers_without_leave(seed: random.Random) -> Session:
    """HPUB on a connection whose CONNECT did not ask for headers."""
    del seed
    return Session(
        b"HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n",
        Outcome.CLOSED_IN_SILENCE,
        connect=b'CONNECT {"verbose":false,"headers":false}\r\n',
    )


def nul_bytes(seed: random.Random) -> Session:
    """NUL in a subject, a reply, a sid and a payload: bytes like any other."""
    subject = b"a\x00b." + b"\x00" * seed.randint(1, 50)
    data = b"SUB %b \x00\r\nPUB %b r\x00 3\r\n\x00\x00\x00\r\n" % (subject, subject)
    return Session(data, Outcome.SERVED)


def invalid_utf8(seed: random.Random) -> Session:
    """Subjects, queue names and sids that are no UTF-8: the server need not read them."""
    word = bytes(seed.choice(range(0x80, 0x100)) for _ in range(seed.randint(1, 40)))
    data = b"SUB %b.> %b 1\r\nPUB %b.x 1\r\ny\r\nUNSUB 1\r\n" % (word, word, word)
    return Session(data, Outcome.SERVED)


def invalid_subject(seed: random.Random) -> Session:
    """A subscription to what is no subject."""
    subject = seed.choice([b".", b"a..b", b".a", b"a.", b"a.>.b", b">.a", b"..." * 300])
    return Session(b"SUB %b 1\r\n" % subject, Outcome.REFUSED, b"Invalid Subject")


def deep_subject(seed: random.Random) -> Session:
    """As many tokens as fit on a line, subscribed to and published."""
    tokens = seed.choice([b"a.", b"*."]) * seed.randint(500, 2000)
    data = b"SUB %b> 1\r\nPUB %bb 2\r\nhi\r\nUNSUB 1\r\n" % (tokens, tokens.replace(b"*", b"a"))
    return Session(data, Outcome.SERVED)


def unsubscribe_what_is_not_there(seed: random.Random) -> Session:
    """UNSUB of unknown sids, and with limits that no counter holds."""
    lines = [b"UNSUB %d" % seed.randint(0, 10**9) for _ in range(50)]
    lines += [b"SUB a 1", b"UNSUB 1 -5", b"SUB a 2", b"UNSUB 2 99999999999999999999"]
    return Session(b"\r\n".join(lines) + b"\r\n", Outcome.SERVED)


def invalid_json(seed: random.Random) -> Session:
    """A CONNECT whose JSON is none, or whose fields have other types."""
    text = seed.choice(
        [
            '{"verbose":',
            "{",
            "}",
            "[]",
            "nonsense",
            '"text"',
            "12",
            '{"user":12}',
            '{"verbose":"yes"}',
            '{"protocol":"one"}',
            '{"protocol":1e400}',
            '{"user":"\\ud8"}',
            "{'user':'a'}",
            '{"name":"a"} trailing',
            '{"name":"\x01"}',
        ]
    )
    return Session(b"CONNECT " + text.encode() + b"\r\n", Outcome.CLOSED_IN_SILENCE, connect=b"")


def deep_json(seed: random.Random) -> Session:
    """JSON nested as deeply as the control line lets it, in a field that nobody reads."""
    depth = seed.randint(1000, (CONTROL_LINE_BYTES_MAX - 100) // 2)
    text = nested_json(depth, closed=True)
    return Session(b"CONNECT " + text + b"\r\n", Outcome.SERVED, connect=b"")


def nested_json(depth: int, *, closed: bool) -> bytes:
    """An object that holds arrays in arrays, `depth` of them, in a field that nobody reads."""
    return b'{"verbose":false,"x":' + b"[" * depth + (b"]" * depth + b"}" if closed else b"")


def wrong_protocol_version(seed: random.Random) -> Session:
    """A client protocol that there is not."""
    version = seed.choice([-1, 2, 7, 2**31 - 1])
    data = b"CONNECT " + json.dumps({"protocol": version}).encode() + b"\r\n"
    return Session(data, Outcome.CLOSED_WITH_ERROR, b"invalid client protocol", connect=b"")


def legacy_account(seed: random.Random) -> Session:
    """A CONNECT that names an account for itself."""
    name = seed.choice(["A", "$SYS", "$G", "x" * 500])
    data = b"CONNECT " + json.dumps({"account": name}).encode() + b"\r\n"
    return Session(data, Outcome.CLOSED_WITH_ERROR, b"Authorization Violation", connect=b"")


def reserved_subject(seed: random.Random) -> Session:
    """A message with a reply subject that only servers may use."""
    reply = seed.choice([b"_R_.x", b"$JS.ACK.a.b.c"])
    expected = b'Permissions Violation for Publish with Reply of "%b"' % reply
    return Session(b"PUB a %b 0\r\n\r\n" % reply, Outcome.REFUSED, expected)


def error_from_the_peer(seed: random.Random) -> Session:
    """A peer that speaks the server's part."""
    text = seed.choice([b"-ERR 'Stale Connection'\r\n", b"-ERR\t'x'\r\n"])
    return Session(text, Outcome.CLOSED_IN_SILENCE)


def leaves_in_a_payload(seed: random.Random) -> Session:
    """A reset in the middle of a message."""
    size = seed.randint(100, PAYLOAD_BYTES_MAX)
    sent = seed.randint(0, size - 1)
    return Session(b"PUB a %d\r\n" % size + b"x" * sent, Outcome.LEFT)


def leaves_in_a_line(seed: random.Random) -> Session:
    """A reset in the middle of a control line, with subscriptions held."""
    held = b"".join(b"SUB a.%d %d\r\n" % (number, number) for number in range(100))
    return Session(held + b"PUB a.b"[: seed.randint(1, 7)], Outcome.LEFT)


def leaves_unread(seed: random.Random) -> Session:
    """A reset while messages are on their way to the peer."""
    message = b"PUB a 1000\r\n" + b"x" * 1000 + b"\r\n"
    return Session(b"SUB a 1\r\n" + message * seed.randint(10, 300), Outcome.LEFT)


KINDS: dict[str, Callable[[random.Random], Session]] = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        oversized_control_line,
        huge_payload_size,
        overflowing_number,
        negative_number,
        missing_arguments,
        unknown_operation,
        payload_without_its_end,
        header_longer_than_message,
        header_that_is_none,
        headers_without_leave,
        nul_bytes,
        invalid_utf8,
        invalid_subject,
        deep_subject,
        unsubscribe_what_is_not_there,
        invalid_json,
        deep_json,
        wrong_protocol_version,
        legacy_account,
        reserved_subject,
        error_from_the_peer,
        leaves_in_a_payload,
        leaves_in_a_line,
        leaves_unread,
    )
}
