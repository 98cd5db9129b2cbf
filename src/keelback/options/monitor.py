"""Monitoring over HTTP: where it is served, to whom, and how much of it."""

from __future__ import annotations

from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import INTEGER, NESTED, TEXT

PORT_OFF = 0
PORT_RANDOM = -1
PORT_MAX = 65535
SERIES_MAX = 100_000
"""Most series of one kind: a scrape of more is too long for whoever reads it."""


@options("")
class MonitorOptions(Block):
    """Monitoring over HTTP or HTTPS."""

    http_host: str = option(
        NESTED,
        default="",
        default_text="`host`",
        help="The address that monitoring listens on; `http` and `https` name it.",
    )
    http_port: int = option(
        INTEGER,
        default=PORT_OFF,
        aliases=("monitor_port",),
        default_text="no monitoring",
        minimum=PORT_RANDOM,
        maximum=PORT_MAX,
        help="The port of monitoring over HTTP; -1 takes a free one. `http` gives host and port "
        "at once.",
    )
    https_port: int = option(
        INTEGER,
        default=PORT_OFF,
        default_text="no monitoring",
        minimum=PORT_RANDOM,
        maximum=PORT_MAX,
        help="The port of monitoring over HTTPS, with the certificates of `tls`; -1 takes a free "
        "one. `https` gives host and port at once. Not together with `http_port`.",
    )
    http_base_path: str = option(
        TEXT, default="", default_text="`/`", help="What stands before every path of monitoring."
    )
    monitor_user: str = option(
        TEXT,
        default="",
        default_text="everybody",
        reload=Reload.LIVE,
        help="Who may read monitoring, with `monitor_password` (HTTP basic authentication). "
        "Keelback's own.",
    )
    monitor_password: str = option(
        TEXT,
        default="",
        is_secret=True,
        reload=Reload.LIVE,
        help="The password of `monitor_user`, plain or as a bcrypt hash. Keelback's own.",
    )
    monitor_token: str = option(
        TEXT,
        default="",
        default_text="everybody",
        is_secret=True,
        reload=Reload.LIVE,
        help="A token that opens monitoring (`Authorization: Bearer …`), plain or as a bcrypt "
        "hash; also beside `monitor_user`. Keelback's own.",
    )
    metrics_connections_max: int = option(
        INTEGER,
        default=0,
        unit="connections",
        minimum=0,
        maximum=SERIES_MAX,
        reload=Reload.LIVE,
        help="How many connections have series of their own in `/metrics`. Keelback's own.",
    )
    metrics_subjects_max: int = option(
        INTEGER,
        default=0,
        unit="subjects",
        minimum=0,
        maximum=SERIES_MAX,
        reload=Reload.LIVE,
        help="How many subjects have series of their own in `/metrics`. Keelback's own.",
    )
