"""What the core may decide by itself, and what it must ask about."""

from typing import Any

import pytest

from keelback.auth.gate import compile_gate
from keelback.auth.permissions import PermissionTable
from keelback.auth.users import AuthRules, NkeyUser, PermissionRules, User

pytestmark = pytest.mark.usefixtures("core")

DIGEST = "$2b$04$" + "a" * 53
NKEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
ANN = User(name="ann", password="x", account="A", permissions=PermissionRules())
BOB = User(name="bob", password=DIGEST)


def gate_of(**rules: object) -> Any:
    return compile_gate(AuthRules(**rules), PermissionTable())


def test_an_open_server_admits_everybody_to_the_global_account() -> None:
    gate = gate_of()
    assert gate.required is False
    assert gate.default_account == "$G"


def test_plain_users_are_the_cores_and_digests_are_asked_about() -> None:
    gate = gate_of(users=(ANN, BOB))
    assert [(user.name, user.account) for user in gate.users] == [("ann", "A")]
    assert gate.users[0].permissions is not None
    assert gate.ask_users == ["bob"]
    assert not gate.ask_all
    assert not gate.ask_nkey


def test_where_all_passwords_are_digests_unknown_names_are_asked_about_too() -> None:
    assert gate_of(users=(BOB,)).ask_all


def test_a_certificate_or_a_function_decides_in_python() -> None:
    assert gate_of(users=(ANN,), verify_and_map=True).ask_all
    assert gate_of(authenticate=lambda _: None).ask_all
    # Without a table there is nobody to map to.
    assert not gate_of(token="t", verify_and_map=True).ask_all


def test_tokens() -> None:
    plain = gate_of(token="t")
    assert (plain.token, plain.ask_token) == ("t", False)
    hashed = gate_of(token=DIGEST)
    assert (hashed.token, hashed.ask_token) == (None, True)


def test_a_token_puts_the_single_user_aside_and_so_does_a_table() -> None:
    assert [user.name for user in gate_of(user="u", password="p").users] == ["u"]
    assert gate_of(user="u", password="p", token="t").users == []
    assert [user.name for user in gate_of(user="u", users=(ANN,)).users] == ["ann"]


def test_the_anonymous_user() -> None:
    gate = gate_of(users=(ANN,), no_auth_user="ann")
    assert gate.anonymous.name == "ann"
    assert not gate.anonymous_ask
    # nats-server never lets a digest in as no_auth_user: it would have to match itself.
    assert gate_of(users=(ANN, BOB), no_auth_user="bob").anonymous_ask
    gate = gate_of(users=(ANN,), nkeys=(NkeyUser(nkey=NKEY),), no_auth_user=NKEY)
    assert gate.anonymous.name == NKEY
    assert gate.anonymous_ask
    assert gate.ask_nkey
