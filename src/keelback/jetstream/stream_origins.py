"""The rules of where a stream copies from: its mirror and its sources.

Source: nats-server 2.15 `server/stream.go`, `checkStreamCfg` and `composeIName`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keelback.config.gotext import quote
from keelback.jetstream import errors
from keelback.jetstream.errors import ErrorKind, invalid_config
from keelback.jetstream.stream_config import StreamConfig, StreamSource, SubjectTransform
from keelback.jetstream.subjects import (
    ANY_TAIL,
    collide,
    is_literal,
    is_subset,
    is_valid,
    is_valid_name,
)
from keelback.jetstream.transforms import BAD_SUBJECT, TransformError, check_mapping

API_PREFIX: Final = "$JS.API"

Streams = Mapping[str, StreamConfig]


@dataclass(slots=True)
class _Reach:
    """What the origins add up to: their prefixes, and the subjects of those that can be seen."""

    subjects: list[str] = field(default_factory=list[str])
    deliver: list[str] = field(default_factory=list[str])
    api: list[str] = field(default_factory=list[str])

    def add_external(self, origin: StreamSource) -> None:
        if origin.external is None:
            return
        if origin.external.deliver:
            self.deliver.append(origin.external.deliver)
        if origin.external.api:
            self.api.append(origin.external.api)


def check_origins(config: StreamConfig, streams: Streams, *, pedantic: bool) -> None:
    """Check the mirror and the sources; `mirror_direct` becomes what the origin allows.

    Raises:
        ApiError: of the first rule that is broken.
    """
    reach = _Reach()
    if config.mirror is not None:
        _check_beside_mirror(config)
        _check_mirror(config.mirror, config)
        _see_mirrored(config.mirror, config, streams, reach, pedantic=pedantic)
        reach.add_external(config.mirror)
    if config.sources and config.allow_msg_schedules:
        raise errors.SOURCE_WITH_SCHEDULES.error()
    _check_sources(config, streams, reach)
    _check_prefixes(reach)


def _check_beside_mirror(config: StreamConfig) -> None:
    """What a mirror cannot have beside it."""
    refused: tuple[tuple[object, ErrorKind], ...] = (
        (config.first_seq, errors.MIRROR_WITH_FIRST_SEQ),
        (config.subjects, errors.MIRROR_WITH_SUBJECTS),
        (config.sources, errors.MIRROR_WITH_SOURCES),
        (config.allow_msg_counter, errors.MIRROR_WITH_COUNTERS),
        (config.allow_atomic, errors.MIRROR_WITH_ATOMIC),
        (config.allow_batched, errors.MIRROR_WITH_BATCHED),
        (config.allow_msg_schedules, errors.MIRROR_WITH_SCHEDULES),
    )
    for value, kind in refused:
        if value:
            raise kind.error()


def _check_mirror(mirror: StreamSource, config: StreamConfig) -> None:
    if not _has_valid_consumer(mirror):
        raise errors.MIRROR_INVALID_CONSUMER.error()
    if mirror.filter_subject and mirror.subject_transforms:
        raise errors.MIRROR_MULTIPLE_FILTERS.error()
    if config.subject_delete_marker_ttl > 0:
        raise invalid_config("subject delete markers forbidden on mirrors")
    for index, transform in enumerate(mirror.subject_transforms):
        _check_mapping(transform, errors.MIRROR_INVALID_FILTER, errors.MIRROR_INVALID_DESTINATION)
        for other, beside in enumerate(mirror.subject_transforms):
            if other != index and collide(transform.src, beside.src):
                raise errors.MIRROR_OVERLAPPING_FILTERS.error()


def _see_mirrored(
    mirror: StreamSource, config: StreamConfig, streams: Streams, reach: _Reach, *, pedantic: bool
) -> None:
    """Hold the mirror against its origin, when that is of this account and there."""
    if mirror.external is not None:
        return
    if not is_valid_name(mirror.name):
        raise errors.MIRROR_INVALID_NAME.error()
    origin = streams.get(mirror.name)
    if origin is None:
        return
    reach.subjects.extend(origin.subjects)
    if 0 < config.max_msg_size < origin.max_msg_size:
        raise errors.MIRROR_MAX_MSG_SIZE.error()
    if pedantic and config.mirror_direct != origin.allow_direct:
        raise errors.PEDANTIC.error(err="origin stream has direct get set, mirror has it disabled")
    config.mirror_direct = origin.allow_direct


def _check_sources(config: StreamConfig, streams: Streams, reach: _Reach) -> None:
    indexes: set[object] = set()
    consumers: set[object] = set()
    for source in config.sources:
        if source is None or not is_valid_name(source.name):
            raise errors.SOURCE_INVALID_NAME.error()
        index = _index_of(source)
        if index in indexes:
            raise errors.SOURCE_DUPLICATE.error()
        indexes.add(index)
        _check_source(source)
        if source.consumer is not None:
            durable = (source.name, source.external and source.external.api, source.consumer.name)
            if durable in consumers:
                raise errors.SOURCE_DUPLICATE_CONSUMER.error()
            consumers.add(durable)
        reach.add_external(source)
        if source.external is None and (origin := streams.get(source.name)) is not None:
            reach.subjects.extend(origin.subjects)
            if 0 < config.max_msg_size < origin.max_msg_size:
                raise errors.SOURCE_MAX_MSG_SIZE.error()


def _index_of(source: StreamSource) -> object:
    """What makes a source another one than the rest."""
    rules = [(rule.src, rule.dest) for rule in source.subject_transforms]
    return (
        source.name,
        source.external and source.external.api,
        source.consumer and source.consumer.name,
        tuple(
            (src or ANY_TAIL, dest or ANY_TAIL)
            for src, dest in rules or [(source.filter_subject, "")]
        ),
    )


def _check_source(source: StreamSource) -> None:
    if source.filter_subject and source.subject_transforms:
        raise errors.SOURCE_MULTIPLE_FILTERS.error()
    for transform in source.subject_transforms:
        _check_mapping(transform, errors.SOURCE_INVALID_FILTER, errors.SOURCE_INVALID_DESTINATION)
    for index, transform in enumerate(source.subject_transforms):
        for other, beside in enumerate(source.subject_transforms):
            if other != index and is_subset(transform.src, beside.src):
                raise errors.SOURCE_OVERLAPPING_FILTERS.error()
    if not _has_valid_consumer(source):
        raise errors.SOURCE_INVALID_CONSUMER.error()


def _has_valid_consumer(origin: StreamSource) -> bool:
    """Whether a durable consumer, if there is one, is named right and alone decides what comes."""
    consumer = origin.consumer
    if consumer is None:
        return True
    decides_itself = origin.opt_start_seq or origin.opt_start_time or origin.filter_subject
    return (
        is_valid_name(consumer.name)
        and is_literal(consumer.deliver_subject)
        and is_valid(consumer.deliver_subject)
        and not decides_itself
    )


def _check_mapping(
    transform: SubjectTransform, bad_source: ErrorKind, bad_destination: ErrorKind
) -> None:
    if transform.src and not is_valid(transform.src):
        raise bad_source.error(err=f"{BAD_SUBJECT} {transform.src}")
    try:
        check_mapping(transform.src, transform.dest)
    except TransformError as error:
        raise bad_destination.error(err=error) from None


def _check_prefixes(reach: _Reach) -> None:
    for prefix in reach.deliver:
        if not (is_valid(prefix) and is_literal(prefix)):
            raise errors.EXTERNAL_DELIVER_INVALID.error(prefix=prefix)
        for subject in reach.subjects:
            if collide(subject, f"{prefix}.{subject}"):
                raise errors.EXTERNAL_DELIVER_OVERLAP.error(prefix=prefix, subject=subject)
    for prefix in reach.api:
        if not (is_valid(prefix) and is_literal(prefix)):
            raise errors.STREAM_INVALID_CONFIG.error(
                err=f"stream external api prefix {quote(prefix)}"
                " must be a valid subject without wildcards"
            )
        if collide(prefix, API_PREFIX):
            raise errors.EXTERNAL_API_OVERLAP.error(prefix=prefix, subject=API_PREFIX)


def check_cycles(config: StreamConfig, streams: Streams) -> None:
    """Check that no message could come back to a stream by its sources and mirrors.

    Raises:
        ApiError: one could.
    """
    visited: set[str] = set()
    waiting = [config]
    while waiting:
        stream = waiting.pop(0)
        visited.add(stream.name)
        for source in stream.sources:
            if source is None or source.external is not None:
                continue
            if source.name not in visited:
                waiting.extend(_known(source.name, streams))
            elif _takes(source.filter_subject, stream.subjects):
                raise invalid_config("detected cycle")
        mirror = stream.mirror
        if mirror is not None and mirror.external is None:
            if mirror.name in visited:
                raise invalid_config("detected cycle")
            waiting.extend(_known(mirror.name, streams))


def _known(name: str, streams: Streams) -> list[StreamConfig]:
    stream = streams.get(name)
    return [] if stream is None else [stream]


def _takes(filter_subject: str, subjects: tuple[str, ...]) -> bool:
    return not filter_subject or any(collide(subject, filter_subject) for subject in subjects)


def check_filters(config: StreamConfig) -> None:
    """Check the single filters of the mirror and the sources, which a new stream must have right.

    Raises:
        ApiError: STREAM_CREATE with the filter.
    """
    mirror = config.mirror
    if mirror is not None and _has_bad_filter(mirror):
        raise errors.STREAM_CREATE.error(
            err=f"subject filter '{mirror.filter_subject}' for the mirror {BAD_SUBJECT}"
        )
    for source in config.sources:
        if source is not None and _has_bad_filter(source):
            raise errors.STREAM_CREATE.error(
                err=f"subject filter '{source.filter_subject}' for the source: {BAD_SUBJECT}"
            )


def _has_bad_filter(origin: StreamSource) -> bool:
    return bool(origin.filter_subject) and not is_valid(origin.filter_subject)
