"""Keys and flags of nats-server whose capabilities Keelback does not have yet.

They are known, so that they are refused by name, never taken for a spelling mistake and never
ignored.
"""

from __future__ import annotations

KEYS = frozenset(  # one text: a hundred quoted lines would hide the names
    """
    account_resolver accounts_resolver cluster connect_error_reports default_js_domain
    default_sentinel disable_sublist_cache feature_flags gateway http http_base_path http_port https
    https_port jetstream leaf leafnodes log_max_num log_size_limit logfile_max_num
    logfile_size_limit mappings maps max_closed_clients max_traced_msg_len monitor_port mqtt
    no_sublist_cache no_sys_acc no_system no_system_account ocsp ocsp_cache operator operators
    prof_block_rate prof_port proxies proxy_protocol reconnect_error_reports remote_syslog resolver
    resolver_pinned_accounts resolver_preload resolver_tls root root_operator root_operators roots
    server_metadata server_tags store_dir storedir syslog trace_headers trusted trusted_keys
    websocket write_timeout ws
    """.split()  # noqa: SIM905
)
