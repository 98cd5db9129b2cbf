"""Options that were read: what they come to, and what is refused."""

from __future__ import annotations

import pytest

from keelback.config import parse_text
from keelback.errors import ConfigRejected
from keelback.options import ResponseRules, ServerOptions, SubjectRules, UserOptions, later
from keelback.options.load import load_text
from keelback.options.tls import (
    CIPHER_SUITES,
    CURVES,
    UNSUPPORTED_CIPHER_SUITES,
    UNSUPPORTED_CURVES,
)


def resolved(text: str) -> ServerOptions:
    return load_text(text).resolved()


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigRejected) as caught:
        resolved(text)
    return [str(error) for error in caught.value.errors]


def test_a_whole_file() -> None:
    options = resolved("""
        listen: 127.0.0.1:-1
        server_name: east
        threads: 3
        max_payload: 2MB
        ping_interval: "90s"
        trace_verbose: true
        authorization {
            timeout: 1.5
            default_permissions { publish: [ "a.>" , b ], subscribe: { deny: "x q" } }
            users: [
                { user: ann, password: secret }
                { user: bob, password: s, permissions: { allow_responses: { max: 5, ttl: "1m" } } }
            ]
        }
        no_auth_user: ann
        accounts { A { users: [ { user: eve, clients: [standard, mqtt] } ] } }
    """)
    assert (options.host, options.port, options.server_name) == ("127.0.0.1", 0, "east")
    assert options.threads == 3
    assert options.limits.max_payload == 2 << 20
    assert options.limits.max_pending == 64 << 20
    assert options.limits.ping_interval == 90.0
    assert options.log.trace
    assert options.authorization.timeout == 1.5
    ann, bob = options.authorization.users
    assert ann.permissions is not None
    assert ann.permissions.publish == SubjectRules(allow=(("a.>", None), ("b", None)))
    assert ann.permissions.subscribe == SubjectRules(deny=(("x", "q"),))
    assert bob.permissions is not None
    assert bob.permissions.allow_responses == ResponseRules(max=5, expires=60.0)
    assert bob.permissions.publish == SubjectRules(allow=())
    assert options.accounts[0].name == "A"
    assert options.accounts[0].users == (
        UserOptions(user="eve", allowed_connection_types=("STANDARD", "MQTT")),
    )
    assert "secret" not in repr(options)


def test_keywords_are_the_keys_of_a_file_with_its_types_and_errors() -> None:
    options = ServerOptions.from_mapping(
        {"port": -1, "ping_interval": 5, "max_conn": 0, "authorization": {"token": "t"}}
    )
    assert options.port == 0
    assert options.limits.ping_interval == 5.0
    assert options.limits.max_connections == -1
    with pytest.raises(ConfigRejected) as caught:
        ServerOptions.from_mapping(
            {"prt": 1, "debug": "yes", "authorization": {"users": [{"user": 3}]}, "cluster": {}}
        )
    assert [str(error) for error in caught.value.errors] == [
        'prt: unknown field "prt"',
        "debug: interface conversion: interface {} is string, not bool",
        "authorization.users[0].user: interface conversion: interface {} is int64, not string",
        'cluster: "cluster" is not supported yet',
    ]
    assert caught.value.errors[0].hint == "did you mean `port`? (a number, default 4222)"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "max_payload: 2MB, max_pending: 1MB",
            "max_payload (2097152) cannot be higher than max_pending (1048576)",
        ),
        (
            'lame_duck_duration: "30s", lame_duck_grace_period: "30s"',
            "lame duck grace period (30s) should be strictly lower than lame duck duration (30s)",
        ),
        ("no_auth_user: x", 'no_auth_user: "x" present, but users/nkeys are not defined'),
        (
            "no_auth_user: x, authorization { users: [ {user: y} ] }",
            (
                'no_auth_user: "x" not present as user or nkey in authorization block or '
                "account configuration"
            ),
        ),
        ("tls {}", "missing 'cert_file' in TLS configuration"),
        ('ping_interval: "-1s"', ":1:0: ping_interval is -1, allowed is from 0.001 seconds"),
        ("port: 70000", ":1:0: port is 70000, allowed is from -1 to 65535"),
    ],
)
def test_what_options_mean_together_is_checked_when_a_server_starts(
    text: str, problem: str
) -> None:
    load_text(text)
    assert refused(text) == [problem]


@pytest.mark.parametrize("key", sorted(later.KEYS))
def test_what_is_not_there_yet_is_refused_by_name(key: str) -> None:
    assert refused(f"\n{key}: true") == [f':2:1: "{key}" is not supported yet']


@pytest.mark.parametrize(
    "text",
    [
        "accounts { A { exports: [] } }",
        "accounts { A { jetstream: true } }",
        "authorization { auth_callout {} }",
        "authorization { users: [ { user: a, proxy_required: true } ] }",
        "tls { insecure: true }",
        "tls { ocsp_peer: true }",
        "tls { allow_insecure_cipher_suites: true }",
        *(f'tls {{ cipher_suites: ["{name}"] }}' for name in UNSUPPORTED_CIPHER_SUITES),
        *(f'tls {{ curve_preferences: ["{name}"] }}' for name in UNSUPPORTED_CURVES),
    ],
)
def test_parts_of_blocks_that_are_not_there_yet_are_refused_by_name(text: str) -> None:
    (problem,) = refused(text)
    assert problem.endswith("is not supported yet")
    assert problem.startswith(":1:")


@pytest.mark.parametrize("name", [*CIPHER_SUITES, *CURVES])
def test_suites_and_curves_of_the_engine_are_read(name: str) -> None:
    key = "cipher_suites" if name.startswith("TLS") else "curve_preferences"
    tls = load_text(f'tls {{ {key}: ["{name}"] }}').tls
    assert tls is not None
    assert getattr(tls, key) == (name,)


def test_numbers_without_unit_are_seconds_with_a_warning() -> None:
    draft = load_text("ping_interval: 20")
    assert draft.resolved().limits.ping_interval == 20.0
    (warning,) = draft.warnings
    assert str(warning) == (
        ':1:0: invalid use of field "ping_interval": ping_interval should be converted to a '
        "duration"
    )


def test_options_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        ServerOptions().limits.max_payload = 3  # type: ignore[misc]


def test_a_value_that_no_client_could_send_is_refused() -> None:
    assert isinstance(parse_text(b"server_name: \xff").data, dict)
    with pytest.raises(ConfigRejected, match="not valid UTF-8"):
        load_text(b"server_name: \xff")
