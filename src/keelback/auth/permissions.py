"""Permission rules → the table that the core checks for each message."""

from __future__ import annotations

from keelback import _core
from keelback.auth.users import (
    DEFAULT_RESPONSE_EXPIRES_S,
    DEFAULT_RESPONSE_MESSAGES,
    PermissionRules,
    ResponseRule,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

QUEUE_ENTRY_FIELDS: Final = 2

HANDLES_MAX: Final = 1024
"""Rules remembered in a table: an authenticator function may make up new ones for each client."""


class PermissionRulesError(ValueError):
    """A subject or queue of a rule is invalid; the message names it in nats-server's words."""


def compile_permissions(rules: PermissionRules) -> _core.Permissions:
    """Turn one user's rules into the table the core checks for each message.

    With `responses` and no publish allow list, nothing but responses may be published.
    The handle is immutable; connections share it.

    Raises:
        PermissionRulesError: a subject or queue is invalid.

    Source: NATS docs, "Authorization"; nats-server 2.15 `server/auth.go`,
    `validateResponsePermissions`.
    """
    publish_allow = rules.publish_allow
    if rules.responses is not None and publish_allow is None:
        publish_allow = ()
    try:
        return _core.Permissions(
            publish_allow=None if publish_allow is None else _subjects(publish_allow),
            publish_deny=_subjects(rules.publish_deny),
            subscribe_allow=None
            if rules.subscribe_allow is None
            else _entries(rules.subscribe_allow),
            subscribe_deny=_entries(rules.subscribe_deny),
            responses=_responses(rules.responses),
        )
    except _core.CoreError as error:
        raise PermissionRulesError(str(error)) from error


class PermissionTable:
    """Compiled permissions, one handle for equal rules however many users have them."""

    def __init__(self) -> None:
        self._compiled: dict[PermissionRules, _core.Permissions] = {}

    def get(self, rules: PermissionRules | None) -> _core.Permissions | None:
        """The handle for these rules; None when there are none (all is allowed)."""
        if rules is None:
            return None
        handle = self._compiled.get(rules)
        if handle is None:
            handle = self._compiled[rules] = compile_permissions(rules)
            if len(self._compiled) > HANDLES_MAX:
                del self._compiled[next(iter(self._compiled))]
        return handle


def is_subject(text: str) -> bool:
    """Whether a rule may name this subject: no empty token, no blank, `>` at the end only."""
    if not text or any(blank in text for blank in " \t\n\r\f"):
        return False
    tokens = text.split(".")
    return all(tokens) and ">" not in tokens[:-1]


def _subjects(subjects: Iterable[str]) -> list[str]:
    checked = list(subjects)
    for subject in checked:
        if not is_subject(subject):
            raise PermissionRulesError(f'subject "{subject}" is not a valid subject')
    return checked


def _entries(entries: Iterable[str]) -> list[tuple[str, str | None]]:
    return [_entry(entry) for entry in entries]


def _entry(entry: str) -> tuple[str, str | None]:
    fields = entry.split()
    subject = fields[0] if fields else entry
    if len(fields) > QUEUE_ENTRY_FIELDS or not is_subject(subject):
        raise PermissionRulesError(f'subject "{entry}" is not a valid subject')
    if len(fields) < QUEUE_ENTRY_FIELDS:
        return subject, None
    queue = fields[1]
    if not is_subject(queue):
        raise PermissionRulesError(f'queue "{queue}" is not a valid queue')
    return subject, queue


def _responses(rule: ResponseRule | None) -> tuple[int, float] | None:
    if rule is None:
        return None
    return (
        rule.max_messages or DEFAULT_RESPONSE_MESSAGES,
        rule.expires_s or DEFAULT_RESPONSE_EXPIRES_S,
    )
