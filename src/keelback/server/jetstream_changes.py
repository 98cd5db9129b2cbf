"""What a reload makes of changes to JetStream's place and size: a line of the log, or refused.

Source: nats-server 2.15 `server/reload.go`, `diffOptions`.
"""

from __future__ import annotations

from keelback.config.gotext import bytes_text
from keelback.errors import ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.server.changes import View

UNSET = -1

HINT = "switch JetStream off by one reload and on by another, or restart the server"


def store_dir(view: View) -> str:
    """Where the store is."""
    return view.options.jetstream.store_dir or view.options.store_dir


def is_on(view: View) -> tuple[bool, bool]:
    """Whether there are to be streams, and whether there are."""
    return view.options.jetstream.enabled, view.has_streams


def switched(_old: View, _new: View) -> str:
    """It was switched on or off, or did not start and is tried again."""
    return "Reloaded: JetStream"


def moved(old: View, new: View) -> str:
    """The store is to be elsewhere: not while it is in use.

    Raises:
        ServerError: it is in use.
    """
    if old.has_streams and store_dir(new):
        raise _refused("jetstream storage directory")
    return ""


def resized(name: str, told_as: str) -> Callable[[View, View], str]:
    """A limit of the server, an option of the block: it may only be raised.

    The result raises ServerError for any other change while there are streams.
    """

    def judge(old: View, new: View) -> str:
        before = getattr(old.options.jetstream, name)
        after = getattr(new.options.jetstream, name)
        if not old.has_streams or after == UNSET:
            return ""  # `check_together` looks at the latter
        if before == UNSET:
            raise _refused("jetstream dynamic max memory and store")
        if after < before:
            raise _refused("decreasing jetstream max memory and store")
        return f"Reloaded: JetStream {told_as} = {bytes_text(after)}"

    return judge


def check_together(old: View, new: View) -> None:
    """Check what may only be left out when JetStream is switched off.

    Raises:
        ServerError: it was left out, and JetStream stays on.
    """
    if not old.has_streams or not new.options.jetstream.enabled:
        return
    before, after = old.options.jetstream, new.options.jetstream
    sizes = (
        (before.max_memory_store, after.max_memory_store),
        (before.max_file_store, after.max_file_store),
    )
    if any(was != UNSET and then == UNSET for was, then in sizes):
        raise _refused("jetstream max memory and max store")
    if store_dir(old) and not store_dir(new):
        raise _refused("jetstream storage dir")


def _refused(what: str) -> ServerError:
    return ServerError(f"config reload not supported for {what}", hint=HINT)
