"""Write `docs/configuration.md` from the table of options, or check that it is not stale.

python tools/generate_configuration_docs.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keelback.options import (
    AccountJetStreamOptions,
    AccountLimitOptions,
    AccountOptions,
    AuthorizationOptions,
    BatchOptions,
    CertificateOptions,
    JetStreamLimitOptions,
    JetStreamOptions,
    LabelOptions,
    LameDuckOptions,
    LimitOptions,
    LogOptions,
    MonitorOptions,
    PermissionOptions,
    ResponseRules,
    ServerOptions,
    SubjectRules,
    TlsOptions,
    UserOptions,
    later,
)
from keelback.options.flag_table import SECTIONS
from keelback.options.kinds import NESTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keelback.options.fields import Block, Option

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

SHORT_NAME_CHARS = 3

BLOCKS: tuple[tuple[str, type[Block]], ...] = (
    ("The server", ServerOptions),
    ("Limits", LimitOptions),
    ("Log", LogOptions),
    ("Monitoring", MonitorOptions),
    ("Tags and metadata", LabelOptions),
    ("Lame duck mode", LameDuckOptions),
    ("TLS", TlsOptions),
    ("Several certificates", CertificateOptions),
    ("Authorization", AuthorizationOptions),
    ("Users", UserOptions),
    ("Permissions", PermissionOptions),
    ("Subjects", SubjectRules),
    ("Responses", ResponseRules),
    ("Accounts", AccountOptions),
    ("Limits of an account", AccountLimitOptions),
    ("Streams", JetStreamOptions),
    ("Limits of streams", JetStreamLimitOptions),
    ("Limits of batches", BatchOptions),
    ("Streams of an account", AccountJetStreamOptions),
)

INTRODUCTION = """\
# Configuration

<!-- Made by tools/generate_configuration_docs.py from the table of options: do not edit. -->

A server is configured by a file (`-c file`), by flags, which override the file, or by keywords of
`keelback.Server(...)`, which have the names below. The file's language is nats-server's:

```
# a comment
listen: 127.0.0.1:4222        # `:`, `=` or a blank between key and value
max_payload: 2MB              # sizes: k, m, g are powers of 1000; kb, mb, gb of 1024
ping_interval: "90s"          # durations in quotes: ms, s, m, h
include "users.conf"          # relative to this file
TOKEN: s3cr3t                 # a variable …
authorization { token: $TOKEN }   # … or one of the environment
```

Keys are matched in any case. A key that is not known is refused, and so is a key of nats-server
whose capability is not there yet; nothing is ignored. `keelback-server -t -c file` checks a file
and reports everything that is wrong with it.

The column *reload* says what a reload of the configuration does with a changed option:
*refused* (the reload as a whole), *live* (running connections have it at once), *new connections*,
or *next ping*.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, block in BLOCKS:
        where = f"Block `{block.block_path}`. " if block.block_path else "At the top level. "
        parts.append(f"## {title}\n\n{where}{summary(block)}\n\n{table(block)}")
    parts += [not_supported(), flags()]
    return "\n".join(parts)


def summary(block: type[Block]) -> str:
    """The first line of a block's docstring."""
    return (block.__doc__ or "").strip().splitlines()[0]


def table(block: type[Block]) -> str:
    """A block's options, one a line."""
    lines = ["| key | type | default | reload | meaning |", "|---|---|---|---|---|"]
    lines += [row(described) for described in documented(block)]
    return "\n".join(lines) + "\n"


def documented(block: type[Block]) -> Iterator[Option]:
    """The options that have a key in a file."""
    for described in block.options_by_name.values():
        if described.kind is not NESTED and described.name != "handshake_first_fallback":
            yield described


def row(described: Option) -> str:
    """One option."""
    key = f"`{described.key}`"
    if described.aliases:
        key += " (" + ", ".join(f"`{alias}`" for alias in described.aliases) + ")"
    default = described.default_text or (
        f"`{described.shown_default}`" if described.shown_default else ""
    )
    unit = f", {described.unit}" if described.unit not in ("", "duration") else ""
    cells = (key, described.kind.name + unit, default, described.reload, described.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


NOT_SUPPORTED = """\
## Not supported yet

Known, so that a spelling mistake inside is told today, and refused by name. What switches such a
capability off (`jetstream: false`, `jetstream { enabled: false }`, `ocsp: false`,
`proxy_required: false`, `prof_port: 0`) is accepted.

| block | keys |
|---|---|
"""


def not_supported() -> str:
    """The keys that are refused, by the block in which they stand."""
    lines = [
        f"| {f'`{path}`' if path else 'the top level'} | {shape_keys(shape)} |"
        for path, shape in later.BLOCKS.items()
    ]
    lines += [
        f"| `{names.split('/')[0]}` | {shape_keys(shape)} |"
        for names, shape in sorted(later.TOP.blocks.items())
        if shape is not None and shape.blocks
    ]
    return NOT_SUPPORTED + "\n".join(lines) + "\n"


def shape_keys(shape: later.Shape) -> str:
    """The keys of a block, aliases in parentheses."""
    shown: list[str] = []
    for names in sorted(shape.blocks):
        key, *aliases = (f"`{name}`" for name in names.split("/"))
        shown.append(key + (f" ({', '.join(aliases)})" if aliases else ""))
    return ", ".join(shown)


def flags() -> str:
    """The flags, by the option that they set."""
    lines = ["## Flags", "", "| flag | option | meaning |", "|---|---|---|"]
    for _, section in SECTIONS:
        for flag in section:
            names = ", ".join(
                f"`-{'-' if len(name) > SHORT_NAME_CHARS else ''}{name}`" for name in flag.names
            )
            option = f"`{flag.option}`" if flag.option else ""
            meaning = flag.help if flag.is_supported else "Not supported yet."
            placeholder = f" `{flag.placeholder}`" if flag.placeholder else ""
            cells = (names + placeholder, option, meaning.replace("<", "\\<"))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; returns the exit code."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{PAGE.name} is stale: run python tools/generate_configuration_docs.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
