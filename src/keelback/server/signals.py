"""What the command does on a signal. Nothing here is installed by an embedded server.

Handlers run between two bytecodes of the main thread, so they only post to the control loop;
before that has begun, what was posted waits.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from keelback.server.lifecycle import Lifecycle

GO_NAMES: Final = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hangup",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGUSR2: "user defined signal 2",
}


def install(lifecycle: Lifecycle, post: Callable[[Callable[[], object]], None]) -> None:
    """Handle the signals that nats-server handles, from now on.

    Args:
        lifecycle: of the server that the signals are for.
        post: has the control loop call a function; safe in a signal handler.
    """
    for number in GO_NAMES:
        signal.signal(
            number, lambda caught, _frame: post(lambda: handle(lifecycle, signal.Signals(caught)))
        )


def handle(lifecycle: Lifecycle, caught: signal.Signals) -> None:
    """Do what the signal asks; on the control loop."""
    lifecycle.log("INF", f'Trapped "{GO_NAMES[caught]}" signal')
    if caught is signal.SIGINT:
        lifecycle.request_stop()
    elif caught is signal.SIGTERM:
        # A service manager that loses patience must not cut a lame duck short; INT may.
        if not lifecycle.is_lame_duck:
            lifecycle.request_stop()
    elif caught is signal.SIGUSR2:
        lifecycle.request_lame_duck()
    elif caught is signal.SIGHUP:
        lifecycle.log("ERR", "Failed to reload server configuration: not supported yet")
    elif lifecycle.settings.log.file:
        lifecycle.log("ERR", "File log re-open failed: not supported yet")
    else:
        lifecycle.log("INF", "File log re-open ignored, not a file logger")
