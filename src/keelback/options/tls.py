"""The `tls` block of the client listener: certificates, versions, suites, and when to begin.

Suites and curves that the TLS engine does not have are refused by name. What the certificates
hold is checked by whoever loads them; here the files must be there and look like PEM.
"""

from __future__ import annotations

from keelback.config.gotext import os_error_text, quote, show
from keelback.config.tree import go_type
from keelback.errors import ConfigError
from keelback.options.authorization import read_timeout
from keelback.options.fields import Block, Reload, option, options
from keelback.options.kinds import (
    DURATION,
    FILE,
    FLAG,
    INTEGER,
    TEXT,
    Anything,
    seconds_of,
    text_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from keelback.config.tree import Value
    from keelback.options.report import Report

CIPHER_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)
UNSUPPORTED_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
)
INSECURE_CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
)
CURVES = ("X25519MLKEM768", "X25519", "CurveP256", "CurveP384")
UNSUPPORTED_CURVES = ("CurveP521", "SecP256r1MLKEM768", "SecP384r1MLKEM1024")
VERSIONS = ("1.2", "1.3")
OLD_VERSIONS = ("1.0", "1.1")
HANDSHAKE_FIRST_FALLBACK_S = 0.05

PIN_CHARS = 64

CERTIFICATE_PEM = b"-----BEGIN CERTIFICATE-----"
KEY_PEM = b"PRIVATE KEY-----"


@options("tls.certs")
class CertificateOptions(Block):
    """A certificate and its key; the first of several is the default, others go by name (SNI)."""

    cert_file: str = option(
        FILE, default="", reload=Reload.NEW_CONNECTIONS, help="The certificate chain, PEM."
    )
    key_file: str = option(
        FILE, default="", reload=Reload.NEW_CONNECTIONS, help="The private key, PEM."
    )


@options("tls")
class TlsOptions(Block):
    """TLS towards clients."""

    cert_file: str = option(
        FILE,
        default="",
        reload=Reload.NEW_CONNECTIONS,
        help="The server's certificate chain, PEM; with `key_file`.",
    )
    key_file: str = option(
        FILE, default="", reload=Reload.NEW_CONNECTIONS, help="The server's private key, PEM."
    )
    ca_file: str = option(
        FILE,
        default="",
        reload=Reload.NEW_CONNECTIONS,
        help="Certificates of the authorities that sign clients' certificates, PEM; without it "
        "`verify` trusts those of this machine.",
    )
    certs: tuple[CertificateOptions, ...] = option(
        Anything("a list of maps", "[ { cert_file: …, key_file: … } ]"),
        default=(),
        aliases=("certificates",),
        reload=Reload.NEW_CONNECTIONS,
        help="Several certificates, in place of `cert_file` and `key_file`.",
    )
    verify: bool = option(
        FLAG,
        default=False,
        reload=Reload.NEW_CONNECTIONS,
        help="Refuse clients without a certificate signed by `ca_file`.",
    )
    verify_and_map: bool = option(
        FLAG,
        default=False,
        help="`verify`, and find the user by the certificate's names.",
    )
    timeout: float = option(
        DURATION,
        default=2.0,
        reload=Reload.NEW_CONNECTIONS,
        zero_is_default=True,
        minimum=0.001,
        help="How long a handshake may take; a plain number is seconds.",
    )
    cipher_suites: tuple[str, ...] = option(
        Anything("a list of names", '["TLS_AES_128_GCM_SHA256"]'),
        default=(),
        default_text="all below",
        reload=Reload.NEW_CONNECTIONS,
        help=f"Cipher suites, among {', '.join(CIPHER_SUITES)}.",
    )
    curve_preferences: tuple[str, ...] = option(
        Anything("a list of names", '["X25519"]'),
        default=(),
        default_text="all below, in this order",
        reload=Reload.NEW_CONNECTIONS,
        help=f"Key exchange groups, the preferred first, among {', '.join(CURVES)}.",
    )
    min_version: str = option(
        TEXT,
        default="1.2",
        reload=Reload.NEW_CONNECTIONS,
        help='The oldest version of TLS that is spoken: "1.2" or "1.3".',
    )
    handshake_first: bool = option(
        FLAG,
        default=False,
        aliases=("first", "immediate"),
        reload=Reload.NEW_CONNECTIONS,
        help="Begin TLS before the server's INFO. `auto` (50ms) or a duration in quotes: wait so "
        "long for the client to begin, then send INFO as usual.",
    )
    handshake_first_fallback: float = option(
        DURATION,
        default=0.0,
        key="",
        default_text="no fallback",
        reload=Reload.NEW_CONNECTIONS,
        help="The wait that `handshake_first` names; has no key of its own.",
    )
    connection_rate_limit: int = option(
        INTEGER,
        default=0,
        unit="handshakes a second",
        default_text="no limit",
        minimum=0,
        help="Most TLS handshakes that are begun in a second; further clients are refused.",
    )
    pinned_certs: tuple[str, ...] = option(
        Anything("a list of SHA-256 digests", '["a5…"]'),
        default=(),
        default_text="any",
        reload=Reload.LIVE,
        help="Admit only clients whose certificate has one of these public keys (SHA-256 of the "
        "DER encoded SubjectPublicKeyInfo, in hexadecimal).",
    )


KEYS = {
    key: name
    for name, o in TlsOptions.options_by_name.items()
    if name != "handshake_first_fallback"
    for key in o.keys
}
FALSE_ONLY_KEYS = ("insecure", "verify_cert_and_check_known_urls", "allow_insecure_cipher_suites")


def read_tls(value: Value, report: Report) -> TlsOptions:
    """Read the block and look at its files.

    Raises:
        ConfigError: it is not a map.
    """
    if not isinstance(value.data, dict):
        raise Anything("a map", "tls { cert_file: … }").fail(value, "map[string]interface {}")
    found: dict[str, object] = {}
    errors_before = len(report.errors)
    for key, item in value.data.items():
        name = KEYS.get(key.lower())
        try:
            if name is not None:
                found.update(_read_field(name, key, item, value, report))
            elif key.lower() in FALSE_ONLY_KEYS:
                _read_false(key, item, report)
            else:
                problem = f"error parsing tls config, unknown field {quote(key)}"
                report.not_known("tls", key, item, KEYS, problem=problem)
        except ConfigError as error:
            report.errors.append(error)
    if found.get("verify_and_map"):
        found["verify"] = True
    tls = TlsOptions(**found)  # type: ignore[arg-type]  # read by name just above
    if len(report.errors) == errors_before:
        if tls.certs and tls.cert_file:
            problem = (
                "error parsing tls config, cannot combine 'cert_file' option with 'certs' option"
            )
            report.error(value.place, problem)
        elif problem := file_problem(tls):
            report.error(value.place, problem)
    return tls


def file_problem(tls: TlsOptions) -> str:
    """What is wrong with the files that the options name, in nats-server's words; or nothing."""
    if tls.cert_file and not tls.key_file:
        return "missing 'key_file' in TLS configuration"
    if tls.key_file and not tls.cert_file:
        return "missing 'cert_file' in TLS configuration"
    pairs = [(pair.cert_file, pair.key_file) for pair in tls.certs]
    if tls.cert_file:
        pairs = [(tls.cert_file, tls.key_file)]
    for number, (cert_file, key_file) in enumerate(pairs, 1):
        problem = _pair_problem(cert_file, key_file)
        if problem:
            which = "" if tls.cert_file else f" {number}/{len(pairs)}"
            return f"error parsing X509 certificate/key pair{which}: {problem}"
    if tls.ca_file:
        content, problem = _content_of(tls.ca_file)
        if problem:
            return problem
        if CERTIFICATE_PEM not in content:
            return "failed to parse root ca certificate"
    return ""


def _pair_problem(cert_file: str, key_file: str) -> str:
    certificate, problem = _content_of(cert_file)
    key, key_problem = (b"", "") if problem else _content_of(key_file)
    if problem or key_problem:
        return problem or key_problem
    if CERTIFICATE_PEM not in certificate:
        if KEY_PEM in certificate:
            return (
                "tls: failed to find certificate PEM data in certificate input, but did find a "
                "private key; PEM inputs may have been switched"
            )
        return "tls: failed to find any PEM data in certificate input"
    if KEY_PEM not in key:
        if CERTIFICATE_PEM in key:
            return "tls: found a certificate rather than a key in the PEM for the private key"
        return "tls: failed to find any PEM data in key input"
    return ""


def _content_of(path: str) -> tuple[bytes, str]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs start-up time
            return file.read(), ""
    except IsADirectoryError as error:
        return b"", os_error_text("read", path, error)
    except OSError as error:
        return b"", os_error_text("open", path, error)
    except ValueError:
        return b"", f"open {path}: invalid argument"


def _read_field(
    name: str, key: str, item: Value, block: Value, report: Report
) -> dict[str, object]:
    if name in ("cert_file", "key_file", "ca_file"):
        if not isinstance(item.data, str):
            problem = f"error parsing tls config, expected '{name}' to be filename"
            raise ConfigError(item.place, problem, hint="write the path in quotes")
        return {name: text_of(item)}
    if name in ("verify", "verify_and_map"):
        return {name: _boolean(name, item)}
    if name == "timeout":
        return {name: read_timeout(key, item, report, "tls")}
    if name == "handshake_first":
        return _read_handshake_first(key, item)
    if name == "cipher_suites":
        return {name: _read_cipher_suites(item, block, report)}
    readers: dict[str, Callable[[Value, Report], object]] = {
        "curve_preferences": _read_curves,
        "min_version": _read_version,
        "certs": _read_certificates,
        "connection_rate_limit": _read_rate_limit,
        "pinned_certs": _read_pins,
    }
    return {name: readers[name](item, report)}


def _boolean(name: str, item: Value) -> bool:
    if isinstance(item.data, bool):
        return item.data
    problem = f"error parsing tls config, expected '{name}' to be a boolean"
    raise ConfigError(item.place, problem, hint="write `true` or `false`, without quotes")


def _read_false(key: str, item: Value, report: Report) -> None:
    if not _boolean(key.lower(), item):
        return
    if key.lower() == "verify_cert_and_check_known_urls":
        report.error(
            item.place, f"{key.lower()} not supported in this context", hint="use `verify`"
        )
    elif key.lower() == "insecure":
        hint = "it concerns outgoing connections only; clients are asked by `verify`"
        report.unsupported(key, item, what=hint)
    else:
        report.unsupported(key, item, what="Keelback has no insecure cipher suites")


def _items(name: str, item: Value) -> list[tuple[str, Value]]:
    """The strings of a list that may not be empty."""
    if not isinstance(item.data, list):
        raise Anything("a list of names", f'{name}: ["…"]').fail(item, "[]interface {}")
    if not item.data:
        raise ConfigError(item.place, f"error parsing tls config, '{name}' cannot be empty")
    return [(text_of(each), each) for each in item.data]


def _read_cipher_suites(item: Value, block: Value, report: Report) -> tuple[str, ...]:
    insecure: list[str] = []
    suites: list[str] = []
    for name, each in _items("cipher_suites", item):
        if name in CIPHER_SUITES:
            suites.append(name)
        elif name in INSECURE_CIPHER_SUITES:
            insecure.append(name)
        elif name in UNSUPPORTED_CIPHER_SUITES:
            report.unsupported(name, each, what=f"there are {', '.join(CIPHER_SUITES)}")
        else:
            report.unknown(name, each, CIPHER_SUITES, problem=f"unrecognized cipher {name}")
    if insecure:
        report.error(
            block.place,
            "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: "
            + ", ".join(insecure),
            hint="leave them out: Keelback has no insecure cipher suites",
        )
    return tuple(suites)


def _read_curves(item: Value, report: Report) -> tuple[str, ...]:
    curves: list[str] = []
    for name, each in _items("curve_preferences", item):
        if name in CURVES:
            curves.append(name)
        elif name in UNSUPPORTED_CURVES:
            report.unsupported(name, each, what=f"there are {', '.join(CURVES)}")
        else:
            problem = f"unrecognized curve preference {name}"
            report.unknown(name, each, CURVES, problem=problem)
    return tuple(curves)


def _read_version(item: Value, _: Report) -> str:
    version = item.data
    prefix = "error parsing tls config: "
    hint = 'write `min_version: "1.2"` or `"1.3"`, with the quotes'
    if not isinstance(version, str):
        problem = f"{prefix}'min_version' wrong type: {show(version)}"
        raise ConfigError(item.place, problem, hint=hint)
    if version in OLD_VERSIONS:
        problem = f"{prefix}unsupported TLS version: TLS {version}"
        raise ConfigError(item.place, problem, hint=hint)
    if version not in VERSIONS:
        raise ConfigError(item.place, f"{prefix}unknown version: {version}", hint=hint)
    return version


def _read_handshake_first(key: str, item: Value) -> dict[str, object]:
    data = item.data
    if isinstance(data, bool):
        return {"handshake_first": data}
    if not isinstance(data, str):
        kind = go_type(data)
        problem = f"field {quote(key)} should be a boolean or a string, got {kind}"
        raise ConfigError(item.place, problem)
    word = data.lower()
    if word in ("true", "on", "false", "off"):
        return {"handshake_first": word in ("true", "on")}
    if word in ("auto", "auto_fallback"):
        wait = HANDSHAKE_FIRST_FALLBACK_S
    else:
        try:
            wait = seconds_of(item, "")
        except ConfigError as error:
            problem = f"field {quote(key)}'s value {quote(data)} is invalid"
            hint = "write `true`, `false`, `auto`, or a duration in quotes"
            raise ConfigError(item.place, problem, hint=hint) from error
    return {"handshake_first": True, "handshake_first_fallback": wait}


def _read_certificates(item: Value, _: Report) -> tuple[CertificateOptions, ...]:
    prefix = "error parsing certificates config: "
    if not isinstance(item.data, list):
        # nats-server names the type of the whole block here.
        raise ConfigError(item.place, f"{prefix}unsupported type map[string]interface {{}}")
    pairs: list[CertificateOptions] = []
    for entry in item.data:
        if not isinstance(entry.data, dict):
            raise ConfigError(entry.place, f"{prefix}unsupported type {go_type(entry.data)}")
        found: dict[str, str] = {}
        place = entry.place
        for key, each in entry.data.items():
            place = each.place
            if not isinstance(each.data, str):
                raise ConfigError(place, f"{prefix}unsupported type {go_type(each.data)}")
            if key not in ("cert_file", "key_file"):
                problem = f"error parsing tls certs config, unknown field {quote(key)}"
                raise ConfigError(place, problem, hint="there are `cert_file` and `key_file`")
            found[key] = text_of(each)
        if not found.get("cert_file") or not found.get("key_file"):
            problem = f"{prefix}both 'cert_file' and 'cert_key' options are required"
            raise ConfigError(place, problem, hint="the second is spelled `key_file`")
        pairs.append(CertificateOptions(**found))
    return tuple(pairs)


def _read_rate_limit(item: Value, _: Report) -> int:
    if isinstance(item.data, bool) or not isinstance(item.data, int):
        problem = "error parsing tls config, 'connection_rate_limit' wrong type"
        raise ConfigError(item.place, problem, hint="give a number of handshakes a second")
    return item.data


def _read_pins(item: Value, _: Report) -> tuple[str, ...]:
    what = "hex-encoded sha256 of DER encoded SubjectPublicKeyInfo"
    if not isinstance(item.data, list):
        problem = f"error parsing tls config, expected 'pinned_certs' to be a list of {what}"
        raise ConfigError(item.place, problem)
    pins: list[str] = []
    for each in item.data:
        pin = text_of(each).lower()
        if len(pin) != PIN_CHARS or any(char not in "0123456789abcdef" for char in pin):
            problem = (
                f"error parsing tls config, 'pinned_certs' key {pin} does not look like {what}"
            )
            raise ConfigError(each.place, problem)
        pins.append(pin)
    return tuple(dict.fromkeys(pins))
