"""Plain and bcrypt secrets; what is remembered, shared and dropped."""

import asyncio
import threading

import bcrypt
import pytest

from keelback.auth import passwords
from keelback.auth.passwords import PasswordChecker, plain_matches
from keelback.auth.users import is_bcrypt

FAR = float("inf")


def digest(password: bytes, prefix: bytes = b"2b") -> str:
    return (
        bcrypt.hashpw(password, bcrypt.gensalt(4)).replace(b"$2b$", b"$" + prefix + b"$").decode()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$2a$10$anything", True),
        ("$2b$04$", True),
        ("$2x$11$x", True),
        ("$2y$99$x", True),
        ("$2c$10$x", False),
        ("$2a$1$x", False),
        ("$2a$100$x", False),
        ("$2a$\u0661\u0661$x", False),
        ("2a$10$x", False),
        ("secret", False),
        ("", False),
    ],
)
def test_digests_are_told_from_passwords_as_nats_server_does(text: str, expected: bool) -> None:
    assert is_bcrypt(text) is expected


def test_plain_secrets_match_only_themselves() -> None:
    assert plain_matches("p\u00e4ss", "p\u00e4ss")
    assert plain_matches("", "")
    assert not plain_matches("pass", "pas")
    assert not plain_matches("pass", "")
    assert not plain_matches("pass", "pasS")


async def ask(checker: PasswordChecker, configured: str, offered: str) -> bool:
    return await checker.matches(configured, offered, deadline=FAR)


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2x", b"2y"])
def test_every_version_of_digest_is_compared(prefix: bytes) -> None:
    async def scenario() -> None:
        checker = PasswordChecker()
        assert await ask(checker, digest(b"right", prefix), "right")
        assert not await ask(checker, digest(b"right", prefix), "wrong")
        checker.close()

    asyncio.run(scenario())


def test_bytes_after_the_72nd_do_not_count() -> None:
    async def scenario() -> None:
        checker = PasswordChecker()
        assert await ask(checker, digest(b"x" * 72), "x" * 72 + "whatever")
        assert not await ask(checker, digest(b"x" * 72), "x" * 71)
        checker.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("broken", ["$2a$10$short", "$2a$99$" + "a" * 53, "$2b$04$" + "!" * 53])
def test_a_broken_digest_matches_nothing(broken: str) -> None:
    async def scenario() -> None:
        checker = PasswordChecker()
        assert not await ask(checker, broken, broken)
        checker.close()

    asyncio.run(scenario())


class Comparer:
    """Counts comparisons; holds them until `release` is set."""

    def __init__(self) -> None:
        self.count = 0
        self.began = threading.Event()
        self.release = threading.Event()
        self.release.set()

    def __call__(self, offered: bytes, _digest: bytes) -> bool:
        self.count += 1
        self.began.set()
        assert self.release.wait(5)
        return offered == b"right"


DIGEST = "$2b$04$" + "a" * 53


def test_a_right_password_is_compared_once_and_a_wrong_one_each_time() -> None:
    async def scenario() -> None:
        compare = Comparer()
        checker = PasswordChecker(compare=compare)
        assert checker.matches_at_once(DIGEST, "right") is None
        assert await ask(checker, DIGEST, "right")
        assert checker.matches_at_once(DIGEST, "right") is True
        assert await ask(checker, DIGEST, "right")
        assert compare.count == 1
        assert not await ask(checker, DIGEST, "wrong")
        assert not await ask(checker, DIGEST, "wrong")
        assert compare.count == 3
        assert checker.matches_at_once("$2b$05$" + "a" * 53, "right") is None
        checker.close()

    asyncio.run(scenario())


def test_what_is_remembered_holds_neither_password_nor_digest() -> None:
    async def scenario() -> None:
        checker = PasswordChecker(compare=Comparer())
        await ask(checker, DIGEST, "right")
        kept = b"".join(checker._remembered)
        assert len(kept) == 32
        assert b"right" not in kept
        assert DIGEST.encode() not in kept
        checker.close()

    asyncio.run(scenario())


def test_the_memory_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "REMEMBERED_MAX", 2)

    async def scenario() -> None:
        checker = PasswordChecker(compare=lambda _offered, _digest: True)
        for password in ("a", "b", "c"):
            await ask(checker, DIGEST, password)
        assert checker.matches_at_once(DIGEST, "a") is None
        assert checker.matches_at_once(DIGEST, "c") is True
        checker.close()

    asyncio.run(scenario())


def test_equal_questions_under_way_are_compared_once() -> None:
    async def scenario() -> None:
        compare = Comparer()
        compare.release.clear()
        checker = PasswordChecker(compare=compare)
        tasks = [asyncio.create_task(ask(checker, DIGEST, "right")) for _ in range(100)]
        await asyncio.to_thread(compare.began.wait, 5)
        compare.release.set()
        assert all(await asyncio.gather(*tasks))
        assert compare.count == 1
        checker.close()

    asyncio.run(scenario())


def test_a_question_whose_asker_is_gone_is_not_compared() -> None:
    async def scenario() -> None:
        now = [0.0]
        compare = Comparer()
        compare.release.clear()
        checker = PasswordChecker(threads=1, compare=compare, clock=lambda: now[0])
        first = asyncio.create_task(checker.matches(DIGEST, "wrong", deadline=2.0))
        await asyncio.to_thread(compare.began.wait, 5)
        second = asyncio.create_task(checker.matches(DIGEST, "right", deadline=2.0))
        await asyncio.sleep(0)
        now[0] = 3.0
        compare.release.set()
        assert not await first
        assert not await second
        assert compare.count == 1
        assert checker.matches_at_once(DIGEST, "right") is None
        checker.close()

    asyncio.run(scenario())
