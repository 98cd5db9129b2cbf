"""Tests the tests: each known bug, switched on alone, must be found by a suite.

    make planted                                each bug, by the cheapest suite that finds it
    make planted PLANTED="--only QueueUnfair"   bugs whose names contain this
    make planted PLANTED=--every-suite          each bug against every suite: takes long

The bugs stand in `crates/planted`. They are built into a second extension, with a target folder
and a site folder of its own below `.build/planted`; the project's own build knows none of them.
First every suite runs without a bug, and must pass. Exits with 1 when a bug survives.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build" / "planted"
SITE = BUILD / "site"
VARIABLE = "KEELBACK_PLANTED"

SUITE_TIME_MAX_S = 240.0
"""A suite that runs longer has found something: that the server hangs."""

BUG = re.compile(r"^    /// (.+)\n    (\w+),$", re.MULTILINE)
RUST_FAILURE = re.compile(r"^    ([\w:]+)$", re.MULTILINE)
PYTEST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)

RELEASE = {
    "CARGO_TARGET_DIR": str(BUILD / "target"),
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "false",
}
"""The build is thrown away after the tests: it need not be the fastest code."""


class PlantedError(Exception):
    """Nothing was proved: a build failed, or a suite fails without any bug."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug, as its crate describes it."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Suite:
    """Commands that end with a status other than 0 when a test fails."""

    name: str
    commands: tuple[tuple[Path, tuple[str, ...]], ...]
    """Each with the folder that it runs in."""
    environment: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a suite said about one bug, or about none."""

    bug: str
    suite: str
    failing_test: str
    """Empty when all passed."""
    seconds: float


def main() -> int:
    """Build, prove that the suites pass, then plant one bug after the other."""
    given = arguments()
    try:
        bugs = [bug for bug in read_bugs() if given.only.lower() in bug.name.lower()]
        if given.list or not bugs:
            print("\n".join(f"{bug.name:26} {bug.sentence}" for bug in bugs))
            return 0 if given.list else 2
        suites = [suite for suite in build() if given.suite in suite.name]
        baseline(suites)
        found = [verdict for bug in bugs for verdict in hunt(bug, suites, every=given.every_suite)]
    except PlantedError as error:
        print(f"planted: {error}", file=sys.stderr)
        return 2
    survivors = [bug for bug in bugs if not any(each.bug == bug.name for each in found)]
    print_table(bugs, found)
    if given.json is not None:
        record = {
            "bugs": [asdict(bug) for bug in bugs],
            "found": [asdict(verdict) for verdict in found],
            "survived": [bug.name for bug in survivors],
        }
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 1 if survivors else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Each planted bug must be found by a suite that does not name it."
    )
    parser.add_argument("--only", default="", help="bugs whose names contain this")
    parser.add_argument("--suite", default="", help="suites whose names contain this")
    parser.add_argument("--every-suite", action="store_true", help="do not stop at the first")
    parser.add_argument("--list", action="store_true", help="show the bugs and end")
    parser.add_argument("--json", type=Path, help="also write the verdicts there")
    return parser.parse_args()


def read_bugs() -> list[Bug]:
    """The bugs that `crates/planted` declares, in its order."""
    source = (ROOT / "crates/planted/src/lib.rs").read_text(encoding="utf-8")
    declared = source.partition("\nbugs! {\n")[2].partition("\n}\n")[0] + "\n"
    return [Bug(name, sentence) for sentence, name in BUG.findall(declared)]


def build() -> list[Suite]:
    """Build tests and extension with the feature; the suites, cheapest first."""
    print("building with the feature `planted` …", file=sys.stderr, flush=True)
    binaries = build_rust_tests()
    build_site()
    prove_where_the_bugs_are()
    python = (sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-rfE")
    python = (*python, "-p", "no:cacheprovider")

    def pytest(name: str, *words: str, **environment: str) -> Suite:
        return Suite(name, ((ROOT, (*python, *words)),), environment)

    ours = ("-k", "not genuine")
    return [
        Suite("rust", tuple(binaries)),
        pytest("conformance", "tests/conformance", *ours, KEELBACK_WIRE_TIMEOUT_S="3"),
        pytest("unit", "tests/core", "tests/unit/server", "tests/unit/auth"),
        pytest("differential", "tests/differential", *ours),
        pytest("hostile", "tests/hostile"),
        pytest("leaks", "tests/leaks"),
    ]


def build_rust_tests() -> list[tuple[Path, tuple[str, ...]]]:
    """Build the test binaries of all crates; each with the folder of its crate."""
    command = ["cargo", "test", "--quiet", "--release", "--no-run", "--message-format=json"]
    command += ["--workspace", "--exclude=keelback-binding", "--exclude=keelback-load"]
    command += ["--features=keelback-planted/planted"]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | RELEASE, stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode:
        raise PlantedError("the Rust tests do not build")
    messages = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    return [
        (Path(message["manifest_path"]).parent, (message["executable"], "--quiet"))
        for message in messages
        if message.get("executable") and message.get("profile", {}).get("test")
    ]


def build_site() -> None:
    """Build a wheel with the feature and unpack it, to stand before the project's own package."""
    wheels = BUILD / "wheel"
    for folder in (wheels, SITE):
        shutil.rmtree(folder, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("maturin")), "build", "--quiet", "--release"]
    command += ["--features=planted", "--out", str(wheels)]
    if subprocess.run(command, cwd=ROOT, env=os.environ | RELEASE, check=False).returncode:
        raise PlantedError("the extension does not build")
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(SITE)


def prove_where_the_bugs_are() -> None:
    """The planted extension is the one that tests load; the project's own has no trace of it."""
    tell = "import keelback._core as core; print(core.__file__)"
    loaded = subprocess.run(
        [sys.executable, "-c", tell],
        env=os.environ | {"PYTHONPATH": str(SITE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    planted = Path(loaded.stdout.strip())
    if not planted.is_relative_to(SITE) or not has_trace(planted):
        raise PlantedError(f"{planted} is not the extension with the bugs")
    own = importlib.util.find_spec("keelback")
    for folder in own.submodule_search_locations or () if own else ():
        for extension in Path(folder).glob("_core*.so"):
            if has_trace(extension):
                raise PlantedError(f"{extension} has planted bugs: run `make build`")


def has_trace(extension: Path) -> bool:
    """Whether a built extension can be asked for a planted bug."""
    return VARIABLE.encode() in extension.read_bytes()


def baseline(suites: Sequence[Suite]) -> None:
    """Run every suite without a bug.

    Raises:
        PlantedError: one fails, so that its failures prove nothing.
    """
    for suite in suites:
        verdict = run(suite, "")
        if verdict.failing_test:
            raise PlantedError(f"{suite.name} fails without a bug: {verdict.failing_test}")
        print(
            f"no bug: {suite.name} passes in {verdict.seconds:.0f} s", file=sys.stderr, flush=True
        )


def hunt(bug: Bug, suites: Sequence[Suite], *, every: bool) -> list[Verdict]:
    """The suites that find `bug`: the first, or each."""
    found: list[Verdict] = []
    for suite in suites:
        verdict = run(suite, bug.name)
        if verdict.failing_test:
            found.append(verdict)
            print(f"{bug.name}: {suite.name}, {verdict.failing_test}", file=sys.stderr, flush=True)
            if not every:
                break
    if not found:
        print(f"{bug.name}: SURVIVED", file=sys.stderr, flush=True)
    return found


def run(suite: Suite, bug: str) -> Verdict:
    """Run a suite until its first failure."""
    environment = {name: text for name, text in os.environ.items() if name != "CI"}
    environment |= {"PYTHONPATH": str(SITE), VARIABLE: bug} | suite.environment
    # A planted bug is no regression to remember.
    environment["PROPTEST_DISABLE_FAILURE_PERSISTENCE"] = "1"
    start = time.monotonic()
    for folder, command in suite.commands:
        failure = first_failure(folder, command, environment)
        if failure:
            return Verdict(bug, suite.name, failure, time.monotonic() - start)
    return Verdict(bug, suite.name, "", time.monotonic() - start)


def first_failure(folder: Path, command: Sequence[str], environment: dict[str, str]) -> str:
    """The first test that fails in one command; empty when none does."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=SUITE_TIME_MAX_S)
        except subprocess.TimeoutExpired:
            # The servers that it started are of its session.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"no end within {SUITE_TIME_MAX_S:.0f} s"
    if process.returncode == 0:
        return ""
    name = Path(command[0]).name.rpartition("-")[0] or "pytest"
    # The list of names at the end.
    failures = RUST_FAILURE.findall(output.rpartition("\nfailures:\n")[2])
    if "pytest" in command:
        failures = PYTEST_FAILURE.findall(output)
        if process.returncode != 1 or not failures:
            raise PlantedError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
        return failures[0]
    return f"{name}: {failures[0] if failures else f'status {process.returncode}'}"


def print_table(bugs: Sequence[Bug], found: Sequence[Verdict]) -> None:
    """One line for each finding, and for each bug that was not found."""
    width = max(len(bug.name) for bug in bugs)
    print(f"{'bug':{width}}  {'found by':12}  {'s':>6}  first failing test")
    for bug in bugs:
        verdicts = [verdict for verdict in found if verdict.bug == bug.name]
        for each in verdicts:
            print(f"{bug.name:{width}}  {each.suite:12}  {each.seconds:6.1f}  {each.failing_test}")
        if not verdicts:
            print(f"{bug.name:{width}}  {'NOBODY':12}  {'':6}  {bug.sentence}")
    count = len({verdict.bug for verdict in found})
    print(f"{count} of {len(bugs)} planted bugs found")


if __name__ == "__main__":
    sys.exit(main())
