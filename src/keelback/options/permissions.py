"""What a user may publish and subscribe: rules as written, checked subject by subject."""

from __future__ import annotations

from keelback.config.gotext import quote, show
from keelback.config.tree import go_type
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import INTEGER, STRICT_DURATION, Anything, seconds_of
from keelback.options.subjects import is_valid_subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value
    from keelback.options.report import Report

RESPONSES_MAX = 1
RESPONSES_EXPIRE_S = 120.0

SUBJECTS = Anything("a subject, a list of subjects, or a map of allow and deny", '["orders.>"]')
SUBJECT_LIST = Anything("a subject or a list of subjects", '["orders.>"]')
RESPONSES = Anything("true, or a map of max and expires", "true")

Subject = tuple[str, str | None]
"""A subject, and the queue that a subscription to it must be in."""


@options("permissions.allow_responses")
class ResponseRules(Block):
    """How often and how long a client may answer a message that it received."""

    max: int = option(
        INTEGER,
        default=RESPONSES_MAX,
        aliases=("max_msgs", "max_messages", "max_responses"),
        unit="messages",
        zero_is_default=True,
        reload=Reload.LIVE,
        help="Most answers to one message; negative is without limit.",
    )
    expires: float = option(
        STRICT_DURATION,
        default=RESPONSES_EXPIRE_S,
        aliases=("expiration", "ttl"),
        zero_is_default=True,
        reload=Reload.LIVE,
        help="How long after a message answers are allowed; negative is without limit.",
    )


@options("permissions.publish, permissions.subscribe")
class SubjectRules(Block):
    """Subjects allowed and denied; deny wins."""

    allow: tuple[Subject, ...] | None = option(
        SUBJECT_LIST,
        default=None,
        default_text="everything",
        reload=Reload.LIVE,
        help="Only these subjects. For subscribe, `subject queue` allows that queue group only.",
    )
    deny: tuple[Subject, ...] = option(
        SUBJECT_LIST, default=(), reload=Reload.LIVE, help="None of these subjects."
    )


@options("permissions")
class PermissionOptions(Block):
    """A user's permissions."""

    publish: SubjectRules | None = option(
        SUBJECTS,
        default=None,
        aliases=("pub", "import"),
        default_text="everything",
        reload=Reload.LIVE,
        help="Subjects that the user may publish to; a plain list is `allow`.",
    )
    subscribe: SubjectRules | None = option(
        SUBJECTS,
        default=None,
        aliases=("sub", "export"),
        default_text="everything",
        reload=Reload.LIVE,
        help="Subjects that the user may subscribe to; a plain list is `allow`.",
    )
    allow_responses: ResponseRules | None = option(
        RESPONSES,
        default=None,
        aliases=("publish_allow_responses",),
        default_text="false",
        reload=Reload.LIVE,
        help="Let the user answer messages at their reply subjects. Without `publish.allow`, "
        "nothing else may be published.",
    )


def read_permissions(value: Value, report: Report) -> PermissionOptions | None:
    """Read a user's permissions; None when they are not a map."""
    if not isinstance(value.data, dict):
        shown = show(value.data)
        report.error(value.place, f"Expected permissions to be a map/struct, got {shown}")
        return None
    rules: dict[str, SubjectRules | None] = {"publish": None, "subscribe": None}
    responses: ResponseRules | None = None
    names = _names_of(PermissionOptions)
    for key, item in value.data.items():
        name = names.get(key.lower())
        if name == "allow_responses":
            responses = _read_responses(item, report)
        elif name is not None:
            rules[name] = _read_rules(item, report, has_queues=name == "subscribe")
        elif not item.is_variable:
            problem = f"Unknown field {quote(key)} parsing permissions"
            report.unknown(key, item, names, problem=problem)
    publish = rules["publish"]
    if responses is not None and (publish is None or publish.allow is None):
        # Whoever may answer may do nothing else, unless it is allowed by name.
        publish = SubjectRules(allow=(), deny=publish.deny if publish else ())
    return PermissionOptions(
        publish=publish, subscribe=rules["subscribe"], allow_responses=responses
    )


def _read_rules(value: Value, report: Report, *, has_queues: bool) -> SubjectRules | None:
    if not isinstance(value.data, dict):
        # nats-server's message has no place here.
        subjects = _read_subjects(value, report, has_queues=has_queues, names_place=False)
        return SubjectRules(allow=subjects or None)
    if not value.data:
        return None
    found: dict[str, tuple[Subject, ...]] = {}
    for key, item in value.data.items():
        if key.lower() in ("allow", "deny"):
            found[key.lower()] = _read_subjects(item, report, has_queues=has_queues)
        elif not item.is_variable:
            problem = (
                f"Unknown field name {quote(key)} parsing subject permissions, "
                "only 'allow' or 'deny' are permitted"
            )
            report.unknown(key, item, ("allow", "deny"), problem=problem)
    # An empty list of allowed subjects allows everything, as in nats-server.
    return SubjectRules(allow=found.get("allow") or None, deny=found.get("deny", ()))


def _read_subjects(
    value: Value, report: Report, *, has_queues: bool, names_place: bool = True
) -> tuple[Subject, ...]:
    if isinstance(value.data, list):
        items = value.data
    elif isinstance(value.data, str):
        items = [value]
    else:
        problem = "Expected subject permissions to be a subject, or array of subjects, got "
        problem += go_type(value.data)
        report.errors.append(ConfigError(value.place, problem, names_place=names_place))
        return ()
    subjects: list[Subject] = []
    for item in items:
        if not isinstance(item.data, str):
            report.error(item.place, "Subject in permissions array cannot be cast to string")
            continue
        try:
            subjects.append(_read_subject(item.data, has_queues=has_queues))
        except ValueError as error:
            hint = "tokens stand between dots, without blanks; `>` only at the end"
            problem = str(error)
            report.errors.append(
                ConfigError(value.place, problem, hint=hint, names_place=names_place)
            )
            break
    return tuple(subjects)


def _read_subject(text: str, *, has_queues: bool) -> Subject:
    if is_valid_subject(text):
        return text, None
    words = text.split()
    if not has_queues or len(words) != 2:  # noqa: PLR2004 - subject and queue
        message = f"subject {quote(text)} is not a valid subject"
        raise ValueError(message)
    for word, what in zip(words, ("subject", "queue"), strict=True):
        if not is_valid_subject(word):
            message = f"{what} {quote(word)} is not a valid {what}"
            raise ValueError(message)
    return words[0], words[1]


def _read_responses(value: Value, report: Report) -> ResponseRules | None:
    if isinstance(value.data, bool):
        return ResponseRules() if value.data else None
    if not isinstance(value.data, dict):
        problem = "error parsing response permissions, expected a boolean or a map"
        report.error(value.place, problem)
        return None
    names = _names_of(ResponseRules)
    most, expires = RESPONSES_MAX, RESPONSES_EXPIRE_S
    for key, item in value.data.items():
        name = names.get(key.lower())
        try:
            if name == "max":
                most = INTEGER.read(key, item, report) or most
            elif name == "expires":
                expires = _read_expiry(item) or expires
            elif not item.is_variable:
                problem = f"Unknown field {quote(key)} parsing permissions"
                report.unknown(key, item, names, problem=problem)
        except ConfigError as error:
            report.errors.append(error)
    return ResponseRules(max=most, expires=expires)


def _read_expiry(value: Value) -> float:
    if isinstance(value.data, str):
        return seconds_of(value, "error parsing expires: ")
    if value.place.line == 0 and isinstance(value.data, int | float):
        return float(value.data)
    raise ConfigError(value.place, "error parsing expires, not a duration string")


def _names_of(block: type[Block]) -> dict[str, str]:
    return {
        key: name for name, described in block.options_by_name.items() for key in described.keys
    }
