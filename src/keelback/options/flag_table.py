"""Every flag of the server, by sections, and the help that lists them.

Names and meanings are nats-server's; `--threads` and `--log_format` are ours.
"""

from __future__ import annotations

from keelback.options.flags import Flag
from keelback.options.tls import CIPHER_SUITES, CURVES

SECTIONS: tuple[tuple[str, tuple[Flag, ...]], ...] = (
    (
        "Server",
        (
            Flag(
                "a addr net",
                "text",
                "Address to listen on (default: 0.0.0.0)",
                placeholder="<host>",
                option="host",
            ),
            Flag(
                "p port",
                "number",
                "Port for clients; -1 takes a free one (default: 4222)",
                placeholder="<port>",
                option="port",
            ),
            Flag(
                "n name server_name",
                "text",
                "Name of this server (default: its id)",
                placeholder="<name>",
                option="server_name",
            ),
            Flag(
                "client_advertise",
                "text",
                "Address that clients are told to connect to",
                placeholder="<host:port>",
                option="client_advertise",
            ),
            Flag(
                "P pid",
                "text",
                "File to write the process id to",
                placeholder="<file>",
                option="pid_file",
            ),
            Flag(
                "ports_file_dir",
                "text",
                "Directory for a file that lists the ports in use (<executable>_<pid>.ports)",
                placeholder="<dir>",
                option="ports_file_dir",
            ),
            Flag(
                "c config",
                "text",
                "Configuration file; flags override what it says",
                placeholder="<file>",
            ),
            Flag("t", "nothing", "Check the configuration file, and exit"),
            Flag(
                "threads",
                "number",
                "Reactor threads (default: by the number of cores)",
                placeholder="<n>",
                option="threads",
            ),
            Flag(
                "m http_port",
                "number",
                "Port for monitoring over HTTP; -1 takes a free one",
                placeholder="<port>",
                option="http_port",
            ),
            Flag(
                "ms https_port",
                "number",
                "Port for monitoring over HTTPS; -1 takes a free one",
                placeholder="<port>",
                option="https_port",
            ),
            Flag(
                "sl signal",
                "text",
                "Send a running server a signal, and exit: ldm, stop, quit, term, reopen or "
                "reload. <pid> is a process id, a pid file, or a beginning of ids and a `*`; "
                "without it, the one server that runs",
                placeholder="<signal>[=<pid>]",
            ),
        ),
    ),
    (
        "Logging",
        (
            Flag(
                "l log",
                "text",
                "File to log to (default: standard error)",
                placeholder="<file>",
                option="log_file",
            ),
            Flag(
                "T logtime",
                "nothing",
                "Date and time on every line (default: true)",
                option="logtime",
            ),
            Flag(
                "logtime_utc", "nothing", "Time in UTC (default: local time)", option="logtime_utc"
            ),
            Flag("D debug", "nothing", "Debugging lines", option="debug"),
            Flag("V trace", "nothing", "Every protocol message", option="trace"),
            Flag("VV", "nothing", "-V, and protocol messages of the system account"),
            Flag("DV", "nothing", "-D and -V"),
            Flag("DVV", "nothing", "-D and -VV"),
            Flag("s syslog", "nothing", "Log to the syslog of this machine", option="syslog"),
            Flag(
                "r remote_syslog",
                "text",
                "Log to a syslog server, such as udp://localhost:514",
                placeholder="<url>",
                option="remote_syslog",
            ),
            Flag(
                "log_size_limit",
                "number",
                "Put the log file aside above this size (default: no limit)",
                placeholder="<bytes>",
                option="log_size_limit",
            ),
            Flag(
                "max_traced_msg_len",
                "number",
                "How much of a payload is traced (default: all)",
                placeholder="<bytes>",
                option="max_traced_msg_len",
            ),
            Flag(
                "log_format",
                "text",
                "Lines for people, or a JSON object on each line (default: text)",
                placeholder="text|json",
                option="log_format",
            ),
        ),
    ),
    (
        "Authorization",
        (
            Flag("user", "text", "User that clients must name", placeholder="<user>"),
            Flag("pass", "text", "Password of that user", placeholder="<password>"),
            Flag("auth", "text", "Token that clients must show", placeholder="<token>"),
        ),
    ),
    (
        "TLS",
        (
            Flag("tls", "nothing", "TLS, clients are not asked for a certificate"),
            Flag("tlsverify", "nothing", "TLS, clients must show a certificate"),
            Flag("tlscert", "text", "Certificate of the server", placeholder="<file>"),
            Flag("tlskey", "text", "Private key of that certificate", placeholder="<file>"),
            Flag(
                "tlscacert",
                "text",
                "Authorities that sign clients' certificates",
                placeholder="<file>",
            ),
        ),
    ),
    (
        "JetStream",
        (
            Flag("js jetstream", "nothing", "Enable JetStream"),
            Flag(
                "sd store_dir",
                "text",
                "Directory for the files of JetStream",
                placeholder="<dir>",
            ),
        ),
    ),
    (
        "Cluster",
        (
            Flag(
                "cluster cluster_listen",
                "text",
                "Address for routes",
                placeholder="<url>",
                is_supported=False,
            ),
            Flag(
                "routes",
                "text",
                "Servers to connect to",
                placeholder="<url,url>",
                is_supported=False,
            ),
            Flag(
                "cluster_name",
                "text",
                "Name of the cluster",
                placeholder="<name>",
                is_supported=False,
            ),
            Flag(
                "cluster_advertise",
                "text",
                "Address told to other servers",
                placeholder="<host:port>",
                is_supported=False,
            ),
            Flag(
                "no_advertise",
                "nothing",
                "Do not tell clients of other servers",
                is_supported=False,
            ),
            Flag(
                "connect_retries",
                "number",
                "Attempts at an implicit route",
                placeholder="<n>",
                is_supported=False,
            ),
        ),
    ),
    (
        "Profiling",
        (Flag("profile", "number", "Port for profiles", placeholder="<port>", is_supported=False),),
    ),
    (
        "Common",
        (
            Flag("h help", "nothing", "Show this text"),
            Flag("v version", "nothing", "Show the version"),
            Flag("help_tls", "nothing", "Explain the TLS options"),
        ),
    ),
)

FLAGS: dict[str, Flag] = {
    name: flag for _, flags in SECTIONS for flag in flags for name in flag.names
}

_HELP_COLUMN = 38
_HELP_WIDTH = 100
_SHORT_NAME_CHARS = 2


def help_text() -> str:
    """What `--help` prints: every flag on a line, and what cannot be used yet at the end."""
    lines = [
        "",
        "Usage: keelback-server [options]",
        "",
        "A NATS server. Takes nats-server's options, configuration files and signals.",
        "An option has one dash or two, and its value behind a blank or `=`.",
    ]
    later: list[str] = []
    for title, flags in SECTIONS:
        lines += _section(title, [flag for flag in flags if flag.is_supported])
        later += _section(title, [flag for flag in flags if not flag.is_supported])
    lines += ["", "Not supported yet, and refused:", *later]
    return "\n".join(lines) + "\n"


def tls_help_text() -> str:
    """What `--help_tls` prints."""
    suites = "\n".join(f"    {name}" for name in CIPHER_SUITES)
    curves = "\n".join(f"    {name}" for name in CURVES)
    return f"""
TLS is configured in the tls block of a configuration file:

    tls {{
        cert_file:      "server-cert.pem"
        key_file:       "server-key.pem"
        ca_file:        "ca.pem"          # who signs clients' certificates
        verify:         true              # clients must show one
        verify_and_map: true              # and it names their user
        timeout:        2                 # seconds for a handshake
        min_version:    "1.3"
        cipher_suites:     ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
        curve_preferences: ["X25519", "CurveP256"]
    }}

Cipher suites:
{suites}

Curve preferences:
{curves}
"""


def _section(title: str, flags: list[Flag]) -> list[str]:
    lines = [line for flag in flags for line in _help_lines(flag)]
    return ["", f"{title} options:", *lines] if lines else []


def _help_lines(flag: Flag) -> list[str]:
    spelled = _spelled(flag)
    lines = [spelled.ljust(_HELP_COLUMN) + "  "]
    if len(spelled) > _HELP_COLUMN:
        lines = [spelled, " " * (_HELP_COLUMN + 2)]
    for word in flag.help.split():
        if len(lines[-1]) + len(word) > _HELP_WIDTH:
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * (_HELP_COLUMN + 2))
        lines[-1] += f"{word} "
    lines[-1] = lines[-1].rstrip()
    return lines


def _spelled(flag: Flag) -> str:
    # A name of one or two letters takes one dash, as in nats-server's help; two work as well.
    names = ", ".join(
        f"-{name}" if len(name) <= _SHORT_NAME_CHARS or name.isupper() else f"--{name}"
        for name in flag.names
    )
    text = f"{names} {flag.placeholder}".rstrip()
    return ("    " if text[1] != "-" else "        ") + text
