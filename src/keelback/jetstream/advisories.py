"""What JetStream tells whoever listens: each request to its API, each stream that came or went.

Source: nats-server 2.15 `server/jetstream_events.go`.
"""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Any, Final, Literal

from keelback import gojson

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "$JS.EVENT.ADVISORY."
AUDIT: Final = f"{PREFIX}API"

_TYPE: Final = "io.nats.jetstream.advisory.v1."
_DIGITS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARS: Final = 22

Action = Literal["create", "modify", "delete"]
_SUBJECTS: Final[dict[Action, str]] = {
    "create": "CREATED",
    "modify": "UPDATED",
    "delete": "DELETED",
}


def stream_action(
    stream: str, action: Action, *, now_ns: int, domain: str = ""
) -> tuple[str, bytes]:
    """A stream was made, changed or deleted: subject and event."""
    event = _event("stream_action", now_ns) | {"stream": stream, "action": action}
    if domain:
        event["domain"] = domain
    return f"{PREFIX}STREAM.{_SUBJECTS[action]}.{stream}", gojson.to_json(event)


def audit(
    *,
    server: str,
    client: Mapping[str, Any] | None,
    subject: str,
    request: bytes,
    response: bytes,
    now_ns: int,
    domain: str = "",
) -> bytes:
    """A request to the API and its answer: the event. `client` is who asked."""
    event = _event("api_audit", now_ns) | {"server": server, "client": client, "subject": subject}
    if request:
        event["request"] = request.decode(errors="replace")
    event["response"] = response.decode(errors="replace")
    if domain:
        event["domain"] = domain
    return gojson.to_json(event)


def transfer(
    kind: str,
    stream: str,
    details: Mapping[str, Any],
    *,
    client: Mapping[str, Any],
    now_ns: int,
    started_ns: int | None = None,
    domain: str = "",
) -> tuple[str, bytes]:
    """A backup or restoration began or ended: subject and event.

    `kind` is `snapshot_create`, `snapshot_complete`, `restore_create` or `restore_complete`.
    """
    event = _event(kind, now_ns) | {"stream": stream}
    if started_ns is not None:
        event |= {"start": gojson.time_text(started_ns), "end": gojson.time_text(now_ns)}
    error = details.get("error")
    event |= {key: value for key, value in details.items() if key != "error"}
    event["client"] = client
    if domain:
        event["domain"] = domain
    if error:
        event["error"] = error
    return f"{PREFIX}STREAM.{kind.upper()}.{stream}", gojson.to_json(event)


def batch_abandoned(
    stream: str, batch: str, reason: str, *, now_ns: int, domain: str = "", account: str = ""
) -> tuple[str, bytes]:
    """A batch was given up: subject and event. `account` is named to the system account alone."""
    event = _event("stream_batch_abandoned", now_ns)
    named = {"account": account, "stream": stream, "domain": domain}
    event |= {key: value for key, value in named.items() if value}
    event |= {"batch": batch, "reason": reason}
    return f"{PREFIX}STREAM.BATCH_ABANDONED.{stream}", gojson.to_json(event)


def api_limit_reached(
    *, server: str, dropped: int, now_ns: int, domain: str = ""
) -> tuple[str, bytes]:
    """Requests that waited were dropped: subject and event, for the system account."""
    event = _event("api_limit_reached", now_ns) | {"server": server}
    if domain:
        event["domain"] = domain
    event["dropped"] = dropped
    return f"{PREFIX}API.LIMIT_REACHED", gojson.to_json(event)


def out_of_space(
    *, server: str, server_id: str, stream: str, now_ns: int, domain: str = ""
) -> tuple[str, bytes]:
    """The disk takes nothing: subject and event, for the system account."""
    event = _event("server_out_of_space", now_ns) | {"server": server, "server_id": server_id}
    if stream:
        event["stream"] = stream
    event["cluster"] = ""
    if domain:
        event["domain"] = domain
    return f"{PREFIX}SERVER.OUT_OF_STORAGE", gojson.to_json(event)


def new_id() -> str:
    """A unique name, of the form that nats-server's have."""
    return "".join(secrets.choice(_DIGITS) for _ in range(_ID_CHARS))


def _event(kind: str, now_ns: int) -> dict[str, Any]:
    return {"type": _TYPE + kind, "id": new_id(), "timestamp": gojson.time_text(now_ns)}
