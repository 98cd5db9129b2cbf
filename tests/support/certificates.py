"""Certificates for servers and clients on this machine, made anew for each run."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KeyKind = Literal["ecdsa", "rsa", "ed25519"]
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

HOSTS: Final = ("127.0.0.1", "localhost")
"""The names of servers in these tests."""

_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with those between it and the authority, and its key: two PEM files."""

    certificate: Path
    key: Path

    def key_digest(self) -> str:
        """SHA-256 of the public key as `pinned_certs` writes it, in hexadecimal."""
        leaf = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        key = leaf.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(key).hexdigest()

    def subject(self) -> str:
        """The subject in RFC 4514's form."""
        leaf = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return leaf.subject.rfc4514_string()


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; an authority under another one is an intermediate of its chains."""

    folder: Path
    name: x509.Name
    certificate: x509.Certificate
    key: _PrivateKey = field(repr=False)
    parent: Authority | None = None

    @property
    def file(self) -> Path:
        """Its own certificate, PEM."""
        return self.folder / "authority.pem"

    def under(self, folder: Path, kind: KeyKind = "ecdsa") -> Authority:
        """An intermediate authority that this one vouches for; its files are in `folder`."""
        return new_authority(folder, kind, parent=self)

    def issue(
        self,
        name: str,
        kind: KeyKind = "ecdsa",
        *,
        hosts: Sequence[str] = HOSTS,
        emails: Sequence[str] = (),
        uris: Sequence[str] = (),
        subject: x509.Name | None = None,
        days: tuple[int, int] = (-1, 30),
    ) -> Pair:
        """Make a certificate for servers and clients; its files are called after `name`.

        Args:
            name: also the subject's common name, unless `subject` is given.
            kind: of its key.
            hosts: names and addresses that it is for.
            emails: further alternative names.
            uris: further alternative names.
            subject: in place of the common name alone.
            days: first and last day from today on which it is valid.
        """
        key = _new_key(kind)
        alternatives: list[x509.GeneralName] = [_host(host) for host in hosts]
        alternatives += [x509.RFC822Name(email) for email in emails]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = _builder(subject or common_name(name), self.name, key, days)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        chain = [builder.sign(self.key, _hash_for(self.key))]
        above: Authority = self
        while above.parent is not None:
            chain.append(above.certificate)
            above = above.parent
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}-key.pem")
        pair.certificate.write_bytes(b"".join(map(_pem, chain)))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def client(self, pair: Pair | None = None) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and shows the certificate of `pair`."""
        context = ssl.create_default_context(cafile=str(self.file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return context


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority, and a server's and a client's certificate under it."""

    issuer: Authority
    server_pair: Pair
    client_pair: Pair

    @property
    def authority(self) -> Path:
        """The authority's certificate, PEM."""
        return self.issuer.file

    def configuration(self, *further: str, verify: bool = False) -> str:
        """The server's `tls` block; with `verify`, clients must show a certificate."""
        lines = [*further]
        if verify:
            lines += [f'ca_file: "{self.authority}"', "verify: true"]
        return tls_block(self.server_pair, *lines)


def tls_block(pair: Pair, *further: str) -> str:
    """A server's `tls` block with this certificate."""
    lines = [f'cert_file: "{pair.certificate}"', f'key_file: "{pair.key}"', *further]
    return f"tls {{ {', '.join(lines)} }}\n"


def new_certificates(folder: Path) -> Certificates:
    """Make an authority and two certificates for 127.0.0.1 and localhost."""
    issuer = new_authority(folder)
    return Certificates(issuer, issuer.issue("server"), issuer.issue("client"))


def new_authority(
    folder: Path, kind: KeyKind = "ecdsa", parent: Authority | None = None
) -> Authority:
    """Make an authority whose files are in `folder`; without a parent it vouches for itself."""
    folder.mkdir(exist_ok=True)
    key = _new_key(kind)
    name = common_name(f"authority of {folder.name}")
    issuer, signing_key = (name, key) if parent is None else (parent.name, parent.key)
    builder = _builder(name, issuer, key, (-1, 30))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    certificate = builder.sign(signing_key, _hash_for(signing_key))
    authority = Authority(folder, name, certificate, key, parent)
    authority.file.write_bytes(_pem(certificate))
    return authority


def common_name(text: str) -> x509.Name:
    """A subject that is a common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PrivateKey, days: tuple[int, int]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
    )


def _new_key(kind: KeyKind) -> _PrivateKey:
    match kind:
        case "ecdsa":
            return ec.generate_private_key(ec.SECP256R1())
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()


def _hash_for(key: _PrivateKey) -> hashes.SHA256 | None:
    """What is signed with; Ed25519 brings its own."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
