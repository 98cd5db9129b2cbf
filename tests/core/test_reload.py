"""What becomes of running clients when who may connect changes, and what accounts limit."""

from __future__ import annotations

import pytest

from keelback import _core
from tests.core.planes import OPEN, gate, running, user

VIOLATION = b"-ERR 'Authorization Violation'\r\n"


def test_clients_are_decided_again_by_what_their_connect_said() -> None:
    users = [user("gone"), user("changed"), user("stays")]
    with running(gate(*users)) as server:
        names = ("gone", "changed", "stays")
        gone, changed, stays = (server.client(user=name, **{"pass": "pw"}) for name in names)
        nobody = server.connect()
        assert nobody.line().startswith(b"INFO ")
        stays.send(b"SUB x.> 1\r\nSUB y q 2\r\nSUB z 3\r\n")
        stays.fence()
        permissions = _core.Permissions(subscribe_allow=[("z", None)])
        new = [user("changed", "other"), user("stays", permissions=permissions)]
        server.plane.set_gate(gate(*new))
        server.plane.reauthorize()
        assert gone.read_to_end() == b""
        assert changed.read_to_end() == VIOLATION
        assert nobody.read_to_end() == VIOLATION
        assert stays.fence() == [
            b'-ERR \'Permissions Violation for Subscription to "x.>" (sid "1")\'',
            b'-ERR \'Permissions Violation for Subscription to "y" using queue "q" (sid "2")\'',
        ]
        assert server.line("Removed") == (
            'Removed sub "x.>" (sid "1") for User "stays" - not authorized'
        )
        stays.send(b"PUB z 0\r\n\r\n")
        assert stays.fence() == [b"MSG z 3 0", b""]
        assert server.closed("Client Closed") == 1
        assert server.closed("Authentication Failure") == 2
        assert server.plane.stats()["subscriptions"] == 1


def test_a_client_in_an_account_that_was_removed_is_closed_in_silence() -> None:
    def prepare(plane: _core.Plane) -> None:
        plane.set_account(_core.AccountTable(name="A"))

    with running(gate(user("a", account="A")), prepare=prepare) as server:
        client = server.client(user="a", **{"pass": "pw"})
        server.plane.remove_account("A")
        client.fence()
        server.plane.reauthorize()
        assert client.read_to_end() == b""
        for name in ("$G", "$SYS"):
            with pytest.raises(_core.CoreError, match="cannot be removed"):
                server.plane.remove_account(name)


def test_python_decides_again_about_whom_it_let_in() -> None:
    with running(_core.Gate(required=True, ask_all=True)) as server:
        client = server.connect()
        assert client.line().startswith(b"INFO ")
        client.send(b'CONNECT {"verbose":false,"user":"a","pass":"s3cret"}\r\n')
        request = server.event(_core.AuthRequest)
        assert not request.reload
        answer = _core.Admission(connection=request.connection, account="$G", label="user:a")
        server.plane.admit([answer])
        client.fence()
        server.plane.reauthorize()
        request = server.event(_core.AuthRequest)
        assert (request.reload, request.user, request.password) == (True, "a", "s3cret")
        # Nothing is taken from the client meanwhile.
        client.send(b"SUB a 1\r\n")
        server.plane.admit([answer])
        client.fence()
        server.plane.reauthorize()
        refusal = _core.Refusal(
            connection=server.event(_core.AuthRequest).connection, reason="Client Closed"
        )
        server.plane.refuse([refusal])
        assert client.read_to_end() == b""


def test_authentication_that_is_switched_on_or_off() -> None:
    with running(OPEN) as server:
        client = server.client()
        server.plane.set_gate(gate(user("a")))
        server.plane.reauthorize()
        assert client.read_to_end() == VIOLATION
        silent = server.connect()
        assert silent.line().startswith(b"INFO ")
        server.plane.set_gate(OPEN)
        server.plane.reauthorize()
        silent.send(b"PUB a 0\r\n\r\n")
        assert silent.fence() == [b"+OK"]


def test_the_limits_of_an_account() -> None:
    def prepare(plane: _core.Plane) -> None:
        table = _core.AccountTable(name="A", max_connections=2, max_subscriptions=1, max_payload=3)
        plane.set_account(table)

    with running(gate(user("a", account="A")), prepare=prepare) as server:
        login = {"user": "a", "pass": "pw"}
        first, second = server.client(**login), server.client(**login)
        third = server.connect()
        third.line()
        third.send(b'CONNECT {"user":"a","pass":"pw"}\r\nPING\r\n')
        assert third.read_to_end() == b"-ERR 'maximum account active connections exceeded'\r\n"
        first.send(b"SUB a 1\r\nSUB b 2\r\n")
        assert first.fence() == [b"-ERR 'maximum subscriptions exceeded'"]
        first.send(b"PUB a 3\r\nabc\r\n")
        assert first.fence() == [b"MSG a 1 3", b"abc"]
        server.plane.set_account(_core.AccountTable(name="A", max_payload=2))
        first.send(b"PUB a 3\r\nabc\r\n")
        assert first.read_to_end() == b"-ERR 'Maximum Payload Violation'\r\n"
        second.send(b"SUB a 1\r\nSUB b 2\r\n")
        assert second.fence() == []
        server.plane.set_account(_core.AccountTable(name="A", max_subscriptions=1))
        server.plane.reauthorize()
        assert second.read_to_end() == b"-ERR 'maximum subscriptions exceeded'\r\n"
        assert server.closed("Maximum Account Connections Exceeded") == 1
        assert server.closed("Maximum Subscriptions Exceeded") == 1


def test_a_client_may_be_told_why_it_is_closed() -> None:
    with running() as server:
        client = server.client()
        (connection,) = server.plane.connections()
        reason = "Maximum Connections Exceeded"
        server.plane.close(connection, reason, error="maximum connections exceeded")
        assert client.read_to_end() == b"-ERR 'maximum connections exceeded'\r\n"
        assert server.closed(reason) == 1
        assert server.line("exceeded").endswith(" - maximum connections exceeded")
        with pytest.raises(_core.CoreError, match="not one line"):
            server.plane.close(connection, reason, error="a\r\nb")
