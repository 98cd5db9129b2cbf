"""Server processes: they start on a port of their own, end, and tell what went wrong."""

from __future__ import annotations

import socket

import pytest

from tests.support.servers import ServerFailedError, ServerPool, ServerProcess, require
from tests.support.wire import Connection


def test_a_server_listens_until_it_is_stopped() -> None:
    """The port is the one of its log; afterwards nobody listens there."""
    require("genuine")
    with ServerProcess("genuine") as server:
        connection = Connection(server.address)
        greeting = connection.read_operation(5)
        connection.close()
        port = server.port
    assert greeting is not None
    assert f'"port":{port}'.encode() in greeting
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_server_that_does_not_start_shows_its_log() -> None:
    """A mistake in the configuration is seen where it was made."""
    require("genuine")
    with pytest.raises(ServerFailedError, match="max_paylod"):
        ServerProcess("genuine", "max_paylod: 1\n").start()


def test_a_pool_shares_by_configuration_and_stays_small() -> None:
    """One text, one server; a server that died or made room is started anew."""
    require("genuine")
    pool = ServerPool(servers_max=2)
    try:
        first = pool.get("genuine", "max_payload: 64\n")
        assert pool.get("genuine", "max_payload: 64\n") is first
        second = pool.get("genuine", "max_payload: 65\n")
        third = pool.get("genuine", "max_payload: 66\n")
        assert (first.running, second.running, third.running) == (False, True, True)
        third.stop()
        assert pool.get("genuine", "max_payload: 66\n").running
    finally:
        pool.close()
    assert not second.running
