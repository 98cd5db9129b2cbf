"""Reads a store's files as `docs/store-format.md` tells it, and knows nothing else of them.

Every check that the page names is made here; whatever does not check raises. Packed payloads, ids,
TTLs and purges are beyond this reader, and raise as well.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER_BYTES: Final = 4096
HALF_BYTES: Final = 2048
GOLDEN: Final = 0x9E3779B97F4A7C15
MASK: Final = (1 << 64) - 1
PADDING_GROUP: Final = (1 << 32) - 1
ERASED: Final = 16


class BadStoreError(Exception):
    """A file is not as the page says."""


class Stored(NamedTuple):
    """A message."""

    subject: str
    headers: bytes
    payload: bytes
    time_ns: int


@dataclass
class ReadStream:
    """A stream as its files have it."""

    account: str
    name: str
    config: bytes
    first_seq: int
    last_seq: int
    messages: dict[int, Stored]


def check(text: bytes, seed: int, expected: int, what: str) -> None:
    """Raise unless the check is right."""
    if xxhash.xxh3_64_intdigest(text, seed & MASK) != expected:
        raise BadStoreError(f"{what} does not check")


class Bytes:
    """What stands one behind the other."""

    def __init__(self, text: bytes) -> None:
        self._text, self._at = text, 0

    def number(self, count: int = 8) -> int:
        """The next number of so many bytes."""
        return int.from_bytes(self.take(count), "little")

    def text(self) -> bytes:
        """The next text, behind its length."""
        return self.take(self.number(4))

    def take(self, count: int) -> bytes:
        """The next bytes."""
        found = self._text[self._at : self._at + count]
        if len(found) != count:
            raise BadStoreError("the content ends too soon")
        self._at += count
        return found

    def rest(self) -> bytes:
        """All that is left."""
        return self._text[self._at :]


def header(path: Path, name: bytes, field_bytes: int) -> Bytes:
    """The fields of a file's header, both copies of which are checked."""
    block = path.read_bytes()[:HEADER_BYTES]
    if block[:HALF_BYTES] != block[HALF_BYTES:]:
        raise BadStoreError(f"{path.name}: the copies of the header differ")
    if block[:7] != name.ljust(7, b"\0"):
        raise BadStoreError(f"{path.name}: another name")
    end = 8 + field_bytes
    check(block[:end], 0, int.from_bytes(block[end : end + 8], "little"), f"{path.name}: header")
    return Bytes(block[8:end])


def manifest(folder: Path, store: bytes) -> Bytes:
    """The content of a folder's manifest."""
    path = folder / "manifest.1"
    fields = header(path, b"KBMAN", 40)
    if fields.take(16) != store:
        raise BadStoreError(f"{path}: another store's")
    generation, length, digest = fields.number(), fields.number(), fields.number()
    content = path.read_bytes()[HEADER_BYTES:]
    if len(content) != length:
        raise BadStoreError(f"{path}: {len(content)} bytes of content, not {length}")
    check(content, generation, digest, str(path))
    return Bytes(content)


def read_store(directory: Path) -> dict[int, ReadStream]:
    """Its streams, by their groups."""
    store = header(directory / "store", b"KBSTORE", 16).take(16)
    content = manifest(directory, store)
    content.take(16 + 16 + 4)
    streams: dict[int, ReadStream] = {}
    applied: dict[int, tuple[int, int]] = {}
    for _ in range(content.number(4)):
        group, stream = read_record(content)
        streams[group] = stream
        applied[group] = read_folder(directory / "streams" / f"{group:08x}", store, group, stream)
    for at, group, body in entries(directory / "log", store):
        if group in streams and at >= applied[group]:
            apply(streams[group], Bytes(body))
    return streams


def read_record(content: Bytes) -> tuple[int, ReadStream]:
    """A stream as the manifest of the store has it: its group, and it without messages."""
    group = content.number(4)
    content.take(8 + 8)
    content.take(5 * 8 + 2)
    account, name, config = content.text(), content.text(), content.text()
    return group, ReadStream(account.decode(), name.decode(), config, 0, 0, {})


def read_folder(folder: Path, store: bytes, group: int, stream: ReadStream) -> tuple[int, int]:
    """Fill in what the folder has; up to where the log is in it."""
    content = manifest(folder, store)
    applied = (content.number(), content.number())
    content.number()
    stream.first_seq, stream.last_seq = content.number(), content.number()
    content.take(8 + 8)
    content.take(8 + 8)
    content.take(5 * 8 + 2)
    content.text()
    if content.number():
        raise BadStoreError("ids that no record carries are beyond this reader")
    for _ in range(content.number()):
        number, end, _, _, floor, generation = (content.number() for _ in range(6))
        if content.number():
            raise BadStoreError("damage is beyond this reader")
        path = folder / f"{number:08x}.segment"
        fields = header(path, b"KBSEG", 32)
        identity = fields.rest()
        seed = xxhash.xxh3_64_intdigest(identity)
        if fields.take(16) != store or (fields.number(), fields.number()) != (group, number):
            raise BadStoreError(f"{path}: another segment")
        found = dict(records(path, seed, end))
        live = live_sequences(folder, number, generation, seed, min(found, default=0))
        for seq, message in found.items():
            if seq >= max(floor, stream.first_seq) and (live is None or seq in live):
                stream.messages[seq] = message
    return applied


def records(path: Path, seed: int, end: int) -> Iterator[tuple[int, Stored]]:
    """The records of a segment: up to `end`, or to the index of a sealed one."""
    text = path.read_bytes()
    index = None
    if not end:
        index = read_index(path, text, seed)
        end = index.start
    found: list[tuple[int, int, int, str]] = []
    at = HEADER_BYTES
    while at < end:
        place = seed ^ (at * GOLDEN & MASK)
        digest, body_digest, seq, time_ns, length, headers, subject, flags = struct.unpack(
            "<QQQQIIIB3x", text[at : at + 48]
        )
        check(text[at + 8 : at + 48], place, digest, f"{path} at {at}")
        padded = (length + 7) // 8 * 8
        body = text[at + 48 : at + 48 + padded]
        check(body, place, body_digest, f"{path} at {at}: body")
        if flags & ~ERASED:
            raise BadStoreError(f"flags {flags} are beyond this reader")
        rest = Bytes(body[:length])
        stored = Stored(rest.take(subject).decode(), rest.take(headers), rest.rest(), time_ns)
        found.append((seq, time_ns, at, stored.subject))
        yield seq, stored
        at += 48 + padded
    if index is not None and found != index.records:
        raise BadStoreError(f"{path}: its index is not that of its records")


@dataclass
class Index:
    """What the end of a sealed segment says."""

    start: int
    records: list[tuple[int, int, int, str]]
    """Sequence, time, place and subject of each."""


def read_index(path: Path, text: bytes, seed: int) -> Index:
    """The index of a sealed segment, all of whose blocks are checked."""
    at = len(text) - 88
    trailer = Bytes(text[at:])
    if trailer.take(8) != b"KBSEGIDX":
        raise BadStoreError(f"{path}: no trailer")
    counts = [trailer.number(4) for _ in range(4)]
    start, first, last, first_ns, youngest_ns, mortal_ns, size = (
        trailer.number() for _ in range(7)
    )
    check(text[at : at + 80], seed ^ (at * GOLDEN & MASK), trailer.number(), f"{path}: trailer")
    sections: list[bytes] = []
    at = start
    for length in (counts[0] * 28, counts[1] * 8, counts[2] * 28, counts[3]):
        section = b""
        while len(section) < length:
            block = text[at : at + min(length - len(section), 4088)]
            digest = int.from_bytes(text[at + len(block) : at + len(block) + 8], "little")
            check(block, seed ^ (at * GOLDEN & MASK), digest, f"{path}: index at {at}")
            section += block
            at += len(block) + 8
        sections.append(section)
    places, _, subjects, texts = sections
    entries = list(struct.iter_unpack("<IIIQQ", subjects))
    names = [texts[begin : begin + length].decode() for begin, length, *_ in entries]
    if names != sorted(names):
        raise BadStoreError(f"{path}: its subjects are in no order")
    records = [
        (seq, time_ns, place * 8, names[subject], sized & (1 << 28) - 1)
        for seq, time_ns, place, sized, subject in struct.iter_unpack("<QQIII", places)
    ]
    for name, (_, _, count, first_seq, last_seq) in zip(names, entries, strict=True):
        of_it = [each[0] for each in records if each[3] == name]
        if (count, first_seq, last_seq) != (len(of_it), of_it[0], of_it[-1]):
            raise BadStoreError(f"{path}: {name} is not as its records are")
    times = [each[1] for each in records]
    expected = (records[0][0], records[-1][0], times[0], max(times), times[0])
    if (first, last, first_ns, youngest_ns, mortal_ns) != expected:
        raise BadStoreError(f"{path}: the trailer is not as its records are")
    if size != sum(each[4] for each in records):
        raise BadStoreError(f"{path}: the trailer has another size")
    return Index(start, [each[:4] for each in records])


def live_sequences(
    folder: Path, number: int, generation: int, seed: int, first: int
) -> set[int] | None:
    """Which messages of a segment live; None for all."""
    if not generation:
        return None
    path = folder / f"{number:08x}.{generation:016x}.live"
    fields = header(path, b"KBLIVE", 56)
    fields.take(16 + 8 + 8 + 8)
    length, digest = fields.number(), fields.number()
    text = path.read_bytes()[HEADER_BYTES:]
    content = text[:length]
    if text != content * 2:
        raise BadStoreError(f"{path}: the copies differ")
    check(content, seed ^ generation, digest, str(path))
    numbers: list[int] = []
    value = shift = 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    live: set[int] = set()
    at = first
    for gone, kept in zip(numbers[::2], numbers[1::2], strict=True):
        at += gone
        live |= set(range(at, at + kept))
        at += kept
    return live


def entries(folder: Path, store: bytes) -> Iterator[tuple[tuple[int, int], int, bytes]]:
    """What was committed: where it stands, its group, its body."""
    paths = sorted(folder.glob("*.log"))
    for path, after in zip(paths, [*paths[1:], None], strict=True):
        fields = header(path, b"KBLOG", 40)
        if fields.take(16) != store:
            raise BadStoreError(f"{path}: another store's")
        ordinal = fields.number()
        text = path.read_bytes()
        end = len(text)
        if after is not None:
            follower = header(after, b"KBLOG", 40)
            follower.take(16 + 8)
            if follower.number() == ordinal:
                end = follower.number()
        seed = xxhash.xxh3_64_intdigest(store + struct.pack("<Q", ordinal))
        at = HEADER_BYTES
        batch: list[tuple[tuple[int, int], int, bytes]] = []
        while at + 32 <= end:
            place = seed ^ (at * GOLDEN & MASK)
            digest, length, group, _, first, body_digest = struct.unpack(
                "<QIIIIQ", text[at : at + 32]
            )
            if xxhash.xxh3_64_intdigest(text[at + 8 : at + 32], place) != digest:
                if after is not None and end < len(text):
                    raise BadStoreError(f"{path} at {at}: no entry")
                break
            padded = (length + 7) // 8 * 8
            body = text[at + 32 : at + 32 + padded]
            check(body, place, body_digest, f"{path} at {at}")
            batch.append(((ordinal, at), group, body[:length]))
            if first & 1:
                yield from (each for each in batch if each[1] != PADDING_GROUP)
                batch = []
            at += 32 + padded


def apply(stream: ReadStream, body: Bytes) -> None:
    """Do what an entry says."""
    kind = body.number(1)
    if kind == 1:
        flags, time_ns = body.number(1), body.number()
        subject, headers = body.number(4), body.number(4)
        if flags:
            raise BadStoreError(f"flags {flags} are beyond this reader")
        stream.last_seq += 1
        stream.messages[stream.last_seq] = Stored(
            body.take(subject).decode(), body.take(headers), body.rest(), time_ns
        )
    elif kind == 4:
        stream.messages.pop(body.number(), None)
    else:
        raise BadStoreError(f"entries of kind {kind} are beyond this reader")
    stream.first_seq = min(stream.messages, default=stream.last_seq + 1)
