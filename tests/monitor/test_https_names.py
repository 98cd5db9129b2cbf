"""HTTPS with several certificates: which one is shown goes by the name that is asked for."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests.monitor.watched import Watched, genuine, keelback
from tests.support.certificates import new_authority

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("one.example", "one.example"),
        ("two.example", "two.example"),
        ("TWO.example", "two.example"),
        ("a.two.example", "*.two.example"),
        ("a.b.two.example", "one.example"),
        ("both.example", "both.example"),
        ("three.example", "one.example"),
        ("127.0.0.1", "one.example"),
        (None, "one.example"),
    ],
)
def test_the_certificate_of_https_goes_by_the_name_that_is_asked_for(
    several_certificates: tuple[Watched, ...], asked: str | None, shown: str
) -> None:
    assert [first_name(each, asked) for each in several_certificates] == [shown] * 2


@pytest.fixture(scope="module")
def several_certificates(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Watched, ...]]:
    """Both servers with several certificates, of which two are for one of the names."""
    folder = tmp_path_factory.mktemp("several")
    authority = new_authority(folder)
    hosts = (
        ["one.example"],
        ["two.example", "TWO.example"],
        ["*.two.example"],
        ["both.example"],
        ["other.example", "both.example"],
    )
    pairs = [authority.issue(f"c{number}", hosts=each) for number, each in enumerate(hosts)]
    files = ", ".join(
        f'{{ cert_file: "{pair.certificate}", key_file: "{pair.key}" }}' for pair in pairs
    )
    config, https = f"tls {{ certs: [ {files} ] }}\n", authority.client()
    with ExitStack() as running:
        theirs = running.enter_context(contextmanager(genuine)(config, https=https))
        ours = running.enter_context(contextmanager(keelback)(config, folder, https=https))
        yield theirs, ours


def first_name(watched: Watched, asked: str | None) -> str:
    """The first name in the certificate that monitoring shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", watched.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=asked) as connection,
    ):
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.DNSName)[0]
