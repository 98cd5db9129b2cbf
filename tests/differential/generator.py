"""Sessions from a seed: mostly sound, now and then slightly broken, at the end often hostile.

What is generated has one outcome on a server that follows the rules: connections act in turn with
fences between, each queue group lives on one connection, and a queue subscription's sid names its
group (`q0-1`), so that which member was chosen can be forgotten when answers are compared.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

from tests.differential.session import Session, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.profiles import Profile

SUBJECTS: Final = (
    *("a", "b", "c", "a.b", "a.c", "b.c", "a.b.c", "b.a.c", "a.b.c.d", "r.1", "r.2", "a.*", "a.>"),
    *("a", "a.b", "a.b.c", "b.c", "\N{GREEK SMALL LETTER ALPHA}.b", "a.\0", "A.b", "_INBOX.x.y"),
)
ODD_SUBJECTS: Final = (
    *("a..b", ".a", "a.", ".", "a.>.b", ">.a", "a*", "*a.b", "a.b>", "_GR_.x", "$NRG.x"),
    # What a refusal has to quote; a lone surrogate stands for a byte that is not UTF-8.
    *('c."', "c.\\", "c.\a\x1b", "c.\N{ZERO WIDTH SPACE}", "c.\N{SNOWMAN}", "c.\udcff\udcc3"),
)
PATTERNS: Final = (
    *("a", "b", "c", "a.b", "a.*", "*.b", "a.>", "b.>", ">", "*", "*.*", "a.*.c", "*.>", "r.*"),
    *("r.1", "a.b.c", "b.c.*", "a.*.>", "a.b.c.>", "*.b.c.d", "_INBOX.>"),
    "\N{GREEK SMALL LETTER ALPHA}.*",
)
REPLIES: Final = ("r.1", "r.2", "_INBOX.x.y", "a.b", "c")
ODD_REPLIES: Final = ("_R_.x", "_R_.\x7f", "$JS.ACK.x", "_GR_.x", "r..1", "r.*")
HEADERS: Final = (
    b"NATS/1.0\r\n\r\n",
    b"NATS/1.0\r\nA: b\r\n\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"XX",
    b"",
)
FRAGMENTS: Final = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\0",
        b"\xff",
        b"PUB",
        b"SUB a",
        b"PING\r\n",
        b"+OK\r\n",
    ),
    *(b"HPUB a 4 2\r\n", b"PUB a 0\r\n\r\n", b"PUB a -1\r\n", b"PUB a 1 1 1\r\n", b"UNSUB\r\n"),
    *(b"MSG a 1 0\r\n\r\n", b"HMSG a 1 0 0\r\n\r\n", b"RS+ A a\r\n", b"LS+ a\r\n", b"A+ A\r\n"),
    *(
        b"CONNECT {}\r\n",
        b"CONNECT {\r\n",
        b'CONNECT {"protocol":7}\r\n',
        b"INFO {}\r\n",
        b"INFO x\r\n",
    ),
    *(
        b"-ERR 'x'\r\n",
        b"PUB a 999999999\r\n",
        b"PUB a 9999999999\r\n",
        b"PUB a 000000001\r\nx\r\n",
    ),
    *(
        b"PUB a 2\r\nabc\r\n",
        b"PUB a 2\r\nab\n",
        b"SUB a  b  s9 x\r\n",
        b"P",
        b"HP",
        b"S",
        b"U",
        b"{",
    ),
    *(b"SUB " + b"x" * 200 + b" 1\r\n", b"SUB " + b"y" * 5_000, b"GET / HTTP/1.1\r\n\r\n"),
)
STEPS_MAX: Final = 9
OPERATIONS_MAX: Final = 6


def generate(seed: int, profile: Profile) -> Session:
    """The session of this seed under this profile; the same each time."""
    return _Generator(seed, profile).session()


class _Generator:
    def __init__(self, seed: int, profile: Profile) -> None:
        self._seed = seed
        self._random = random.Random(f"{profile.name}:{seed}")
        self._profile = profile
        self._payload_number = 0
        # Once a connection has ended, its interest goes away at a time of its own: whoever asks
        # for an answer from nobody would see that.
        self._replies_allowed = True
        # Without headers an HPUB ends a connection: mostly avoided, so that sessions last.
        self._speaks_headers: dict[int, bool] = {}
        self._asked_reply: str | None = None

    def session(self) -> Session:
        choose = self._random
        peers = choose.choice((1, 1, 2, 2, 2, 3))
        steps = [Step(peer, self._opening(peer)) for peer in range(peers)]
        for _ in range(choose.randint(1, STEPS_MAX)):
            peer = choose.randrange(peers)
            count = choose.randint(1, OPERATIONS_MAX)
            steps.append(Step(peer, tuple(self._operation(peer) for _ in range(count))))
        for peer in choose.sample(range(peers), peers):
            operations = [self._operation(peer) for _ in range(choose.randint(0, 2))]
            operations += [self._hostile(peer) for _ in range(choose.randint(0, 3))]
            steps.append(Step(peer, tuple(operations), last=True))
            self._replies_allowed = False
        return Session(self._seed, self._profile.name, tuple(steps))

    def _opening(self, peer: int) -> tuple[bytes, ...]:
        """Most connections say CONNECT and PING first; some start with whatever comes."""
        if self._random.random() < 0.88:
            subs = [self._sub(peer) for _ in range(self._random.randint(0, 3))]
            return (self._connect(peer), b"PING\r\n", *subs)
        return (self._operation(peer),)

    def _operation(self, peer: int) -> bytes:
        kinds: tuple[tuple[int, Callable[[int], bytes]], ...] = (
            (30, self._pub),
            (12, self._hpub),
            (8, self._burst),
            (24, self._sub),
            (12, self._unsub),
            (3, self._connect),
            (8, self._idle),
        )
        weights = [weight for weight, _ in kinds]
        return self._random.choices([make for _, make in kinds], weights)[0](peer)

    def _connect(self, peer: int) -> bytes:
        choose = self._random
        options: dict[str, Any] = {"verbose": choose.random() < 0.15}
        for key, likely in (("pedantic", 0.2), ("echo", 0.8), ("headers", 0.9)):
            if choose.random() < 0.8:
                options[key] = choose.random() < likely
        speaks = bool(options.get("headers", self._speaks_headers.get(peer, False)))
        self._speaks_headers[peer] = speaks and self._profile.headers
        if "headers" in options and (self._speaks_headers[peer] or choose.random() < 0.03):
            options["no_responders"] = choose.random() < 0.7
        elif not self._speaks_headers[peer]:
            options["no_responders"] = False
        if choose.random() < 0.5:
            options["protocol"] = choose.choice((0, 1, 1, 1))
        if choose.random() < 0.05:
            key, value = choose.choice(
                [("protocol", 2), ("verbose", "x"), ("NAME", "n"), ("account", "A"), ("other", [1]),
                 ("echo", None), ("no_responders", True), ("lang", "\N{SNOWMAN}"), ("nkey", "U")]
            )  # fmt: skip
            options[key] = value
        wrong = choose.random() < 0.04
        options |= choose.choice(self._profile.wrong_logins if wrong else self._profile.logins)
        return self._line("CONNECT", json.dumps(options))

    def _pub(self, peer: int) -> bytes:
        del peer
        payload = self._payload()
        return self._line("PUB", *self._address(), self._size(len(payload))) + payload + b"\r\n"

    def _hpub(self, peer: int) -> bytes:
        if not self._speaks_headers.get(peer) and self._random.random() < 0.93:
            return self._pub(peer)
        headers, payload = self._random.choice(HEADERS), self._payload()
        sizes = (self._size(len(headers)), self._size(len(headers) + len(payload)))
        return self._line("HPUB", *self._address(), *sizes) + headers + payload + b"\r\n"

    def _burst(self, peer: int) -> bytes:
        """Several messages to one reply subject: what may be answered, and how often."""
        del peer
        # Mostly the latest that was asked for, so that a request gets its answers.
        asked = self._asked_reply if self._random.random() < 0.8 else None
        subject, pubs = asked or self._random.choice(REPLIES), b""
        for _ in range(self._random.randint(2, 4)):
            payload = self._payload()
            pubs += self._line("PUB", subject, str(len(payload))) + payload + b"\r\n"
        return pubs

    def _sub(self, peer: int) -> bytes:
        choose = self._random
        odd = choose.random() < 0.08
        pattern = choose.choice(ODD_SUBJECTS if odd else PATTERNS)
        if choose.random() < 0.02:
            # About as long as the control line that the limits' profile allows.
            pattern = "l" * choose.randint(150, 165)
        if choose.random() < 0.25:
            group = choose.randrange(2)
            return self._line("SUB", pattern, f"Q{peer}{group}", f"q{group}-{choose.randrange(3)}")
        return self._line("SUB", pattern, self._sid())

    def _unsub(self, peer: int) -> bytes:
        del peer
        choose = self._random
        if choose.random() < 0.2:
            return self._line("UNSUB", f"q{choose.randrange(2)}-{choose.randrange(3)}")
        if choose.random() < 0.6:
            return self._line("UNSUB", self._sid(), choose.choice("0112233x"))
        return self._line("UNSUB", self._sid())

    def _idle(self, peer: int) -> bytes:
        del peer
        return self._random.choice(
            (
                b"PING\r\n",
                b"ping\r\n",
                b"PING x\r\n",
                b"PONG\r\n",
                b"+OK\r\n",
                b"PING\n",
                b"INFO {}\r\n",
            )
        )

    def _hostile(self, peer: int) -> bytes:
        """Bytes that only a connection's last step may hold: they may stop anywhere."""
        choose = self._random
        data = bytearray(self._operation(peer))
        match choose.randrange(6):
            case 0:
                return choose.choice(FRAGMENTS)
            case 1:
                return bytes(data[: choose.randrange(len(data))])
            case 2:
                data[choose.randrange(len(data))] = choose.randrange(256)
            case 3:
                del data[choose.randrange(len(data))]
            case 4:
                at = choose.randrange(len(data))
                data[at:at] = choose.choice(FRAGMENTS)
            case _:
                return choose.randbytes(choose.randint(1, 40))
        return bytes(data)

    def _address(self) -> list[str]:
        """A subject, and perhaps a reply."""
        choose = self._random
        subject = choose.choice(ODD_SUBJECTS if choose.random() < 0.06 else SUBJECTS)
        if not self._replies_allowed or choose.random() < 0.6:
            return [subject]
        if choose.random() < 0.06:
            return [subject, choose.choice(ODD_REPLIES)]
        self._asked_reply = choose.choice(REPLIES)
        return [subject, self._asked_reply]

    def _payload(self) -> bytes:
        """A payload that no other message of the session has, now and then a difficult one."""
        choose = self._random
        self._payload_number += 1
        payload = b"%d" % self._payload_number
        if choose.random() < 0.3:
            payload += choose.choice((b"\r\n", b"\r\nPING\r\n", b"\0", b"\xff" * 3, b"-" * 40))
        if choose.random() < 0.02:
            payload += b"=" * choose.choice((500, 5_000, 70_000))
        return payload

    def _size(self, size: int) -> str:
        return f"{size:06d}" if self._random.random() < 0.04 else str(size)

    def _sid(self) -> str:
        return f"s{self._random.randrange(5)}"

    def _line(self, verb: str, *arguments: str) -> bytes:
        """A control line, in one of the ways that all mean the same."""
        choose = self._random
        separator = choose.choices((" ", "\t", "  ", " \t "), (20, 1, 1, 1))[0]
        end = choose.choices(("\r\n", "\n", " \r\n"), (20, 1, 1))[0]
        if choose.random() < 0.05:
            verb = choose.choice((verb.lower(), verb.title()))
        return (separator.join((verb, *arguments)) + end).encode("utf-8", "surrogateescape")
