"""Keys of nats-server whose capabilities Keelback does not have yet, with all keys of their blocks.

They are known, so that they are refused by name, never taken for a spelling mistake and never
ignored; and so that a wrong key inside a block that comes later is told as wrong already today.
Source: nats-server 2.15 `server/opts.go`, checked against the binary.
"""

from __future__ import annotations

from keelback.config.gotext import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from keelback.config.tree import Value
    from keelback.options.report import Report

UNKNOWN = "unknown field {}"


class Shape:
    """What a value may look like: the keys of its maps, in lists as well.

    Args:
        keys: keys without a block of their own; `/` stands between names of the same key.
        blocks: keys with a block, spelled likewise.
        each: the shape of every value, where people choose the keys; no other key is known then.
        off: values that switch the capability off, and are accepted.
        unknown: nats-server's text for a key that it does not know; `{}` is the key in quotes.
        exempts_variables: a key that a variable made use of may be unknown.
    """

    __slots__ = ("blocks", "each", "exempts_variables", "keys", "off", "unknown")

    def __init__(
        self,
        keys: str = "",
        blocks: Mapping[str, Shape] | None = None,
        *,
        each: Shape | None = None,
        off: tuple[object, ...] = (),
        unknown: str = UNKNOWN,
        exempts_variables: bool = True,
    ) -> None:
        named: dict[str, Shape | None] = dict.fromkeys(keys.split())
        named.update(blocks or {})
        self.keys = {name: block for names, block in named.items() for name in names.split("/")}
        self.blocks = named
        """The same by all names of a key together, as documentation lists them."""
        self.each = each
        self.off = off
        self.unknown = unknown
        self.exempts_variables = exempts_variables

    def refuse(self, key: str, value: Value, report: Report) -> bool:
        """Note that `key` of this block is not supported yet, and every wrong key below it.

        Returns:
            False when it is no key of this block.
        """
        if key.lower() not in self.keys:
            return False
        block = self.keys[key.lower()]
        if block is None or not block.is_off(value):
            report.unsupported(key, value)
        if block is not None:
            block.check(value, report)
        return True

    def accepts(self, key: str, value: Value, report: Report) -> bool:
        """Whether it is a key of this block, which is switched off: only its form is checked."""
        if key.lower() not in self.keys:
            return False
        block = self.keys[key.lower()]
        if block is not None:
            block.check(value, report)
        return True

    def is_off(self, value: Value) -> bool:
        """Whether the value switches the capability off, by itself or by its `enabled`."""
        data = value.data
        if isinstance(data, dict):
            switches = [
                item.data for name, item in data.items() if name.lower() in ("enabled", "enable")
            ]
            return "enabled" in self.keys and bool(switches) and switches[-1] is False
        if isinstance(data, str):
            data = data.lower()
        return any(type(data) is type(off) and data == off for off in self.off)

    def check(self, value: Value, report: Report) -> None:
        """Note every key that is not known."""
        if isinstance(value.data, list):
            for item in value.data:
                self.check(item, report)
        elif isinstance(value.data, dict):
            for key, item in value.data.items():
                if self.each is not None:
                    self.each.check(item, report)
                elif key.lower() in self.keys:
                    block = self.keys[key.lower()]
                    if block is not None:
                        block.check(item, report)
                elif self.keys and not (item.is_variable and self.exempts_variables):
                    report.unknown(key, item, self.keys, problem=self.unknown.format(quote(key)))


_VALUE = Shape()
_NAMED = Shape(each=_VALUE)
_SWITCH = Shape(off=(False,))
_NUMBER = Shape(off=(0,))

_OCSP_PEER = Shape(
    "verify ca_timeout allowed_clockskew warn_only unknown_is_good allow_when_ca_unreachable "
    "cache_ttl_when_next_update_unset",
    off=(False,),
    unknown="error parsing tls peer config, unknown field [{}]",
)
_TLS_UNKNOWN = "error parsing tls config, unknown field {}"
TLS = Shape(
    "cert_store cert_match_by cert_match ca_certs_match cert_match_skip_invalid",
    {"ocsp_peer": _OCSP_PEER},
    unknown=_TLS_UNKNOWN,
    exempts_variables=False,
)
"""Of the clients' `tls` block, what is not there yet."""

_ANY_TLS = Shape(
    "cert_file key_file ca_file verify verify_and_map verify_cert_and_check_known_urls insecure "
    "timeout cipher_suites allow_insecure_cipher_suites curve_preferences min_version "
    "handshake_first/first/immediate connection_rate_limit pinned_certs cert_store cert_match_by "
    "cert_match ca_certs_match cert_match_skip_invalid",
    {
        "ocsp_peer": _OCSP_PEER,
        "certs/certificates": Shape(
            "cert_file key_file",
            unknown="error parsing tls certs config, unknown field {}",
            exempts_variables=False,
        ),
    },
    unknown=_TLS_UNKNOWN,
    exempts_variables=False,
)

_SUBJECTS = Shape(
    "allow deny",
    unknown="Unknown field name {} parsing subject permissions, only 'allow' or 'deny' are "
    "permitted",
)
_PERMISSIONS = Shape(
    "",
    {
        "publish/pub/import": _SUBJECTS,
        "subscribe/sub/export": _SUBJECTS,
        "allow_responses/publish_allow_responses": Shape(
            "max/max_msgs/max_messages/max_responses expires/expiration/ttl",
            unknown="Unknown field {} parsing permissions",
        ),
    },
    unknown="Unknown field {} parsing permissions",
)
_CALLOUT = Shape(
    "issuer account/acc auth_users/users xkey/key allowed_accounts",
    unknown="Unknown field {} parsing authorization callout",
)
USER = Shape("", {"proxy_required": _SWITCH})
"""Of a user, what is not there yet."""

AUTHORIZATION = Shape("", {"auth_callout/auth_hook": _CALLOUT, "proxy_required": _SWITCH})
"""Of the `authorization` block, what is not there yet."""

_ANY_AUTHORIZATION = Shape(
    "user/username password/pass token timeout proxy_required",
    {
        "users": Shape(
            "user/username password/pass nkey proxy_required "
            "allowed_connection_types/connection_types/clients",
            {"permissions/permission/authorization": _PERMISSIONS},
        ),
        "default_permissions/default_permission/permissions": _PERMISSIONS,
        "auth_callout/auth_hook": _CALLOUT,
    },
)
_SIMPLE_AUTHORIZATION = Shape("user/username password/pass token timeout")

_MAPPINGS = Shape(
    each=Shape(
        "destination/dest weight cluster", unknown="Unknown field {} for mapping destination"
    )
)
_REMOTE_SUBJECT = Shape("account subject")

ACCOUNT = Shape(
    "",
    {
        "imports": Shape(
            "to prefix share allow_trace", {"stream": _REMOTE_SUBJECT, "service": _REMOTE_SUBJECT}
        ),
        "exports": Shape(
            "stream service accounts response_type/response account_token_position allow_trace "
            "response_threshold/threshold/response_max_time/response_time",
            {"latency": Shape("subject sampling")},
        ),
        "mappings/maps": _MAPPINGS,
        "msg_trace/trace_dest": Shape(
            "dest sampling",
            unknown='Unknown field {} parsing account message trace map/struct "msg_trace"',
        ),
    },
)
"""Of an account, what is not there yet."""

ACCOUNT_JETSTREAM = Shape("max_ack_pending cluster_traffic")
"""Of an account's `jetstream` block, what is not there yet."""

_COMPRESSION = Shape("mode rtt_thresholds/thresholds/rtts/rtt")

_CLUSTER = Shape(
    "name listen host/net port routes advertise/cluster_advertise no_advertise connect_retries "
    "connect_backoff pool_size accounts ping_interval ping_max write_deadline write_timeout",
    {
        "authorization": _ANY_AUTHORIZATION,
        "permissions": _PERMISSIONS,
        "tls": _ANY_TLS,
        "compression": _COMPRESSION,
    },
)
_GATEWAY = Shape(
    "name listen host/net port advertise connect_retries connect_backoff "
    "reject_unknown_cluster/reject_unknown write_deadline write_timeout",
    {
        "authorization": _ANY_AUTHORIZATION,
        "tls": _ANY_TLS,
        "gateways": Shape("name url urls", {"tls": _ANY_TLS}),
    },
)
_LEAFNODES = Shape(
    "listen host/net port reconnect/reconnect_delay/reconnect_interval dial_timeout "
    "advertise/leafnode_advertise no_advertise min_version/minimum_version "
    "isolate_leafnode_interest/isolate write_deadline write_timeout",
    {
        "authorization": Shape(
            "user/username password/pass nkey account timeout proxy_required",
            {"users": Shape("user/username password/pass account proxy_required")},
        ),
        "tls": _ANY_TLS,
        "compression": _COMPRESSION,
        "remotes": Shape(
            "url/urls account/local credentials/creds nkey/seed hub deny_imports/deny_import "
            "deny_exports/deny_export no_randomize/dont_randomize "
            "ws_compression/ws_compress/websocket_compress/websocket_compression "
            "ws_no_masking/websocket_no_masking isolate_leafnode_interest/isolate "
            "request_isolation first_info_timeout dial_timeout disabled ignore_discovered_servers",
            {
                "tls": _ANY_TLS,
                "compression": _COMPRESSION,
                "jetstream_cluster_migrate/js_cluster_migrate": Shape("leader_migrate_delay"),
                "proxy": Shape("url username password timeout"),
            },
        ),
    },
)
_WEBSOCKET = Shape(
    "listen host/net port advertise no_tls same_origin handshake_timeout compression/compress "
    "allowed_origins/allowed_origin/allow_origins/allow_origin/origins/origin no_auth_user "
    "jwt_cookie user_cookie pass_cookie token_cookie ping_interval",
    {
        "tls": _ANY_TLS,
        "authorization/authentication": _SIMPLE_AUTHORIZATION,
        "headers": _NAMED,
    },
)
_MQTT = Shape(
    "listen host/net port no_auth_user js_domain ack_wait/ackwait js_api_timeout/api_timeout "
    "max_ack_pending/max_pending/max_inflight stream_replicas consumer_replicas "
    "consumer_memory_storage consumer_inactive_threshold/consumer_auto_cleanup "
    "reject_qos2_publish downgrade_qos2_subscribe",
    {"tls": _ANY_TLS, "authorization/authentication": _SIMPLE_AUTHORIZATION},
)
JETSTREAM = Shape(
    "key/ek/encryption_key prev_key/prev_ek/prev_encryption_key cipher",
    {"tpm": Shape("keys_file encryption_password srk_password pcr cipher")},
)
"""Of the server's `jetstream` block, what is not there yet."""

TOP = Shape(
    "default_sentinel operator/operators/root/roots/root_operator/root_operators "
    "trusted_keys/trusted resolver_pinned_accounts",
    {
        "cluster": _CLUSTER,
        "gateway": _GATEWAY,
        "leafnodes/leaf": _LEAFNODES,
        "websocket/ws": _WEBSOCKET,
        "mqtt": _MQTT,
        "mappings/maps": _MAPPINGS,
        "resolver/account_resolver/accounts_resolver": Shape(
            "dir type limit ttl interval timeout allow_delete hard_delete"
        ),
        "resolver_tls": _ANY_TLS,
        "resolver_preload": _NAMED,
        "default_js_domain": _NAMED,
        "proxies": Shape("", {"trusted": Shape("key/public_key")}),
        "ocsp": Shape(
            "mode url urls",
            off=(False,),
            unknown="error parsing ocsp config: unsupported field string",
        ),
        "ocsp_cache": Shape(
            "type local_store preserve_revoked save_interval",
            off=(False,),
            unknown="error parsing OCSP peer cache config, unknown field [{}]",
        ),
        "prof_port": _NUMBER,
        "prof_block_rate": _NUMBER,
    },
)
"""The keys of the top level that are not there yet."""

BLOCKS = {
    "": TOP,
    "authorization": AUTHORIZATION,
    "users": USER,
    "accounts.<name>": ACCOUNT,
    "accounts.<name>.jetstream": ACCOUNT_JETSTREAM,
    "jetstream": JETSTREAM,
    "tls": TLS,
}
"""The blocks that are read, by their paths, and what of them is not there yet."""

KEYS = frozenset(TOP.keys)
