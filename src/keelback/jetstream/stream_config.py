"""A stream's configuration: its parts, and its JSON as nats-server reads and writes it.

Says what may be written, not what it means: defaults and rules are in `stream_rules`. A record is
mutable, so that rules can complete a copy; who keeps one does not change it. Durations are
nanoseconds, times RFC 3339. An empty list of subjects, sources or transforms is the same as none.
Source: nats-server 2.15 `server/stream.go`, `StreamConfig`.
"""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from keelback.jetstream.errors import INVALID_JSON
from keelback.jetstream.json_kinds import (
    COMPRESSION,
    DURATION,
    FLAG,
    INT,
    INT32,
    INT64,
    TEXT,
    TEXT_MAP,
    TEXTS,
    TIME,
    UINT64,
    Choice,
    ListOf,
    ObjectOf,
    Record,
    read_all,
)
from keelback.jetstream.json_scan import JsonError

Retention = Literal["limits", "interest", "workqueue"]
Discard = Literal["old", "new"]
Storage = Literal["", "file", "memory"]
Compression = Literal["none", "s2"]
PersistMode = Literal["", "async"]

_RETENTION: Final = Choice(
    {b'"limits"': "limits", b'"interest"': "interest", b'"workqueue"': "workqueue"}
)
_DISCARD: Final = Choice({b'"old"': "old", b'"new"': "new"}, any_case=True)
_STORAGE: Final = Choice({b'"file"': "file", b'"memory"': "memory"})
_PERSIST_MODE: Final = Choice({b'"default"': "", b'""': "", b'"async"': "async"})


class SubjectTransform(Record):
    """Which subjects become which."""

    always: ClassVar[frozenset[str]] = frozenset(("src", "dest"))

    src: Annotated[str, TEXT] = ""
    dest: Annotated[str, TEXT] = ""


class External(Record):
    """Where to reach a stream of another account or domain: prefixes of subjects."""

    always: ClassVar[frozenset[str]] = frozenset(("api", "deliver"))

    api: Annotated[str, TEXT] = ""
    deliver: Annotated[str, TEXT] = ""


class StreamConsumerSource(Record):
    """A durable consumer, made before, that a mirror or a source reads through."""

    name: Annotated[str, TEXT] = ""
    deliver_subject: Annotated[str, TEXT] = ""


class StreamSource(Record):
    """Another stream that this one copies."""

    always: ClassVar[frozenset[str]] = frozenset(("name",))

    name: Annotated[str, TEXT] = ""
    opt_start_seq: Annotated[int, UINT64] = 0
    opt_start_time: Annotated[str | None, TIME] = None
    filter_subject: Annotated[str, TEXT] = ""
    subject_transforms: Annotated[
        tuple[SubjectTransform, ...],
        ListOf(
            ObjectOf("server.SubjectTransformConfig", SubjectTransform, optional=False),
            SubjectTransform,
        ),
    ] = ()
    external: Annotated[External | None, ObjectOf("server.ExternalStream", External)] = None
    consumer: Annotated[
        StreamConsumerSource | None,
        ObjectOf("server.StreamConsumerSource", StreamConsumerSource),
    ] = None


_STREAM_SOURCE: Final = ObjectOf("server.StreamSource", StreamSource)


class RePublish(Record):
    """What is published again once it is stored."""

    always: ClassVar[frozenset[str]] = frozenset(("dest",))

    src: Annotated[str, TEXT] = ""
    dest: Annotated[str, TEXT] = ""
    headers_only: Annotated[bool, FLAG] = False


class Placement(Record):
    """Where in a cluster; one without anything is none, but not one with an empty list of tags."""

    cluster: Annotated[str, TEXT] = ""
    tags: Annotated[tuple[str, ...] | None, ListOf(TEXT, "", empty=None)] = None
    preferred: Annotated[str, TEXT] = ""


class StreamConsumerLimits(Record):
    """What consumers of a stream take when they say nothing, and may take at most."""

    inactive_threshold: Annotated[int, DURATION] = 0
    max_ack_pending: Annotated[int, INT] = 0


class StreamConfig(Record):
    """A stream's configuration. Limits are counts or bytes; -1 is none, 0 not yet decided."""

    always: ClassVar[frozenset[str]] = frozenset(
        (
            "name",
            "retention",
            "max_consumers",
            "max_msgs",
            "max_bytes",
            "max_age",
            "max_msgs_per_subject",
            "discard",
            "storage",
            "num_replicas",
            "compression",
            "allow_direct",
            "mirror_direct",
            "sealed",
            "deny_delete",
            "deny_purge",
            "allow_rollup_hdrs",
            "consumer_limits",
            "allow_msg_ttl",
        )
    )

    name: Annotated[str, TEXT] = ""
    description: Annotated[str, TEXT] = ""
    subjects: Annotated[tuple[str, ...], TEXTS] = ()
    retention: Annotated[Retention, _RETENTION] = "limits"
    max_consumers: Annotated[int, INT] = 0
    max_msgs: Annotated[int, INT64] = 0
    max_bytes: Annotated[int, INT64] = 0
    max_age: Annotated[int, DURATION] = 0
    max_msgs_per_subject: Annotated[int, INT64] = 0
    max_msg_size: Annotated[int, INT32] = 0
    discard: Annotated[Discard, _DISCARD] = "old"
    storage: Annotated[Storage, _STORAGE] = ""
    num_replicas: Annotated[int, INT] = 0
    no_ack: Annotated[bool, FLAG] = False
    duplicate_window: Annotated[int, DURATION] = 0
    placement: Annotated[Placement | None, ObjectOf("server.Placement", Placement)] = None
    mirror: Annotated[StreamSource | None, _STREAM_SOURCE] = None
    sources: Annotated[
        tuple[StreamSource | None, ...], ListOf(_STREAM_SOURCE, None, pointer="*")
    ] = ()
    compression: Annotated[Compression, COMPRESSION] = "none"
    first_seq: Annotated[int, UINT64] = 0
    subject_transform: Annotated[
        SubjectTransform | None, ObjectOf("server.SubjectTransformConfig", SubjectTransform)
    ] = None
    republish: Annotated[RePublish | None, ObjectOf("server.RePublish", RePublish)] = None
    allow_direct: Annotated[bool, FLAG] = False
    mirror_direct: Annotated[bool, FLAG] = False
    discard_new_per_subject: Annotated[bool, FLAG] = False
    sealed: Annotated[bool, FLAG] = False
    deny_delete: Annotated[bool, FLAG] = False
    deny_purge: Annotated[bool, FLAG] = False
    allow_rollup_hdrs: Annotated[bool, FLAG] = False
    consumer_limits: Annotated[
        StreamConsumerLimits,
        ObjectOf("server.StreamConsumerLimits", StreamConsumerLimits, optional=False),
    ] = msgspec.field(default_factory=StreamConsumerLimits)
    allow_msg_ttl: Annotated[bool, FLAG] = False
    subject_delete_marker_ttl: Annotated[int, DURATION] = 0
    allow_msg_counter: Annotated[bool, FLAG] = False
    allow_atomic: Annotated[bool, FLAG] = False
    allow_msg_schedules: Annotated[bool, FLAG] = False
    persist_mode: Annotated[PersistMode, _PERSIST_MODE] = ""
    allow_batched: Annotated[bool, FLAG] = False
    metadata: Annotated[dict[str, str], TEXT_MAP] = msgspec.field(default_factory=dict[str, str])


class StreamConfigRequest(StreamConfig):
    """What STREAM.CREATE and STREAM.UPDATE carry."""

    pedantic: Annotated[bool, FLAG] = False
    """Whether a value that would be adjusted is refused instead."""


_REQUEST: Final = ObjectOf("server.StreamConfigRequest", StreamConfigRequest, optional=False)


def decode_request(body: bytes) -> StreamConfigRequest:
    """The request of a body; one without any text is a request with nothing in it.

    Raises:
        ApiError: it is no JSON, or not of this shape (INVALID_JSON).
    """
    try:
        return read_all(body, _REQUEST, "StreamConfigRequest") or StreamConfigRequest()
    except JsonError as error:
        raise INVALID_JSON.error(err=error) from None


CONFIG: Final = ObjectOf("server.StreamConfig", StreamConfig, optional=False)


def decode_config(stored: bytes) -> StreamConfig:
    """A configuration that was stored as JSON.

    Raises:
        ApiError: it is no JSON, or not of this shape (INVALID_JSON).
    """
    try:
        return read_all(stored, CONFIG, "StreamConfig") or StreamConfig()
    except JsonError as error:
        raise INVALID_JSON.error(err=error) from None


def config_of(request: StreamConfigRequest) -> StreamConfig:
    """The configuration that a request carries, as a record of its own; its parts are shared."""
    fields = StreamConfig.__struct_fields__
    return copy(StreamConfig(**{name: getattr(request, name) for name in fields}))


def copy_of(config: StreamConfig, **changes: Any) -> StreamConfig:  # noqa: ANN401 - of many types
    """The configuration with other values; its parts are shared."""
    return msgspec.structs.replace(config, **changes)
