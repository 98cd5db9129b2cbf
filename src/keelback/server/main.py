"""The command `keelback-server`: flags, options, listener; only then the control loop.

Nothing heavy may be imported here or by what this imports: between exec and the open listener
every millisecond of import is felt. asyncio comes with the control loop, cryptography with the
first login that needs it.
"""

from __future__ import annotations

import sys

from keelback.errors import KeelbackError, ServerError
from keelback.options.command_line import error_text, parse_command_line
from keelback.server import log, signals
from keelback.server.compile import compile_settings
from keelback.server.lifecycle import Lifecycle
from keelback.server.source import command_line_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from keelback.server.settings import ServerSettings
    from keelback.server.source import Source


def main() -> int:
    """Run the command with the process's arguments; returns its exit code."""
    return run_command(sys.argv[1:])


def run_command(arguments: Sequence[str]) -> int:
    """Run with these arguments (without the program's name); returns the exit code."""
    line = parse_command_line(arguments)
    sys.stdout.write(line.standard_output)
    sys.stderr.write(line.standard_error)
    sys.stdout.flush()
    if line.signal:
        return send_signal(line.signal)
    if line.options is None:
        return line.exit_code
    source = command_line_source(line.options, line.given, compile_settings)
    return serve(compile_settings(line.options), source)


def send_signal(parameters: str) -> int:
    """Do what `--signal` asks for; silent when it was done.

    Returns:
        0, or 1 when a server could not be found or signalled.
    """
    from keelback.server import signal_command  # noqa: PLC0415 - a server needs nothing of it

    try:
        signal_command.send(parameters)
    except KeelbackError as error:
        sys.stderr.write(error_text(error))
        return 1
    return 0


def serve(settings: ServerSettings, source: Source | None = None) -> int:
    """Run a server until a signal ends it.

    Args:
        settings: what it is.
        source: where they came from, for a reload.

    Returns:
        0 after a clean stop, 1 when it could not start or its control loop failed, 2 after QUIT.
    """
    lifecycle = Lifecycle(settings, source=source)
    # Before the listener: whoever sees the port open may already send the signal to stop.
    signals.install(lifecycle, lifecycle.post)
    try:
        lifecycle.start()
    except ServerError as error:
        if not lifecycle.has_log:
            log.print_without_log(str(error))
        return 1
    lifecycle.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
