"""The requests of the API beside those that carry a stream's configuration.

Source: nats-server 2.15 `server/jetstream_api.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from keelback.jetstream.errors import INVALID_JSON
from keelback.jetstream.json_kinds import (
    ANYTHING,
    FLAG,
    INT,
    TEXT,
    TEXTS,
    TIME,
    UINT64,
    ObjectOf,
    Record,
    read_all,
)
from keelback.jetstream.json_scan import JsonError
from keelback.jetstream.stream_config import CONFIG, StreamConfig

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_BLANKS: Final = b" \t\r\n"


class InfoRequest(Record):
    """Of STREAM.INFO."""

    offset: Annotated[int, INT] = 0
    deleted_details: Annotated[bool, FLAG] = False
    subjects_filter: Annotated[str, TEXT] = ""


class ListRequest(Record):
    """Of STREAM.LIST and STREAM.NAMES."""

    offset: Annotated[int, INT] = 0
    subject: Annotated[str, TEXT] = ""


class PurgeRequest(Record):
    """Of STREAM.PURGE."""

    seq: Annotated[int, UINT64] = 0
    filter: Annotated[str, TEXT] = ""
    keep: Annotated[int, UINT64] = 0


class DeleteMessageRequest(Record):
    """Of STREAM.MSG.DELETE."""

    seq: Annotated[int, UINT64] = 0
    no_erase: Annotated[bool, FLAG] = False


class GetMessageRequest(Record):
    """Of STREAM.MSG.GET."""

    seq: Annotated[int, UINT64] = 0
    last_by_subj: Annotated[str, TEXT] = ""
    next_by_subj: Annotated[str, TEXT] = ""
    batch: Annotated[int, INT] = 0
    max_bytes: Annotated[int, INT] = 0
    start_time: Annotated[str | None, TIME] = None
    multi_last: Annotated[tuple[str, ...], TEXTS] = ()
    up_to_seq: Annotated[int, UINT64] = 0
    up_to_time: Annotated[str | None, TIME] = None
    no_hdr: Annotated[bool, FLAG] = False


class SnapshotRequest(Record):
    """Of STREAM.SNAPSHOT."""

    deliver_subject: Annotated[str, TEXT] = ""
    no_consumers: Annotated[bool, FLAG] = False
    chunk_size: Annotated[int, INT] = 0
    window_size: Annotated[int, INT] = 0
    jsck: Annotated[bool, FLAG] = False


class StreamStateRequest(Record):
    """What STREAM.RESTORE says of the stream that comes; the archive says it again."""

    messages: Annotated[int, UINT64] = 0
    bytes: Annotated[int, UINT64] = 0
    first_seq: Annotated[int, UINT64] = 0
    first_ts: Annotated[str | None, TIME] = None
    last_seq: Annotated[int, UINT64] = 0
    last_ts: Annotated[str | None, TIME] = None
    num_subjects: Annotated[int, INT] = 0
    subjects: Annotated[object, ANYTHING] = None
    num_deleted: Annotated[int, INT] = 0
    deleted: Annotated[object, ANYTHING] = None
    lost: Annotated[object, ANYTHING] = None
    consumer_count: Annotated[int, INT] = 0


class RestoreRequest(Record):
    """Of STREAM.RESTORE."""

    config: Annotated[StreamConfig | None, CONFIG] = None
    state: Annotated[
        StreamStateRequest | None,
        ObjectOf("server.StreamState", StreamStateRequest, optional=False),
    ] = None


def _reader(record: type[T], go: str) -> Callable[[bytes], T]:
    root = ObjectOf(f"server.{go}", record, optional=False)

    def read(body: bytes) -> T:
        try:
            return read_all(body, root, go) or record()
        except JsonError as error:
            raise INVALID_JSON.error(err=error) from None

    return read


read_info: Final = _reader(InfoRequest, "JSApiStreamInfoRequest")
read_list: Final = _reader(ListRequest, "JSApiStreamListRequest")
read_names: Final = _reader(ListRequest, "JSApiStreamNamesRequest")
read_purge: Final = _reader(PurgeRequest, "JSApiStreamPurgeRequest")
read_delete_message: Final = _reader(DeleteMessageRequest, "JSApiMsgDeleteRequest")
read_get_message: Final = _reader(GetMessageRequest, "JSApiMsgGetRequest")


read_snapshot: Final = _reader(SnapshotRequest, "JSApiStreamSnapshotRequest")
read_restore: Final = _reader(RestoreRequest, "JSApiStreamRestoreRequest")


def has_object(body: bytes) -> bool:
    """Whether a body that need not be there is a JSON object or array; else it is passed over."""
    return body.lstrip(_BLANKS)[:1] in (b"{", b"[")


def is_empty(body: bytes) -> bool:
    """Whether a body asks for nothing: no text, or an object with nothing in it."""
    text = body.strip(_BLANKS)
    return not text or (text[:1] == b"{" and text[-1:] == b"}" and not text[1:-1].strip(_BLANKS))
