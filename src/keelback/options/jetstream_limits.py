"""The `limits` block of the server's `jetstream` block: what one stream or request may take.

Source: nats-server 2.15 `server/opts.go`, `parseJetStreamLimits`.
"""

from __future__ import annotations

from keelback.config.tree import go_type
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import INTEGER, NESTED, Duration, seconds_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keelback.config.tree import Value
    from keelback.options.fields import Option
    from keelback.options.report import Report


class LimitSpan(Duration):
    """A time span in quotes; a bare number is refused as another type, in Go's words."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read a time span."""
        if isinstance(value.data, str):
            return seconds_of(value, "")
        if value.place.line == 0:  # Python's own seconds
            return super().read(key, value, report)
        raise self.fail(value, "string")


_SPAN = LimitSpan("a duration in quotes", '"2m"', "duration")


@options("jetstream.limits.batch")
class BatchOptions(Block):
    """What batches of messages may take; 0 is the default."""

    max_inflight_per_stream: int = option(
        INTEGER,
        default=0,
        default_text="50 atomic ones, 1000 fast ones",
        reload=Reload.LIVE,
        help="Most batches of one stream that are not complete.",
    )
    max_inflight_total: int = option(
        INTEGER,
        default=0,
        default_text="1000 atomic ones, 50000 fast ones",
        reload=Reload.LIVE,
        help="Most batches of the server that are not complete.",
    )
    max_msgs: int = option(
        INTEGER,
        default=0,
        default_text="1000",
        reload=Reload.LIVE,
        help="Most messages of one batch.",
    )
    timeout: float = option(
        _SPAN,
        default=0.0,
        default_text="10s",
        reload=Reload.LIVE,
        help="Without a message for so long a batch is given up.",
    )


@options("jetstream.limits")
class JetStreamLimitOptions(Block):
    """What one stream or request may take; 0 is without limit."""

    max_request_batch: int = option(
        INTEGER,
        default=0,
        default_text="without limit",
        reload=Reload.LIVE,
        help="Most messages that a consumer is asked for at once. Shown; there are no consumers "
        "yet.",
    )
    max_ack_pending: int = option(
        INTEGER,
        default=0,
        default_text="without limit",
        reload=Reload.LIVE,
        help="Most messages of a consumer that wait to be acknowledged. Shown; there are no "
        "consumers yet.",
    )
    max_ha_assets: int = option(
        INTEGER,
        default=0,
        default_text="without limit",
        reload=Reload.LIVE,
        help="Most streams and consumers with more than one replica. A server alone has none.",
    )
    duplicate_window: float = option(
        _SPAN,
        default=0.0,
        default_text="without limit",
        reload=Reload.LIVE,
        help="The longest `duplicate_window` of a stream.",
    )
    default_max_consumers: int = option(
        INTEGER,
        default=0,
        default_text="1000",
        reload=Reload.LIVE,
        help="Most consumers of a stream that says nothing of them. Shown; there are no consumers "
        "yet.",
    )
    batch: BatchOptions = option(
        NESTED, default=BatchOptions(), reload=Reload.LIVE, help="Batches of messages."
    )


def read_limits(value: Value, report: Report) -> JetStreamLimitOptions:
    """Read the block; keys that are not known go to `report`.

    Raises:
        ConfigError: it is none, or a value is wrong.
    """
    found = _read(JetStreamLimitOptions, value, report, told_as="JetStreamLimits")
    return JetStreamLimitOptions(**found)  # type: ignore[arg-type]  # read by name


def _read(block: type[Block], value: Value, report: Report, *, told_as: str) -> dict[str, object]:
    if not isinstance(value.data, dict):
        problem = f"Expected a map to define {told_as}, got {go_type(value.data)}"
        raise ConfigError(value.place, problem, hint="write a block: `{ … }`")
    found: dict[str, object] = {}
    described: dict[str, Option] = {each.key: each for each in block.options_by_name.values()}
    for key, item in value.data.items():
        known = described.get(key.lower())
        if known is None:
            report.unknown(key, item, described)
        elif known.kind is NESTED:
            batch = _read(BatchOptions, item, report, told_as="batch limits")
            found[known.name] = BatchOptions(**batch)  # type: ignore[arg-type]  # read by name
        else:
            found[known.name] = known.kind.read(key, item, report)
    return found
