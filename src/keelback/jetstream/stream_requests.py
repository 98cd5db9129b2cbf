"""What STREAM.CREATE and STREAM.UPDATE decide before anything is stored.

Pure functions: from the request, the limits and the account's streams to the configuration that
will be, or the error. Source: nats-server 2.15 `server/jetstream_api.go`
(`jsStreamCreateRequest`, `jsStreamUpdateRequest`) and `server/stream.go` (`configUpdateCheck`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keelback.jetstream.api_level import (
    answered_metadata,
    kept_metadata,
    stored_metadata,
)
from keelback.jetstream.errors import (
    NO_LIMITS,
    STREAM_MIRROR_NOT_UPDATABLE,
    STREAM_MISMATCH,
    STREAM_NAME_EXISTS,
    STREAM_NAME_EXISTS_RESTORE,
    STREAM_NAME_PATH_SEPARATORS,
    STREAM_NOT_FOUND,
    STREAM_REPLICAS_NOT_SUPPORTED,
    STREAM_UPDATE,
    ApiError,
    invalid_config,
)
from keelback.jetstream.stream_config import (
    StreamConfig,
    StreamConfigRequest,
    config_of,
    copy_of,
)
from keelback.jetstream.stream_limits import (
    Surroundings,
    check_reservation,
    check_room,
    select_limits,
)
from keelback.jetstream.stream_origins import check_filters
from keelback.jetstream.stream_rules import complete
from keelback.jetstream.stream_subjects import check_overlap, check_updated_republish


@dataclass(frozen=True, slots=True)
class ConsumerUse:
    """What a consumer of the stream has that the stream's limits bound."""

    name: str
    inactive_threshold_ns: int = 0
    max_ack_pending: int = 0


def create(request: StreamConfigRequest, name: str, around: Surroundings) -> StreamConfig:
    """The configuration of the stream to create, or of the one that is there already and equal.

    Args:
        request: as decoded.
        name: the stream in the request's subject.
        around: limits, and all streams of the account.

    Raises:
        ApiError: the stream cannot be.
    """
    config = config_of(request)
    config.metadata = stored_metadata(config)
    _check_requested(config, name)
    check_room(config, around)
    config = complete(config, around, pedantic=request.pedantic)
    _check_replicas(config, around)
    existing = around.streams.get(config.name)
    if existing is not None:
        if copy_of(config, metadata=kept_metadata(config, existing)) != existing:
            raise STREAM_NAME_EXISTS.error()
        return existing
    tier, limits = select_limits(around.limits, config.num_replicas)
    check_reservation(config, around, tier, limits)
    check_filters(config)
    check_overlap(config, around.streams)
    return config


def restored(config: StreamConfig, name: str, around: Surroundings) -> StreamConfig:
    """The configuration of the stream that an archive is to be restored to.

    Args:
        config: as requested; without a name it has that of the subject.
        name: the stream in the request's subject.
        around: limits, and all streams of the account.

    Raises:
        ApiError: the stream cannot be.
    """
    config = copy_of(config, name=config.name or name)
    if config.name != name:
        raise STREAM_MISMATCH.error()
    if "\\" in name or "/" in name:
        raise STREAM_NAME_PATH_SEPARATORS.error()
    config = complete(config, around, pedantic=False)
    check_room(config, around)
    if name in around.streams:
        raise STREAM_NAME_EXISTS_RESTORE.error()
    _check_replicas(config, around)
    check_overlap(config, around.streams)
    return config


def _check_requested(config: StreamConfig, name: str) -> None:
    if name != config.name:
        raise STREAM_MISMATCH.error()
    if "\\" in name or "/" in name:
        raise STREAM_NAME_PATH_SEPARATORS.error()
    if config.sealed:
        raise invalid_config("stream configuration for create can not be sealed")
    if config.mirror_direct and config.mirror is None:
        raise invalid_config("stream has no mirror but does have mirror direct")


def _check_replicas(config: StreamConfig, around: Surroundings) -> None:
    if not around.server.clustered and config.num_replicas > 1:
        raise STREAM_REPLICAS_NOT_SUPPORTED.error()


def update(
    request: StreamConfigRequest,
    name: str,
    around: Surroundings,
    consumers: Sequence[ConsumerUse] = (),
) -> StreamConfig:
    """The configuration that the stream will have; what the request leaves out takes its default.

    Args:
        request: as decoded.
        name: the stream in the request's subject.
        around: limits, and all streams of the account.
        consumers: of this stream.

    Raises:
        ApiError: there is no such stream, or it cannot become so.
    """
    config = complete(config_of(request), around, pedantic=request.pedantic)
    if name != config.name:
        raise STREAM_MISMATCH.error()
    old = around.streams.get(name)
    if old is None:
        raise STREAM_NOT_FOUND.error()
    config.metadata = stored_metadata(config)
    config = complete(config, around, pedantic=request.pedantic)
    _check_replicas(config, around)
    _check_change(config, old)
    if config.sealed:
        config.max_age = 0
        config.discard = "new"
        config.deny_delete = config.deny_purge = True
        config.allow_rollup_hdrs = False
    _check_growth(config, old, around)
    _check_consumers(config, old, consumers)
    check_overlap(config, around.streams)
    check_updated_republish(config)
    return config


def _check_change(config: StreamConfig, old: StreamConfig) -> None:
    """What cannot change, or not in this direction."""
    if config.storage != old.storage:
        raise invalid_config("stream configuration update can not change storage type")
    if config.retention != old.retention and "workqueue" in (config.retention, old.retention):
        raise invalid_config(
            "stream configuration update can not change retention policy to/from workqueue"
        )
    _check_stays(config, old, _KEPT_FIRST)
    # A mirror may go: the stream is then one of its own.
    if config.mirror is not None and config.mirror != old.mirror:
        raise STREAM_MIRROR_NOT_UPDATABLE.error()
    _check_stays(config, old, ("allow_msg_ttl",))
    if config.allow_msg_counter != old.allow_msg_counter:
        raise invalid_config("stream configuration update can not change message counter setting")
    _check_stays(config, old, ("allow_msg_schedules",))
    if config.persist_mode != old.persist_mode:
        raise invalid_config("stream configuration update can not change persist mode")


_KEPT_FIRST: Final = ("sealed", "deny_delete", "deny_purge")
_CANNOT_END: Final = {
    "sealed": "stream configuration update can not unseal a sealed stream",
    "deny_delete": "stream configuration update can not cancel deny message deletes",
    "deny_purge": "stream configuration update can not cancel deny purge",
    "allow_msg_ttl": "message TTL status can not be disabled",
    "allow_msg_schedules": "message schedules can not be disabled",
}
"""What stays true once it is, and what is said about it."""


def _check_stays(config: StreamConfig, old: StreamConfig, names: Sequence[str]) -> None:
    for name in names:
        if getattr(old, name) and not getattr(config, name):
            raise invalid_config(_CANNOT_END[name])


def _check_growth(config: StreamConfig, old: StreamConfig, around: Surroundings) -> None:
    try:
        tier, limits = select_limits(around.limits, config.num_replicas)
    except ApiError as error:
        if error.kind is not NO_LIMITS:
            raise
        tier, limits = select_limits(around.limits, old.num_replicas)
    check_reservation(config, around, tier, limits, reserved_before=old.max_bytes)


def _check_consumers(
    config: StreamConfig, old: StreamConfig, consumers: Sequence[ConsumerUse]
) -> None:
    limits, before = config.consumer_limits, old.consumer_limits
    threshold, pending = limits.inactive_threshold, limits.max_ack_pending
    threshold_changes = threshold > 0 and threshold != before.inactive_threshold
    pending_changes = pending > 0 and pending != before.max_ack_pending
    if not (threshold_changes or pending_changes):
        return
    beyond = [
        consumer.name
        for consumer in consumers
        if 0 < threshold < consumer.inactive_threshold_ns or 0 < pending < consumer.max_ack_pending
    ]
    if beyond:
        raise STREAM_UPDATE.error(err=f"change to limits violates consumers: {', '.join(beyond)}")


def answered(config: StreamConfig, version: str) -> StreamConfig:
    """The configuration as an answer shows it: with what this server is in its metadata."""
    return copy_of(config, metadata=answered_metadata(config, version))
