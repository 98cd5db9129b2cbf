"""The rules of a stream's configuration: what is missing is decided, what cannot be is refused.

The order is nats-server's, for who breaks two rules hears of the first. Source: nats-server 2.15
`server/stream.go`, `checkStreamCfg`.
"""

from __future__ import annotations

from typing import Final

from keelback.config.gotext import duration_text
from keelback.jetstream.errors import (
    MAX_BYTES_REQUIRED,
    MAX_STREAM_BYTES_EXCEEDED,
    NO_LIMITS,
    PEDANTIC,
    REPLICAS_NEGATIVE,
    ApiError,
    invalid_config,
)
from keelback.jetstream.stream_config import Placement, StreamConfig, copy_of
from keelback.jetstream.stream_limits import ServerLimits, Surroundings, select_limits
from keelback.jetstream.stream_origins import check_cycles, check_origins
from keelback.jetstream.stream_subjects import check_republish, check_subjects, check_transform
from keelback.jetstream.subjects import is_valid_name

NAME_BYTES_MAX: Final = 255
DESCRIPTION_BYTES_MAX: Final = 4 * 1024
METADATA_BYTES_MAX: Final = 128 * 1024
REPLICAS_MAX: Final = 5

_NS_PER_S: Final = 1_000_000_000
SHORTEST_AGE_NS: Final = 100_000_000
SHORTEST_MARKER_NS: Final = _NS_PER_S
DUPLICATE_WINDOW_NS: Final = 120 * _NS_PER_S
"""What a stream remembers message ids for when nothing is said."""

_COUNTS: Final = ("max_msgs", "max_msgs_per_subject", "max_bytes", "max_msg_size", "max_consumers")


def complete(requested: StreamConfig, around: Surroundings, *, pedantic: bool) -> StreamConfig:
    """The configuration that a requested one stands for: a copy with all defaults.

    Args:
        requested: as decoded, or complete already.
        around: limits, and the account's streams, the one of this name perhaps among them.
        pedantic: refuse what would be changed otherwise.

    Raises:
        ApiError: of the first rule that is broken.
    """
    _check_texts(requested)
    config = copy_of(requested)
    _decide_store(config)
    _decide_counts(config, pedantic=pedantic)
    _decide_times(config, around.server, pedantic=pedantic)
    _check_counter(config)
    _check_discard_per_subject(config)
    _decide_markers(config, pedantic=pedantic)
    _decide_schedules(config, pedantic=pedantic)
    _check_persist_mode(config)
    check_origins(config, around.streams, pedantic=pedantic)
    check_cycles(config, around.streams)
    check_subjects(config)
    _check_stream_bytes(config, around)
    check_transform(config)
    check_republish(config, pedantic=pedantic)
    _check_placement(config)
    return config


def _check_texts(config: StreamConfig) -> None:
    if not is_valid_name(config.name):
        raise invalid_config(r"stream name is required and can not contain '.', '*', '>', '\', '/'")
    if len(config.name.encode()) > NAME_BYTES_MAX:
        raise invalid_config(f"stream name is too long, maximum allowed is {NAME_BYTES_MAX}")
    if len(config.description.encode()) > DESCRIPTION_BYTES_MAX:
        raise invalid_config(
            f"stream description is too long, maximum allowed is {DESCRIPTION_BYTES_MAX}"
        )
    size = sum(len(key.encode()) + len(value.encode()) for key, value in config.metadata.items())
    if size > METADATA_BYTES_MAX:
        raise invalid_config(f"stream metadata exceeds maximum size of {METADATA_BYTES_MAX} bytes")


def _decide_store(config: StreamConfig) -> None:
    config.storage = config.storage or "file"
    config.num_replicas = config.num_replicas or 1
    if config.num_replicas > REPLICAS_MAX:
        raise invalid_config(f"maximum replicas is {REPLICAS_MAX}")
    if config.num_replicas < 0:
        raise REPLICAS_NEGATIVE.error()


def _decide_counts(config: StreamConfig, *, pedantic: bool) -> None:
    for name in _COUNTS:
        count: int = getattr(config, name)
        if pedantic and count < -1:
            raise PEDANTIC.error(err=f"{name} must be set to -1")
        if count < 1:
            setattr(config, name, -1)


def _decide_times(config: StreamConfig, server: ServerLimits, *, pedantic: bool) -> None:
    if config.max_age < 0:
        raise invalid_config("max age can not be negative")
    if 0 < config.max_age < SHORTEST_AGE_NS:
        raise invalid_config("max age needs to be >= 100ms")
    if not (config.duplicate_window or config.mirror or config.sources):
        config.duplicate_window = _default_window(config.max_age, server, pedantic=pedantic)
    if config.duplicate_window < 0:
        raise invalid_config("duplicates window can not be negative")
    if 0 < config.max_age < config.duplicate_window:
        raise invalid_config("duplicates window can not be larger then max age")
    if 0 < server.duplicate_window_ns_max < config.duplicate_window:
        limit = duration_text(server.duplicate_window_ns_max)
        raise invalid_config(f"duplicates window can not be larger then server limit of {limit}")
    if 0 < config.duplicate_window < SHORTEST_AGE_NS:
        raise invalid_config("duplicates window needs to be >= 100ms")
    if config.deny_purge and config.allow_rollup_hdrs:
        raise invalid_config("roll-ups require the purge permission")


def _default_window(max_age: int, server: ServerLimits, *, pedantic: bool) -> int:
    window = DUPLICATE_WINDOW_NS
    if 0 < server.duplicate_window_ns_max < window:
        if pedantic:
            raise PEDANTIC.error(err="duplicate window limits are higher than current limits")
        window = server.duplicate_window_ns_max
    if 0 < max_age < window:
        if pedantic:
            raise PEDANTIC.error(err="duplicate window cannot be bigger than max age")
        window = max_age
    return window


def _check_counter(config: StreamConfig) -> None:
    if not config.allow_msg_counter:
        return
    if config.discard == "new":
        raise invalid_config("counter stream cannot use discard new")
    if config.allow_msg_ttl:
        raise invalid_config("counter stream cannot use message TTLs")
    if config.allow_msg_schedules:
        raise invalid_config("counter stream cannot use message schedules")
    if config.retention != "limits":
        raise invalid_config("counter stream can only use limits retention")


def _check_discard_per_subject(config: StreamConfig) -> None:
    if not config.discard_new_per_subject:
        return
    if config.discard != "new":
        raise invalid_config("discard new per subject requires discard new policy to be set")
    if config.max_msgs_per_subject <= 0:
        raise invalid_config("discard new per subject requires max msgs per subject > 0")


def _decide_markers(config: StreamConfig, *, pedantic: bool) -> None:
    if config.subject_delete_marker_ttl < 0:
        raise invalid_config("subject delete marker TTL must not be negative")
    if config.subject_delete_marker_ttl == 0:
        return
    if config.subject_delete_marker_ttl < SHORTEST_MARKER_NS:
        raise invalid_config("subject delete marker TTL must be at least 1 second")
    if not config.allow_msg_ttl:
        if pedantic:
            raise invalid_config("subject delete marker cannot be set if message TTLs are disabled")
        config.allow_msg_ttl = True
    if not config.allow_rollup_hdrs:
        if pedantic:
            raise invalid_config("subject delete marker cannot be set if roll-ups are disabled")
        config.allow_rollup_hdrs, config.deny_purge = True, False


def _decide_schedules(config: StreamConfig, *, pedantic: bool) -> None:
    if not config.allow_msg_schedules:
        return
    if config.discard == "new":
        raise invalid_config("message scheduling cannot use discard new")
    if not config.allow_rollup_hdrs:
        if pedantic:
            raise invalid_config("message scheduling cannot be set if roll-ups are disabled")
        config.allow_rollup_hdrs, config.deny_purge = True, False


def _check_persist_mode(config: StreamConfig) -> None:
    if config.persist_mode != "async":
        return
    if config.storage != "file":
        raise invalid_config("async persist mode is only supported on file storage")
    if config.num_replicas > 1:
        raise invalid_config("async persist mode is not supported on replicated streams")
    if config.allow_atomic:
        raise invalid_config("async persist mode is not supported with atomic batch publish")


def _check_stream_bytes(config: StreamConfig, around: Surroundings) -> None:
    try:
        _, limits = select_limits(around.limits, config.num_replicas)
    except ApiError as error:
        if error.kind is not NO_LIMITS:
            raise
        return  # who asked hears of it when the reservation is checked
    in_memory = config.storage == "memory"
    most = limits.memory_stream_bytes_max if in_memory else limits.file_stream_bytes_max
    if limits.max_bytes_required and config.max_bytes <= 0:
        raise MAX_BYTES_REQUIRED.error()
    if 0 < most < config.max_bytes:
        raise MAX_STREAM_BYTES_EXCEEDED.error()


def _check_placement(config: StreamConfig) -> None:
    if config.placement == Placement():
        config.placement = None
    if config.placement is not None and config.placement.preferred:
        raise invalid_config("preferred server not permitted in placement")
