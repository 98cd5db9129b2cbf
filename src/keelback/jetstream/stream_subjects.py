"""The rules of a stream's subjects, its subject transform and what it republishes.

Source: nats-server 2.15 `server/stream.go`, `checkStreamCfg` and `subjectsOverlap`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keelback.config.gotext import quote
from keelback.jetstream.errors import (
    PEDANTIC,
    STREAM_SUBJECT_OVERLAP,
    STREAM_UPDATE,
    TRANSFORM_INVALID_DESTINATION,
    TRANSFORM_INVALID_SOURCE,
    invalid_config,
)
from keelback.jetstream.stream_config import RePublish, StreamConfig
from keelback.jetstream.subjects import (
    ANY_TAIL,
    any_collide,
    collide,
    first_collision,
    is_subset,
    is_valid,
)
from keelback.jetstream.transforms import (
    BAD_SUBJECT,
    TransformError,
    check_mapping,
)
from keelback.jetstream.transforms import check_transform as check_any_transform

_JETSTREAM: Final = ("$JS.>", "$JSC.>", "$NRG.>")
_JETSTREAM_EVENTS: Final = "$JS.EVENT.>"
_SYSTEM: Final = "$SYS.>"
_SYSTEM_ACCOUNTS: Final = "$SYS.ACCOUNT.>"


def check_subjects(config: StreamConfig) -> None:
    """Check the subjects; a stream that copies nothing and names none listens to its name.

    Raises:
        ApiError: one is invalid, stands twice, overlaps another, or is the server's own.
    """
    if not config.subjects:
        if config.mirror is None and not config.sources:
            config.subjects = (config.name,)
        return
    collisions = first_collision(config.subjects)
    for index, subject in enumerate(config.subjects):
        if not is_valid(subject):
            raise invalid_config("invalid subject")
        _check_everything(subject, config)
        if not config.no_ack:
            _check_api(subject)
        if index in collisions:
            other = config.subjects[collisions[index]]
            raise invalid_config(f"subject {quote(subject)} overlaps with {quote(other)}")


def _check_everything(subject: str, config: StreamConfig) -> None:
    if subject != ANY_TAIL:
        return
    if not config.no_ack:
        raise invalid_config("capturing all subjects requires no-ack to be true")
    if config.num_replicas != 1:
        raise invalid_config("capturing all subjects requires replicas of 1")


def _check_api(subject: str) -> None:
    # An acknowledgement to such a subject would be stored, and acknowledged in its turn.
    if any(collide(subject, space) for space in _JETSTREAM) and not is_subset(
        subject, _JETSTREAM_EVENTS
    ):
        raise invalid_config("subjects that overlap with jetstream api require no-ack to be true")
    if collide(subject, _SYSTEM) and not is_subset(subject, _SYSTEM_ACCOUNTS):
        raise invalid_config("subjects that overlap with system api require no-ack to be true")


def check_overlap(config: StreamConfig, streams: Mapping[str, StreamConfig]) -> None:
    """Check that no other stream of the account listens to any of the subjects.

    Raises:
        ApiError: one does (STREAM_SUBJECT_OVERLAP).
    """
    for other in streams.values():
        if other.name != config.name and any_collide(config.subjects, other.subjects):
            raise STREAM_SUBJECT_OVERLAP.error()


def check_transform(config: StreamConfig) -> None:
    """Check the subject transform.

    Raises:
        ApiError: its source or its destination is invalid.
    """
    transform = config.subject_transform
    if transform is None:
        return
    if transform.src and not is_valid(transform.src):
        raise TRANSFORM_INVALID_SOURCE.error(err=f"{BAD_SUBJECT} {transform.src}")
    try:
        check_mapping(transform.src, transform.dest)
    except TransformError as error:
        raise TRANSFORM_INVALID_DESTINATION.error(err=error) from None


def check_republish(config: StreamConfig, *, pedantic: bool) -> None:
    """Check what is republished, and decide what an empty source or `>` to `>` means.

    Raises:
        ApiError: messages would come back to the stream, or the transform is invalid.
    """
    if config.republish is None:
        return
    republish = _decide_republish(config.republish, config, pedantic=pedantic)
    config.republish = republish
    if any(collide(republish.dest, subject) for subject in config.subjects):
        raise invalid_config("stream configuration for republish destination forms a cycle")
    try:
        check_any_transform(republish.src, republish.dest)
    except TransformError:
        raise invalid_config(
            "stream configuration for republish with transform"
            f" from '{republish.src}' to '{republish.dest}' not valid"
        ) from None


def _decide_republish(requested: RePublish, config: StreamConfig, *, pedantic: bool) -> RePublish:
    if not requested.src and pedantic:
        raise PEDANTIC.error(err="republish source can not be empty")
    src, dest = requested.src or ANY_TAIL, requested.dest
    transform = config.subject_transform
    if src == dest == ANY_TAIL and transform is not None and config.subjects == (transform.src,):
        # What is republished is what the transform makes of the one subject.
        if pedantic:
            raise PEDANTIC.error(err="implicit republish based on subject transform")
        src = dest = transform.dest
    return RePublish(src=src, dest=dest, headers_only=requested.headers_only)


def check_updated_republish(config: StreamConfig) -> None:
    """Check what an update republishes: without a destination it goes, unlike at first, to `>`.

    Raises:
        ApiError: the transform is invalid (STREAM_UPDATE).
    """
    if config.republish is None or config.republish.dest:
        return
    src = config.republish.src
    config.republish = RePublish(src=src, dest=ANY_TAIL, headers_only=config.republish.headers_only)
    try:
        check_any_transform(src, ANY_TAIL)
    except TransformError as error:
        raise STREAM_UPDATE.error(
            err=f"stream configuration for republish from '{src}' to '{ANY_TAIL}': {error}"
        ) from None
