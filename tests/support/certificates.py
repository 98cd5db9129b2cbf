"""Certificates for servers and clients on this machine, made anew for each run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: an authority, a server's and a client's certificate under it."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    def configuration(self, *, verify: bool = False) -> str:
        """The server's `tls` block; with `verify`, clients must show a certificate."""
        lines = [f'cert_file: "{self.server}"', f'key_file: "{self.server_key}"']
        if verify:
            lines += [f'ca_file: "{self.authority}"', "verify: true"]
        return f"tls {{ {', '.join(lines)} }}\n"


def new_certificates(folder: Path) -> Certificates:
    """Make an authority and two certificates for 127.0.0.1 and localhost."""
    authority = trustme.CA()
    files = Certificates(
        folder / "ca.pem",
        folder / "server.pem",
        folder / "server-key.pem",
        folder / "client.pem",
        folder / "client-key.pem",
    )
    authority.cert_pem.write_to_path(str(files.authority))
    for certificate_file, key_file in (
        (files.server, files.server_key),
        (files.client, files.client_key),
    ):
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.cert_chain_pems[0].write_to_path(str(certificate_file))
        certificate.private_key_pem.write_to_path(str(key_file))
    return files
