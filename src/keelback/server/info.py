"""Settings → the records by which the core starts: INFO, limits, listener, TLS."""

from __future__ import annotations

import os

from keelback import _core
from keelback.errors import ServerError
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from keelback.auth.nkeys import ServerKeys
    from keelback.server.settings import ServerSettings, TlsSettings

PORT_MAX = 65535

SYSTEM_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Linux distributions keep them; the first that exists counts. Source: Go's crypto/x509."""


def compile_info(
    settings: ServerSettings, keys: ServerKeys, *, port: int, ldm: bool = False
) -> _core.ServerInfo:
    """INFO of this server once it listens on `port`.

    Raises:
        ServerError: `client_advertise` is not `host[:port]`.
    """
    host, advertised_port = advertised_address(settings, port)
    tls = settings.tls
    return _core.ServerInfo(
        server_id=keys.server_id,
        server_name=settings.server_name or keys.server_id,
        version=NATS_SERVER_VERSION,
        go=identity.GO_VERSION,
        git_commit=identity.GIT_COMMIT,
        host=host,
        port=advertised_port,
        headers=settings.headers,
        jetstream=settings.jetstream is not None,
        domain="" if settings.jetstream is None else settings.jetstream.domain,
        auth_required=settings.auth.required,
        tls_required=tls is not None and not tls.optional,
        tls_verify=tls is not None and (tls.verify or tls.verify_and_map),
        tls_available=tls is not None and tls.optional,
        max_payload=settings.limits.max_payload,
        nonce=settings.auth.needs_nonce,
        ldm=ldm,
        api_level=identity.API_LEVEL,
        xkey=keys.xkey,
        keelback=_core.__version__,
    )


def advertised_address(settings: ServerSettings, port: int) -> tuple[str, int]:
    """Host and port that clients are told, once the server listens on `port`.

    Raises:
        ServerError: `client_advertise` is not `host[:port]`.
    """
    if settings.client_advertise:
        return split_host_port(settings.client_advertise, default_port=port)
    return settings.host, port


def compile_limits(settings: ServerSettings) -> _core.Limits:
    """The limits of one client connection, and of their number."""
    limits = settings.limits
    return _core.Limits(
        max_connections=limits.max_connections,
        max_subscriptions=limits.max_subscriptions,
        max_subscription_tokens=limits.max_subscription_tokens,
        max_payload=limits.max_payload,
        max_control_line=limits.max_control_line,
        max_pending=limits.max_pending,
        write_deadline=limits.write_deadline_s,
        ping_interval=limits.ping_interval_s,
        ping_max=limits.ping_max,
        auth_timeout=settings.auth_timeout_s,
        fast_producer_stall=limits.fast_producer_stall,
        max_traced=settings.log.max_traced_msg_len,
        write_timeout=limits.write_timeout,
        sublist_cache=limits.sublist_cache,
        trace_headers=settings.log.trace_headers,
    )


def compile_listener(settings: ServerSettings, *, port: int | None = None) -> _core.Listener:
    """Where and how clients connect; on `port` when one was taken before.

    Raises:
        ServerError: a certificate cannot be read or used; the message names the file.
    """
    tls = settings.tls
    return _core.Listener(
        host=settings.host,
        port=max(settings.port, 0) if port is None else port,
        tls=None if tls is None else compile_tls(tls),
        tls_mode=_tls_mode(tls),
        first_fallback=0.0 if tls is None else tls.handshake_first_fallback_s,
        first_or_plain=tls is not None and tls.optional,
        proxy_protocol=settings.proxy_protocol,
        connection_rate_limit=0 if tls is None else tls.connection_rate_limit,
    )


def compile_tls(tls: TlsSettings) -> _core.TlsConfig:
    """TLS with the certificates as their files are now.

    Raises:
        ServerError: a file cannot be read, or the core refuses what is in it.
    """
    certificates = [
        (_read(cert_file, "TLS Server certificate"), _read(key_file, "TLS Server private key"))
        for cert_file, key_file in tls.certificates
    ]
    verify = tls.verify or tls.verify_and_map
    ca_file = tls.ca_file or (_system_authorities() if verify else "")
    roots = _read(ca_file, "TLS root certificates") if ca_file else None
    try:
        return _core.TlsConfig(
            certificates=certificates,
            client_roots=roots,
            verify=verify,
            min_version=tls.min_version,
            cipher_suites=list(tls.cipher_suites),
            curve_preferences=list(tls.curve_preferences),
            timeout=tls.timeout_s,
            pinned=list(tls.pinned_certs),
        )
    except _core.CoreError as error:
        files = ", ".join(cert_file for cert_file, _ in tls.certificates)
        raise ServerError(f"error parsing X509 certificate/key pair: {error} ({files})") from error


def tls_material(tls: TlsSettings | None) -> int:
    """A number that differs when what the TLS files hold differs.

    Raises:
        ServerError: a file cannot be read.
    """
    if tls is None:
        return 0
    named = [
        (file, what)
        for pair in tls.certificates
        for file, what in zip(
            pair, ("TLS Server certificate", "TLS Server private key"), strict=True
        )
    ]
    if tls.ca_file:
        named.append((tls.ca_file, "TLS root certificates"))
    return hash(tuple(_read(file, what) for file, what in named))


def split_host_port(text: str, *, default_port: int) -> tuple[str, int]:
    """`host`, `host:port` or `[v6]:port`; ports 0 and -1 stand for the default.

    Raises:
        ServerError: something else.
    """
    rest = text.strip()
    if rest.startswith("["):
        host, bracket, rest = rest[1:].partition("]")
        valid = bool(bracket) and (not rest or rest.startswith(":"))
        port_text = rest[1:]
        has_port = bool(rest)
    else:
        host, colon, port_text = rest.partition(":")
        valid = ":" not in port_text
        has_port = bool(colon)
    digits = port_text.strip().removeprefix("-")
    if not valid or (has_port and not (digits.isascii() and digits.isdigit())):
        raise ServerError(f"address {text}: expected host or host:port")
    port = int(port_text) if has_port else default_port
    if not -1 <= port <= PORT_MAX:
        raise ServerError(f"address {text}: port must be within -1 and {PORT_MAX}")
    return host.strip(), port if port > 0 else default_port


def join_host_port(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls_mode(tls: TlsSettings | None) -> Literal["off", "required", "available", "first"]:
    if tls is None:
        return "off"
    if tls.handshake_first:
        return "first"
    return "available" if tls.optional else "required"


def _system_authorities() -> str:
    """The file with the authorities that this machine trusts, looked for where Go does.

    Raises:
        ServerError: there is none.
    """
    named = os.environ.get("SSL_CERT_FILE", "")
    for file in (named,) if named else SYSTEM_AUTHORITIES:
        if os.path.exists(file):  # noqa: PTH110  # pathlib is slow to import
            return file
    raise ServerError(
        "verify without ca_file trusts the authorities of this machine, and none are installed",
        hint="name the authorities that sign clients' certificates with `ca_file`",
    )


def _read(file: str, what: str) -> bytes:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123  # pathlib is slow to import
            return opened.read()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ServerError(f"{what} must be present and valid: open {file}: {why}") from error
