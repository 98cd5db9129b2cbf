"""Certificates as monitoring shows them. Heavy to import: cryptography."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keelback.monitor.connz import CertificateRow
from keelback.monitor.gotext import NS_PER_S

KEPT_CHAINS: Final = 4096
"""Clients' certificates change seldom; a page of a thousand clients must not parse them anew."""


@lru_cache(maxsize=KEPT_CHAINS)
def certificate_rows(chain: tuple[bytes, ...]) -> tuple[CertificateRow, ...]:
    """One row for each DER certificate; without details where it cannot be read."""
    return tuple(_row(der) for der in chain)


def _row(der: bytes) -> CertificateRow:
    digest = hashlib.sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        subject = certificate.subject.rfc4514_string()
    except ValueError:
        return CertificateRow(cert_sha256=digest)
    return CertificateRow(
        subject=subject, spki_sha256=hashlib.sha256(key).hexdigest(), cert_sha256=digest
    )


def end_of_first(pem: bytes) -> int:
    """When the first certificate of a PEM file is valid no more, in ns since 1970; 0 unknown."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return 0
    return int(certificate.not_valid_after_utc.timestamp()) * NS_PER_S


def host_names(pem: bytes) -> tuple[str, ...]:
    """The DNS names, in lower case, that the first certificate of a PEM file is for."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return ()
    names = found.value.get_values_for_type(x509.DNSName)
    return tuple(name.lower().removesuffix(".") for name in names)
