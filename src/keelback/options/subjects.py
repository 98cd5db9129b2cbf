"""Which subjects a configuration may name."""

from __future__ import annotations

_SPACES = " \t\n\f\r"


def is_valid_subject(subject: str) -> bool:
    """Tokens between dots, none empty, none with white space, `>` only at the end."""
    tokens = subject.split(".")
    return all(
        token and not any(char in _SPACES for char in token) and (token != ">" or last)
        for token, last in zip(tokens, [False] * (len(tokens) - 1) + [True], strict=True)
    )
