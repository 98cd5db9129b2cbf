"""Rules checked as a whole, in nats-server's words."""

import pytest

from keelback.auth.users import AuthRules, NkeyUser, PermissionRules, User

NKEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            AuthRules(no_auth_user="x"),
            'no_auth_user: "x" present, but users/nkeys are not defined',
        ),
        (
            AuthRules(users=(User(name="a"),), no_auth_user="x"),
            (
                'no_auth_user: "x" not present as user or nkey in authorization block or account '
                "configuration"
            ),
        ),
        (AuthRules(users=(User(name="a"), User(name="a"))), 'Duplicate user "a" detected'),
        (
            AuthRules(users=(User(name="a", connection_types=frozenset(("TELNET",))),)),
            'unknown connection type "TELNET"',
        ),
        (AuthRules(nkeys=(NkeyUser(nkey="UA"),)), "Not a valid public nkey for a user"),
    ],
)
def test_problems_are_told_as_nats_server_tells_them(rules: AuthRules, problem: str) -> None:
    assert list(rules.problems()) == [problem]


def test_sound_rules_have_no_problem() -> None:
    rules = AuthRules(users=(User(name="a"),), nkeys=(NkeyUser(nkey=NKEY),), no_auth_user=NKEY)
    assert list(rules.problems()) == []


def test_when_credentials_are_required() -> None:
    assert not AuthRules().required
    assert AuthRules(token="t").required
    assert AuthRules(user="u").required
    # An empty table is a table: nobody gets in.
    assert AuthRules(users=()).required
    with_anonymous = AuthRules(users=(User(name="a"),), no_auth_user="a")
    assert with_anonymous.required


def test_secrets_do_not_show() -> None:
    rules = AuthRules(users=(User(name="ann", password="s3cret"),), token="t0ken", password="p4ss")
    shown = repr(rules)
    assert "ann" in shown
    assert all(secret not in shown for secret in ("s3cret", "t0ken", "p4ss"))


def test_plain_passwords_are_worth_a_warning() -> None:
    digest = "$2b$04$" + "a" * 53
    assert AuthRules(users=(User(name="a", password="x"),)).has_plain_passwords
    assert AuthRules(user="a", password="x").has_plain_passwords
    assert not AuthRules(users=(User(name="a", password=digest),)).has_plain_passwords
    assert AuthRules(users=(User(name="a"),)).has_plain_passwords
    assert not AuthRules(users=(User(name="CN=a"),), verify_and_map=True).has_plain_passwords


def test_records_are_keys_and_refuse_what_they_do_not_know() -> None:
    assert PermissionRules(publish_allow=["a"]) == PermissionRules(publish_allow=("a",))
    assert len({PermissionRules(), PermissionRules()}) == 1
    with pytest.raises(TypeError, match="no field 'nmae'"):
        User(nmae="a")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="needs 'name'"):
        User()  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="immutable"):
        User(name="a").name = "b"  # type: ignore[misc]
