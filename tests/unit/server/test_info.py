"""Settings → the core's records."""

from pathlib import Path
from typing import Any

import pytest

from keelback.auth.nkeys import ServerKeys
from keelback.auth.users import AuthRules, NkeyUser, User
from keelback.errors import ServerError
from keelback.server.info import (
    compile_info,
    compile_limits,
    compile_listener,
    join_host_port,
    split_host_port,
)
from keelback.server.settings import LimitSettings, ServerSettings, TlsSettings

pytestmark = pytest.mark.usefixtures("core")

KEYS = ServerKeys(b"s" * 32, b"c" * 32)


def info_of(**settings: object) -> Any:
    return compile_info(ServerSettings(**settings), KEYS, port=4222)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("host", 4222)),
        ("host:99", ("host", 99)),
        ("host:0", ("host", 4222)),
        ("host:-1", ("host", 4222)),
        ("[::1]", ("::1", 4222)),
        ("[::1]:99", ("::1", 99)),
        (" host : 99 ", ("host", 99)),
    ],
)
def test_an_advertised_address_is_read(text: str, expected: tuple[str, int]) -> None:
    assert split_host_port(text, default_port=4222) == expected


@pytest.mark.parametrize(
    "text", ["a:b", "::1", "[::1", "[::1]99", "a:99999", "a:", "a:-2", "a:1_0"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ServerError, match="address"):
        split_host_port(text, default_port=4222)


def test_an_ipv6_address_is_put_in_brackets() -> None:
    assert join_host_port("::1", 4222) == "[::1]:4222"
    assert join_host_port("host", 4222) == "host:4222"


def test_what_info_says_of_authentication() -> None:
    assert not info_of().auth_required
    assert info_of(auth=AuthRules(users=(User(name="a"),))).auth_required
    # The core leaves it out where a client without credentials is still to be let in.
    assert info_of(auth=AuthRules(users=(User(name="a"),), no_auth_user="a")).auth_required
    assert info_of(auth=AuthRules(nkeys=(NkeyUser(nkey="U"),))).nonce


@pytest.mark.parametrize(
    ("tls", "mode", "flags"),
    [
        ({}, "required", (True, False, False)),
        ({"optional": True}, "available", (False, True, False)),
        ({"handshake_first": True}, "first", (True, False, False)),
        ({"verify": True}, "required", (True, False, True)),
        ({"verify_and_map": True}, "required", (True, False, True)),
    ],
)
def test_what_info_and_the_listener_say_of_tls(
    tmp_path: Path, tls: dict[str, object], mode: str, flags: tuple[bool, bool, bool]
) -> None:
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).write_bytes(name.encode())
    files = ((str(tmp_path / "c.pem"), str(tmp_path / "k.pem")),)
    settings = ServerSettings(port=-1, tls=TlsSettings(certificates=files, **tls))
    info = compile_info(settings, KEYS, port=1)
    assert (info.tls_required, info.tls_available, info.tls_verify) == flags
    listener = compile_listener(settings)
    assert (listener.port, listener.tls_mode) == (0, mode)
    assert listener.tls.certificates == [(b"c.pem", b"k.pem")]
    assert listener.tls.verify is flags[2]


def test_limits_reach_the_core() -> None:
    settings = ServerSettings(
        limits=LimitSettings(max_payload=5, ping_max=9), auth=AuthRules(timeout_s=3.0)
    )
    limits = compile_limits(settings)
    assert (limits.max_payload, limits.ping_max, limits.auth_timeout) == (5, 9, 3.0)
