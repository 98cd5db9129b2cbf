"""Certificates made here, mapped to users in nats-server's order."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keelback.auth.authenticator import Authenticator
from keelback.auth.permissions import PermissionTable
from keelback.auth.tls_map import map_user, parse_distinguished_name, read_certificate
from keelback.auth.users import AuthRules, User
from tests.unit.fake_core import Admission, AuthRequest

pytestmark = pytest.mark.usefixtures("core")

KEY = ec.generate_private_key(ec.SECP256R1())
TYPES = {
    "CN": NameOID.COMMON_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "C": NameOID.COUNTRY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "UID": NameOID.USER_ID,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
}


def certificate(
    *parts: list[tuple[str, str]], alternatives: Iterable[x509.GeneralName] = ()
) -> bytes:
    """A certificate in DER; `parts` of the subject in the certificate's order."""
    name = x509.Name(
        x509.RelativeDistinguishedName(
            [x509.NameAttribute(TYPES[kind], value) for kind, value in part]
        )
        for part in parts
    )
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    names = list(alternatives)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def mapped(der: bytes, *users: str) -> str | None:
    names = read_certificate(der)
    assert names is not None
    user = map_user(names, {name: User(name=name) for name in users}, "STANDARD")
    return None if user is None else user.name


ALTERNATIVES = (
    x509.UniformResourceIdentifier("spiffe://here/app"),
    x509.DNSName("app.example.com"),
    x509.RFC822Name("app@example.com"),
)


def test_email_then_dns_then_uri_then_subject() -> None:
    der = certificate([("CN", "app")], alternatives=ALTERNATIVES)
    everything = ["CN=app", "spiffe://here/app", "app.example.com", "app@example.com"]
    assert mapped(der, *everything) == "app@example.com"
    assert mapped(der, *everything[:3]) == "app.example.com"
    assert mapped(der, *everything[:2]) == "spiffe://here/app"
    assert mapped(der, *everything[:1]) == "CN=app"
    assert mapped(der, "app") is None


PERSON = ([("C", "US")], [("O", "Acme")], [("OU", "x"), ("CN", "ann")])


@pytest.mark.parametrize(
    "user",
    [
        "CN=ann+OU=x,O=Acme,C=US",
        "OU=x+CN=ann, O=Acme, C=US",
        "cn=ann+ou=x,o=Acme,c=US",
        "C=US,O=Acme,OU=x+CN=ann",
        # Go's text, in Go's order.
        "CN=ann,OU=x,O=Acme,C=US",
    ],
)
def test_a_subject_is_found_in_any_order_and_in_gos_text(user: str) -> None:
    assert mapped(certificate(*PERSON), user) == user


@pytest.mark.parametrize(
    "user", ["CN=Ann+OU=x,O=Acme,C=US", "O=Acme,C=US", "CN=ann+OU=x,O=Acme,C=US,DC=x", "ann"]
)
def test_another_subject_is_not_found(user: str) -> None:
    assert mapped(certificate(*PERSON), user) is None


def test_the_exact_order_wins_over_another_one() -> None:
    der = certificate([("C", "US")], [("CN", "ann")])
    assert mapped(der, "C=US,CN=ann", "CN=ann, C=US") == "CN=ann, C=US"


def test_domain_components() -> None:
    der = certificate([("DC", "org")], [("DC", "OpenSSL")], [("O", "Acme")], [("CN", "ann")])
    assert mapped(der, "CN=ann,O=Acme,DC=OpenSSL,DC=org") == "CN=ann,O=Acme,DC=OpenSSL,DC=org"
    assert mapped(der, "CN=ann,O=Acme,DC=org,DC=OpenSSL") == "CN=ann,O=Acme,DC=org,DC=OpenSSL"
    assert mapped(der, "CN=ann,O=Acme") == "CN=ann,O=Acme"


def test_a_part_without_a_known_type_leaves_the_text_only() -> None:
    der = certificate([("UID", "1")], [("CN", "ann")])
    names = read_certificate(der)
    assert names is not None
    assert names.distinguished is None
    assert mapped(der, "CN=ann") == "CN=ann"


def test_values_that_need_escapes() -> None:
    der = certificate([("O", "Acme, Inc.")], [("CN", "#a+b ")])
    assert mapped(der, r"CN=\#a\+b\ ,O=Acme\, Inc.") == r"CN=\#a\+b\ ,O=Acme\, Inc."
    assert mapped(der, r"CN=\23a\2bb\20,O=Acme\2C Inc.") is not None
    names = read_certificate(der)
    assert names is not None
    assert names.texts == (r"CN=\#a\+b\ ,O=Acme\, Inc.",)


@pytest.mark.parametrize("text", ["", "ann", "CN=#0102", "CN=a\\", "CN=a\\g0", "=a", "CN=a,,O=b"])
def test_what_is_no_distinguished_name(text: str) -> None:
    assert parse_distinguished_name(text) is None


def test_what_is_no_certificate() -> None:
    assert read_certificate(b"garbage") is None
    assert read_certificate(certificate()) is None


def test_a_user_who_may_not_connect_this_way_is_passed_over() -> None:
    names = read_certificate(certificate([("CN", "a")], alternatives=ALTERNATIVES))
    assert names is not None
    inside = User(name="app@example.com", connection_types=frozenset(("IN_PROCESS",)))
    other = User(name="CN=a")
    users = {user.name: user for user in (inside, other)}
    assert map_user(names, users, "STANDARD") is other
    assert map_user(names, users, "IN_PROCESS") is inside


DER = certificate([("CN", "ann")])


def decision(configured: User, **request: object) -> tuple[Any, list[tuple[str, str]]]:
    lines: list[tuple[str, str]] = []
    authenticator = Authenticator(
        AuthRules(users=(configured,), verify_and_map=True),
        PermissionTable(),
        log=lambda level, text: lines.append((level, text)),
    )
    return authenticator.decide_at_once(AuthRequest(**request)), lines


def test_verify_and_map_takes_nobody_without_a_certificate() -> None:
    user = User(name="CN=ann")
    assert isinstance(decision(user, certificates=[DER])[0], Admission)
    assert not isinstance(decision(user, user="CN=ann")[0], Admission)
    assert not isinstance(decision(user, user="CN=ann", kind="in_process")[0], Admission)


def test_a_mapped_users_password_must_match_all_the_same() -> None:
    user = User(name="CN=ann", password="x")
    assert not isinstance(decision(user, certificates=[DER])[0], Admission)
    assert isinstance(decision(user, certificates=[DER], password="x")[0], Admission)
    assert not isinstance(
        decision(User(name="CN=ann"), certificates=[DER], password="x")[0], Admission
    )


def test_a_name_in_connect_does_not_count_and_is_warned_of() -> None:
    admitted, lines = decision(User(name="CN=ann"), certificates=[DER], user="root")
    assert admitted.label == "user:CN=ann"
    warning = 'User "root" found in connect proto, but user required from cert'
    assert ("WRN", warning) in lines
