"""What is logged, how a line looks, and where it goes."""

from __future__ import annotations

from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import FILE, FLAG, INTEGER, LARGE_SIZE, TEXT, Choice

LOG_FORMATS = ("text", "json")
SYSLOG_SCHEMES = ("udp", "tcp", "unix")


@options("")
class LogOptions(Block):
    """The log. Of several destinations, the file comes first, then syslog."""

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
    trace_headers: bool = option(
        FLAG,
        default=False,
        reload=Reload.LIVE,
        help="Log of a traced message its headers only; includes `trace`.",
    )
    max_traced_msg_len: int = option(
        INTEGER,
        default=0,
        unit="bytes",
        default_text="all",
        reload=Reload.LIVE,
        help="How much of a traced payload is logged; 0 is all of it.",
    )
    logtime: bool = option(
        FLAG, default=True, reload=Reload.LIVE, help="Begin a log line with date and time."
    )
    logtime_utc: bool = option(
        FLAG, default=False, reload=Reload.LIVE, help="Log the time in UTC, not in local time."
    )
    log_format: str = option(
        Choice("text or json", "json", LOG_FORMATS),
        default="text",
        reload=Reload.LIVE,
        help="Lines for people, as nats-server's, or a JSON object on each line. Keelback's own.",
    )
    log_file: str = option(
        FILE,
        default="",
        aliases=("logfile",),
        default_text="standard error",
        reload=Reload.LIVE,
        help="The file to append log lines to.",
    )
    log_size_limit: int = option(
        LARGE_SIZE,
        default=0,
        aliases=("logfile_size_limit",),
        default_text="no limit",
        minimum=0,
        help="Above this size the log file is put aside, under a name with the time, and a new "
        "one is begun.",
    )
    log_max_num: int = option(
        INTEGER,
        default=0,
        aliases=("logfile_max_num",),
        unit="files",
        default_text="no limit",
        minimum=0,
        help="Most log files that are kept, the one in use included; the oldest go.",
    )
    syslog: bool = option(
        FLAG, default=False, reload=Reload.LIVE, help="Log to the syslog of this machine."
    )
    remote_syslog: str = option(
        TEXT,
        default="",
        reload=Reload.LIVE,
        help="The syslog server to log to: `udp://host:514`, `tcp://host:514` or `unix:///path`.",
    )
