"""The `jetstream` block, of the server and of an account: streams, where they are and how large.

Source: nats-server 2.15 `server/opts.go`, `parseJetStream` and `parseJetStreamForAccount`.
"""

from __future__ import annotations

from keelback.config.gotext import quote, show
from keelback.config.tree import go_type
from keelback.errors import ConfigError
from keelback.options.fields import Block, Reload, option, options
from keelback.options.jetstream_limits import JetStreamLimitOptions, read_limits
from keelback.options.kinds import FILE, FLAG, NESTED, TEXT, Duration, Flag, Integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.config.tree import Value
    from keelback.options.report import Report

SYNC_ALWAYS = 0.0
"""`sync_interval`: an acknowledged message is on stable storage."""

UNLIMITED = -1

CONCURRENT_IO = (4, 8192)
"""The least and the most of `max_concurrent_io`."""

CONCURRENT_IO_DEFAULT = 4096

REQUESTS_DEFAULT = 10_000
"""`request_queue_limit`."""

FOR_CLUSTERS = "Taken without effect: it concerns clusters."

_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_INT64_MAX = (1 << 63) - 1


class StorageSize(Integer):
    """A number of bytes, or text that ends in K, M, G or T (powers of 1024).

    `told_as` is what nats-server calls the key, whatever name was written.
    """

    __slots__ = ("told_as",)

    def __init__(self, told_as: str) -> None:
        super().__init__("a size", "10GB", "bytes")
        self.told_as = told_as

    def read(self, key: str, value: Value, report: Report) -> int:  # noqa: ARG002
        """Read a size."""
        data = value.data
        if isinstance(data, int) and not isinstance(data, bool):
            return data
        hint = f"write `{key}: 10GB`"
        if not isinstance(data, str):
            raise ConfigError(value.place, f"{self.told_as} must be int64 or string", hint=hint)
        digits, unit = data[:-1], data[-1:]
        if not data:
            return 0
        if not digits.removeprefix("-").isdecimal() or not digits.isascii():
            problem = f"{self.told_as} strconv.ParseInt: parsing {quote(digits)}: invalid syntax"
            raise ConfigError(value.place, problem, hint=hint)
        if unit not in _UNITS:
            problem = f"{self.told_as} sizes defined as strings must end in K, M, G, T"
            raise ConfigError(value.place, problem, hint=hint)
        size = int(digits) << _UNITS[unit]
        if abs(size) > _INT64_MAX:
            raise ConfigError(value.place, f"{self.told_as} is too large", hint=hint)
        return size

    def show(self, value: object) -> str:
        """Bytes; empty for no limit."""
        return "" if value == UNLIMITED else str(value)


class SyncInterval(Duration):
    """`always`, or a time span."""

    def read(self, key: str, value: Value, report: Report) -> float:
        """Read the interval: seconds, `SYNC_ALWAYS` for `always`."""
        if isinstance(value.data, str) and value.data.lower() == "always":
            return SYNC_ALWAYS
        seconds = super().read(key, value, report)
        if seconds <= 0:
            hint = f"write `{key}: always` or `{key}: 2m`"
            raise ConfigError(value.place, f"invalid {key}, needs to be positive", hint=hint)
        return seconds

    def show(self, value: object) -> str:
        """`always`, or the time span."""
        return "always" if value == SYNC_ALWAYS else super().show(value)


class StrictFlag(Flag):
    """True or false, refused in words of its own."""

    def read(self, key: str, value: Value, report: Report) -> bool:  # noqa: ARG002
        """Read a boolean."""
        data = value.data
        if isinstance(data, bool):
            return data
        # As Go writes a number where text is wanted.
        shown = (
            f"%!s({go_type(data)}={show(data)})" if isinstance(data, int | float) else show(data)
        )
        problem = f"Expected 'true' or 'false' for bool value, got '{shown}'"
        raise ConfigError(value.place, problem, hint=f"write `{key}: true`")


class ParseableSize(Integer):
    """A number of an account's `jetstream` block."""

    def read(self, key: str, value: Value, report: Report) -> int:  # noqa: ARG002
        """Read a number."""
        if isinstance(value.data, int) and not isinstance(value.data, bool):
            return value.data
        problem = f"Expected a parseable size for {quote(key)}, got {show(value.data)}"
        raise ConfigError(value.place, problem, hint=f"write `{key}: 1GB`, or -1 for no limit")


class ParseableFlag(Flag):
    """A boolean of an account's `jetstream` block."""

    def read(self, key: str, value: Value, report: Report) -> bool:  # noqa: ARG002
        """Read a boolean."""
        if isinstance(value.data, bool):
            return value.data
        problem = f"Expected a parseable bool for {quote(key)}, got {show(value.data)}"
        raise ConfigError(value.place, problem, hint=f"write `{key}: true`")


class AbsoluteSize(StorageSize):
    """A number of bytes that is not negative."""

    def read(self, key: str, value: Value, report: Report) -> int:
        """Read a size."""
        size = super().read(key, value, report)
        if size < 0:
            raise _no_absolute_size(key, value)
        return size


class AbsoluteCount(Integer):
    """A number that is not negative, or within bounds."""

    __slots__ = ("bounds",)

    def __init__(self, bounds: tuple[int, int] | None = None) -> None:
        super().__init__("a number", "1000")
        self.bounds = bounds

    def read(self, key: str, value: Value, report: Report) -> int:  # noqa: ARG002
        """Read a number."""
        least, most = self.bounds or (0, _INT64_MAX)
        data = value.data
        if isinstance(data, int) and not isinstance(data, bool) and least <= data <= most:
            return data
        raise _no_absolute_size(key, value, self.bounds)


def _no_absolute_size(key: str, value: Value, bounds: tuple[int, int] | None = None) -> ConfigError:
    within = "" if bounds is None else f" between {bounds[0]} and {bounds[1]}"
    problem = f"Expected an absolute size for {quote(key)}{within}, got {show(value.data)}"
    return ConfigError(value.place, problem, hint=f"write `{key}: 1000`")


_COUNT = ParseableSize("a number", "100")
_BYTES = ParseableSize("a size without quotes", "10GB", "bytes")


@options("jetstream")
class JetStreamOptions(Block):
    """Streams. `true`, `enabled` or a map switches them on; `false` or `disabled` off."""

    enabled: bool = option(
        FLAG,
        default=False,
        aliases=("enable",),
        default_text="by a map: true",
        reload=Reload.LIVE,
        help="Whether there are streams.",
    )
    store_dir: str = option(
        FILE,
        default="",
        aliases=("store", "storedir"),
        default_text="the top level's `store_dir`; without it a temporary directory",
        help="The directory of the files; they lie in `jetstream` below it. One server at a time "
        "may use it. A reload may change it while there are no streams.",
    )
    max_memory_store: int = option(
        StorageSize("max_mem_store"),
        default=UNLIMITED,
        aliases=("max_mem_store", "max_mem"),
        default_text="75 % of the memory",
        reload=Reload.LIVE,
        help="Most bytes of all streams in memory. A reload may raise it.",
    )
    max_file_store: int = option(
        StorageSize("max_file_store"),
        default=UNLIMITED,
        aliases=("max_file",),
        default_text="75 % of the free disk",
        reload=Reload.LIVE,
        help="Most bytes of all streams in files. A reload may raise it.",
    )
    domain: str = option(
        TEXT,
        default="",
        help="The domain, by which `$JS.<domain>.API` is this server's API, too.",
    )
    sync_interval: float = option(
        SyncInterval("`always` or a duration", "always", "duration"),
        default=SYNC_ALWAYS,
        aliases=("sync",),
        help="`always`: what is acknowledged is on stable storage. A duration: it is within that "
        "time, and a power cut may take it.",
    )
    strict: bool = option(
        StrictFlag("a boolean", "true"),
        default=True,
        help="Refuse requests with fields that are not known.",
    )
    limits: JetStreamLimitOptions = option(
        NESTED,
        default=JetStreamLimitOptions(),
        reload=Reload.LIVE,
        help="What one stream or request may take.",
    )
    request_queue_limit: int = option(
        _COUNT,
        default=0,
        default_text="10000",
        help="Most requests to the API that wait; one more, and all that wait are dropped.",
    )
    info_queue_limit: int = option(
        _COUNT,
        default=0,
        default_text="`request_queue_limit`",
        help="The same for requests that only look.",
    )
    max_buffered_size: int = option(
        StorageSize("max_buffered_size"),
        default=0,
        default_text="128MB",
        help="Most bytes that are published to files and wait to be written, of all streams; "
        "publishers of more are refused.",
    )
    max_buffered_msgs: int = option(
        _COUNT,
        default=0,
        help="Taken without effect: what waits is bounded by its bytes.",
    )
    max_concurrent_io: int = option(
        AbsoluteCount(CONCURRENT_IO),
        default=0,
        help="Taken without effect: one thread writes the log.",
    )
    unique_tag: str = option(
        TEXT, default="", help="Shown; a server alone places no replicas apart."
    )
    extension_hint: str = option(TEXT, default="", help=FOR_CLUSTERS)
    max_outstanding_catchup: int = option(
        StorageSize("max_outstanding_catchup"), default=0, help=FOR_CLUSTERS
    )
    meta_compact: int = option(AbsoluteCount(), default=0, reload=Reload.LIVE, help=FOR_CLUSTERS)
    meta_compact_size: int = option(
        AbsoluteSize("meta_compact_size"), default=0, reload=Reload.LIVE, help=FOR_CLUSTERS
    )
    meta_compact_sync: bool = option(FLAG, default=False, reload=Reload.LIVE, help=FOR_CLUSTERS)


@options("accounts.<name>.jetstream")
class AccountJetStreamOptions(Block):
    """Streams of an account. `enabled` is without limits of its own; -1 is no limit."""

    max_memory: int = option(
        _BYTES,
        default=UNLIMITED,
        aliases=("max_mem", "mem", "memory"),
        minimum=-1,
        help="Most bytes of the account's streams in memory.",
    )
    max_store: int = option(
        _BYTES,
        default=UNLIMITED,
        aliases=("max_file", "max_disk", "store", "disk"),
        minimum=-1,
        help="Most bytes of the account's streams in files.",
    )
    max_streams: int = option(
        _COUNT,
        default=UNLIMITED,
        aliases=("streams",),
        minimum=-1,
        help="Most streams of the account.",
    )
    max_consumers: int = option(
        _COUNT,
        default=UNLIMITED,
        aliases=("consumers",),
        minimum=-1,
        help="The most that a stream of the account may name as its `max_consumers`.",
    )
    max_bytes_required: bool = option(
        ParseableFlag("a boolean", "true"),
        default=False,
        aliases=("max_stream_bytes", "max_bytes"),
        help="Refuse streams without `max_bytes`.",
    )
    memory_max_stream_bytes: int = option(
        _BYTES,
        default=UNLIMITED,
        aliases=("mem_max_stream_bytes",),
        minimum=-1,
        help="Most bytes of one stream in memory.",
    )
    store_max_stream_bytes: int = option(
        _BYTES,
        default=UNLIMITED,
        aliases=("disk_max_stream_bytes",),
        minimum=-1,
        help="Most bytes of one stream in files.",
    )


def read_jetstream(
    value: Value, report: Report, take_store_dir: Callable[[Value], None]
) -> JetStreamOptions:
    """Read the server's block; `take_store_dir` refuses a second directory.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value.data, dict):
        for key, item in value.data.items():
            if key.lower() in JetStreamOptions.options_by_name["store_dir"].keys:
                take_store_dir(item)
        found = _read_fields(JetStreamOptions, value, report)
        return JetStreamOptions(**{"enabled": True, **found})  # type: ignore[arg-type]
    return JetStreamOptions(enabled=_read_switch(value))


def read_account_jetstream(value: Value, report: Report) -> AccountJetStreamOptions | None:
    """Read an account's block; None when it has no JetStream.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value.data, dict):
        found = _read_fields(AccountJetStreamOptions, value, report)
        return AccountJetStreamOptions(**found)  # type: ignore[arg-type]  # read by name
    has_streams = _read_switch(value, names_place=False)
    return AccountJetStreamOptions() if has_streams else None


def _read_switch(value: Value, *, names_place: bool = True) -> bool:
    data = value.data
    hint = "write `jetstream: enabled` or `jetstream { store_dir: … }`"
    if isinstance(data, bool):
        return data
    if isinstance(data, str):
        if data.lower() in ("enabled", "enable"):
            return True
        if data.lower() in ("disabled", "disable"):
            return False
        problem = f"Expected 'enabled' or 'disabled' for string value, got '{data}'"
    else:
        problem = f"Expected map, bool or string to define JetStream, got {go_type(data)}"
    raise ConfigError(value.place, problem, hint=hint, names_place=names_place)


def _read_fields(block: type[Block], value: Value, report: Report) -> dict[str, object]:
    assert isinstance(value.data, dict)  # noqa: S101 - the callers looked
    fields = value.data
    from keelback.options import later  # noqa: PLC0415 - costs start-up time

    switches = [item.data for key, item in fields.items() if key.lower() in ("enabled", "enable")]
    is_off = switches[-1:] == [False]
    described = {key: each for each in block.options_by_name.values() for key in each.keys}
    found: dict[str, object] = {}
    for key, item in fields.items():
        option_of_key = described.get(key.lower())
        if option_of_key is None:
            if not (is_off and later.BLOCKS[block.block_path].accepts(key, item, report)):
                report.not_known(block.block_path, key, item, described)
            continue
        try:
            if option_of_key.kind is NESTED:
                found[option_of_key.name] = read_limits(item, report)
            else:
                found[option_of_key.name] = option_of_key.kind.read(key, item, report)
        except ConfigError as error:
            # nats-server, too, knows no closer place of a value of the wrong type.
            is_type = error.problem.startswith("interface conversion")
            place = value.place if is_type else error.place
            report.error(place, error.problem, hint=error.hint)
    return found
