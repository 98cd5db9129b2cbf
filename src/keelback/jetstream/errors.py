"""The errors of JetStream's API: one table, and the exception that carries an entry.

Source: nats-server 2.15 `server/errors.json`; texts and numbers are the protocol's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

from keelback.errors import KeelbackError


class ErrorJson(TypedDict):
    """The `error` of an answer, with its keys in nats-server's order."""

    code: int
    err_code: int
    description: str


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One entry of the table. `description` may have `{placeholders}`."""

    code: int
    err_code: int
    description: str

    def error(self, **values: object) -> ApiError:
        """The error with its placeholders filled in; each must be given."""
        # Not str.format: a value stands as it is, and a brace in it means nothing.
        text = self.description
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return ApiError(self, text)


class ApiError(KeelbackError):
    """A request that JetStream refuses: `kind` says why, `description` in words."""

    def __init__(self, kind: ErrorKind, description: str) -> None:
        super().__init__(description)
        self.kind = kind
        self.description = description

    def __str__(self) -> str:
        """Write it as nats-server's log does."""
        return f"{self.description} ({self.kind.err_code})"

    def to_json(self) -> ErrorJson:
        """The `error` of the answer."""
        return {
            "code": self.kind.code,
            "err_code": self.kind.err_code,
            "description": self.description,
        }


# Any request.
BAD_REQUEST: Final = ErrorKind(400, 10003, "bad request")
INSUFFICIENT_RESOURCES: Final = ErrorKind(503, 10023, "insufficient resources")
INVALID_JSON: Final = ErrorKind(400, 10025, "invalid JSON: {err}")
NO_ACCOUNT: Final = ErrorKind(503, 10035, "account not found")
NOT_EMPTY_REQUEST: Final = ErrorKind(400, 10038, "expected an empty request payload")
NOT_ENABLED_FOR_ACCOUNT: Final = ErrorKind(503, 10039, "JetStream not enabled for account")
NO_LIMITS: Final = ErrorKind(400, 10120, "no JetStream default or applicable tiered limit present")
PEDANTIC: Final = ErrorKind(400, 10157, "pedantic mode: {err}")
REQUIRED_API_LEVEL: Final = ErrorKind(412, 10185, "JetStream minimum api level required")

# Limits of the account and the server.
ACCOUNT_RESOURCES_EXCEEDED: Final = ErrorKind(400, 10002, "resource limits exceeded for account")
MAXIMUM_CONSUMERS: Final = ErrorKind(400, 10026, "maximum consumers limit reached")
MAXIMUM_STREAMS: Final = ErrorKind(400, 10027, "maximum number of streams reached")
MEMORY_EXCEEDED: Final = ErrorKind(500, 10028, "insufficient memory resources available")
STORAGE_EXCEEDED: Final = ErrorKind(500, 10047, "insufficient storage resources available")
MAX_BYTES_REQUIRED: Final = ErrorKind(
    400, 10113, "account requires a stream config to have max bytes set"
)
MAX_STREAM_BYTES_EXCEEDED: Final = ErrorKind(
    400, 10122, "stream max bytes exceeds account limit max stream bytes"
)

# A stream.
STREAM_CREATE: Final = ErrorKind(500, 10049, "{err}")
CONSUMER_CREATE: Final = ErrorKind(500, 10012, "{err}")
CONSUMER_NOT_FOUND: Final = ErrorKind(404, 10014, "consumer not found")
STREAM_DELETE: Final = ErrorKind(500, 10050, "{err}")
STREAM_GENERAL: Final = ErrorKind(500, 10051, "{err}")
STREAM_RESTORE_FAILED: Final = ErrorKind(500, 10062, "restore failed: {err}")
STREAM_SNAPSHOT_FAILED: Final = ErrorKind(500, 10064, "snapshot failed: {err}")
SNAPSHOT_SUBJECT_INVALID: Final = ErrorKind(400, 10015, "deliver subject not valid")
STREAM_NAME_EXISTS_RESTORE: Final = ErrorKind(
    400, 10130, "stream name already in use, cannot restore"
)
STREAM_SEALED: Final = ErrorKind(400, 10109, "invalid operation on sealed stream")
PURGE_FAILED: Final = ErrorKind(500, 10110, "{err}")
NO_MESSAGE_FOUND: Final = ErrorKind(404, 10037, "no message found")
SEQUENCE_NOT_FOUND: Final = ErrorKind(400, 10043, "sequence {seq} not found")
MESSAGE_DELETE_FAILED: Final = ErrorKind(500, 10057, "{err}")
STREAM_INVALID_CONFIG: Final = ErrorKind(500, 10052, "{err}")
STREAM_MIRROR_NOT_UPDATABLE: Final = ErrorKind(
    400, 10055, "stream mirror configuration can not be updated"
)
STREAM_MISMATCH: Final = ErrorKind(400, 10056, "stream name in subject does not match request")
STREAM_NAME_EXISTS: Final = ErrorKind(
    400, 10058, "stream name already in use with a different configuration"
)
STREAM_NOT_FOUND: Final = ErrorKind(404, 10059, "stream not found")
STREAM_SUBJECT_OVERLAP: Final = ErrorKind(400, 10065, "subjects overlap with an existing stream")
STREAM_UPDATE: Final = ErrorKind(500, 10069, "{err}")
STREAM_REPLICAS_NOT_SUPPORTED: Final = ErrorKind(
    500, 10074, "replicas > 1 not supported in non-clustered mode"
)
STREAM_NAME_PATH_SEPARATORS: Final = ErrorKind(
    400, 10128, "Stream name can not contain path separators"
)
REPLICAS_NEGATIVE: Final = ErrorKind(400, 10133, "replicas count cannot be negative")
TRANSFORM_INVALID_SOURCE: Final = ErrorKind(400, 10155, "stream transform source: {err}")
TRANSFORM_INVALID_DESTINATION: Final = ErrorKind(400, 10156, "stream transform: {err}")

# Where mirrors and sources are reached.
EXTERNAL_API_OVERLAP: Final = ErrorKind(
    400, 10021, "stream external api prefix {prefix} must not overlap with {subject}"
)
EXTERNAL_DELIVER_OVERLAP: Final = ErrorKind(
    400, 10022, "stream external delivery prefix {prefix} overlaps with stream subject {subject}"
)
EXTERNAL_DELIVER_INVALID: Final = ErrorKind(
    400, 10024, "stream external delivery prefix {prefix} must not contain wildcards"
)

# A mirror.
MIRROR_MAX_MSG_SIZE: Final = ErrorKind(
    400, 10030, "stream mirror must have max message size >= source"
)
MIRROR_WITH_SOURCES: Final = ErrorKind(
    400, 10031, "stream mirrors can not also contain other sources"
)
MIRROR_WITH_SUBJECTS: Final = ErrorKind(400, 10034, "stream mirrors can not contain subjects")
MIRROR_INVALID_NAME: Final = ErrorKind(400, 10142, "mirrored stream name is invalid")
MIRROR_WITH_FIRST_SEQ: Final = ErrorKind(
    400, 10143, "stream mirrors can not have first sequence configured"
)
MIRROR_MULTIPLE_FILTERS: Final = ErrorKind(
    400,
    10150,
    "mirror with multiple subject transforms cannot also have a single subject filter",
)
MIRROR_INVALID_FILTER: Final = ErrorKind(400, 10151, "mirror transform source: {err}")
MIRROR_OVERLAPPING_FILTERS: Final = ErrorKind(400, 10152, "mirror subject filters can not overlap")
MIRROR_INVALID_DESTINATION: Final = ErrorKind(400, 10154, "mirror transform: {err}")
MIRROR_WITH_COUNTERS: Final = ErrorKind(
    400, 10173, "stream mirrors can not also calculate counters"
)
MIRROR_WITH_SCHEDULES: Final = ErrorKind(
    400, 10186, "stream mirrors can not also schedule messages"
)
MIRROR_WITH_ATOMIC: Final = ErrorKind(
    400, 10198, "stream mirrors can not also use atomic publishing"
)
MIRROR_WITH_BATCHED: Final = ErrorKind(
    400, 10209, "stream mirrors can not also use batch publishing"
)
MIRROR_INVALID_CONSUMER: Final = ErrorKind(400, 10213, "stream mirror consumer config is invalid")

# Sources.
SOURCE_MAX_MSG_SIZE: Final = ErrorKind(
    400, 10046, "stream source must have max message size >= target"
)
SOURCE_DUPLICATE: Final = ErrorKind(400, 10140, "duplicate source configuration detected")
SOURCE_INVALID_NAME: Final = ErrorKind(400, 10141, "sourced stream name is invalid")
SOURCE_MULTIPLE_FILTERS: Final = ErrorKind(
    400,
    10144,
    "source with multiple subject transforms cannot also have a single subject filter",
)
SOURCE_INVALID_FILTER: Final = ErrorKind(400, 10145, "source transform source: {err}")
SOURCE_INVALID_DESTINATION: Final = ErrorKind(400, 10146, "source transform: {err}")
SOURCE_OVERLAPPING_FILTERS: Final = ErrorKind(400, 10147, "source filters can not overlap")
SOURCE_WITH_SCHEDULES: Final = ErrorKind(400, 10187, "stream source can not also schedule messages")
SOURCE_INVALID_CONSUMER: Final = ErrorKind(400, 10215, "stream source consumer config is invalid")
SOURCE_DUPLICATE_CONSUMER: Final = ErrorKind(
    400, 10216, "duplicate stream source consumer detected"
)


def invalid_config(problem: str) -> ApiError:
    """A configuration that breaks a rule without a code of its own."""
    return STREAM_INVALID_CONFIG.error(err=problem)
