"""A stream's configuration compiled for the core, and what of it the core cannot do yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from keelback import _core
from keelback.jetstream.errors import invalid_config

if TYPE_CHECKING:
    from keelback.jetstream.stream_config import StreamConfig


def check_supported(config: StreamConfig) -> None:
    """Refuse by name what is valid and comes later: it must not be taken and then ignored.

    Raises:
        ApiError: the stream needs something that is not there yet.
    """
    missing = {
        "a mirror": config.mirror is not None,
        "sources": bool(config.sources),
        f"retention {config.retention}": config.retention != "limits",
        "allow_msg_counter beside allow_atomic or allow_batched": config.allow_msg_counter
        and (config.allow_atomic or config.allow_batched),
    }
    for what, is_asked in missing.items():
        if is_asked:
            raise invalid_config(f"keelback does not support streams with {what} yet")


def table_of(config: StreamConfig, domain: str = "") -> _core.StreamTable:
    """The table of a stream that the core can hold."""
    transform, republish = config.subject_transform, config.republish
    discard: Literal["old", "new", "new_per_subject"] = config.discard
    if config.discard == "new" and config.discard_new_per_subject:
        discard = "new_per_subject"
    return _core.StreamTable(
        storage="memory" if config.storage == "memory" else "file",
        subjects=list(config.subjects),
        first_seq=config.first_seq,
        max_msgs=max(config.max_msgs, 0),
        max_bytes=max(config.max_bytes, 0),
        max_msgs_per_subject=max(config.max_msgs_per_subject, 0),
        max_age_ns=config.max_age,
        discard=discard,
        duplicate_window_ns=config.duplicate_window,
        delete_marker_ttl_ns=config.subject_delete_marker_ttl,
        compress=config.compression != "none",
        max_msg_size=config.max_msg_size,
        no_ack=config.no_ack,
        sealed=config.sealed,
        allow_rollup=config.allow_rollup_hdrs and not config.deny_purge,
        allow_ttl=config.allow_msg_ttl,
        allow_direct=config.allow_direct,
        allow_counter=config.allow_msg_counter,
        allow_schedules=config.allow_msg_schedules,
        allow_atomic=config.allow_atomic,
        allow_batched=config.allow_batched,
        domain=domain,
        transform=None if transform is None else (transform.src, transform.dest),
        republish=None
        if republish is None
        else (republish.src, republish.dest, republish.headers_only),
    )
