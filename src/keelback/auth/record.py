"""The base of plain immutable records that are needed before a listener is open.

The standard `dataclasses` module takes longer to import than an embedded server may take to start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, dataclass_transform
else:

    def dataclass_transform(**_: object):  # noqa: ANN201
        """Say nothing at run time."""
        return lambda decorated: decorated


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """Fields are the annotated attributes of the class, given by keyword; equal by value.

    A list given for a field becomes a tuple, so that every record can be a key. Names in
    `SECRETS` are left out of the repr.
    """

    SECRETS: ClassVar[frozenset[str]] = frozenset()
    _fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Collect the fields once."""
        # Since Python 3.10 a class without annotations of its own has an empty dict of them.
        own = [name for name in cls.__annotations__ if name.islower() and name[0] != "_"]
        cls._fields = (*cls._fields, *own)

    def __init__(self, **given: object) -> None:
        cls = type(self)
        for name in given:
            if name not in cls._fields:
                raise TypeError(f"{cls.__name__} has no field {name!r}")
        for name in cls._fields:
            if name not in given and not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} needs {name!r}")
        self.__dict__.update(
            (name, tuple(value) if isinstance(value, list) else value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            for name, value in given.items()
        )

    def replace(self, **changes: object) -> object:
        """A copy with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: {name!r} cannot be set")

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in self._fields if name not in self.SECRETS
        )
        return f"{type(self).__name__}({shown})"
