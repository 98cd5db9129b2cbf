"""What a command line asks for: options to run with, or a text to print and an exit code.

Prints nothing and ends nothing: the caller does. Reads the configuration file that is named.
Source of order and texts: nats-server 2.15 `server/opts.go`, `main.go`, checked against the binary.
"""

from __future__ import annotations

from keelback.config.gotext import quote
from keelback.config.tree import Value
from keelback.errors import ConfigError, ConfigRejected, Place, UsageError
from keelback.options.compatibility import NATS_SERVER_VERSION
from keelback.options.fields import replaced
from keelback.options.flag_table import FLAGS, help_text, tls_help_text
from keelback.options.flags import Given, parse_flags
from keelback.options.load import Draft, load_file
from keelback.options.log import LogOptions
from keelback.options.report import Report
from keelback.options.tls import TlsOptions, file_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from keelback.errors import KeelbackError
    from keelback.options.server import ServerOptions

PROGRAM = "nats-server"
_TLS_FLAGS = ("tls", "tlsverify", "tlscert", "tlskey", "tlscacert")
_TRACING_FLAGS = {
    # In the order in which nats-server applies them.
    "DV": ("debug", "trace"),
    "DVV": ("debug", "trace", "trace_verbose"),
    "VV": ("trace", "trace_verbose"),
}


class CommandLine:
    """The outcome. With `options`, run; without, exit with `exit_code` when all is printed.

    `standard_error` may hold warnings beside options. `given` are the flags, which a reload lays
    over the file again. `signal` is what `--signal` was given: send it, and exit.
    """

    def __init__(
        self,
        *,
        options: ServerOptions | None = None,
        standard_output: str = "",
        standard_error: str = "",
        exit_code: int = 0,
        given: Given | None = None,
        signal: str = "",
    ) -> None:
        self.signal = signal
        self.options = options
        self.standard_output = standard_output
        self.standard_error = standard_error
        self.exit_code = exit_code
        self.given = given or Given()


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Read the arguments (without the program's name), and the file that they name."""
    try:
        given = parse_flags(arguments, FLAGS)
    except UsageError as error:
        # As nats-server: the error, the usage, and success.
        return CommandLine(
            standard_error=_with_hint(str(error), error), standard_output=help_text()
        )
    wanted = _wanted_text(given)
    if wanted is not None:
        return CommandLine(standard_output=wanted, given=given)
    try:
        return _configured(given)
    except (ConfigError, UsageError) as error:
        return CommandLine(standard_error=error_text(error), exit_code=1, given=given)


def apply_flags(given: Given, draft: Draft) -> None:
    """Lay the flags over what a file said.

    Raises:
        UsageError: TLS flags that are not enough, or name files that cannot be used.
        ConfigError: a value that its option cannot have.
    """
    for _, flag, value in given.values:
        if flag.option:
            draft.values[flag.option] = value
            draft.places.pop(flag.option, None)
            if flag.option == "log_format":
                LogOptions.options_by_name["log_format"].kind.read(
                    "log_format", Value(str(value), Place("--log_format")), Report()
                )
    for name, options in _TRACING_FLAGS.items():
        value = given.last(name)
        if value is not None:
            draft.values.update(dict.fromkeys(options, value))
    credentials = {
        field: str(given.last(flag))
        for flag, field in (("user", "user"), ("pass", "password"), ("auth", "token"))
        if given.last(flag) is not None
    }
    draft.authorization = replaced(draft.authorization, **credentials)
    if given.last("js"):
        draft.jetstream = replaced(draft.jetstream, enabled=True)
    if given.last("sd"):
        draft.jetstream = replaced(draft.jetstream, store_dir=str(given.last("sd")))
    _apply_tls_flags(given, draft)


def error_text(error: KeelbackError) -> str:
    """What the command prints of an error, as nats-server does; hints on lines of their own."""
    told = (*error.warnings, *error.errors) if isinstance(error, ConfigRejected) else (error,)
    return f"{PROGRAM}: " + "".join(_with_hint(str(each), each) for each in told)


def version_text() -> str:
    """What `--version` prints: nats-server's line, then ours."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow

    try:
        own = f" v{version('keelback')}"
    except PackageNotFoundError:  # run from its sources
        own = ""
    return f"{PROGRAM}: v{NATS_SERVER_VERSION}\nkeelback:{own or ' not installed'}\n"


def _wanted_text(given: Given) -> str | None:
    """A text that was asked for, by a flag or by a word."""
    word = given.words[0].lower() if given.words else ""
    if given.last("version"):
        return version_text()
    if given.last("help"):
        return help_text()
    if given.last("help_tls"):
        return tls_help_text()
    return (
        {"version": version_text, "help": help_text}[word]()
        if word in ("version", "help")
        else None
    )


def _configured(given: Given) -> CommandLine:
    if given.words:
        problem = f"unrecognized command: {quote(given.words[0])}"
        raise UsageError(problem, hint="options begin with a dash; see --help")
    if given.last("signal"):
        return CommandLine(signal=str(given.last("signal")), given=given)
    for name, flag, value in given.values:
        if not flag.is_supported and value not in ("", 0, False):
            problem = f"flag -{name} is not supported yet"
            raise UsageError(problem, hint=f"it stands for: {flag.help}")
    checks_only = bool(given.last("t"))
    file = str(given.last("config") or "")
    if checks_only and not file:
        problem = "must specify [-c, --config] option to check configuration file syntax"
        raise UsageError(problem)
    draft = load_file(file) if file else Draft()
    if checks_only:
        if draft.warnings:
            raise ConfigRejected((), draft.warnings)
        valid = f"{PROGRAM}: configuration file {file} is valid ({draft.config_digest})\n"
        return CommandLine(standard_error=valid, given=given)
    warnings = "".join(_with_hint(str(warning), warning) for warning in draft.warnings)
    apply_flags(given, draft)
    return CommandLine(options=draft.resolved(), standard_error=warnings, given=given)


def _apply_tls_flags(given: Given, draft: Draft) -> None:
    if given.last("tls") is False:
        draft.tls = None
        return
    if all(given.last(name) is None for name in _TLS_FLAGS):
        return
    cert_file = str(given.last("tlscert") or "")
    key_file = str(given.last("tlskey") or "")
    hint = "give --tlscert and --tlskey, or a tls block in the configuration file"
    if not cert_file:
        problem = "TLS Server certificate must be present and valid"
        raise UsageError(problem, hint=hint)
    if not key_file:
        problem = "TLS Server private key must be present and valid"
        raise UsageError(problem, hint=hint)
    # The file's timeout and the way to begin stay; what makes the certificates is replaced whole.
    draft.tls = replaced(
        draft.tls or TlsOptions(),
        cert_file=cert_file,
        key_file=key_file,
        ca_file=str(given.last("tlscacert") or ""),
        verify=bool(given.last("tlsverify")),
        certs=(),
        cipher_suites=(),
        curve_preferences=(),
        min_version="1.2",
    )
    problem = file_problem(draft.tls)
    if problem:
        raise UsageError(problem)


def _with_hint(message: str, error: KeelbackError) -> str:
    return f"{message}\n" + (f"hint: {error.hint}\n" if error.hint else "")
