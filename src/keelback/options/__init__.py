"""Every option of the server in one place: its key, type, default, unit, help, reloadability.

The configuration file, the flags, keywords for embedding and `docs/configuration.md` all derive
from the blocks in this package, one file for each.
"""

from __future__ import annotations

from keelback.options.accounts import AccountLimitOptions, AccountOptions
from keelback.options.authorization import AuthorizationOptions
from keelback.options.jetstream import AccountJetStreamOptions, JetStreamOptions
from keelback.options.jetstream_limits import BatchOptions, JetStreamLimitOptions
from keelback.options.labels import LabelOptions
from keelback.options.lame_duck import LameDuckOptions
from keelback.options.limits import LimitOptions
from keelback.options.log import LogOptions
from keelback.options.monitor import MonitorOptions
from keelback.options.permissions import PermissionOptions, ResponseRules, SubjectRules
from keelback.options.server import ServerOptions
from keelback.options.tls import CertificateOptions, TlsOptions
from keelback.options.users import UserOptions

__all__ = [
    "AccountJetStreamOptions",
    "AccountLimitOptions",
    "AccountOptions",
    "AuthorizationOptions",
    "BatchOptions",
    "CertificateOptions",
    "JetStreamLimitOptions",
    "JetStreamOptions",
    "LabelOptions",
    "LameDuckOptions",
    "LimitOptions",
    "LogOptions",
    "MonitorOptions",
    "PermissionOptions",
    "ResponseRules",
    "ServerOptions",
    "SubjectRules",
    "TlsOptions",
    "UserOptions",
]
