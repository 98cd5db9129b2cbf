"""Any bytes in a configuration file: options, or errors with file, line and column.

    .venv/bin/python fuzz/fuzz_targets/configuration.py .build/corpus fuzz/corpus/configuration

Takes libFuzzer's options. The files that texts may include are those of the unit tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

with atheris.instrument_imports(include=["keelback.config", "keelback.options"]):
    from keelback.options import later, report
    from keelback.options.load import KNOWN_KEYS, load_file

from tests.unit.config.properties import settle_options  # noqa: E402 - found by the path above
from tests.unit.config.texts import ENVIRONMENT, FILES, PARTS  # noqa: E402

NAME = "fuzzed.conf"


def settle(content: bytes) -> None:
    """Read one text; in the folder of what it may include."""
    Path(NAME).write_bytes(content)
    settle_options(lambda: load_file(NAME), (NAME, *FILES))


def dictionary() -> str:
    """Words of the language, as libFuzzer reads them."""
    keys = {*KNOWN_KEYS, *(key for block in later.BLOCKS.values() for key in block.keys), *FILES}
    words = sorted(keys | set(PARTS) | {f"${name}" for name in ENVIRONMENT})
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in words)
    return "".join(f'"{word}"\n' for word in escaped)


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    arguments = [
        word if word.startswith("-") else str(Path(word).resolve()) for word in sys.argv[1:]
    ]
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words.dict")
        words.write_text(dictionary(), encoding="ascii")
        texts = Path(folder, "texts")
        texts.mkdir()
        for name, text in FILES.items():
            (texts / name).write_text(text, encoding="utf-8")
        os.chdir(texts)
        os.environ.clear()
        os.environ.update(ENVIRONMENT)
        # Looking for the nearest known key takes longer than all the rest.
        report.NEAREST_HINTS_MAX = 0
        atheris.Setup([sys.argv[0], *arguments, f"-dict={words}"], settle)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
