"""What every test may use: servers, certificates, and the judgement over skips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support import skips
from tests.support.certificates import Certificates, new_certificates

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["keelback.testing.plugin", "pytester", "tests.support.target"]

ALLOWED_SKIPS: Final = Path(__file__).parent / "allowed_skips.txt"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and certificates for a server and a client on this machine."""
    return new_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that nobody allowed into a failure, where skips are judged."""
    del item, call
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _judge_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge modules that skip themselves, as tests are judged."""
    report = yield
    if report.skipped:
        _judge_skip(report)
    return report


def _judge_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not skips.skips_are_judged() or not isinstance(report.longrepr, tuple):
        return
    reason = report.longrepr[2]
    if not skips.is_allowed(reason, skips.read_allowed(ALLOWED_SKIPS)):
        report.outcome = "failed"
        report.longrepr = f"{reason}\nThis skip is not in tests/{ALLOWED_SKIPS.name}."
