"""Each case of each wire script, against the genuine server and against ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from tests.conformance import pattern
from tests.conformance.player import Deviation, play
from tests.conformance.script import Case, read_script
from tests.support.servers import ServerPool, ServerProcess, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = [
    case for path in sorted(Path(__file__).parent.glob("*.wire")) for case in read_script(path)
]


@pytest.mark.parametrize(
    ("target", "case"),
    [
        pytest.param(target, case, id=f"{target}-{case.name}")
        for case in CASES
        for target in get_args(Target)
        if case.settings.only in ("", target)
    ],
)
def test_conversation(case: Case, target: Target, server_pool: ServerPool) -> None:
    """The server says what the script says."""
    __tracebackhide__ = True
    config = pattern.fill_config(case.settings.config)
    finding = ""
    try:
        if case.settings.own_server:
            with ServerProcess(target, config) as server:
                play(case, server)
        else:
            play(case, server_pool.get(target, config))
    except Deviation as deviation:
        finding = str(deviation)
    if finding:
        pytest.fail(finding, pytrace=False)


def cases_without_a_source() -> Iterator[str]:
    """The cases for which neither the file's head nor the case says where its facts are from."""
    for path in {case.path for case in CASES}:
        head, *cases = path.read_text(encoding="utf-8").split("\n== ")
        if "# Source: " not in head:
            yield from (
                f"{path.name}: {case.splitlines()[0]}" for case in cases if "# Source: " not in case
            )


def test_every_case_names_its_source() -> None:
    """A claim about another program's behaviour says where it can be looked up."""
    assert list(cases_without_a_source()) == []
