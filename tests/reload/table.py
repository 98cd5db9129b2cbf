"""The table: option, change, outcome.

The outcome is nats-server's log between the signal and the end of the reload. `@tls(…)` in a
configuration stands for a `tls` block with a certificate and what is in the brackets, `@pin` for
a key that is pinned, `@dir` for a directory of the server's own.
"""

from __future__ import annotations

from tests.reload import jetstream_rows
from tests.reload.row import Row, not_supported

USER = "authorization { user: ann, password: b }"
USERS = (
    "authorization { users: [ { user: ann, password: b },"
    " { user: cat, password: d, permissions: { publish: x } } ] }"
)
ACCOUNT = "accounts { A { users: [ { user: ann, password: b } ] } }"
ENDS = "nats-server ends"
NKEY = "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"


def live(key: str, value: str, *, early: bool = False, told: str = "") -> Row:
    """An option that is told of as `Reloaded: key = value`."""
    line = f"Reloaded: {key} = {told or value.strip(chr(34))}"
    after = f"{key}: {value}"
    return Row(key, "", after, early=(line,)) if early else Row(key, "", after, late=(line,))


def kept(key: str, value: str, field: str, old: str, new: str = "") -> Row:
    """An option that a reload refuses, by nats-server's name for it."""
    told = new or value.strip('"')
    return Row(key, "", f"{key}: {value}", refused=not_supported(field, old, told))


TABLE: tuple[Row, ...] = (
    Row("nothing", "", ""),
    Row("only a warning", "", "ping_interval: 30", late=("Reloaded: ping_interval = 30s",)),
    # Top level, refused.
    kept("host", "127.0.0.2", "Host", "127.0.0.1"),
    kept("port", "5555", "Port", "<port>"),
    kept("server_name", "foo", "ServerName", ""),
    Row(
        "server_name changed",
        "server_name: bar",
        "server_name: foo",
        refused=not_supported("ServerName", "bar", "foo"),
    ),
    kept("no_header_support", "true", "NoHeaderSupport", "false"),
    kept("disable_sublist_cache", "true", "NoSublistCache", "false"),
    kept("max_subscriptions", "10", "MaxSubs", "0"),
    kept("max_sub_tokens", "8", "MaxSubTokens", "0"),
    kept("max_pending", "32MB", "MaxPending", "67108864", "33554432"),
    kept("max_closed_clients", "10", "MaxClosedClients", "10000"),
    kept("write_timeout", "retry", "WriteTimeout", ""),
    kept("lame_duck_duration", '"40s"', "LameDuckDuration", "2m0s"),
    kept("lame_duck_grace_period", '"5s"', "LameDuckGracePeriod", "10s"),
    kept("proxy_protocol", "true", "ProxyProtocol", "false"),
    kept(
        "feature_flags", "{ js_ack_fc_v2: true }", "FeatureFlags", "map[]", "map[js_ack_fc_v2:true]"
    ),
    kept("allow_non_tls", "true", "AllowNonTLS", "false"),
    kept("http_port", "8888", "HTTPPort", "0"),
    kept("http", '"127.0.0.1:8888"', "HTTPPort", "0", "8888"),
    kept("http_base_path", '"/x"', "HTTPBasePath", ""),
    kept("log_size_limit", "100000", "LogSizeLimit", "0"),
    kept("log_max_num", "3", "LogMaxFiles", "0"),
    kept("no_system_account", "true", "NoSystemAccount", "false"),
    # Top level, live.
    Row(
        "client_advertise",
        "",
        'client_advertise: "a.example:99"',
        early=("Reload: client_advertise = a.example:99",),
    ),
    Row(
        "client_advertise gone",
        'client_advertise: "a.example:99"',
        "",
        early=("Reload: client_advertise = ",),
    ),
    Row("trace", "", "trace: true", early=("Reloaded: trace = true",)),
    live("debug", "true", early=True),
    Row("debug off", "debug: true", "", early=("Reloaded: debug = false",)),
    Row(
        "trace_verbose",
        "",
        "trace_verbose: true",
        early=("Reloaded: trace = true", "Reloaded: trace_verbose = true"),
    ),
    Row(
        "trace_headers",
        "",
        "trace_headers: true",
        early=("Reloaded: trace = true", "Reloaded: trace_headers = true"),
    ),
    live("logtime", "false", early=True),
    live("logtime_utc", "true", early=True),
    live("max_connections", "10", early=True),
    live("max_connections", "0", early=True, told="-1"),
    live("max_control_line", "512"),
    live("max_payload", "512"),
    live("max_traced_msg_len", "10"),
    live("ping_interval", '"30s"'),
    live("ping_interval", '"500ms"'),
    live("ping_max", "5"),
    live("write_deadline", '"1500ms"', told="1.5s"),
    live("connect_error_reports", "3"),
    live("reconnect_error_reports", "3"),
    Row(
        "no_fast_producer_stall",
        "",
        "no_fast_producer_stall: true",
        late=("Reloaded: fast producers will not be stalled",),
    ),
    Row(
        "no_fast_producer_stall gone",
        "no_fast_producer_stall: true",
        "",
        late=("Reloaded: fast producers will be stalled",),
    ),
    Row("server_tags", "", "server_tags: [a, b]", late=("Reloaded: tags",)),
    Row("server_metadata", "", "server_metadata: { a: b }", late=("Reloaded: metadata",)),
    live("pid_file", '"@dir/server.pid"'),
    Row(
        "pid_file that cannot be",
        "",
        'pid_file: "@dir/none/server.pid"',
        late=(
            "[ERR] Failed to write pidfile: open @dir/none/server.pid: no such file or directory",
            "Reloaded: pid_file = @dir/none/server.pid",
        ),
    ),
    Row("pid_file gone", 'pid_file: "@dir/server.pid"', ""),
    Row(
        "ports_file_dir gone",
        'ports_file_dir: "@dir"',
        "",
        late=("Reloaded: ports_file_dir = ",),
    ),
    # TLS.
    Row(
        "tls",
        "",
        "@tls()",
        late=("Reloaded: authorization timeout = 3", "Reloaded: tls = enabled"),
    ),
    Row(
        "tls gone",
        "@tls()",
        "",
        late=("Reloaded: authorization timeout = 2", "Reloaded: tls = disabled"),
    ),
    Row("tls as it was", "@tls()", "@tls()"),
    Row(
        "tls.timeout",
        "@tls()",
        "@tls(timeout: 4)",
        late=("Reloaded: authorization timeout = 5", "Reloaded: tls timeout = 4"),
    ),
    Row("tls.verify", "@tls()", "@tls(@ca, verify: true)", late=("Reloaded: tls = enabled",)),
    Row(
        "tls.curve_preferences",
        "@tls()",
        "@tls(curve_preferences: [X25519])",
        late=("Reloaded: tls = enabled",),
    ),
    Row(
        "tls.min_version",
        "@tls()",
        '@tls(min_version: "1.3")',
        late=("Reloaded: tls = enabled",),
    ),
    Row(
        "tls.verify_and_map",
        "@tls()",
        "@tls(@ca, verify_and_map: true)",
        refused=not_supported("TLSMap", "false", "true"),
    ),
    Row(
        "tls.pinned_certs",
        "@tls()",
        "@tls(pinned_certs: [@pin])",
        late=("Reloaded: 1 pinned_certs",),
    ),
    Row(
        "tls.pinned_certs gone",
        "@tls(pinned_certs: [@pin])",
        "@tls()",
        late=("Reloaded: 0 pinned_certs",),
    ),
    Row(
        "tls.handshake_first",
        "@tls()",
        "@tls(handshake_first: auto)",
        late=(
            "Reloaded: Client TLS handshake first: true",
            "Reloaded: Client TLS handshake first fallback delay: 50ms",
        ),
    ),
    Row(
        "tls.handshake_first gone",
        "@tls(handshake_first: true)",
        "@tls()",
        late=("Reloaded: Client TLS handshake first: false",),
    ),
    Row(
        "tls.connection_rate_limit",
        "@tls()",
        "@tls(connection_rate_limit: 4)",
        refused=not_supported("TLSRateLimit", "0", "4"),
    ),
    # Who may connect.
    Row(
        "authorization.user",
        "",
        USER,
        late=("Reloaded: authorization username", "Reloaded: authorization password"),
    ),
    Row(
        "authorization.password",
        USER,
        USER.replace("b }", "c }"),
        late=("Reloaded: authorization password",),
    ),
    Row(
        "authorization.user gone",
        USER,
        "",
        late=("Reloaded: authorization username", "Reloaded: authorization password"),
    ),
    Row(
        "authorization.token",
        "",
        "authorization { token: x }",
        late=("Reloaded: authorization token",),
    ),
    Row(
        "a token becomes a user",
        "authorization { token: x }",
        USER,
        late=(
            "Reloaded: authorization username",
            "Reloaded: authorization password",
            "Reloaded: authorization token",
        ),
    ),
    Row("authorization.users", "", USERS),
    Row("permissions", USERS, USERS.replace("publish: x", "publish: y")),
    Row(
        "nkeys",
        "",
        f"authorization {{ users: [ {{ nkey: {NKEY} }} ] }}",
        early=("Reloaded: authorization nkey users",),
    ),
    Row(
        "authorization.timeout",
        "",
        "authorization { timeout: 4 }",
        late=("Reloaded: authorization timeout = 4",),
    ),
    Row("accounts", "", ACCOUNT),
    Row("an account is gone", ACCOUNT.replace("A {", "B { }, A {"), ACCOUNT),
    Row(
        "no_auth_user",
        USERS,
        f"{USERS}\nno_auth_user: ann",
        refused=not_supported("NoAuthUser", "", "ann"),
    ),
    Row(
        "no_auth_user gone",
        f"{USERS}\nno_auth_user: ann",
        USERS,
        refused=not_supported("NoAuthUser", "ann", ""),
    ),
    Row(
        "no_auth_user gone with its user",
        f"{USERS}\nno_auth_user: ann",
        USERS.replace("ann", "eve"),
    ),
    Row(
        "system_account",
        ACCOUNT,
        f"{ACCOUNT}\nsystem_account: A",
        refused=not_supported("SystemAccount", "", "A"),
    ),
    Row(
        "system_account gone",
        f"{ACCOUNT}\nsystem_account: A",
        ACCOUNT,
        refused=not_supported("SystemAccount", "A", ""),
    ),
    Row(
        "system_account by its own name",
        "",
        'system_account: "$SYS"',
        refused=not_supported("SystemAccount", "", "$SYS"),
        ours="error resolving system account: account missing",
    ),
    # Several at once, and what is wrong in itself.
    Row(
        "several",
        "",
        'write_deadline: "2s"\nmax_payload: 1000\nping_max: 4\nmax_connections: 12\ndebug: true',
        early=("Reloaded: debug = true", "Reloaded: max_connections = 12"),
        late=(
            "Reloaded: ping_max = 4",
            "Reloaded: max_payload = 1000",
            "Reloaded: write_deadline = 2s",
        ),
    ),
    Row(
        "all or nothing",
        "",
        "max_payload: 1000\ndebug: true\nmax_subscriptions: 12\nserver_name: x",
        refused=not_supported("ServerName", "", "x"),
    ),
    Row("unknown key", "", "nonsense: 1", refused='@dir/server.conf:3:1: unknown field "nonsense"'),
    Row(
        "payload above pending",
        "",
        "max_payload: 100MB",
        refused="max_payload (104857600) cannot be higher than max_pending (67108864)",
    ),
    Row(
        "no_auth_user without users",
        "",
        "no_auth_user: x",
        refused='no_auth_user: "x" present, but users/nkeys are not defined',
    ),
    Row(
        "grace period above duration",
        "",
        'lame_duck_grace_period: "200s"',
        refused="lame duck grace period (3m20s) should be strictly lower than lame duck duration "
        "(2m0s)",
    ),
    Row(
        "a log file that cannot be",
        "",
        'log_file: "@dir/none/server.log"',
        # nats-server ends here (`docs/differences.md`): the row is Keelback's.
        refused=ENDS,
        ours="error opening file: open @dir/none/server.log: no such file or directory",
    ),
    # Flags: laid over the file again, or forgotten.
    Row("-n", "", "", flags=("-n", "foo"), refused=not_supported("ServerName", "foo", "")),
    Row(
        "--log_size_limit",
        "",
        "",
        flags=("--log_size_limit", "100000"),
        refused=not_supported("LogSizeLimit", "100000", "0"),
    ),
    Row(
        "--logtime_utc",
        "",
        "",
        flags=("--logtime_utc",),
        early=("Reloaded: logtime_utc = false",),
    ),
    Row(
        "--max_traced_msg_len",
        "",
        "",
        flags=("--max_traced_msg_len", "4"),
        late=("Reloaded: max_traced_msg_len = 0",),
    ),
    Row("--user and --pass", "", "", flags=("--user", "a", "--pass", "b")),
    Row("--user over the file's", "", USER, flags=("--user", "a", "--pass", "b")),
    Row("-D over the file's", "", "debug: false", flags=("-D",)),
    Row("-D=false over the file's", "", "debug: true", flags=("-D=false",)),
    Row("-DVV", "", "", flags=("-DVV",)),
    Row("-T=false over the file's", "", "logtime: true", flags=("-T=false",)),
    Row(
        "--tls",
        "",
        "",
        flags=("--tls", "--tlscert", "@cert", "--tlskey", "@key"),
        refused=not_supported("TLS", "true", "false"),
    ),
    Row(
        "--tlscert alone",
        "",
        "",
        flags=("--tlscert", "@cert", "--tlskey", "@key"),
        refused=not_supported("TLSCert", "@cert", ""),
    ),
    Row("-P over the file's", "", 'pid_file: "@dir/b.pid"', flags=("-P", "a.pid")),
    Row("-p over the file's", "", "port: 4444", flags=("-p", "-1")),
    Row("-m", "", "", flags=("-m", "-1")),
    Row(
        "--client_advertise over the file's",
        "",
        'client_advertise: "b.example:2"',
        flags=("--client_advertise", "a.example:1"),
    ),
    *jetstream_rows.ROWS,
)

OURS: tuple[Row, ...] = (
    # Keys that only Keelback has.
    Row(
        "monitor_token",
        "monitor_token: one",
        "monitor_token: two",
        late=("Reloaded: monitor_token",),
    ),
    Row(
        "monitor_user",
        "",
        "monitor_user: op, monitor_password: pw",
        late=("Reloaded: monitor_user", "Reloaded: monitor_password"),
    ),
    live("metrics_connections_max", "10"),
    live("metrics_subjects_max", "10"),
    kept("threads", "3", "threads", "0"),
    Row(
        "monitor_token beside what is refused",
        "monitor_token: one",
        "monitor_token: two, threads: 3",
        refused=not_supported("threads", "0", "3"),
    ),
)
"""Played against Keelback alone."""
