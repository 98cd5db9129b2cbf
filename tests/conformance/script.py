r"""The text of a wire script as data: cases, their settings and their steps.

Knows no socket. A file is a topic; each case in it begins with `== title`. See README.md beside
this file for the whole language. In short:

    a> PUB x 2\r\nhi        send, CR LF is added (`\c` at the end: it is not)
    a> EOF                  half-close
    a< MSG x 1 2\r\nhi      the next operation must be this
    a<~ MSG x 2 2\r\nhi     neighbouring `<~` lines may come in any order
    a< SILENCE              nothing comes before the answer to a PING sent now
    a< EOF                  the server closes
    a< CLOSED               the server closes, whatever it sent before
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Final, Literal

from tests.conformance import pattern

if TYPE_CHECKING:
    from pathlib import Path

Action = Literal[
    "send", "half-close", "expect", "any-order", "silence", "eof", "closed", "connect", "server"
]
Split = Literal["none", "each"]

STEP: Final = re.compile(r"(?P<peer>[a-z][a-z0-9]*)?(?P<mark><~|[><!]) ?(?P<text>.*)")
COMMENT: Final = re.compile(r"(?:^|\s{2,})# .*$|^#$")
SETTING: Final = re.compile(r"(config|split|server|only): *(.*)")

ENDS: Final[dict[str, Action]] = {"SILENCE": "silence", "EOF": "eof", "CLOSED": "closed"}
ORDERS: Final = {
    "connect": re.compile(r"leave|connect(?: receive-buffer=\d+)?"),
    "server": re.compile(r"signal SIG[A-Z0-9]+|log .+|pause [\d.]+"),
}


class ScriptError(Exception):
    """A script that cannot be read; names file and line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One line of a case: who, what, and the text that goes with it (its escapes kept)."""

    line: int
    peer: str
    action: Action
    text: str
    source: str


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a case needs around it."""

    config: str = ""
    split: Split = "none"
    own_server: bool = False
    only: str = ""
    """`genuine` or `keelback`: a deliberate difference, listed in `docs/differences.md`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One conversation: a title, its settings and its steps in order."""

    path: Path
    title: str
    settings: Settings
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """Topic and title, as the test is called."""
        return f"{self.path.stem}: {self.title}"


def read_script(path: Path) -> list[Case]:
    """Read all cases of a file.

    Raises:
        ScriptError: a line is not of the language; names file and line.
    """
    reader = _Reader(path)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        reader.take(number, line)
    return reader.finish()


class _Reader:
    """Takes a script line by line. Settings before the first case hold for all of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cases: list[Case] = []
        self._defaults = Settings()
        self._title: str | None = None
        self._settings = Settings()
        self._steps: list[Step] = []

    def take(self, number: int, source: str) -> None:
        if source.startswith("|"):
            self._change(config=f"{self._settings.config}{source[1:].removeprefix(' ')}\n")
            return
        line = COMMENT.sub("", source).rstrip()
        if not line:
            return
        if line.startswith("== "):
            self._end_case()
            self._title = line[3:].strip()
        elif setting := SETTING.fullmatch(line):
            self._set(number, setting[1], setting[2])
        elif self._title is not None and (step := STEP.fullmatch(line)):
            self._steps.append(self._step(number, step, line))
        else:
            raise self._error(number, f"not a line of a script: {source}")

    def finish(self) -> list[Case]:
        self._end_case()
        titles = [case.title for case in self._cases]
        for title in titles:
            if titles.count(title) > 1:
                raise self._error(0, f"two cases are called {title!r}")
        return self._cases

    def _set(self, number: int, key: str, value: str) -> None:
        match key, value:
            case "config", "":
                self._change(config="")
            case "split", "each":
                self._change(split="each")
            case "server", "own":
                self._change(own_server=True)
            case "only", "genuine" | "keelback":
                self._change(only=value)
            case _:
                raise self._error(number, f"no such setting: {key}: {value}")

    def _change(
        self,
        *,
        config: str | None = None,
        split: Split | None = None,
        own_server: bool | None = None,
        only: str | None = None,
    ) -> None:
        old = self._settings
        self._settings = Settings(
            config=old.config if config is None else config,
            split=old.split if split is None else split,
            own_server=old.own_server if own_server is None else own_server,
            only=old.only if only is None else only,
        )
        if self._title is None:
            self._defaults = self._settings

    def _step(self, number: int, match: re.Match[str], line: str) -> Step:
        peer, mark, text = match["peer"] or "", match["mark"], match["text"]
        if mark == "!":
            action: Action = "connect" if peer else "server"
            if not ORDERS[action].fullmatch(text):
                raise self._error(number, f"no such order: {line}")
        elif not peer:
            raise self._error(number, f"who? {line}")
        elif mark == ">":
            action = "half-close" if text == "EOF" else "send"
        elif mark == "<~":
            action = "any-order"
        else:
            action = ENDS.get(text, "expect")
        try:
            if action == "send":
                pattern.send_parts(text)
            elif action in ("expect", "any-order"):
                pattern.compile_expected(text)
        except pattern.PatternError as error:
            raise self._error(number, str(error)) from error
        return Step(number, peer, action, text, line)

    def _end_case(self) -> None:
        if self._title is not None:
            if not self._steps:
                raise self._error(0, f"the case {self._title!r} has no steps")
            steps = tuple(self._steps)
            self._cases.append(Case(self._path, self._title, self._settings, steps))
        self._settings = self._defaults
        self._steps = []

    def _error(self, number: int, problem: str) -> ScriptError:
        return ScriptError(f"{self._path.name}:{number}: {problem}")
