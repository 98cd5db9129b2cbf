"""The long runs: fuzzing, leaks, hostile and differential sessions with new seeds, memory models.

    make soak                       everything, in about 20 minutes
    make soak MINUTES=120           the runs that can go on for ever get more time
    make soak SOAK="--only fuzz"    the runs whose names contain this
    make soak SOAK="--seed 7"       the sessions of an earlier run again

What cannot run on this machine is reported as skipped, with the reason. Logs stay in
`.build/soak`. Exits with 1 when a run failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".build" / "soak"
TOOLS = ROOT / ".build" / "tools"

FUZZ_TARGETS = {
    # name: longest input (bytes)
    "client_parser": 4096,
    "connect_json": 4096,
    "sublist": 512,
    "engine_ingest": 1024,
}

SESSIONS_IN_A_ROUND = 600
END_TIME_MAX_S = 900.0
"""Beyond its share a run gets this long to end by itself: builds, and tests that must finish."""

RACES = ("threads", "no_reader_uses_a_result_older_than_an_acknowledged_change")
"""Tests in which threads meet, by their names."""


@dataclass(frozen=True, slots=True)
class Run:
    """One long run."""

    name: str
    share: float
    """Of the time that is shared; 0 for runs that take the time they take."""
    start: Callable[[float, int], Outcome]
    """Called with its seconds and the seed."""
    missing: Callable[[], str] = lambda: ""
    """Why it cannot run here; empty when it can."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    passed: bool
    detail: str


@dataclass(slots=True)
class Line:
    """A line of the summary."""

    name: str
    result: str
    seconds: float
    detail: str
    log: str = field(default="")


def main() -> int:
    """Run all, then print the summary."""
    given = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    runs = [run for run in all_runs() if given.only in run.name]
    if not runs:
        print("\n".join(run.name for run in all_runs()))
        return 2
    shares = sum(run.share for run in runs)
    print(f"soak: {given.minutes:g} minutes, seed {given.seed}", file=sys.stderr)
    lines: list[Line] = []
    for number, run in enumerate(runs, start=1):
        seconds = max(5.0, given.minutes * 60 * run.share / shares) if run.share else 0.0
        planned = f" for {seconds:.0f} s" if seconds else ""
        print(f"[{number}/{len(runs)}] {run.name}{planned}", file=sys.stderr, flush=True)
        lines.append(perform(run, seconds, given.seed))
        print(f"    {lines[-1].result}: {lines[-1].detail}", file=sys.stderr, flush=True)
    print_summary(lines)
    if given.json is not None:
        record = {"seed": given.seed, "minutes": given.minutes, "runs": [asdict(x) for x in lines]}
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 1 if any(line.result == "FAILED" for line in lines) else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The long runs.")
    parser.add_argument("--minutes", type=float, default=20, help="about how long (20)")
    parser.add_argument("--only", default="", help="runs whose names contain this")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="where the seeds of sessions begin"
    )
    parser.add_argument("--json", type=Path, help="also write the summary there")
    return parser.parse_args()


def perform(run: Run, seconds: float, seed: int) -> Line:
    """One run, or why there was none."""
    reason = run.missing()
    if reason:
        return Line(run.name, "skipped", 0.0, reason)
    start = time.monotonic()
    outcome = run.start(seconds, seed)
    result = "passed" if outcome.passed else "FAILED"
    log = str(log_of(run.name).relative_to(ROOT))
    return Line(run.name, result, time.monotonic() - start, outcome.detail, log)


def all_runs() -> list[Run]:
    """All runs; those that take the time they take come first."""
    fuzzing = [
        Run(f"fuzz {target}", 0.08, fuzz(target, most), cannot_fuzz)
        for target, most in FUZZ_TARGETS.items()
    ]
    fuzzing.append(Run("fuzz configuration", 0.08, fuzz_configuration, cannot_fuzz_configuration))
    return [
        Run("loom generations", 0, loom),
        Run("miri subject", 0, miri("subject", "--lib"), cannot_miri),
        Run(
            "miri interest threads", 0, miri("interest", "--test=generations", *RACES), cannot_miri
        ),
        Run("miri engine threads", 0, miri("engine", "--lib", *RACES), cannot_miri),
        Run("thread sanitizer", 0, thread_sanitizer, cannot_sanitize),
        Run("store faults", 0, store_faults),
        Run("leaks", 0, leaks),
        *fuzzing,
        Run(
            "hostile sessions", 0.16, rounds("hostile sessions", "tests/hostile/test_cases.py", 504)
        ),
        Run(
            "configuration texts",
            0.1,
            rounds("configuration texts", "tests/unit/config", SESSIONS_IN_A_ROUND),
            no_genuine_server,
        ),
        Run(
            "differential sessions",
            0.4,
            rounds("differential sessions", "tests/differential", SESSIONS_IN_A_ROUND),
            no_genuine_server,
        ),
    ]


def fuzz(target: str, bytes_max: int) -> Callable[[float, int], Outcome]:
    """A run of libFuzzer with the address sanitizer, for its share of the time."""

    def start(seconds: float, seed: int) -> Outcome:
        found, crashes = fuzz_folders(target)
        command = ["cargo", "+nightly", "fuzz", "run", target, str(found), f"corpus/{target}"]
        command += ["--", *fuzz_options(seconds, seed, bytes_max, crashes)]
        return fuzz_outcome(
            f"fuzz {target}", call(f"fuzz {target}", command, seconds, ROOT / "fuzz"), crashes
        )

    return start


def fuzz_configuration(seconds: float, seed: int) -> Outcome:
    """A run of libFuzzer over the reader of configurations, which is Python."""
    name, target = "fuzz configuration", "configuration"
    found, crashes = fuzz_folders(target)
    command = [sys.executable, f"fuzz/fuzz_targets/{target}.py", str(found)]
    command += [f"fuzz/corpus/{target}", *fuzz_options(seconds, seed, 2048, crashes)]
    return fuzz_outcome(name, call(name, command, seconds, ROOT), crashes)


def fuzz_folders(target: str) -> tuple[Path, Path]:
    """Where a target's finds and its failures go.

    What is found stays out of the repository: its seeds are few and have names.
    """
    folders = WORK / "corpus" / target, WORK / "artifacts" / target
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def fuzz_options(seconds: float, seed: int, bytes_max: int, crashes: Path) -> list[str]:
    """Options of libFuzzer."""
    return [
        f"-max_total_time={seconds:.0f}",
        f"-max_len={bytes_max}",
        "-timeout=20",
        f"-seed={seed & 0x7FFF_FFFF}",
        f"-artifact_prefix={crashes}/",
    ]


def fuzz_outcome(name: str, status: int, crashes: Path) -> Outcome:
    """How a run of libFuzzer ended, by its log."""
    done = [line for line in log_lines(name) if line.startswith("Done ")]
    if status or not done:
        return Outcome(
            passed=False, detail=f"status {status}; inputs in {crashes.relative_to(ROOT)}"
        )
    return Outcome(passed=True, detail=done[-1].removeprefix("Done "))


def miri(crate: str, *words: str) -> Callable[[float, int], Outcome]:
    """Tests of a crate in Miri: undefined behaviour, data races, weak memory."""

    def start(seconds: float, seed: int) -> Outcome:
        name = f"miri {crate}" if crate == "subject" else f"miri {crate} threads"
        target, *filters = words
        command = ["cargo", "+nightly", "miri", "test", f"--package=keelback-{crate}", target]
        settings = {
            "MIRIFLAGS": f"-Zmiri-disable-isolation -Zmiri-seed={seed & 0xFFFF}",
            "CARGO_TARGET_DIR": str(ROOT / ".build/miri"),
            "PROPTEST_CASES": "4",
        }
        skips = ["--skip=proptest"] if not filters else []
        status = call(name, [*command, "--", *filters, *skips], seconds, ROOT, settings)
        return tests_outcome(name, status)

    return start


def thread_sanitizer(seconds: float, seed: int) -> Outcome:
    """The tests in which threads meet, with all code instrumented."""
    del seed
    name = "thread sanitizer"
    host = host_triple()
    command = ["cargo", "+nightly", "test", "-Zbuild-std", f"--target={host}", "--release"]
    command += ["--package=keelback-interest", "--package=keelback-engine"]
    settings = {
        "RUSTFLAGS": "-Zsanitizer=thread",
        "CARGO_TARGET_DIR": str(ROOT / ".build/tsan"),
        "CARGO_PROFILE_RELEASE_LTO": "off",
    }
    words = ["--lib", "--test=generations", "--", *RACES]
    return tests_outcome(name, call(name, [*command, *words], seconds, ROOT, settings))


def loom(seconds: float, seed: int) -> Outcome:
    """Every order in which threads can meet in the protocol of the caches."""
    del seed
    name = "loom generations"
    command = ["cargo", "test", "--release", "--package=keelback-interest", "--test=loom"]
    settings = {
        "RUSTFLAGS": "--cfg loom",
        "CARGO_TARGET_DIR": str(ROOT / ".build/loom"),
        "CARGO_PROFILE_RELEASE_LTO": "off",
    }
    return tests_outcome(name, call(name, command, seconds, ROOT, settings))


def store_faults(seconds: float, seed: int) -> Outcome:
    """Every bit of a store's files, a thousand power cuts at every operation of a script."""
    del seed
    name = "store faults"
    command = ["cargo", "test", "--release", "--package=keelback-store"]
    settings = {"KEELBACK_SOAK": "1", "PROPTEST_CASES": "5000", "CARGO_PROFILE_RELEASE_LTO": "off"}
    settings["CARGO_TARGET_DIR"] = str(ROOT / ".build/store")
    return tests_outcome(name, call(name, command, seconds, ROOT, settings))


def leaks(seconds: float, seed: int) -> Outcome:
    """A hundred thousand connections and subscriptions that come and go."""
    del seed
    settings = {"KEELBACK_SOAK": "1"}
    status = call("leaks", pytest("tests/leaks"), seconds, ROOT, settings)
    return Outcome(status == 0, last_line("leaks"))


def rounds(name: str, tests: str, sessions: int) -> Callable[[float, int], Outcome]:
    """Generated sessions or texts, round after round with new seeds, until the time is over."""

    def start(seconds: float, seed: int) -> Outcome:
        end, count = time.monotonic() + seconds, 0
        first = seed
        while count == 0 or time.monotonic() < end:
            settings = {"KEELBACK_SEED": str(first), "KEELBACK_SESSIONS": str(sessions)}
            status = call(name, pytest(tests, "-k", "not genuine"), seconds, ROOT, settings)
            if status:
                return Outcome(
                    passed=False, detail=f"KEELBACK_SEED={first} pytest {tests}: {last_line(name)}"
                )
            count += 1
            first += sessions
        return Outcome(passed=True, detail=f"about {count * sessions:,} sessions from seed {seed}")

    return start


def cannot_fuzz() -> str:
    """Why cargo-fuzz cannot run; installs it below `.build` where that is possible."""
    if no_nightly():
        return no_nightly()
    environment = os.environ | {"PATH": search_path()}
    found = shutil.which("cargo-fuzz", path=search_path())
    if found is None:
        command = ["cargo", "install", "--quiet", "--locked", "--root", str(TOOLS), "cargo-fuzz"]
        if subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
            return "cargo-fuzz is missing and cannot be installed"
    return ""


def cannot_fuzz_configuration() -> str:
    """Why Python cannot be fuzzed."""
    if importlib.util.find_spec("atheris") is None:
        return "there is no atheris: `.venv/bin/python -m pip install --group fuzz`"
    return ""


def cannot_miri() -> str:
    """Why Miri cannot run."""
    return no_nightly() or lacks_component("miri")


def cannot_sanitize() -> str:
    """Why the thread sanitizer cannot run: it instruments the standard library too."""
    if sys.platform != "linux":
        return "made for Linux"
    return no_nightly() or lacks_component("rust-src")


def no_nightly() -> str:
    """Why there is no nightly compiler."""
    if shutil.which("cargo") is None:
        return "there is no cargo"
    asked = subprocess.run(["cargo", "+nightly", "--version"], capture_output=True, check=False)
    return (
        "there is no nightly compiler: `rustup toolchain add nightly`" if asked.returncode else ""
    )


def lacks_component(name: str) -> str:
    """Why the nightly compiler lacks a component; adds it where that is possible."""
    if shutil.which("rustup") is None:
        return f"there is no rustup to add {name} with"
    command = ["rustup", "component", "add", "--toolchain=nightly", name]
    added = subprocess.run(command, capture_output=True, check=False)
    return f"the nightly compiler has no {name}" if added.returncode else ""


def no_genuine_server() -> str:
    """Why there is nothing to compare with."""
    beside = Path(sys.executable).with_name("nats-server")
    found = os.environ.get("NATS_SERVER") or beside.exists() or shutil.which("nats-server")
    return "" if found else "there is no nats-server to compare with"


def host_triple() -> str:
    """The compiler's name of this machine."""
    told = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.partition(" ")[2] for line in told.splitlines() if line.startswith("host:"))


def pytest(*words: str) -> list[str]:
    """A run of pytest that stops at the first failure."""
    return [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *words]


def call(
    name: str,
    command: Sequence[str],
    seconds: float,
    folder: Path,
    settings: dict[str, str] | None = None,
) -> int:
    """Run a command into its log; its status, or 124 when it did not end in time."""
    environment = os.environ | {"PATH": search_path()} | (settings or {})
    with (
        log_of(name).open("wb") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            return process.wait(seconds + END_TIME_MAX_S)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            if process.poll() is None:
                # Also when this program is interrupted: what it started goes with it.
                os.killpg(process.pid, signal.SIGKILL)


def tests_outcome(name: str, status: int) -> Outcome:
    """The outcome of Rust tests: none that ran is no success."""
    results = [line.split() for line in log_lines(name) if line.startswith("test result:")]
    passed = sum(int(words[3]) for words in results)
    detail = f"{passed} tests passed" if status == 0 else f"status {status}: {last_line(name)}"
    return Outcome(status == 0 and passed > 0, detail)


def search_path() -> str:
    """`PATH`, with the tools that were installed for this repository."""
    return f"{TOOLS / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def log_of(name: str) -> Path:
    """Where a run writes."""
    return WORK / f"{name.replace(' ', '-')}.log"


def log_lines(name: str) -> list[str]:
    """What a run wrote."""
    return log_of(name).read_text(encoding="utf-8", errors="replace").splitlines()


def last_line(name: str) -> str:
    """The last thing that a run said."""
    return next((line for line in reversed(log_lines(name)) if line.strip()), "")


def print_summary(lines: Sequence[Line]) -> None:
    """One line for each run."""
    width = max(len(line.name) for line in lines)
    print(f"{'run':{width}}  {'result':7}  {'s':>6}  detail")
    for line in lines:
        where = f" ({line.log})" if line.result == "FAILED" else ""
        print(f"{line.name:{width}}  {line.result:7}  {line.seconds:6.0f}  {line.detail}{where}")


if __name__ == "__main__":
    sys.exit(main())
