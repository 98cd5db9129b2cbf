"""Certificates for a test's servers and clients, under an authority of the test's own.

They are for this machine, valid for some days, and worth nothing elsewhere.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

VALID_FOR: Final = dt.timedelta(days=7)
CLOCK_SKEW: Final = dt.timedelta(days=1)

NAMES: Final = ("localhost",)
ADDRESSES: Final = ("127.0.0.1", "::1")


class TestCertificates:
    """An authority, and a certificate for servers and one for clients: PEM files in a folder."""

    __test__ = False  # a name that pytest would collect

    def __init__(self, folder: Path) -> None:
        self.authority_file = folder / "authority.pem"
        self.server_file = folder / "server.pem"
        self.server_key_file = folder / "server-key.pem"
        self.client_file = folder / "client.pem"
        self.client_key_file = folder / "client-key.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name("Keelback test authority")
        authority = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.authority_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self._issue("server", self.server_file, self.server_key_file)
        self._issue("client", self.client_file, self.client_key_file)

    def options(self, *, verify: bool = False) -> dict[str, object]:
        """The server's `tls` block; with `verify`, clients must show their certificate."""
        block: dict[str, object] = {
            "cert_file": str(self.server_file),
            "key_file": str(self.server_key_file),
        }
        if verify:
            block.update(ca_file=str(self.authority_file), verify=True)
        return block

    def client_context(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        """What a client needs to trust the server, and to show a certificate when it should."""
        context = ssl.create_default_context(cafile=str(self.authority_file))
        if with_certificate:
            context.load_cert_chain(self.client_file, self.client_key_file)
        return context

    def _issue(self, name: str, file: Path, key_file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [
            *map(x509.DNSName, NAMES),
            *(x509.IPAddress(ipaddress.ip_address(address)) for address in ADDRESSES),
        ]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            _builder(_common_name(name), self._name, key)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID_FOR)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
