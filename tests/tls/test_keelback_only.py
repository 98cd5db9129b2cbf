"""What nats-server does in another way: renewed certificates, suites that are not there."""

from __future__ import annotations

import shutil
import ssl
from typing import TYPE_CHECKING

import pytest

import keelback
from keelback.errors import ServerError
from tests.support.certificates import tls_block
from tests.support.servers import ServerFailedError
from tests.support.wire import Connection
from tests.tls.peers import log_in, session_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.certificates import Authority, Pair
    from tests.support.target import StartServer

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def files(tmp_path: Path, server_pair: Pair) -> tuple[Path, Path]:
    """Certificate and key of the server, where a renewal replaces them."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server-key.pem"
    shutil.copy(server_pair.certificate, certificate)
    shutil.copy(server_pair.key, key)
    return certificate, key


@pytest.fixture
def embedded(files: tuple[Path, Path], authority: Authority) -> Iterator[keelback.Server]:
    """A server in this process that verifies its clients."""
    tls = {
        "cert_file": str(files[0]),
        "key_file": str(files[1]),
        "ca_file": str(authority.file),
        "verify": True,
    }
    with keelback.Server(host="127.0.0.1", port=-1, tls=tls) as server:
        yield server


def connect(server: keelback.Server, context: ssl.SSLContext) -> tuple[Connection, bytes]:
    """A client that has logged in, and the certificate that it was shown."""
    client = Connection((server.host, server.port))
    client.line()
    client.start_tls(context)
    log_in(client)
    shown = session_of(client).getpeercert(binary_form=True)
    assert shown is not None
    return client, shown


def leaf_of(pair: Pair) -> bytes:
    """The certificate itself, DER."""
    return ssl.PEM_cert_to_DER_cert(pair.certificate.read_text(encoding="ascii"))


def test_a_renewed_certificate_is_taken_up_and_connections_go_on(
    embedded: keelback.Server,
    files: tuple[Path, Path],
    authority: Authority,
    server_pair: Pair,
    client_pair: Pair,
) -> None:
    context = authority.client(client_pair)
    old, shown = connect(embedded, context)
    assert shown == leaf_of(server_pair)
    old.send(b"SUB news 1\r\n")
    old.fence()

    renewed = authority.issue("renewed", "rsa")
    shutil.copy(renewed.certificate, files[0])
    shutil.copy(renewed.key, files[1])
    embedded.reload_certificates()

    new, shown = connect(embedded, context)
    assert shown == leaf_of(renewed)
    new.send(b"PUB news 3\r\nnew\r\n")
    new.fence()
    assert old.read_operation() == b"MSG news 1 3\r\nnew\r\n"
    assert old.fence() == []
    old.close()
    new.close()


@pytest.mark.parametrize("what", ["missing", "no certificate", "another key"])
def test_a_renewal_that_cannot_be_used_changes_nothing(
    what: str,
    *,
    embedded: keelback.Server,
    files: tuple[Path, Path],
    authority: Authority,
    server_pair: Pair,
    client_pair: Pair,
) -> None:
    if what == "missing":
        files[0].unlink()
    elif what == "no certificate":
        files[0].write_text("nothing\n", encoding="ascii")
    else:
        shutil.copy(client_pair.key, files[1])
    with pytest.raises(ServerError, match=r"certificate"):
        embedded.reload_certificates()
    client, shown = connect(embedded, authority.client(client_pair))
    client.close()
    assert shown == leaf_of(server_pair)


def test_a_renewed_list_of_authorities_is_taken_up(
    tmp_path: Path, server_pair: Pair, authority: Authority, stranger: Authority
) -> None:
    """Tickets of the time before count no more: whoever is not trusted now is refused."""
    roots = tmp_path / "roots.pem"
    shutil.copy(authority.file, roots)
    tls = {
        "cert_file": str(server_pair.certificate),
        "key_file": str(server_pair.key),
        "ca_file": str(roots),
        "verify": True,
    }
    context = authority.client(authority.issue("leaving"))
    with keelback.Server(host="127.0.0.1", port=-1, tls=tls) as server:
        client, _ = connect(server, context)
        ticket = session_of(client).session
        client.close()
        shutil.copy(stranger.file, roots)
        server.reload_certificates()
        with Connection((server.host, server.port)) as refused:
            refused.line()
            refused.start_tls(context, session=ticket)
            with pytest.raises((ssl.SSLError, EOFError)):
                log_in(refused)


def test_there_must_be_certificates_to_reload() -> None:
    server = keelback.Server(host="127.0.0.1", port=-1)
    with pytest.raises(ServerError, match="not running"):
        server.reload_certificates()
    with server, pytest.raises(ServerError, match="no TLS"):
        server.reload_certificates()


@pytest.mark.parametrize(
    "suite",
    ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"],
)
def test_suites_that_are_not_there_are_refused_by_name(
    suite: str, server_pair: Pair, start_server: StartServer
) -> None:
    """nats-server has these; ours has no CBC."""
    with pytest.raises(ServerFailedError, match=suite):
        start_server(tls_block(server_pair, f'cipher_suites: ["{suite}"]'))


@pytest.mark.parametrize("curve", ["CurveP521", "SecP256r1MLKEM768"])
def test_curves_that_are_not_there_are_refused_by_name(
    curve: str, server_pair: Pair, start_server: StartServer
) -> None:
    with pytest.raises(ServerFailedError, match=curve):
        start_server(tls_block(server_pair, f'curve_preferences: ["{curve}"]'))


def test_verify_where_the_machine_trusts_nobody_is_refused_at_start(
    server_pair: Pair, start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """nats-server starts, and then refuses every client."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ServerFailedError, match="without ca_file"):
        start_server(tls_block(server_pair, "verify: true"))
