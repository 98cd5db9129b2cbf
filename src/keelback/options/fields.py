"""What an option is: its key, type, default, unit, help and reloadability, in one place.

A block of options is a class whose attributes are made by `option(...)`. Flags, the configuration
file, keywords for embedding and `docs/configuration.md` read the same descriptions. The standard
`dataclasses` module is not used: importing it takes longer than the whole server may.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar, dataclass_transform

    from keelback.options.kinds import Kind

    T = TypeVar("T")
else:

    def dataclass_transform(**_: object) -> Callable[[T], T]:
        """Say nothing at run time."""
        return lambda decorator: decorator


class Reload:
    """What a reload of the configuration does with a changed option."""

    REFUSED = "refused"
    """The whole reload is refused, naming the option."""

    LIVE = "live"
    """Running connections have it at once."""

    NEW_CONNECTIONS = "new connections"
    """Connections that come after the reload have it."""

    NEXT_PING = "next ping"
    """Running connections have it from their next ping on."""


class Option:
    """The description of one option; `name` is its attribute, `key` what people write."""

    __slots__ = (
        "aliases",
        "default",
        "default_text",
        "help",
        "is_secret",
        "key",
        "kind",
        "maximum",
        "minimum",
        "name",
        "reload",
        "unit",
        "zero_is_default",
    )

    def __init__(
        self,
        kind: Kind,
        *,
        default: object,
        help: str,  # noqa: A002 - the word that people know it by
        key: str,
        aliases: tuple[str, ...],
        unit: str,
        default_text: str,
        reload: str,
        minimum: float | None,
        maximum: float | None,
        zero_is_default: bool,
        is_secret: bool,
    ) -> None:
        self.name = key
        self.kind = kind
        self.default = default
        self.help = help
        self.key = key
        self.aliases = aliases
        self.unit = unit or kind.unit
        self.default_text = default_text
        self.reload = reload
        self.minimum = minimum
        self.maximum = maximum
        self.zero_is_default = zero_is_default
        self.is_secret = is_secret

    @property
    def shown_default(self) -> str:
        """The default as documentation and hints write it; empty when there is none."""
        return self.default_text or self.kind.show(self.default)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every name in a file: the key, then its aliases."""
        return (self.key, *self.aliases)


def option(
    kind: Kind,
    *,
    default: T,
    help: str,  # noqa: A002
    key: str = "",
    aliases: tuple[str, ...] = (),
    unit: str = "",
    default_text: str = "",
    reload: str = Reload.REFUSED,
    minimum: float | None = None,
    maximum: float | None = None,
    zero_is_default: bool = False,
    is_secret: bool = False,
) -> T:
    """Describe an option of the block in whose body this stands.

    Args:
        kind: its type in the configuration; reads and shows values.
        default: in our units (seconds, bytes).
        help: one or two sentences for a person.
        key: how people write it; the attribute's name unless given.
        aliases: other keys that nats-server knows it by.
        unit: of a plain number; the kind's unless given.
        default_text: the default in words, where it depends on something.
        reload: one of `Reload`.
        minimum: the least that makes sense, checked when a server starts.
        maximum: the most that makes sense.
        zero_is_default: 0 (or nothing) stands for the default, as in nats-server.
        is_secret: never shown.
    """
    return Option(  # type: ignore[return-value]  # `options` puts it away
        kind,
        default=default,
        help=help,
        key=key,
        aliases=aliases,
        unit=unit,
        default_text=default_text,
        reload=reload,
        minimum=minimum,
        maximum=maximum,
        zero_is_default=zero_is_default,
        is_secret=is_secret,
    )


class Block:
    """The base of every block: immutable, keywords only, equal by content, secrets not shown."""

    block_path: str = ""
    """Where the block stands in a file: `tls`, `authorization.users`; empty at the top level."""

    options_by_name: dict[str, Option] = {}  # noqa: RUF012 - written once, by `options`

    def __init__(self, **values: object) -> None:
        for name, described in self.options_by_name.items():
            value = values.pop(name) if name in values else described.default
            object.__setattr__(self, name, value)
        if values:
            unknown = ", ".join(sorted(values))
            message = f"{type(self).__name__} has no option {unknown}"
            raise TypeError(message)

    def __setattr__(self, name: str, value: object) -> None:
        message = f"{type(self).__name__} is immutable: make another with replaced({name}=…)"
        raise AttributeError(message)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]  # holds lists and dicts

    def __repr__(self) -> str:
        values = vars(self)
        shown = (
            f"{name}=…" if described.is_secret and values[name] else f"{name}={values[name]!r}"
            for name, described in self.options_by_name.items()
        )
        return f"{type(self).__name__}({', '.join(shown)})"


if TYPE_CHECKING:
    B = TypeVar("B", bound=Block)


def replaced(block: B, **values: Any) -> B:  # noqa: ANN401 - checked by the block's own fields
    """The same block with some values changed."""
    return type(block)(**{**vars(block), **values})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
def options(path: str) -> Callable[[type[B]], type[B]]:
    """Make a block out of a class that inherits `Block`; `path` is where it stands in a file."""

    def describe(cls: type[B]) -> type[B]:
        described: dict[str, Option] = {}
        for name, value in list(vars(cls).items()):
            if isinstance(value, Option):
                value.name = name
                value.key = value.key or name
                described[name] = value
                delattr(cls, name)
        cls.options_by_name = described
        cls.block_path = path
        return cls

    return describe


def options_of(*blocks: type[Block]) -> Iterator[Option]:
    """Every option of some blocks, in the order in which they are described."""
    for block in blocks:
        yield from block.options_by_name.values()
