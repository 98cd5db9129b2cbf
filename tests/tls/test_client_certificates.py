"""Client certificates: who is let in by one, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.certificates import common_name, tls_block
from tests.tls.peers import encrypted, is_refused, log_in

if TYPE_CHECKING:
    from tests.support.certificates import Authority, KeyKind, Pair
    from tests.support.target import StartServer

pytestmark = [pytest.mark.both_servers, pytest.mark.timeout(60)]

ACCOUNTS = """
accounts {{
  A {{ users: [ {{ user: "{}" }} ] }}
  B {{ users: [ {{ user: "somebody else" }} ] }}
}}
"""


def verifying(server_pair: Pair, authority: Authority, *further: str) -> str:
    """A `tls` block that wants certificates of this authority."""
    return tls_block(server_pair, f'ca_file: "{authority.file}"', "verify: true", *further)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_certificate_of_the_authority_is_let_in(
    kind: KeyKind, server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(verifying(server_pair, authority))
    with encrypted(server, authority.client(authority.issue(f"client-{kind}", kind))) as client:
        log_in(client)


def test_others_are_not(
    server_pair: Pair,
    client_pair: Pair,
    authority: Authority,
    stranger: Authority,
    start_server: StartServer,
) -> None:
    server = start_server(verifying(server_pair, authority))
    assert is_refused(server, authority.client()), "no certificate"
    assert is_refused(server, authority.client(stranger.issue("client"))), "another authority's"
    expired = authority.issue("expired", days=(-10, -1))
    assert is_refused(server, authority.client(expired)), "an expired one"
    early = authority.issue("early", days=(1, 10))
    assert is_refused(server, authority.client(early)), "one of the future"
    assert not is_refused(server, authority.client(client_pair))


def test_a_chain_with_an_intermediate_authority(
    server_pair: Pair,
    authority: Authority,
    start_server: StartServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    below = authority.under(tmp_path_factory.mktemp("clients"))
    server = start_server(verifying(server_pair, authority))
    with encrypted(server, authority.client(below.issue("client"))) as client:
        log_in(client)


def test_certificates_are_not_asked_for_without_verify(
    server_pair: Pair, authority: Authority, stranger: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, f'ca_file: "{authority.file}"'))
    assert not is_refused(server, authority.client())
    assert not is_refused(server, authority.client(stranger.issue("client")))


@pytest.mark.usefixtures("no_system_authorities")
@pytest.mark.parametrize("key", ["verify", "verify_and_map"])
def test_without_a_ca_file_the_machine_s_authorities_count(
    key: str,
    *,
    server_pair: Pair,
    client_pair: Pair,
    authority: Authority,
    stranger: Authority,
    start_server: StartServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    users = ACCOUNTS.format("localhost") if key == "verify_and_map" else ""
    server = start_server(tls_block(server_pair, f"{key}: true") + users)
    assert not is_refused(server, authority.client(client_pair))
    assert is_refused(server, authority.client())
    assert is_refused(server, authority.client(stranger.issue("client")))


def _subject(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])


ORGANISED = _subject(
    (NameOID.COUNTRY_NAME, "DE"),
    (NameOID.ORGANIZATION_NAME, "Acme, Ltd"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "Ships"),
    (NameOID.COMMON_NAME, "derek"),
)
DOMAINS = x509.Name(
    [
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "org"),
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example"),
        x509.NameAttribute(NameOID.COMMON_NAME, "derek"),
    ]
)
SEVERAL_AT_ONCE = x509.Name(
    [
        x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme")]),
        x509.RelativeDistinguishedName(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, "derek"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Ships"),
            ]
        ),
    ]
)


@pytest.mark.parametrize(
    ("user", "names"),
    [
        ("derek@example.org", {"emails": ["derek@example.org"]}),
        ("client.example.org", {"hosts": ["client.example.org"]}),
        ("spiffe://example.org/derek", {"uris": ["spiffe://example.org/derek"]}),
        ("CN=derek", {"subject": common_name("derek")}),
        ("CN=derek,OU=Ships,O=Acme\\\\, Ltd,C=DE", {"subject": ORGANISED}),
        ("C=DE,O=Acme\\\\, Ltd,OU=Ships,CN=derek", {"subject": ORGANISED}),
        ("CN=derek,DC=example,DC=org", {"subject": DOMAINS}),
        ("CN=derek+OU=Ships,O=Acme", {"subject": SEVERAL_AT_ONCE}),
    ],
)
def test_a_certificate_names_its_user(
    user: str,
    names: dict[str, object],
    server_pair: Pair,
    authority: Authority,
    start_server: StartServer,
) -> None:
    block = tls_block(server_pair, f'ca_file: "{authority.file}"', "verify_and_map: true")
    server = start_server(block + ACCOUNTS.format(user))
    pair = authority.issue("mapped", **{"hosts": (), **names})  # type: ignore[arg-type]
    with encrypted(server, authority.client(pair)) as client:
        assert log_in(client)["remote_account"] == "A"


def test_a_certificate_that_names_nobody_is_refused(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    block = tls_block(server_pair, f'ca_file: "{authority.file}"', "verify_and_map: true")
    server = start_server(block + ACCOUNTS.format("derek@example.org"))
    unknown = authority.issue("unknown", hosts=(), emails=["eve@example.org"])
    with (
        encrypted(server, authority.client(unknown)) as client,
        pytest.raises(EOFError, match="Authorization Violation"),
    ):
        log_in(client)
    # Nor does it help to say who one would be.
    claim = b'CONNECT {"verbose":false,"protocol":1,"user":"derek@example.org"}\r\n'
    assert is_refused(server, authority.client(unknown), claim)
    assert is_refused(server, authority.client())


def test_users_who_log_in_beside_a_verified_certificate(
    server_pair: Pair, client_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    users = "authorization { user: a, password: b }\n"
    server = start_server(verifying(server_pair, authority) + users)
    known = b'CONNECT {"verbose":false,"protocol":1,"user":"a","pass":"b"}\r\n'
    assert not is_refused(server, authority.client(client_pair), known)
    assert is_refused(server, authority.client(client_pair))
    assert is_refused(server, authority.client(), known)


def test_only_pinned_certificates(
    server_pair: Pair, client_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    pins = f'pinned_certs: ["{"ab" * 32}", "{client_pair.key_digest().upper()}"]'
    server = start_server(verifying(server_pair, authority, pins))
    assert not is_refused(server, authority.client(client_pair))
    assert is_refused(server, authority.client(authority.issue("not-pinned")))


def test_pins_without_verify_let_nobody_in(
    server_pair: Pair, client_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    """Nobody is asked for a certificate, so nobody shows the pinned one."""
    server = start_server(tls_block(server_pair, f'pinned_certs: ["{client_pair.key_digest()}"]'))
    assert is_refused(server, authority.client(client_pair))
    assert is_refused(server, authority.client())
