"""/healthz: whether the server can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from keelback.monitor.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query

OK: Final = 200
BAD_REQUEST: Final = 400
NOT_READY: Final = 500

NO_LISTENER: Final = "failed to be ready for connections after 1ms: server"


class HealthError(Document, kw_only=True):
    """One thing that is wrong."""

    type: str
    account: str = ""
    stream: str = ""
    consumer: str = ""
    error: str = ""


class Health(Document, kw_only=True):
    """The state and what is wrong; `status_code` is left out where HTTP has it."""

    status: str
    status_code: int = 0
    error: str = ""
    errors: tuple[HealthError, ...] = ()

    @property
    def complaint(self) -> str:
        """What the log says of it; "" when all is well."""
        if self.error:
            escaped = self.error.replace('"', '\\"')
            return f'Healthcheck failed: "{escaped}"'
        return f"Healthcheck failed: {len(self.errors)} errors" if self.errors else ""


def read_healthz(query: Query) -> Callable[[Facts], Health]:
    """What a request's parameters ask for.

    Raises:
        QueryError: a parameter cannot be read.
    """
    # All are read, so that a wrong one is refused; without JetStream they change nothing.
    for name in ("js-enabled", "js-enabled-only", "js-server-only", "js-meta-only"):
        query.flag(name)
    details = query.flag("details")
    return lambda facts: healthz(
        facts,
        account=query.text("account"),
        stream=query.text("stream"),
        consumer=query.text("consumer"),
        details=details,
    )


def healthz(
    facts: Facts, *, account: str = "", stream: str = "", consumer: str = "", details: bool = False
) -> Health:
    """Whether clients can connect.

    Args:
        facts: of the server.
        account: whose stream or consumer is meant.
        stream: to be looked at; there is none without JetStream, which is no fault.
        consumer: of the stream, likewise.
        details: list what is wrong, with its kind, in place of a text.
    """
    if stream and not account:
        return _ill(BAD_REQUEST, "BAD_REQUEST", _missing("account", "stream"), details=details)
    if consumer and not stream:
        return _ill(BAD_REQUEST, "BAD_REQUEST", _missing("stream", "consumer"), details=details)
    if not facts.is_ready:
        return _ill(NOT_READY, "CONNECTION", NO_LISTENER, details=details)
    return Health(status="ok", status_code=OK)


def _missing(name: str, of: str) -> str:
    return f'"{name}" must not be empty when checking {of} health'


def _ill(
    code: int, kind: Literal["BAD_REQUEST", "CONNECTION"], text: str, *, details: bool
) -> Health:
    if details:
        return Health(
            status="error", status_code=code, errors=(HealthError(type=kind, error=text),)
        )
    return Health(status="error", status_code=code, error=text)
