"""The table of options itself: nothing undocumented, nothing twice, nothing out of range."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keelback.options import ServerOptions, TlsOptions, later
from keelback.options.fields import Option, Reload, options_of
from keelback.options.flag_table import FLAGS, SECTIONS, help_text
from keelback.options.load import KNOWN_KEYS, OPTIONS_BY_KEY
from keelback.options.server import NESTED, flat_blocks

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))
from generate_configuration_docs import BLOCKS  # noqa: E402

EVERY = [(block, described) for _, block in BLOCKS for described in options_of(block)]
"""Generous: a shared machine measures several times the usual 4 ms."""


@pytest.mark.parametrize(("block", "described"), EVERY, ids=lambda item: getattr(item, "key", None))
def test_every_option_is_described(block: type, described: Option) -> None:
    assert described.help.endswith("."), f"{block.__name__}.{described.name}"
    assert described.kind.name
    assert described.reload in vars(Reload).values()
    default = described.default
    if isinstance(default, int | float) and not isinstance(default, bool):
        unset = described.zero_is_default and default == 0
        assert unset or described.minimum is None or default >= described.minimum
        assert described.maximum is None or default <= described.maximum


def test_no_key_is_used_twice() -> None:
    keys = [
        key
        for block in flat_blocks()
        for described in options_of(block)
        if described.kind is not NESTED
        for key in described.keys
    ]
    assert sorted(keys) == sorted(set(keys))
    assert not set(KNOWN_KEYS) & later.KEYS
    for _, block in BLOCKS:
        of_block = [key for described in options_of(block) for key in described.keys]
        assert len(of_block) == len(set(of_block)), block.__name__
    names = [described.name for block in flat_blocks() for described in options_of(block)]
    assert len(names) == len(set(names))


def test_what_comes_later_is_not_there_already() -> None:
    there = {
        path: {key for option in options_of(block) for key in option.keys}
        for path, block in ((block.block_path, block) for _, block in BLOCKS)
        if path
    }
    for path, shape in later.BLOCKS.items():
        assert not there.get(path, set()) & shape.keys.keys()
    assert not set(KNOWN_KEYS) & later.TOP.keys.keys()


def test_every_tls_block_has_the_keys_of_the_clients_block() -> None:
    known = {key for option in options_of(TlsOptions) for key in option.keys}
    known.discard("handshake_first_fallback")
    shape = later.TOP.keys["resolver_tls"]
    assert shape is not None
    assert known | later.TLS.keys.keys() <= shape.keys.keys()


def test_every_flag_sets_an_option_that_is_there() -> None:
    names = [name for _, section in SECTIONS for flag in section for name in flag.names]
    assert len(names) == len(set(names)) == len(FLAGS)
    options = {described.name for described in OPTIONS_BY_KEY.values()}
    for flag in FLAGS.values():
        assert flag.help
        assert not flag.option or flag.option in options
        assert flag.names[0] in help_text()
    assert max(map(len, help_text().splitlines())) <= 100


def test_the_defaults_are_complete_and_pass_their_own_checks() -> None:
    assert ServerOptions.from_mapping({}) == ServerOptions()


def test_the_page_is_not_stale() -> None:
    tool = ROOT / "tools" / "generate_configuration_docs.py"
    subprocess.run(
        [sys.executable, str(tool), "--check"],
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT / "src")},
    )


def test_importing_the_options_imports_no_slow_module() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import keelback.options.command_line\n"
        "slow = {'re', 'enum', 'typing', 'dataclasses', 'inspect', 'difflib'}\n"
        "print(*(slow | {'keelback.options.later'}) & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(ROOT / "src")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "\n"
