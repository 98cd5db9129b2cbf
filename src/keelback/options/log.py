"""What is logged, how a line looks, and where it goes."""

from __future__ import annotations

from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import FILE, FLAG


@options("")
class LogOptions(Block):
    """The log."""

    debug: bool = option(FLAG, default=False, reload=Reload.LIVE, help="Log debugging lines.")
    trace: bool = option(
        FLAG, default=False, reload=Reload.LIVE, help="Log every protocol message of clients."
    )
    trace_verbose: bool = option(
        FLAG,
        default=False,
        reload=Reload.LIVE,
        help="Log protocol messages of the system account, too; includes `trace`.",
    )
    logtime: bool = option(
        FLAG, default=True, reload=Reload.LIVE, help="Begin a log line with date and time."
    )
    logtime_utc: bool = option(
        FLAG, default=False, reload=Reload.LIVE, help="Log the time in UTC, not in local time."
    )
    log_file: str = option(
        FILE,
        default="",
        aliases=("logfile",),
        default_text="standard error",
        reload=Reload.LIVE,
        help="The file to append log lines to.",
    )
