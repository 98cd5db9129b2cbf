"""The `nats` command with streams, as far as it needs no consumer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.test_nats_command import NatsCommand

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.target import StartServer

MESSAGES = 300


@pytest.fixture
def nats(nats_command: Path, start_server: StartServer, tmp_path: Path) -> NatsCommand:
    """The command, with a server that has streams."""
    server = start_server(f'jetstream {{ store_dir: "{tmp_path / "js"}" }}')
    return NatsCommand(nats_command, tmp_path, server)


def orders(nats: NatsCommand) -> dict[str, object]:
    """A stream with messages; its state."""
    nats.run("stream", "add", "ORDERS", "--subjects", "orders.>", "--defaults")
    body = "order {{Count}}"
    nats.run("pub", "orders.new", body, "--count", str(MESSAGES), "--jetstream")
    return json.loads(nats.run("stream", "info", "ORDERS", "--json"))["state"]


def test_a_stream_is_made_filled_and_looked_at(nats: NatsCommand) -> None:
    state = orders(nats)
    assert state["messages"] == MESSAGES
    assert "ORDERS" in nats.run("stream", "ls", "--names")
    assert "orders.new" in nats.run("stream", "subjects", "ORDERS")
    assert "order 7" in nats.run("stream", "get", "ORDERS", "7")
    assert f"order {MESSAGES}" in nats.run("stream", "get", "ORDERS", "--last-for", "orders.new")
    nats.run("stream", "rmm", "ORDERS", "7", "--force")
    assert "no message found" in nats.run("stream", "get", "ORDERS", "7", succeeds=False)
    nats.run("stream", "edit", "ORDERS", "--max-msgs", "100", "--force")
    nats.run("stream", "purge", "ORDERS", "--keep", "10", "--force")
    info = json.loads(nats.run("stream", "info", "ORDERS", "--json"))
    assert (info["config"]["max_msgs"], info["state"]["messages"]) == (100, 10)
    nats.run("stream", "rm", "ORDERS", "--force")
    assert "No Streams defined" in nats.run("stream", "ls")


def test_account_and_report(nats: NatsCommand) -> None:
    orders(nats)
    assert "Streams: 1" in nats.run("account", "info")
    assert "ORDERS" in nats.run("stream", "report")
    assert "OK" in nats.run("server", "check", "jetstream", "--format", "text")


def test_backup_and_restore(nats: NatsCommand, tmp_path: Path) -> None:
    state = orders(nats)
    folder = str(tmp_path / "backup")
    nats.run("stream", "backup", "ORDERS", folder, "--no-progress")
    nats.run("stream", "rm", "ORDERS", "--force")
    nats.run("stream", "restore", folder, "--no-progress")
    assert json.loads(nats.run("stream", "info", "ORDERS", "--json"))["state"] == state
    again = nats.run("stream", "restore", folder, "--no-progress", succeeds=False)
    assert '"ORDERS" already exist' in again


def test_bench_publishing_into_a_stream(nats: NatsCommand) -> None:
    sync = ("bench", "js", "pub", "sync", "bench", "--create", "--msgs", "500", "--no-progress")
    assert "msgs/sec" in nats.run(*sync)
    many = ("bench", "js", "pub", "async", "bench", "--msgs", "20000", "--no-progress")
    assert "msgs/sec" in nats.run(*many)
    info = json.loads(nats.run("stream", "info", "benchstream", "--json"))
    assert info["state"]["messages"] == 20_500


def test_a_key_value_bucket_without_a_watcher(nats: NatsCommand) -> None:
    nats.run("kv", "add", "CONFIG", "--history", "3")
    nats.run("kv", "put", "CONFIG", "a", "1")
    nats.run("kv", "put", "CONFIG", "a", "2")
    assert nats.run("kv", "get", "CONFIG", "a", "--raw").strip() == "2"
    assert "wrong last sequence" in nats.run("kv", "create", "CONFIG", "a", "3", succeeds=False)
    nats.run("kv", "update", "CONFIG", "a", "3", "2")
    nats.run("kv", "del", "CONFIG", "a", "--force")
    assert "key not found" in nats.run("kv", "get", "CONFIG", "a", succeeds=False)
