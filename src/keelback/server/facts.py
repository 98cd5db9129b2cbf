"""What the server tells monitoring: `keelback.monitor.facts.Facts` of the moment."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from keelback.monitor.facts import NO_FEATURES, Facts
from keelback.monitor.process import UsageSampler
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.server import identity
from keelback.server.info import advertised_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keelback.server.lifecycle import Lifecycle
    from keelback.server.settings import TlsSettings

TLS_TIMEOUT_S = 2.0
"""Told where there is no TLS."""


class FactsSource:
    """Gathers the facts of one server. Thread-safe; reads files when certificates changed."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._usage = UsageSampler()
        # Guards the end of the certificate and the load of configuration that it belongs to.
        self._lock = threading.Lock()
        self._certificate_end_ns = 0
        self._certificate_load_ns = 0

    def now(self, requests: Mapping[str, int] | None = None) -> Facts:
        """The facts of this moment.

        Args:
            requests: what the monitoring port has counted, by path.

        Raises:
            ServerError: the server does not run.
        """
        lifecycle = self._lifecycle
        settings, keys = lifecycle.settings, lifecycle.keys
        limits, monitor, tls = settings.limits, settings.monitor, settings.tls
        server_id = "" if keys is None else keys.server_id
        host, port = advertised_address(settings, lifecycle.port)
        return Facts(
            plane=lifecycle.plane,
            now_ns=time.time_ns(),
            usage=self._usage.read(),
            server_id=server_id,
            server_name=settings.server_name or server_id,
            version=NATS_SERVER_VERSION,
            git_commit=identity.GIT_COMMIT,
            go=identity.GO_VERSION,
            host=host,
            port=port,
            start_ns=lifecycle.start_ns,
            config_load_ns=lifecycle.config_load_ns,
            config_digest=settings.config_digest,
            is_ready=lifecycle.is_running and not lifecycle.is_lame_duck,
            auth_required=settings.auth.required,
            tls_required=tls is not None and not tls.optional,
            tls_verify=tls is not None and (tls.verify or tls.verify_and_map),
            tls_certificate_end_ns=0 if tls is None else self._certificate_end(tls),
            max_connections=limits.max_connections,
            max_subscriptions=limits.max_subscriptions,
            max_control_line=limits.max_control_line,
            max_payload=limits.max_payload,
            max_pending=limits.max_pending,
            ping_interval_s=limits.ping_interval_s,
            ping_max=limits.ping_max,
            auth_timeout_s=settings.auth_timeout_s,
            tls_timeout_s=TLS_TIMEOUT_S if tls is None else tls.timeout_s,
            write_deadline_s=limits.write_deadline_s,
            system_account=settings.system_account,
            write_timeout="" if limits.write_timeout == "default" else limits.write_timeout,
            tags=settings.tags,
            metadata=dict(settings.metadata),
            features={**NO_FEATURES, **dict(settings.feature_flags)},
            http_host=monitor.host if monitor.is_on else "",
            http_port=monitor.http_port or 0,
            https_port=monitor.https_port or 0,
            http_base_path=monitor.base_path,
            requests=requests or {},
            slow_consumers=lifecycle.slow_consumers,
            connections_max=monitor.metrics_connections_max,
            subjects_max=monitor.metrics_subjects_max,
            jetstream=lifecycle.jetstream_facts(),
            wants_jetstream=settings.jetstream is not None,
        )

    def _certificate_end(self, tls: TlsSettings) -> int:
        with self._lock:
            if self._certificate_load_ns != self._lifecycle.config_load_ns:
                self._certificate_load_ns = self._lifecycle.config_load_ns
                self._certificate_end_ns = _end_of_first_certificate(tls)
            return self._certificate_end_ns


def _end_of_first_certificate(tls: TlsSettings) -> int:
    from keelback.monitor.certificates import end_of_first  # noqa: PLC0415  # cryptography

    if not tls.certificates:
        return 0
    try:
        with open(tls.certificates[0][0], "rb") as opened:  # noqa: PTH123  # as where it is served
            return end_of_first(opened.read())
    except OSError:
        return 0  # gone since it was loaded: the server goes on, and so does its monitoring
