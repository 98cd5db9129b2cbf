"""The order of methods, step by step. Source: nats-server 2.15 `server/auth.go`; the cases marked
"as the binary does" were tried against it."""

import asyncio
import base64
from typing import Any

import bcrypt
import pytest
from nacl.signing import SigningKey

from keelback.auth.authenticator import Authenticator
from keelback.auth.nkeys import encode_public
from keelback.auth.passwords import PasswordChecker
from keelback.auth.permissions import PermissionTable
from keelback.auth.users import AuthRules, NkeyUser, PermissionRules, User
from tests.unit.fake_core import Admission, AuthRequest, Refusal

KEY = SigningKey(b"k" * 32)
NKEY = encode_public("U", bytes(KEY.verify_key))
OTHER_NKEY = encode_public("U", bytes(SigningKey(b"o" * 32).verify_key))
NONCE = "abcdefghijklmno"
SIGNATURE = base64.b64encode(KEY.sign(NONCE.encode()).signature).decode()
DIGEST = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()


class Asked:
    """One set of rules; `label` of whom they admit, None when refused."""

    def __init__(self, **rules: object) -> None:
        self.lines: list[tuple[str, str]] = []
        self.compared: list[bytes] = []
        self.rules = AuthRules(**rules)

    def decide(self, **request: object) -> Any:
        async def scenario() -> Any:
            authenticator = Authenticator(
                self.rules,
                PermissionTable(),
                log=lambda level, text: self.lines.append((level, text)),
                checker=PasswordChecker(compare=self.compare),
            )
            asked = AuthRequest(**request)
            decision = authenticator.decide_at_once(asked)
            if decision is not None:
                assert decision == await authenticator.decide(asked)
            else:
                decision = await authenticator.decide(asked)
            authenticator.close()
            return decision

        return asyncio.run(scenario())

    def compare(self, offered: bytes, digest: bytes) -> bool:
        self.compared.append(offered)
        return bcrypt.checkpw(offered, digest)

    def label(self, **request: object) -> str | None:
        decision = self.decide(**request)
        assert isinstance(decision, Admission | Refusal)
        assert decision.connection == 7
        return decision.label if isinstance(decision, Admission) else None


pytestmark = pytest.mark.usefixtures("core")


def test_without_rules_everybody_is_in() -> None:
    assert Asked().label() == ""


def test_users_by_password() -> None:
    asked = Asked(users=(User(name="a", password="x", account="A"),))
    decision = asked.decide(user="a", password="x")
    assert (decision.account, decision.label) == ("A", "user:a")
    assert asked.label(user="a", password="y") is None
    assert asked.label(user="a") is None
    assert asked.label(user="b", password="x") is None
    assert asked.label() is None
    assert asked.label(token="x") is None


def test_a_user_brings_his_permissions() -> None:
    rules = PermissionRules(publish_allow=("a",))
    decision = Asked(users=(User(name="a", permissions=rules),)).decide(user="a")
    assert decision.permissions.publish_allow == ["a"]


def test_digests() -> None:
    asked = Asked(users=(User(name="a", password=DIGEST),))
    assert asked.label(user="a", password="right") == "user:a"
    assert asked.label(user="a", password="wrong") is None
    assert asked.label(user="a", password=DIGEST) is None
    assert Asked(token=DIGEST).label(token="right") == "token"
    assert Asked(user="u", password=DIGEST).label(user="u", password="right") == "user:u"


def test_an_unknown_user_costs_what_a_wrong_password_costs() -> None:
    asked = Asked(users=(User(name="a", password=DIGEST),))
    assert asked.label(user="nobody", password="right") is None
    assert asked.compared == [b"right"]


def test_nkeys() -> None:
    asked = Asked(nkeys=(NkeyUser(nkey=NKEY, account="A"),))
    decision = asked.decide(nkey=NKEY, nonce=NONCE, signature=SIGNATURE)
    assert (decision.account, decision.label) == ("A", f"nkey:{NKEY}")
    assert asked.label(nkey=NKEY, nonce="another", signature=SIGNATURE) is None
    assert asked.label(nkey=NKEY, nonce=NONCE) is None
    assert asked.label(nkey=OTHER_NKEY, nonce=NONCE, signature=SIGNATURE) is None
    assert asked.label() is None
    assert ("DBG", "127.0.0.1:50000 - cid:7 - Signature missing") in asked.lines


def test_an_nkey_that_is_given_must_be_known_even_beside_a_good_password() -> None:
    asked = Asked(users=(User(name="a", password="x"),), nkeys=(NkeyUser(nkey=NKEY),))
    assert asked.label(nkey=OTHER_NKEY, user="a", password="x") is None
    assert asked.label(user="a", password="x") == "user:a"


def test_an_nkey_is_ignored_where_there_is_no_table_of_them() -> None:
    asked = Asked(users=(User(name="a", password="x"),))
    assert asked.label(nkey=OTHER_NKEY, user="a", password="x") == "user:a"


def test_no_auth_user_fills_in_only_for_nothing() -> None:
    asked = Asked(users=(User(name="a", password="x"),), no_auth_user="a")
    assert asked.label() == "user:a"
    assert asked.label(user="a", password="y") is None
    assert asked.label(password="y") is None
    assert asked.label(token="t") is None


def test_a_digest_does_not_stand_for_itself_as_no_auth_user() -> None:
    # As the binary does: INFO asks for nothing, and CONNECT {} is refused.
    asked = Asked(users=(User(name="a", password=DIGEST),), no_auth_user="a")
    assert asked.label() is None


def test_the_nkey_of_no_auth_user_needs_no_signature() -> None:
    asked = Asked(nkeys=(NkeyUser(nkey=NKEY),), no_auth_user=NKEY)
    assert asked.label() == f"nkey:{NKEY}"
    assert asked.label(nkey=NKEY) == f"nkey:{NKEY}"
    assert asked.label(user="a") is None


def test_connection_types() -> None:
    socket_only = User(name="s", connection_types=frozenset(("STANDARD",)))
    inside_only = User(name="i", connection_types=frozenset(("IN_PROCESS",)))
    asked = Asked(users=(socket_only, inside_only), no_auth_user="i")
    assert asked.label(user="s") == "user:s"
    assert asked.label(user="s", kind="in_process") is None
    assert asked.label(user="i") is None
    assert asked.label(user="i", kind="in_process") == "user:i"
    assert asked.label() is None
    assert asked.label(kind="in_process") == "user:i"
    nkey = NkeyUser(nkey=NKEY, connection_types=frozenset(("WEBSOCKET",)))
    assert Asked(nkeys=(nkey,)).label(nkey=NKEY, nonce=NONCE, signature=SIGNATURE) is None


def test_a_token_comes_after_users_and_before_the_single_user() -> None:
    asked = Asked(users=(User(name="a", password="x"),), token="t")
    assert asked.label(user="a", password="x") == "user:a"
    assert asked.label(user="b", token="t") is None
    assert asked.label(token="t") == "token"
    both = Asked(user="u", password="p", token="t")
    assert both.label(user="u", password="p") is None
    assert both.label(token="t") == "token"


def test_the_single_user() -> None:
    asked = Asked(user="u", password="p")
    assert asked.label(user="u", password="p") == "user:u"
    assert asked.label(user="U", password="p") is None
    assert asked.label(password="p") is None


def test_an_empty_table_lets_nobody_in() -> None:
    assert Asked(users=()).label() is None
    assert Asked(users=()).label(user="a") is None


def test_a_reload_closes_a_user_that_is_gone_in_silence_and_tells_the_others() -> None:
    asked = Asked(
        users=(User(name="a", password=DIGEST, account="A"),),
        nkeys=(NkeyUser(nkey=NKEY, account="A"),),
    )

    def reason(**request: object) -> str | None:
        decision = asked.decide(reload=True, **request)
        return getattr(decision, "reason", "Authentication Failure")

    assert asked.decide(reload=True, user="a", password="right").label == "user:a"
    for gone in ({"user": "b", "password": "right"}, {"nkey": OTHER_NKEY}):
        assert reason(**gone) == "Client Closed"
    for changed in ({"user": "a", "password": "wrong"}, {"nkey": NKEY}, {"token": "t"}, {}):
        assert reason(**changed) == "Authentication Failure"


def test_no_line_holds_a_secret() -> None:
    asked = Asked(nkeys=(NkeyUser(nkey=NKEY),), users=(User(name="a", password="s3cret"),))
    asked.label(nkey=NKEY, nonce=NONCE, signature="s3cret", password="s3cret")
    asked.label(user="a", password="s3cretX")
    assert asked.lines
    assert not any("s3cret" in text for _, text in asked.lines)
