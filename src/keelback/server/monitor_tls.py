"""TLS of the monitoring port: the certificate goes by the name that is asked for.

As on the clients' port: the first certificate for the name, else the first of all.
"""

from __future__ import annotations

import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keelback.server.settings import TlsSettings


class MonitorTls:
    """Certificates of one port, which may be renewed while it is served.

    Raises:
        OSError: a certificate cannot be used; `ssl.SSLError` is one.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._chosen_from = _contexts(tls)
        # asyncio keeps the context it was given: each handshake is sent on to the newest.
        self.front = _context(tls, tls.certificates[0])
        self.front.sni_callback = self._choose

    def prepare(self, tls: TlsSettings) -> Callable[[], None]:
        """Read the certificates as their files are now; the result has new handshakes use them.

        Raises:
            OSError: one cannot be used.
        """
        chosen_from = _contexts(tls)

        def put_in_force() -> None:
            self._chosen_from = chosen_from

        return put_in_force

    def _choose(self, handshake: ssl.SSLObject, name: str | None, _: object) -> None:
        chosen_from = self._chosen_from
        asked = (name or "").lower().removesuffix(".")
        named = (context for names, context in chosen_from if any(_is_for(asked, n) for n in names))
        handshake.context = next(named, chosen_from[0][1])


def _contexts(tls: TlsSettings) -> Sequence[tuple[Sequence[str], ssl.SSLContext]]:
    """Each certificate's names, and the context that shows it."""
    contexts = [_context(tls, pair) for pair in tls.certificates]
    if len(contexts) == 1:
        return [((), contexts[0])]
    from keelback.monitor.certificates import host_names  # noqa: PLC0415  # cryptography

    names: list[Sequence[str]] = []
    for file, _ in tls.certificates:
        with open(file, "rb") as opened:  # noqa: PTH123  # pathlib is slow to import
            names.append(host_names(opened.read()))
    return list(zip(names, contexts, strict=True))


def _context(tls: TlsSettings, pair: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if tls.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
    )
    context.load_cert_chain(*pair)
    return context


def _is_for(asked: str, name: str) -> bool:
    """Whether a certificate's name, which may begin with `*.`, covers a host (RFC 6125)."""
    if name.startswith("*."):
        label, _, rest = asked.partition(".")
        return bool(label) and rest == name[2:]
    return bool(asked) and asked == name
