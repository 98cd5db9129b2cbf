"""Versions, cipher suites and curves: what is configured is what is spoken."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import tls_block
from tests.support.servers import ServerFailedError
from tests.tls.peers import encrypted, is_refused, log_in, session_of

if TYPE_CHECKING:
    from tests.support.certificates import Authority, KeyKind, Pair
    from tests.support.target import StartServer

pytestmark = [pytest.mark.both_servers, pytest.mark.timeout(60)]


def with_version(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version only."""
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    return context


def test_a_minimum_version(
    server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair, 'min_version: "1.3"'))
    assert is_refused(server, with_version(authority, ssl.TLSVersion.TLSv1_2))
    assert not is_refused(server, with_version(authority, ssl.TLSVersion.TLSv1_3))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_versions_before_1_2_are_not_spoken(
    version: ssl.TLSVersion, server_pair: Pair, authority: Authority, start_server: StartServer
) -> None:
    server = start_server(tls_block(server_pair))
    old = with_version(authority, version)
    # OpenSSL itself speaks them at its lowest level of security only.
    old.set_ciphers("ALL:@SECLEVEL=0")
    assert is_refused(server, old)


@pytest.mark.parametrize(
    ("kind", "suite", "name"),
    [
        ("rsa", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("rsa", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("rsa", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("ecdsa", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("ecdsa", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("ecdsa", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ],
)
def test_a_cipher_suite(
    kind: KeyKind, suite: str, name: str, authority: Authority, start_server: StartServer
) -> None:
    pair = authority.issue(f"server-{kind}", kind)
    server = start_server(tls_block(pair, f'cipher_suites: ["{suite}"]'))
    with encrypted(server, with_version(authority, ssl.TLSVersion.TLSv1_2)) as client:
        log_in(client)
        assert (session_of(client).cipher() or ())[0] == name
    another = with_version(authority, ssl.TLSVersion.TLSv1_2)
    another.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20:!" + name)
    assert is_refused(server, another)
    # The suites of 1.3 are always on.
    assert not is_refused(server, with_version(authority, ssl.TLSVersion.TLSv1_3))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_curve(version: ssl.TLSVersion, authority: Authority, start_server: StartServer) -> None:
    # An ECDSA certificate would bring a curve of its own into TLS 1.2.
    pair = authority.issue("server-rsa", "rsa")
    server = start_server(tls_block(pair, 'curve_preferences: ["CurveP384"]'))
    context = with_version(authority, version)
    context.set_ecdh_curve("secp384r1")
    assert not is_refused(server, context)
    context = with_version(authority, version)
    context.set_ecdh_curve("prime256v1")
    assert is_refused(server, context)


@pytest.mark.parametrize(
    "suite",
    [
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        "TLS_NO_SUCH_SUITE",
    ],
)
def test_weak_and_unknown_suites_are_refused_by_name(
    suite: str, server_pair: Pair, start_server: StartServer
) -> None:
    with pytest.raises(ServerFailedError, match=suite):
        start_server(tls_block(server_pair, f'cipher_suites: ["{suite}"]'))


def test_a_key_of_another_certificate_is_refused(
    server_pair: Pair, client_pair: Pair, start_server: StartServer
) -> None:
    mixed = tls_block(server_pair).replace(str(server_pair.key), str(client_pair.key))
    with pytest.raises(ServerFailedError, match=r"X509 certificate/key pair"):
        start_server(mixed)
