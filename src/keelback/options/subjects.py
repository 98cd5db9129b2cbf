"""Which subjects a configuration may name."""

from __future__ import annotations

_SPACES = " \t\n\f\r"


def is_valid_subject(subject: str) -> bool:
    """Tokens between dots, none empty, none with white space, `>` only at the end."""
    tokens = subject.split(".")
    return all(
        part and not any(char in _SPACES for char in part) and (part != ">" or is_last)
        for part, is_last in zip(tokens, [False] * (len(tokens) - 1) + [True], strict=True)
    )
