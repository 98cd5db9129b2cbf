"""Every flag of the server, by sections, and the help that lists them.

Names and meanings are nats-server's; `--threads` is ours.
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
                "Directory for a file that lists the ports in use",
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
                "Port for monitoring over HTTP",
                placeholder="<port>",
                is_supported=False,
            ),
            Flag(
                "ms https_port",
                "number",
                "Port for monitoring over HTTPS",
                placeholder="<port>",
                is_supported=False,
            ),
            Flag(
                "sl signal",
                "text",
                "Signal a running server",
                placeholder="<signal>[=<pid>]",
                is_supported=False,
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
            Flag("VV", "nothing", "Protocol messages, those of the system account too"),
            Flag("DV", "nothing", "-D and -V"),
            Flag("DVV", "nothing", "-D and -VV"),
            Flag("s syslog", "nothing", "Log to syslog", is_supported=False),
            Flag(
                "r remote_syslog",
                "text",
                "Log to a syslog server",
                placeholder="<url>",
                is_supported=False,
            ),
            Flag(
                "log_size_limit",
                "number",
                "Rotate the log file above this size",
                placeholder="<bytes>",
                is_supported=False,
            ),
            Flag(
                "max_traced_msg_len",
                "number",
                "Payload bytes to print of a traced message",
                placeholder="<bytes>",
                is_supported=False,
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
            Flag("js jetstream", "nothing", "JetStream", is_supported=False),
            Flag(
                "sd store_dir",
                "text",
                "Directory of its files",
                placeholder="<dir>",
                is_supported=False,
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
_SHORT_NAME_CHARS = 2


def help_text() -> str:
    """What `--help` prints: every flag on a line, and what cannot be used yet at the end."""
    lines = [
        "",
        "Usage: keelback-server [options]",
        "",
        "A NATS server. Takes nats-server's options, configuration files and signals.",
    ]
    later: list[str] = []
    for title, flags in SECTIONS:
        supported = [flag for flag in flags if flag.is_supported]
        later += [_spelled(flag, -1) for flag in flags if not flag.is_supported]
        if supported:
            lines += ["", f"{title} options:", *map(_help_line, supported)]
    lines += ["", "Options of nats-server that are not supported yet, and refused:"]
    lines += _wrapped(later)
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


def _help_line(flag: Flag) -> str:
    spelled = _spelled(flag, 0)
    separator = "  " if len(spelled) < _HELP_COLUMN else "\n" + " " * (_HELP_COLUMN + 2)
    return spelled.ljust(_HELP_COLUMN) + separator + flag.help


def _spelled(flag: Flag, indent: int) -> str:
    # A name of one or two letters takes one dash, as in nats-server's help; two work as well.
    names = ", ".join(
        f"-{name}" if len(name) <= _SHORT_NAME_CHARS or name.isupper() else f"--{name}"
        for name in flag.names
    )
    text = f"{names} {flag.placeholder}".rstrip()
    if indent < 0:
        return names
    return ("    " if text[1] != "-" else "        ") + text


def _wrapped(words: list[str], width: int = 92) -> list[str]:
    lines = ["   "]
    for word in words:
        if len(lines[-1]) + len(word) + 2 > width:
            lines.append("   ")
        lines[-1] += f" {word};"
    lines[-1] = lines[-1].rstrip(";")
    return lines
