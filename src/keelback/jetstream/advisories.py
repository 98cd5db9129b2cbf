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


def _event(kind: str, now_ns: int) -> dict[str, Any]:
    identity = "".join(secrets.choice(_DIGITS) for _ in range(_ID_CHARS))
    return {"type": _TYPE + kind, "id": identity, "timestamp": gojson.time_text(now_ns)}
