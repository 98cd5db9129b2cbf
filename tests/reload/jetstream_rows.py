"""The rows of the table that concern JetStream: what a reload makes of it, and what it refuses."""

from __future__ import annotations

from tests.reload.row import Row, not_supported

SIZES = "max_mem: 10MB, max_file: 10MB"
UNSUPPORTED = "config reload not supported for "
SHUT_DOWN = ("Initiating JetStream Shutdown...", "JetStream Shutdown")


def block(more: str, sizes: str = SIZES, directory: str = "@dir/js") -> str:
    """The `jetstream` block with a store of the server's own."""
    return f'jetstream {{ store_dir: "{directory}", {sizes}, {more} }}'


def kept(key: str, value: str, field: str, old: str, new: str = "") -> Row:
    """An option of the block that a reload refuses, by nats-server's name for it."""
    told = not_supported(field, old, new or value.strip('"'))
    return Row(f"jetstream.{key}", block(""), block(f"{key}: {value}"), refused=told)


def refused(name: str, before: str, after: str, what: str) -> Row:
    """A change that a reload refuses in words of its own."""
    return Row(f"jetstream: {name}", before, after, refused=UNSUPPORTED + what)


ROWS: tuple[Row, ...] = (
    Row("jetstream unchanged", block(""), block("")),
    Row("jetstream off", block(""), "", late=("Reloaded: JetStream", *SHUT_DOWN)),
    Row(
        "jetstream off by `enabled`",
        block(""),
        block("enabled: false"),
        late=("Reloaded: JetStream", *SHUT_DOWN),
    ),
    Row(
        "jetstream off by a word",
        block(""),
        "jetstream: disabled",
        late=("Reloaded: JetStream", *SHUT_DOWN),
    ),
    Row(
        "jetstream.max_mem raised",
        block(""),
        block("", "max_mem: 20MB, max_file: 10MB"),
        late=("Reloaded: JetStream max_mem_store = 20.00 MB",),
    ),
    Row(
        "jetstream.max_mem and max_file raised",
        block(""),
        block("", "max_mem: 20MB, max_file: 3GB"),
        late=(
            "Reloaded: JetStream max_mem_store = 20.00 MB",
            "Reloaded: JetStream max_file_store = 3.00 GB",
        ),
    ),
    refused(
        "max_mem lowered",
        block(""),
        block("", "max_mem: 5MB, max_file: 10MB"),
        "decreasing jetstream max memory and store",
    ),
    refused(
        "max_file to nothing",
        block(""),
        block("", "max_mem: 10MB, max_file: 0"),
        "decreasing jetstream max memory and store",
    ),
    refused(
        "max_file left out",
        block(""),
        block("", "max_mem: 10MB"),
        "jetstream max memory and max store",
    ),
    refused(
        "max_mem given",
        block("", "max_file: 10MB"),
        block(""),
        "jetstream dynamic max memory and store",
    ),
    refused(
        "max_mem given and switched off",
        block("", "max_file: 10MB"),
        block("enabled: false"),
        "jetstream dynamic max memory and store",
    ),
    refused("store_dir", block(""), block("", directory="@dir/b"), "jetstream storage directory"),
    refused(
        "store_dir and switched off",
        block(""),
        block("enabled: false", directory="@dir/b"),
        "jetstream storage directory",
    ),
    refused("store_dir left out", block(""), f"jetstream {{ {SIZES} }}", "jetstream storage dir"),
    kept("domain", "hub", "JetStreamDomain", ""),
    kept("strict", "false", "NoJetStreamStrict", "false", "true"),
    kept("sync", '"5s"', "SyncInterval", "2m0s"),
    kept("extension_hint", "no_extend", "JetStreamExtHint", ""),
    kept("unique_tag", "az", "JetStreamUniqueTag", ""),
    kept("max_outstanding_catchup", "5", "JetStreamMaxCatchup", "0"),
    kept("request_queue_limit", "5", "JetStreamRequestQueueLimit", "10000"),
    kept("info_queue_limit", "5", "JetStreamInfoQueueLimit", "10000"),
    kept("max_concurrent_io", "5", "JetStreamConcurrentIOs", "4096"),
    kept("max_buffered_msgs", "5", "StreamMaxBufferedMsgs", "0"),
    kept("max_buffered_size", "5", "StreamMaxBufferedSize", "0"),
    Row(
        "jetstream.sync back from a duration",
        block('sync: "5s"'),
        block("sync: always"),
        refused=not_supported("SyncInterval", "5s", "2m0s"),
    ),
    Row("jetstream.meta_compact", block(""), block("meta_compact: 5, meta_compact_sync: true")),
    Row(
        "jetstream.limits",
        block(""),
        block("limits { max_ack_pending: 3 }"),
        late=("Reloaded: JetStream limits",),
    ),
    Row(
        "jetstream.limits gone",
        block("limits { batch { max_msgs: 3 } }"),
        block(""),
        late=("Reloaded: JetStream limits",),
    ),
    Row(
        "jetstream: what is refused while it is on is taken while it is off",
        block("enabled: false, domain: hub"),
        block("enabled: false, domain: hub", "max_mem: 5MB", "@dir/b"),
    ),
)
