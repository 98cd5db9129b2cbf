"""What one client may ask of the server, and how long the server waits for it."""

from __future__ import annotations

from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import (
    CONNECTION_COUNT,
    DURATION,
    FLAG,
    INT32_MAX,
    INTEGER,
    LARGE_SIZE,
    MIB,
    OPTIONAL_COUNT,
    SIZE,
    TOKEN_COUNT,
    Choice,
)

WRITE_TIMEOUTS = ("default", "close", "retry")
CLOSED_CLIENTS_MAX = 1_000_000


@options("")
class LimitOptions(Block):
    """Limits of one client connection, and of their number."""

    max_connections: int = option(
        CONNECTION_COUNT,
        default=65536,
        aliases=("max_conn",),
        unit="connections",
        reload=Reload.LIVE,
        help="Most client connections at a time; 0 or less refuses every client. Lowering it by a "
        "reload closes the excess.",
    )
    max_subscriptions: int = option(
        OPTIONAL_COUNT,
        default=0,
        aliases=("max_subs",),
        unit="subscriptions",
        help="Most subscriptions of one connection; 0 is without limit.",
    )
    max_sub_tokens: int = option(
        TOKEN_COUNT,
        default=0,
        aliases=("max_subscription_tokens",),
        default_text="no limit",
        minimum=0,
        maximum=255,
        help="Most tokens in the subject of a subscription.",
    )
    max_control_line: int = option(
        SIZE,
        default=4096,
        reload=Reload.LIVE,
        zero_is_default=True,
        minimum=1,
        maximum=INT32_MAX,
        help="Longest protocol line, without a payload. A longer one closes its connection.",
    )
    max_payload: int = option(
        SIZE,
        default=1 * MIB,
        reload=Reload.LIVE,
        zero_is_default=True,
        minimum=1,
        maximum=INT32_MAX,
        help="Largest payload, headers included, that a client may publish. A larger one closes "
        "its connection. Above 8MB is not advised.",
    )
    max_pending: int = option(
        LARGE_SIZE,
        default=64 * MIB,
        zero_is_default=True,
        minimum=1,
        help="Most bytes that may wait for one client; a slower one is cut off as a slow consumer.",
    )
    ping_interval: float = option(
        DURATION,
        default=120.0,
        reload=Reload.NEXT_PING,
        zero_is_default=True,
        minimum=0.001,
        help="Silence after which a client is pinged.",
    )
    ping_max: int = option(
        INTEGER,
        default=2,
        unit="pings",
        reload=Reload.NEXT_PING,
        zero_is_default=True,
        minimum=1,
        help="Pings without an answer after which a connection is stale, and closed.",
    )
    write_deadline: float = option(
        DURATION,
        default=10.0,
        reload=Reload.NEW_CONNECTIONS,
        zero_is_default=True,
        minimum=0.001,
        help="How long a write to a client may take before the client counts as a slow consumer.",
    )
    write_timeout: str = option(
        Choice("default, close or retry", "close", WRITE_TIMEOUTS),
        default="default",
        help="What happens to a client whose write took longer than `write_deadline`: it is cut "
        "off (`close`, and the default), or the rest is written later (`retry`).",
    )
    no_fast_producer_stall: bool = option(
        FLAG,
        default=False,
        reload=Reload.LIVE,
        help="Never make a publisher wait for a subscriber that falls behind.",
    )
    disable_sublist_cache: bool = option(
        FLAG,
        default=False,
        aliases=("no_sublist_cache",),
        help="Look up the subscribers of every message anew.",
    )
    max_closed_clients: int = option(
        INTEGER,
        default=10_000,
        unit="connections",
        zero_is_default=True,
        minimum=1,
        maximum=CLOSED_CLIENTS_MAX,
        help="How many closed connections monitoring remembers.",
    )
    connect_error_reports: int = option(
        INTEGER,
        default=3600,
        zero_is_default=True,
        unit="attempts",
        reload=Reload.LIVE,
        help="Every how many failed attempts at another server one is logged. There are no "
        "connections to other servers yet.",
    )
    reconnect_error_reports: int = option(
        INTEGER,
        default=1,
        zero_is_default=True,
        unit="attempts",
        reload=Reload.LIVE,
        help="The same once a connection was there before.",
    )
