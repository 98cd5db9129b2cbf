"""Where a server's options came from, and how they are read anew for a reload."""

from __future__ import annotations

from keelback.errors import ServerError
from keelback.options import ServerOptions
from keelback.options.command_line import apply_flags
from keelback.options.flags import Given
from keelback.options.load import load_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from keelback.server.settings import ServerSettings

KEPT_FLAGS: Final = frozenset(  # one text: twenty quoted lines would hide the names
    """
    port addr client_advertise user pass auth http_port debug trace VV DV DVV logtime log pid
    ports_file_dir profile syslog
    threads log_format
    """.split()  # noqa: SIM905
)
"""Flags that a reload lays over the file again, by one of their names.

nats-server forgets the others, so that the file's value holds, or the reload is refused: as here.
The last line is ours.
"""

TLS_FLAGS: Final = ("tls", "tlsverify", "tlscert", "tlskey", "tlscacert")

NO_FILE: Final = "can only reload config when a file is provided using -c or --config"


class Source:
    """What a server was told, and by whom.

    Args:
        options: the ones in force, complete and checked.
        compile: says what options mean for a running server.
        read: reads them anew; raises ConfigError, UsageError or ServerError.
        tls_flags: the command line, where its flags made the TLS options.
    """

    def __init__(
        self,
        options: ServerOptions,
        *,
        compile: Callable[[ServerOptions], ServerSettings],  # noqa: A002  # what it does
        read: Callable[[], ServerOptions],
        tls_flags: Given | None = None,
    ) -> None:
        self.options = options
        self.compile = compile
        self.read = read
        self.tls_flags = tls_flags


def command_line_source(
    options: ServerOptions,
    given: Given,
    compile: Callable[[ServerOptions], ServerSettings],  # noqa: A002
) -> Source:
    """The source of the command's options: a file that its flags are laid over."""
    file = str(given.last("config") or "")
    kept = Given()
    kept.values = [each for each in given.values if not KEPT_FLAGS.isdisjoint(each[1].names)]

    def read() -> ServerOptions:
        if not file:
            raise ServerError(NO_FILE)
        draft = load_file(file)
        apply_flags(kept, draft)
        return draft.resolved()

    has_tls_flags = given.last("tls") is not False and any(given.last(name) for name in TLS_FLAGS)
    tls_flags = given if has_tls_flags else None
    return Source(options, compile=compile, read=read, tls_flags=tls_flags)


def read_keywords(config: str, keywords: Mapping[str, object]) -> ServerOptions:
    """The options of a file, if one is named, with keywords laid over it; keywords alone else.

    Blocks (`tls`, `authorization`, `accounts`) are laid over as a whole.

    Raises:
        ConfigError: an option is wrong; the message names it.
    """
    if keywords.get("port") == 0:
        keywords = {**keywords, "port": -1}
    if not config:
        return ServerOptions.from_mapping(keywords)
    return ServerOptions.from_file(config, keywords)
