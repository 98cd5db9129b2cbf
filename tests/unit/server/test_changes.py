"""The order, the names and the outcome of changes."""

from collections.abc import Iterator

import pytest

from keelback.errors import ServerError
from keelback.options import ServerOptions
from keelback.options.fields import Block, Reload
from keelback.options.tls import TlsOptions
from keelback.server.changes import CHANGES, View, changes_between

NOT_OPTIONS = {"config_file", "config_digest"}
"""What is read rather than chosen."""

TOLD_TOGETHER = {
    "authorization.default_permissions": "authorization.users",
    "jetstream.store_dir": "store_dir",
}


def view(**options: object) -> View:
    return View(ServerOptions.from_mapping(options), port=4222)


def lines(old: View, new: View) -> list[str]:
    return [line for _, line in changes_between(old, new)]


def paths(block: type[Block], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, option in block.options_by_name.items():
        if isinstance(option.default, Block):
            yield from paths(type(option.default), f"{prefix}{name}.")
        else:
            yield prefix + name, option.reload


def test_every_option_stands_in_the_table_as_it_is_marked() -> None:
    refused = {path: change.is_refused for change in CHANGES for path in change.paths}
    for path, reload in paths(ServerOptions):
        if path in NOT_OPTIONS or path in ("tls", "accounts"):
            continue  # blocks whose parts have rows of their own
        if path.startswith("jetstream.limits."):
            path = "jetstream.limits"  # noqa: PLW2901  # told of as one
        found = refused[TOLD_TOGETHER.get(path, path)]
        assert found == (reload == Reload.REFUSED), path


def test_names_are_given_once() -> None:
    names = [change.name for change in CHANGES]
    assert len(set(names)) == len(names)


def test_users_and_accounts_are_always_told_of() -> None:
    assert lines(view(), view()) == ["Reloaded: authorization users", "Reloaded: accounts"]


def test_the_first_refused_change_in_nats_servers_order_is_named() -> None:
    new = view(max_subscriptions=3, server_name="x", max_payload=10)
    with pytest.raises(ServerError) as caught:
        changes_between(view(), new)
    assert str(caught.value) == "config reload not supported for ServerName: old=, new=x"
    assert caught.value.hint == "restart the server to change it"


def test_secrets_are_not_told() -> None:
    old = view(monitor_token="s3cret", monitor_user="op", monitor_password="s3cret")
    new = view(monitor_token="0ther", monitor_user="op", monitor_password="0ther")
    assert lines(old, new)[2:] == ["Reloaded: monitor_password", "Reloaded: monitor_token"]


def test_a_free_port_is_the_one_that_was_taken() -> None:
    old = View(ServerOptions.from_mapping({"port": -1}), port=4711)
    same = View(ServerOptions.from_mapping({"port": 4711}), port=4711)
    assert len(changes_between(old, same)) == 2
    with pytest.raises(ServerError, match="Port: old=4711, new=4712"):
        changes_between(old, View(ServerOptions.from_mapping({"port": 4712}), port=4711))


def test_certificates_that_were_renewed_are_told_of() -> None:
    options = ServerOptions(tls=TlsOptions(cert_file="c", key_file="k"))
    old = View(options, port=1, tls_material=1)
    assert "Reloaded: tls = enabled" in lines(old, View(options, port=1, tls_material=2))
    assert "Reloaded: tls = enabled" not in lines(old, View(options, port=1, tls_material=1))
