"""A stream as simple as it can be told: what it answers, and what it holds afterwards.

It knows messages by their sequence, looks through all of them for everything, and forgets nothing
but what a rule names.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

RECORD_BYTES = {"file": 30, "memory": 16}
"""What a message takes besides its subject, headers and payload."""
HEADER_BYTES = {"file": 4, "memory": 0}
"""What it takes more when it has headers."""

WRONG_LAST_SEQUENCE, ROLLUP, EXCEEDED = 10071, 10111, 10077


@dataclass(frozen=True)
class Rules:
    """The limits of a stream; -1 is without limit."""

    storage: str = "file"
    max_msgs: int = -1
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    discard: str = "old"
    discard_new_per_subject: bool = False
    allow_rollup_hdrs: bool = False


@dataclass(frozen=True)
class Message:
    """What is published: with which headers is told by the fields that are set."""

    subject: str
    payload: bytes = field(repr=False)
    msg_id: str = ""
    last_seq: int | None = None
    last_subject_seq: int | None = None
    rollup: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """Its headers."""
        found = [f"Nats-Msg-Id: {self.msg_id}"] if self.msg_id else []
        if self.last_seq is not None:
            found.append(f"Nats-Expected-Last-Sequence: {self.last_seq}")
        if self.last_subject_seq is not None:
            found.append(f"Nats-Expected-Last-Subject-Sequence: {self.last_subject_seq}")
        if self.rollup:
            found.append(f"Nats-Rollup: {self.rollup}")
        return tuple(found)

    def size(self, storage: str) -> int:
        """What it takes, as limits count it."""
        head = sum(len(line) + 2 for line in self.lines)
        block = head + len("NATS/1.0\r\n\r\n") + HEADER_BYTES[storage] if head else 0
        return len(self.subject) + block + len(self.payload) + RECORD_BYTES[storage]


class Ack(NamedTuple):
    """What a publisher is told: a sequence, or an error."""

    seq: int = 0
    duplicate: bool = False
    err_code: int = 0


@dataclass
class Model:
    """A stream. No message of it grows old."""

    rules: Rules
    messages: dict[int, Message] = field(default_factory=dict[int, Message])
    first_seq: int = 0
    """0 before the first message."""
    last_seq: int = 0
    ids: dict[str, int] = field(default_factory=dict[str, int])

    def publish(self, message: Message) -> Ack:
        """Store a message, unless a rule is against it."""
        if message.last_subject_seq not in (None, max(self._of(message.subject), default=0)):
            return Ack(err_code=WRONG_LAST_SEQUENCE)
        if message.last_seq not in (None, self.last_seq):
            return Ack(err_code=WRONG_LAST_SEQUENCE)
        if message.msg_id in self.ids:
            return Ack(seq=self.ids[message.msg_id], duplicate=True)
        if message.rollup and not self.rules.allow_rollup_hdrs:
            return Ack(err_code=ROLLUP)
        if self._has_no_room(message):
            return Ack(err_code=EXCEEDED)
        self.last_seq += 1
        self.first_seq = self.first_seq or self.last_seq
        self.messages[self.last_seq] = message
        if message.msg_id:
            self.ids[message.msg_id] = self.last_seq
        # Limits come first: what makes room for a rollup is gone, whatever the rollup drops.
        self._enforce_subjects()
        self._enforce_whole()
        if message.rollup:
            same = self.messages if message.rollup == "all" else self._of(message.subject)
            self._drop([seq for seq in same if seq != self.last_seq])
        return Ack(seq=self.last_seq)

    def delete(self, seq: int) -> bool:
        """Whether there was such a message."""
        found = seq in self.messages
        self._drop([seq] if found else [])
        return found

    def purge(self, *, subject: str = "", below: int = 0, keep: int = 0) -> int:
        """Drop messages: of a subject, below a sequence, all but the last so many."""
        chosen = sorted(self._of(subject) if subject else self.messages)
        if below:
            chosen = [seq for seq in chosen if seq < below]
        elif keep:
            chosen = chosen[:-keep]
        self._drop(chosen)
        if not subject and not keep and below != 1:
            # Sequences go on from where it was purged to.
            self.last_seq = max(self.last_seq, below - 1)
            self.first_seq = min(self.messages, default=self.last_seq + 1)
        return len(chosen)

    def update(self, **rules: object) -> None:
        """Other limits, at once."""
        self.rules = replace(self.rules, **rules)  # pyright: ignore[reportArgumentType]
        self._enforce_whole()
        self._enforce_subjects()

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return sum(each.size(self.rules.storage) for each in self.messages.values())

    @property
    def deleted(self) -> list[int]:
        """Sequences between the first and the last without a message."""
        return [s for s in range(self.first_seq or 1, self.last_seq + 1) if s not in self.messages]

    def _of(self, subject: str) -> list[int]:
        return [seq for seq, each in self.messages.items() if each.subject == subject]

    def _drop(self, seqs: list[int]) -> None:
        for seq in seqs:
            del self.messages[seq]
        if seqs:
            self.first_seq = min(self.messages, default=self.last_seq + 1)

    def _has_no_room(self, message: Message) -> bool:
        rules = self.rules
        if rules.discard != "new":
            return False
        same = self._of(message.subject)
        is_full = 0 < rules.max_msgs_per_subject <= len(same)
        if is_full and rules.discard_new_per_subject and not message.rollup:
            return True
        if not is_full and 0 < rules.max_msgs <= len(self.messages):
            return True
        size = message.size(rules.storage)
        # The oldest of a full subject makes room for one that is no larger.
        makes_room = is_full and self.messages[same[0]].size(rules.storage) >= size
        return 0 < rules.max_bytes < self.bytes + size and not makes_room

    def _enforce_subjects(self) -> None:
        most = self.rules.max_msgs_per_subject
        if most > 0:
            for subject in {each.subject for each in self.messages.values()}:
                same = self._of(subject)
                self._drop(same[: max(len(same) - most, 0)])

    def _enforce_whole(self) -> None:
        rules = self.rules
        while (
            rules.discard == "old"
            and self.messages
            and (0 < rules.max_msgs < len(self.messages) or 0 < rules.max_bytes < self.bytes)
        ):
            self._drop([min(self.messages)])
