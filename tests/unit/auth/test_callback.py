"""A Python function as authenticator."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from keelback.auth.authenticator import Authenticator
from keelback.auth.callback import ConnectionAttempt, UserIdentity
from keelback.auth.permissions import PermissionTable
from keelback.auth.users import AuthRules, PermissionRules
from tests.unit.fake_core import Admission, AuthRequest, Refusal

pytestmark = pytest.mark.usefixtures("core")


def decide(
    function: Callable[..., Any],
    lines: list[tuple[str, str]] | None = None,
    *,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout_s: float = 2.0,
    accounts: tuple[str, ...] = ("A",),
    **request: object,
) -> Any:
    async def scenario() -> Any:
        authenticator = Authenticator(
            AuthRules(authenticate=function, timeout_s=timeout_s, accounts_declared=accounts),
            PermissionTable(),
            log=lambda level, text: (lines if lines is not None else []).append((level, text)),
            loop=loop,
        )
        asked = AuthRequest(**request)
        assert authenticator.decide_at_once(asked) is None
        decision = await authenticator.decide(asked)
        authenticator.close()
        return decision

    return asyncio.run(scenario())


def test_the_function_sees_what_the_client_said_and_its_answer_counts() -> None:
    seen: list[ConnectionAttempt] = []

    def authenticate(attempt: ConnectionAttempt) -> UserIdentity:
        seen.append(attempt)
        rules = PermissionRules(publish_allow=["a"])
        return UserIdentity(name="ann", account="A", permissions=rules)

    decision = decide(authenticate, user="x", password="y", name="app")
    assert (seen[0].user, seen[0].password, seen[0].name) == ("x", "y", "app")
    assert not seen[0].in_process
    assert (decision.account, decision.label) == ("A", "user:ann")
    assert decision.permissions.publish_allow == ["a"]


def test_async_functions_and_plain_names() -> None:
    async def authenticate(attempt: ConnectionAttempt) -> str | None:
        await asyncio.sleep(0)
        return attempt.user if attempt.password == "y" else None

    admitted = decide(authenticate, user="x", password="y")
    assert (admitted.account, admitted.label) == ("$G", "user:x")
    assert isinstance(decide(authenticate, user="x", password="z"), Refusal)


def raising(_attempt: ConnectionAttempt) -> str:
    raise ValueError("password s3cret is wrong")


async def hanging(_attempt: ConnectionAttempt) -> str:
    await asyncio.Event().wait()
    return "never"


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (raising, "raised ValueError"),
        (hanging, "gave no answer within 0.05s"),
        (lambda _: 42, "answered int"),
        (lambda _: "", "answered str"),
        (lambda _: True, "answered bool"),
        (lambda _: UserIdentity(name="a", account="B"), "account that does not exist"),
        (
            lambda _: UserIdentity(name="a", permissions=PermissionRules(publish_allow=["a..b"])),
            "is not a valid subject",
        ),
    ],
)
def test_a_function_that_fails_refuses_and_says_so_without_secrets(
    function: Callable[..., Any], why: str
) -> None:
    lines: list[tuple[str, str]] = []
    timeout_s = 0.05 if function is hanging else 5.0
    decision = decide(function, lines, timeout_s=timeout_s, user="x", password="s3cret")
    assert isinstance(decision, Refusal)
    assert [level for level, _ in lines] == ["ERR"]
    assert why in lines[0][1]
    assert "s3cret" not in lines[0][1]


def test_the_function_runs_on_the_programs_own_loop() -> None:
    threads: list[int] = []

    async def authenticate(_attempt: ConnectionAttempt) -> str:
        threads.append(threading.get_ident())
        return "ann"

    async def program() -> object:
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(decide, authenticate, loop=loop)

    decision = asyncio.run(program())
    assert isinstance(decision, Admission)
    assert threads == [threading.get_ident()]


def test_a_plain_function_without_a_loop_blocks_only_its_own_thread() -> None:
    threads: list[int] = []

    def authenticate(_attempt: ConnectionAttempt) -> str:
        threads.append(threading.get_ident())
        return "ann"

    decide(authenticate)
    assert threads != [threading.get_ident()]


def test_an_attempt_does_not_show_its_secrets() -> None:
    attempt = ConnectionAttempt.of(AuthRequest(user="ann", password="s3cret", token="t0ken"))
    assert "ann" in repr(attempt)
    assert "s3cret" not in repr(attempt)
    assert "t0ken" not in repr(attempt)
