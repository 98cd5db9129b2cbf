"""The level of JetStream's API: what this server has, and what a stream needs.

A stream's metadata says the least level that its server must have; answers add version and level
of the server that gives them. Source: nats-server 2.15 `server/jetstream_versioning.go`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from keelback.jetstream.errors import REQUIRED_API_LEVEL
from keelback.jetstream.stream_config import StreamConfig

API_LEVEL: Final = 5
"""What nats-server 2.15 has."""

REQUIRED_LEVEL_HEADER: Final = "Nats-Required-Api-Level"

_NUMBER: Final = re.compile(r"[+-]?0*[0-9]{1,18}")
_REQUIRED: Final = "_nats.req.level"
_VERSION: Final = "_nats.ver"
_LEVEL: Final = "_nats.level"
_DYNAMIC: Final = frozenset((_VERSION, _LEVEL))


def check_required(header: str) -> None:
    """Check what a request asks for by `REQUIRED_LEVEL_HEADER`; empty asks for nothing.

    Raises:
        ApiError: it is more than this server has, or no number (REQUIRED_API_LEVEL).
    """
    if header and not _supports(header):
        raise REQUIRED_API_LEVEL.error()


def is_supported(metadata: Mapping[str, str]) -> bool:
    """Whether this server can hold a stream with this metadata; another one may have written it."""
    required = metadata.get(_REQUIRED, "")
    return not required or _supports(required)


def _supports(level: str) -> bool:
    return bool(_NUMBER.fullmatch(level)) and int(level) <= API_LEVEL


def required_level(config: StreamConfig) -> int:
    """The least level of a server that can hold such a stream."""
    if config.allow_batched:
        return 4
    if (
        config.allow_msg_counter
        or config.allow_atomic
        or config.allow_msg_schedules
        or config.persist_mode == "async"
    ):
        return 2
    return 1 if config.allow_msg_ttl or config.subject_delete_marker_ttl > 0 else 0


def stored_metadata(config: StreamConfig) -> dict[str, str]:
    """The metadata to keep: the user's, and the level that the stream needs."""
    return _of_user(config) | {_REQUIRED: str(required_level(config))}


def kept_metadata(config: StreamConfig, existing: StreamConfig) -> dict[str, str]:
    """The metadata with the level that an existing stream has, so that the two can be compared."""
    kept = _of_user(config)
    kept.pop(_REQUIRED, None)
    if _REQUIRED in existing.metadata:
        kept[_REQUIRED] = existing.metadata[_REQUIRED]
    return kept


def answered_metadata(config: StreamConfig, version: str) -> dict[str, str]:
    """The metadata of an answer."""
    return config.metadata | {_VERSION: version, _LEVEL: str(API_LEVEL)}


def _of_user(config: StreamConfig) -> dict[str, str]:
    return {key: value for key, value in config.metadata.items() if key not in _DYNAMIC}
