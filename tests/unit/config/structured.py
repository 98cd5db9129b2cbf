"""Configurations that are made up: real keys in real blocks, and here and there something wrong.

The same seed makes the same texts. Values are right for their key, or, once in a text, something
else; how pairs are written (separators, quotes, case, comments, variables) varies.
"""

# `%` reads best where braces are what is written.
# ruff: noqa: UP031
from __future__ import annotations

from typing import TYPE_CHECKING

from keelback.options import kinds, later
from keelback.options.load import OPTIONS_BY_KEY

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

OWN_KEYS = ("threads", "log_format", "monitor_", "metrics_")
"""What only Keelback has."""

TOP_KEYS = tuple(sorted(key for key in OPTIONS_BY_KEY if not key.startswith(OWN_KEYS)))

ANYTHING = (
    *("0", "1", "-1", "17", "1.5", "1k", "2MB", "70000", "3000000000", "true", "off", '"text"'),
    *("bare", '"a b"', '"1s"', '"90s"', "5s", "[]", "[ a, b ]", "[ 1 , 2 ]", "{}", "{ a: b }"),
    *("{ a: 1 }", "2024-01-02T03:04:05Z", "127.0.0.1:4222", '""', "(\nblock\n)\n"),
)
"""One value of each type and shape, for keys that expect another one."""

NAMES = ("a", "b", "ann", "bob", "orders.>", "x.*.y", "'two words'", '"quoted"')
SUBJECTS = ("a.b", "'orders.>'", "'*'", "[ a , 'b.>' ]", "{ allow: a , deny: [ b , c ] }")
USERS = (
    "{ user: %s, password: x }",
    "{ username: %s, pass: '$2a$11$abc' }",
    "{ user: %s, permissions: { publish: a.b, subscribe: { deny: 'x.>' } } }",
    "{ user: %s, allowed_connection_types: [ standard , MQTT ] }",
    "{ user: %s, permission: { allow_responses: { max: 3, ttl: '1m' } } }",
)


def values_for(kind: kinds.Kind) -> tuple[str, ...]:
    """Right values of a kind."""
    if isinstance(kind, kinds.Flag):
        return ("true", "false", "yes", "off", "On")
    if isinstance(kind, kinds.StrictDuration):
        return ('"45s"', '"2m"', "'1h30m'")
    if isinstance(kind, kinds.Duration):
        return ('"10s"', '"2m"', "'1h30m'", "500ms", "7")
    if isinstance(kind, kinds.Choice):
        return kind.choices
    if isinstance(kind, kinds.Integer):
        return ("1", "17", "200", "4_0", "1k", "3KB")
    if isinstance(kind, kinds.Text):
        return ('"text"', "bare", "'raw \\n'", '"tab\\t"', "a-b.c", "path/to/file")
    return ANYTHING


def made_up(source: random.Random) -> str:
    """One configuration."""
    pairs = [pair for _ in range(source.randint(1, 6)) for pair in _pairs(source)]
    text = "".join(_written(source, key, value) for key, value in pairs)
    return source.choice(("{}", "{}", "{}", "{{\n{}\n}}\n")).format(text)


def _pairs(source: random.Random) -> Iterator[tuple[str, str]]:
    maker = source.choice((_plain, _plain, _plain, _address, _authorization, _accounts, _tls))
    if source.random() < 0.1:
        maker = source.choice((_later, _variable, _misspelt))
    return maker(source)


def _plain(source: random.Random) -> Iterator[tuple[str, str]]:
    key = source.choice(TOP_KEYS)
    values = ANYTHING if source.random() < 0.2 else values_for(OPTIONS_BY_KEY[key].kind)
    yield key, source.choice(values)


def _address(source: random.Random) -> Iterator[tuple[str, str]]:
    values = ("4222", "-1", "'a:1'", "'[::1]:8222'", "127.0.0.1:1", "x", "':0'", "true", "[]")
    yield source.choice(("listen", "http", "https")), source.choice(values)


def _misspelt(source: random.Random) -> Iterator[tuple[str, str]]:
    key = source.choice(TOP_KEYS)
    at = source.randrange(len(key))
    yield key[:at] + key[at + 1 :] + "_", source.choice(ANYTHING)


def _variable(source: random.Random) -> Iterator[tuple[str, str]]:
    name = f"VALUE{source.randrange(100)}"
    key = source.choice(TOP_KEYS)
    yield name, source.choice(values_for(OPTIONS_BY_KEY[key].kind))
    yield key, f"${name}"


def _later(source: random.Random) -> Iterator[tuple[str, str]]:
    key = source.choice(("cluster", "gateway", "leafnodes", "websocket", "mqtt", "jetstream"))
    yield key, "{ %s: 3 }" % source.choice(("nme", "lissten", "tsl", "prot"))


def _authorization(source: random.Random) -> Iterator[tuple[str, str]]:
    fields = source.choice(
        (
            ["user: ann", "password: secret"],
            ["token: abc"],
            [f"users: {_users(source)}"],
            [f"users: {_users(source)}", f"default_permissions: {_permissions(source)}"],
            ["user: ann", "token: abc"],
        )
    )
    if source.random() < 0.3:
        fields.append(source.choice(("timeout: 1", "timeout: 0.5", "timeout: '3s'", "timeout: 90")))
    if source.random() < 0.15:
        fields.append(source.choice(("usr: a", "permission_s: {}", "auth_callout: {}")))
    yield "authorization", _map(source, fields)


def _accounts(source: random.Random) -> Iterator[tuple[str, str]]:
    if source.random() < 0.2:
        yield "accounts", source.choice(("[ A , B ]", "[ A , A ]", "[ A , '$G' ]"))
        return
    accounts: list[str] = []
    for name in source.sample(("A", "B", "SYS", "'$SYS'"), source.randint(1, 3)):
        fields = [f"users: {_users(source)}"] if source.random() < 0.6 else []
        if source.random() < 0.4:
            limit = source.choice(
                (
                    "max_connections: 3",
                    "max_conn: -1",
                    "max_subs: 5, max_payload: 1kb",
                    "max_con: 1",
                )
            )
            fields.append("limits: { %s }" % limit)
        if source.random() < 0.1:
            fields.append(source.choice(("nkey: x", "default_permissions: {}", "nope: 1")))
        accounts.append(f"{name}: {_map(source, fields)}")
    yield "accounts", _map(source, accounts)


def _tls(source: random.Random) -> Iterator[tuple[str, str]]:
    fields = ["verify: true", "timeout: 3", "first: auto", "connection_rate_limit: 9"]
    fields = source.sample(fields, source.randint(0, 3))
    if source.random() < 0.3:
        wrong = ("verfy: true", "timeout: []", "min_version: '1.1'", "connection_rate_limit: x")
        fields.append(source.choice(wrong))
    yield "tls", _map(source, fields)


def _users(source: random.Random) -> str:
    users = [source.choice(USERS) % name for name in source.sample(NAMES[:4], 2)]
    return f"[ {source.choice((' , ', chr(10))).join(users)} ]"


def _permissions(source: random.Random) -> str:
    side = source.choice(("publish", "pub", "subscribe", "sub"))
    return "{ %s: %s }" % (side, source.choice(SUBJECTS))


def _map(source: random.Random, fields: list[str]) -> str:
    separator = source.choice((", ", "; ", "\n", "\n  # comment\n", "\n\n\t"))
    return "{ " + separator.join(fields) + " }"


def _written(source: random.Random, key: str, value: str) -> str:
    key = source.choice((key, key, key, key.upper(), f'"{key}"', f"'{key}'"))
    between = source.choice((": ", " = ", " ", ":", "=", "\t:  "))
    # A value that ends in white space or a block takes no other end than a new line.
    ends = ("\n",) if value.endswith("\n") else ("\n", "\n\n", " \n", " # c\n", "\r\n", " // c\n")
    indent = source.choice(("", "", "  ", "\t"))
    return f"{indent}{key}{between}{value}{source.choice(ends)}"


def later_blocks() -> Iterator[tuple[str, later.Shape]]:
    """Every block of a later capability once: a text with `%s` where its pairs stand."""
    seen: set[int] = set()
    roots = (
        ("%s", later.TOP),
        ("authorization { %s }", later.AUTHORIZATION),
        ("authorization { users: [ { user: a, %s } ] }", later.USER),
        ("accounts { A { %s } }", later.ACCOUNT),
        ("tls { %s }", later.TLS),
    )
    waiting = list(roots)
    while waiting:
        text, shape = waiting.pop()
        if id(shape) in seen:
            continue
        seen.add(id(shape))
        if shape.keys:
            yield text, shape
        for names, block in shape.blocks.items():
            name = names.split("/")[0]
            if block is not None:
                inner = "[ { %s } ]" if name in LISTS else "{ %s }"
                waiting.append((text.replace("%s", f"{name}: {inner}"), block))
        if shape.each is not None:
            waiting.append((text.replace("%s", "'a.b': { %s }"), shape.each))


LISTS = ("users", "remotes", "gateways", "imports", "exports", "trusted", "certs")
