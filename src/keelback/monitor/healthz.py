"""/healthz: whether the server can be used.

Source: nats-server 2.15 `server/monitor.go`, `healthz`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from keelback.monitor.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.monitor.facts import Facts
    from keelback.monitor.query import Query
    from keelback.monitor.streams import JetStreamFacts

OK: Final = 200
BAD_REQUEST: Final = 400
NOT_FOUND: Final = 404
NOT_READY: Final = 500
UNAVAILABLE: Final = 503

NOT_ENABLED: Final = "JetStream not enabled (10076)"
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
    warnings: tuple[str, ...] = ()
    """What was found damaged in the store, and is served around. Keelback's own."""

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
    enabled, enabled_only, server_only, _ = map(
        query.flag, ("js-enabled", "js-enabled-only", "js-server-only", "js-meta-only")
    )
    details = query.flag("details")
    account, stream, consumer = map(query.text, ("account", "stream", "consumer"))
    return lambda facts: healthz(
        facts,
        account=account,
        stream=stream,
        consumer=consumer,
        details=details,
        with_streams=not (enabled or enabled_only or server_only),
    )


def healthz(
    facts: Facts,
    *,
    account: str = "",
    stream: str = "",
    consumer: str = "",
    details: bool = False,
    with_streams: bool = True,
) -> Health:
    """Whether clients can connect, and streams take messages.

    Args:
        facts: of the server.
        account: look at the streams of this one alone.
        stream: look at this one of the account alone.
        consumer: of the stream.
        details: list what is wrong, with its kind, in place of a text.
        with_streams: look at streams; without JetStream there are none, which is no fault.
    """
    if stream and not account:
        return _ill(BAD_REQUEST, "BAD_REQUEST", _missing("account", "stream"), details=details)
    if consumer and not stream:
        return _ill(BAD_REQUEST, "BAD_REQUEST", _missing("stream", "consumer"), details=details)
    if not facts.is_ready:
        return _ill(NOT_READY, "CONNECTION", NO_LISTENER, details=details)
    if facts.jetstream is None and facts.wants_jetstream:
        return _unavailable(HealthError(type="JETSTREAM", error=NOT_ENABLED), details=details)
    if facts.jetstream is None or not with_streams:
        return Health(status="ok", status_code=OK)
    code, errors = _streams(facts.jetstream, account, stream, consumer)
    health = Health(status="ok", status_code=code, warnings=facts.jetstream.damage)
    if errors and details:
        health.status, health.errors = "error", errors
    elif errors:
        health.status, health.error = "unavailable", errors[0].error
    return health


def _unavailable(error: HealthError, *, details: bool) -> Health:
    if details:
        return Health(status="unavailable", status_code=UNAVAILABLE, errors=(error,))
    return Health(status="unavailable", status_code=UNAVAILABLE, error=error.error)


def _streams(
    found: JetStreamFacts, account: str, stream: str, consumer: str
) -> tuple[int, tuple[HealthError, ...]]:
    """What is wrong with streams, and what HTTP says of it."""
    if found.failure:
        error = f"JetStream write error: {found.failure}"
        return UNAVAILABLE, (HealthError(type="JETSTREAM", error=error),)
    if errors := _left_alone(found, account, stream):
        return UNAVAILABLE, errors
    accounts = [each for each in found.read_accounts() if account in ("", each.name)]
    if account and not accounts:
        error = f'JetStream account "{account}" not found'
        return NOT_FOUND, (HealthError(type="ACCOUNT", account=account, error=error),)
    named = {"account": account, "stream": stream}
    streams = [
        (owner.name, each)
        for owner in accounts
        for each in owner.streams
        if stream in ("", each.name)
    ]
    if stream and not streams:
        error = f'JetStream stream "{stream}" not found on account "{account}"'
        return NOT_FOUND, (HealthError(type="STREAM", **named, error=error),)
    errors = tuple(
        HealthError(
            type="STREAM",
            account=owner,
            stream=each.name,
            error=f"JetStream stream '{owner} > {each.name}' write error: {each.failure}",
        )
        for owner, each in streams
        if each.failure
    )
    if consumer and not errors:
        error = f'JetStream consumer "{consumer}" not found for stream "{stream}"'
        error += f' on account "{account}"'
        return NOT_FOUND, (HealthError(type="CONSUMER", **named, consumer=consumer, error=error),)
    return UNAVAILABLE if errors else OK, errors


def _left_alone(found: JetStreamFacts, account: str, stream: str) -> tuple[HealthError, ...]:
    """The streams that the store keeps and that are not served, of an account or of all."""
    errors: dict[tuple[str, str], HealthError] = {}
    for each in found.read_left_alone():
        if account not in ("", each.account):
            continue
        if not each.has_account:
            error = f"JetStream account '{each.account}' could not be resolved"
            ill = HealthError(type="ACCOUNT", account=each.account, error=error)
            errors[each.account, ""] = ill
        elif stream in ("", each.stream):
            error = f"JetStream stream '{each.account} > {each.stream}' could not be recovered"
            ill = HealthError(type="STREAM", account=each.account, stream=each.stream, error=error)
            errors[each.account, each.stream] = ill
    return tuple(errors.values())


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
