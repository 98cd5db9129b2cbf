"""Options that were read: what they come to, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from keelback.config import parse_text
from keelback.errors import ConfigRejected
from keelback.options import (
    AccountLimitOptions,
    ResponseRules,
    ServerOptions,
    SubjectRules,
    UserOptions,
    later,
)
from keelback.options.load import load_text
from keelback.options.tls import (
    CIPHER_SUITES,
    CURVES,
    UNSUPPORTED_CIPHER_SUITES,
    UNSUPPORTED_CURVES,
)

if TYPE_CHECKING:
    from pathlib import Path


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
        ("http: 70000", ":1:0: http_port is 70000, allowed is from -1 to 65535"),
        ("max_closed_clients: -1", ":1:0: max_closed_clients is -1, allowed is from 1 to 1000000"),
        ("log_max_num: -1", ":1:0: log_max_num is -1, allowed is from 0"),
        (
            "accounts { A { limits: { max_conn: -2 } } }",
            "accounts.A.limits.max_connections is -2, allowed is from -1",
        ),
        ("monitor_user: a", ":1:0: monitor_user without monitor_password admits nobody"),
        ("monitor_password: a", ":1:0: monitor_password without monitor_user admits nobody"),
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
        "accounts { A { jetstream { max_ack_pending: 3 } } }",
        "authorization { auth_callout {} }",
        "authorization { users: [ { user: a, proxy_required: true } ] }",
        "tls { insecure: true }",
        "tls { ocsp_peer: true }",
        "tls { ocsp_peer: {} }",
        "jetstream { tpm {} }",
        "jetstream { key: secret }",
        "jetstream { cipher: aes }",
        "cluster: false",
        "ocsp: { mode: auto }",
        "ocsp: 0",
        "prof_port: 1",
        "tls { allow_insecure_cipher_suites: true }",
        *(f'tls {{ cipher_suites: ["{name}"] }}' for name in UNSUPPORTED_CIPHER_SUITES),
        *(f'tls {{ curve_preferences: ["{name}"] }}' for name in UNSUPPORTED_CURVES),
    ],
)
def test_parts_of_blocks_that_are_not_there_yet_are_refused_by_name(text: str) -> None:
    (problem,) = refused(text)
    assert problem.endswith("is not supported yet")
    assert problem.startswith(":1:")


@pytest.mark.parametrize(
    ("text", "unknown", "hint"),
    [
        ("cluster { lissten: 3 }", "lissten", "did you mean `listen`?"),
        ("jetstream { enabled: false, max_memry: 1GB }", "max_memry", "did you mean `max_mem`?"),
        ("leafnodes { remotes: [ { acount: A } ] }", "acount", "did you mean `account`?"),
        ("gateway { gateways: [ { tls: { cert_fle: x } } ] }", "cert_fle", "did you mean `cert_"),
        ("accounts { A { imports: [ { strem: 3 } ] } }", "strem", "did you mean `stream`?"),
        ("authorization { auth_callout { isuer: A } }", "isuer", "did you mean `issuer`?"),
        ("mappings { 'a.b': [ { destinatin: c } ] }", "destinatin", "did you mean `destination`?"),
        ("clustr {}", "clustr", "did you mean `cluster`?"),
        ("authorization { auth_calout {} }", "auth_calout", "did you mean `auth_callout`?"),
        ("accounts { A { import: [] } }", "import", "did you mean `imports`?"),
        ("tls { ocsp_per: true }", "ocsp_per", "did you mean `ocsp_peer`?"),
    ],
)
def test_a_wrong_key_inside_what_is_not_there_yet_is_told(
    text: str, unknown: str, hint: str
) -> None:
    with pytest.raises(ConfigRejected) as caught:
        resolved(text)
    (error,) = [error for error in caught.value.errors if f'"{unknown}"' in error.problem]
    assert "nknown field" in error.problem
    assert error.hint.startswith(hint)
    assert error.place is not None


def test_names_that_people_choose_are_no_keys() -> None:
    text = "websocket { headers { X-Anything: y } }\nresolver_preload { AXYZ: jwt }"
    assert refused(text) == [
        ':1:0: "websocket" is not supported yet',
        ':2:1: "resolver_preload" is not supported yet',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "jetstream: false",
        "jetstream: Disabled",
        "jetstream { enabled: false, max_mem: 1GB, limits { max_ack_pending: 1 } }",
        "ocsp: false",
        "prof_port: 0",
        "tls { ocsp_peer: false, connection_rate_limit: 3 }",
        "accounts { A { jetstream: disable } }",
        "authorization { proxy_required: false }",
    ],
)
def test_what_is_switched_off_is_accepted(text: str) -> None:
    assert load_text(text).warnings == ()


def test_monitoring_logging_and_labels() -> None:
    options = resolved("""
        http: "[::1]:8222"
        monitor_user: ann
        monitor_password: "s3cret"
        monitor_token: "t0ken"
        metrics_connections_max: 10
        log_format: json
        trace_headers: true
        logfile_size_limit: 1MB
        server_tags: [ "Zone:East", b , b ]
        server_metadata { rack: "7" }
        feature_flags { js_ack_fc_v2: true }
        accounts { A { limits { max_conn: 5, max_pay: 1kb } } }
        write_timeout: retry
    """)
    monitor = options.monitor
    assert (monitor.http_host, monitor.http_port, monitor.https_port) == ("::1", 8222, 0)
    assert (monitor.metrics_connections_max, monitor.metrics_subjects_max) == (10, 0)
    assert (options.log.log_format, options.log.trace, options.log.trace_headers) == (
        "json",
        True,
        True,
    )
    assert options.log.log_size_limit == 1 << 20
    assert options.labels.server_tags == ("zone:east", "b")
    assert options.labels.server_metadata == {"rack": "7"}
    assert options.labels.feature_flags == {"js_ack_fc_v2": True}
    assert options.accounts[0].limits == AccountLimitOptions(max_connections=5, max_payload=1024)
    assert options.limits.write_timeout == "retry"
    assert "s3cret" not in repr(options)
    assert "t0ken" not in repr(options)


def test_tags_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KB_TAGS", "[ a, b ]")
    assert resolved("server_tags: $KB_TAGS").labels.server_tags == ("a", "b")


def test_options_from_a_file_a_mapping_or_keywords(tmp_path: Path) -> None:
    file = tmp_path / "a.conf"
    file.write_text(
        "port: 4333\nmax_conn: 5\nlisten: 127.0.0.1:4334\n"
        "authorization { users: [ { user: ann, password: x } ] }\n"
    )
    assert ServerOptions.read(file) == ServerOptions.read(str(file))
    assert ServerOptions.read(file) == ServerOptions.from_file(file)
    assert ServerOptions.read() == ServerOptions()
    assert ServerOptions.read({"port": 1}, port=2).port == 2
    assert ServerOptions.read({"PORT": 1, "listen": 3}, port=2).port == 2

    both = ServerOptions.read(
        file, port=-1, max_connections=7, authorization={"users": [{"user": "ann"}]}
    )
    assert (both.host, both.port, both.limits.max_connections) == ("127.0.0.1", 0, 7)
    assert [user.password for user in both.authorization.users] == [""]
    assert both.config_file == os.fspath(file)
    assert both.config_digest == ServerOptions.from_file(file).config_digest

    with pytest.raises(ConfigRejected, match=r"^prt: unknown field"):
        ServerOptions.read(file, prt=3)


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
