"""A client certificate → the user it stands for (`verify_and_map`).

The order is nats-server's: e-mail addresses, DNS names and URIs of the subject alternative name,
then the distinguished name of the subject: as RFC 4514 reads it in any order of its parts, then
its text with domain components, then without.

Source: nats-server 2.15 `server/auth.go`, `checkClientTLSCertSubject`; Go's `crypto/x509/pkix`
for the text of a subject; RFC 4514.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keelback.auth.users import User

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

Rdn = frozenset[tuple[str, str]]
"""One relative distinguished name: attributes (upper-case type, value), in no order."""

DOMAIN_COMPONENT: Final = "0.9.2342.19200300.100.1.25"

TYPE_NAMES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.17": "POSTALCODE",
    DOMAIN_COMPONENT: "DC",
}

TEXT_ORDER: Final = ("SERIALNUMBER", "CN", "POSTALCODE", "STREET", "ST", "L", "OU", "O", "C")
"""The order in which Go writes a subject, whatever order the certificate has."""

SPECIAL: Final = ' "#+,;<=>\\'
HEX_PAIR: Final = re.compile("[0-9A-Fa-f]{2}")

ONLY_LAST: Final = frozenset(("SERIALNUMBER", "CN"))
"""Attributes of which Go keeps one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateNames:
    """The names of a certificate that a user may be configured by."""

    alternatives: tuple[str, ...]
    """E-mail addresses, then DNS names, then URIs."""
    distinguished: tuple[Rdn, ...] | None
    """The subject, last part first as RFC 4514 writes it; None when it has a part of a type
    that the table does not name."""
    texts: tuple[str, ...]
    """The subject as text: with domain components when it has some, then without."""


def read_certificate(der: bytes) -> CertificateNames | None:
    """The names of a certificate in DER; None when it does not parse or bears no name."""
    from cryptography import x509  # noqa: PLC0415  # 60 ms of import, for verify_and_map only

    try:
        certificate = x509.load_der_x509_certificate(der)
        alternatives = tuple(_alternatives(certificate))
        subject = certificate.subject
    except ValueError:
        return None
    parts = _parts(subject)
    if not alternatives and not parts:
        return None
    text = _text(subject)
    components = [
        f"DC={value}" for part in parts for kind, value in part if kind == DOMAIN_COMPONENT
    ]
    texts = (",".join((text, *components)), text) if components else (text,)
    return CertificateNames(
        alternatives=alternatives, distinguished=_distinguished(parts), texts=texts
    )


def map_user(
    names: CertificateNames, users: Mapping[str, User], connection_type: str
) -> User | None:
    """The user whom a certificate names, of those who may connect this way; None for nobody."""
    allowed = {
        name: user
        for name, user in users.items()
        if not user.connection_types or connection_type in user.connection_types
    }
    for name in names.alternatives:
        if name and name in allowed:
            return allowed[name]
    if names.distinguished is not None:
        user = _by_distinguished_name(names.distinguished, allowed.values())
        if user is not None:
            return user
    for text in names.texts:
        if text and text in allowed:
            return allowed[text]
    return None


def _by_distinguished_name(wanted: tuple[Rdn, ...], users: Iterable[User]) -> User | None:
    reordered: User | None = None
    for user in users:
        name = parse_distinguished_name(user.name)
        if name is None or len(name) != len(wanted):
            continue
        if name == wanted:
            return user
        # The exact order wins over another one, wherever in the table it stands.
        if reordered is None and set(name) == set(wanted):
            reordered = user
    return reordered


def parse_distinguished_name(text: str) -> tuple[Rdn, ...] | None:
    """A distinguished name in RFC 4514's form: `CN=a+UID=b,DC=c`; None when it is not one."""
    parts: list[Rdn] = []
    for part in _split(text, ","):
        attributes: list[tuple[str, str]] = []
        for attribute in _split(part, "+"):
            kind, equals, value = attribute.partition("=")
            unescaped = _unescape(value)
            # "#" announces BER, which nats-server does not read either.
            if not equals or not kind.strip(" ") or value.startswith("#") or unescaped is None:
                return None
            attributes.append((kind.strip(" ").upper(), unescaped))
        parts.append(frozenset(attributes))
    return tuple(parts)


def _split(text: str, separator: str) -> Iterator[str]:
    """Pieces between separators that are not escaped by a backslash."""
    piece: list[str] = []
    escaped = False
    for letter in text:
        if letter == separator and not escaped:
            yield "".join(piece)
            piece.clear()
            continue
        escaped = letter == "\\" and not escaped
        piece.append(letter)
    yield "".join(piece)


def _unescape(value: str) -> str | None:
    """A value without its escapes and outer blanks; None when an escape is broken."""
    octets = bytearray()
    kept = 0  # an escaped blank at the end is part of the value
    position = 0
    while position < len(value):
        letter = value[position]
        if letter != "\\":
            if letter != " " or octets:
                octets += letter.encode()
                kept = kept if letter == " " else len(octets)
            position += 1
            continue
        escape = value[position + 1 : position + 3]
        if escape[:1] and escape[0] in SPECIAL:
            octets += escape[0].encode()
            position += 2
        elif HEX_PAIR.fullmatch(escape):
            octets += bytes.fromhex(escape)
            position += 3
        else:
            return None
        kept = len(octets)
    return octets[:kept].decode(errors="surrogateescape")


def _alternatives(certificate: "Certificate") -> Iterator[str]:
    from cryptography import x509  # noqa: PLC0415

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    names = extension.value
    yield from names.get_values_for_type(x509.RFC822Name)
    yield from names.get_values_for_type(x509.DNSName)
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)


def _parts(subject: "Name") -> list[list[tuple[str, str]]]:
    """The subject as the certificate has it: for each part its (object identifier, value)s."""
    return [
        [(attribute.oid.dotted_string, _as_text(attribute.value)) for attribute in part]
        for part in subject.rdns
    ]


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _distinguished(parts: list[list[tuple[str, str]]]) -> tuple[Rdn, ...] | None:
    named: list[Rdn] = []
    for part in reversed(parts):
        attributes = [(TYPE_NAMES.get(kind, ""), value) for kind, value in part]
        if any(not kind for kind, _ in attributes):
            return None
        if attributes:
            named.append(frozenset(attributes))
    return tuple(named)


def _text(subject: "Name") -> str:
    """The subject as Go prints it: fixed order, several values of one type joined by `+`."""
    values: dict[str, list[str]] = {}
    for attribute in subject:
        kind = TYPE_NAMES.get(attribute.oid.dotted_string)
        if kind is None or kind == "DC":
            continue
        if kind in ONLY_LAST:
            values[kind] = []
        values.setdefault(kind, []).append(_as_text(attribute.value))
    return ",".join(
        "+".join(f"{kind}={_escape(value)}" for value in values[kind])
        for kind in TEXT_ORDER
        if kind in values
    )


def _escape(value: str) -> str:
    last = len(value) - 1
    return "".join(
        "\\" + letter
        if letter in ',+"\\<>;'
        or (letter == " " and position in (0, last))
        or (letter == "#" and position == 0)
        else letter
        for position, letter in enumerate(value)
    )
