"""Structure: maps, arrays, includes and variables become a tree of values with places.

Knows no option. Reads files only for `include`. Bounded: bytes of one file and of all, depth of
containers and of includes, and what shared variables come to when written out.

Source of the rules and texts: nats-server 2.15 `conf/lex.go`, `conf/parse.go`, checked against
the binary.
"""

from __future__ import annotations

import os

from keelback.config.gotext import os_error_text, quote
from keelback.config.lexer import BLANKS, END, NEWLINES, EndOfInput, Lexer, Variable
from keelback.config.tree import DEPTH_MAX, WEIGHT_MAX, Value
from keelback.errors import ConfigError, ConfigSyntaxError, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

FILE_BYTES_MAX = 16 << 20
"""One file: a hundred thousand users are about ten megabytes."""

TOTAL_BYTES_MAX = 64 << 20
INCLUDE_DEPTH_MAX = 16
INCLUDES_MAX = 4096
VARIABLE_DEPTH_MAX = 32

_ENVIRONMENT_KEY = "pk"
_BCRYPT_PREFIX = "2a$"


def parse_file(path: str, *, environment: Mapping[str, str] | None = None) -> Value:
    """Read a configuration file into a map.

    Variables fall back on `environment`, the process's own by default.

    Raises:
        ConfigSyntaxError: the file cannot be opened or read; the message is nats-server's.
    """
    session = _Session(os.environ if environment is None else environment)
    return session.parse_file(path, Place(path, 1, 1))


def parse_text(text: str | bytes, *, environment: Mapping[str, str] | None = None) -> Value:
    """Read a configuration that is at hand; its includes are relative to the working directory.

    Raises:
        ConfigSyntaxError: the text cannot be read.
    """
    session = _Session(os.environ if environment is None else environment)
    content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return session.parse(content, "", Place("", 1, 1))


class _Session:
    """What the files of one configuration share: the environment, and what they have used up."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.environment_names: list[str] = []
        self.open_files: list[str] = []
        self._bytes = 0
        self._files = 0

    def parse_file(self, path: str, used_at: Place) -> Value:
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs start-up time
                content = file.read(FILE_BYTES_MAX + 1)
        except IsADirectoryError as error:
            raise ConfigSyntaxError(used_at, os_error_text("read", path, error)) from error
        except (OSError, ValueError) as error:
            failure = error if isinstance(error, OSError) else OSError(0, "invalid argument")
            raise ConfigSyntaxError(used_at, os_error_text("open", path, failure)) from error
        real_path = os.path.realpath(path)
        if real_path in self.open_files or len(self.open_files) > INCLUDE_DEPTH_MAX:
            chain = " → ".join(os.path.basename(name) for name in (*self.open_files, path))  # noqa: PTH119
            raise ConfigSyntaxError(
                used_at,
                f"include cycle: {chain}"
                if real_path in self.open_files
                else f"includes are more than {INCLUDE_DEPTH_MAX} deep: {chain}",
                hint="a file may include others, but none that leads back to itself",
            )
        self.open_files.append(real_path)
        self._files += 1
        try:
            return self.parse(content, path, used_at)
        finally:
            self.open_files.pop()

    def parse(self, content: bytes, file: str, used_at: Place) -> Value:
        self._bytes += len(content)
        for amount, most, what in (
            (len(content), FILE_BYTES_MAX, "bytes in one file"),
            (self._bytes, TOTAL_BYTES_MAX, "bytes in all files"),
            (self._files, INCLUDES_MAX, "files"),
        ):
            if amount > most:
                raise ConfigSyntaxError(used_at, f"the configuration has more than {most:,} {what}")
        return Value(_Parser(Lexer(content, file), self).parse(), Place(file, 1, 1))


class _Parser:
    """Reads one text. Containers that are open stand in `_open`, innermost last.

    Keys wait on a stack until a value takes the last one. A key that never gets its value stays
    there and is taken by its own map's end, so that `tls { verify }` is the map `verify`, and the
    unknown field that nats-server names.
    """

    def __init__(self, lexer: Lexer, session: _Session) -> None:
        self._lexer = lexer
        self._session = session
        self._root: dict[str, Value] = {}
        self._open: list[dict[str, Value] | list[Value]] = [self._root]
        self._keys: list[tuple[str, Place]] = []
        self._last_key: str | None = None

    def parse(self) -> dict[str, Value]:
        lexer = self._lexer
        try:
            self._top()
        except EndOfInput:
            # A brace that closes nothing is taken for a key: it ends JSON-like files.
            if self._last_key not in (None, "}"):
                place = lexer.place(lexer.position)
                hint = f"the key {quote(self._last_key or '')} has no value"
                raise ConfigSyntaxError(place, f"config is invalid ({place})", hint=hint) from None
        return self._root

    # The top level, with or without braces around it

    def _top(self) -> None:
        lexer = self._lexer
        while True:
            lexer.skip_spaces()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char == "{":
                lexer.position += 1
                self._braces()
            elif char in ("/", END):
                self._end_or_fail()
            else:
                self._top_key()
                self._end_of_top_value()

    def _end_of_top_value(self) -> None:
        lexer = self._lexer
        while True:
            char = lexer.peek()
            if lexer.at_comment:
                return
            if char in BLANKS + "/":
                lexer.position += 1
            elif char in NEWLINES + ";,}" + END:
                lexer.position += not lexer.is_at_end
                return
            else:
                self._fail_end("a top-level value to end with a new line, comment or EOF")

    def _braces(self) -> None:
        """Read `{ … }` around top-level pairs; braces may be doubled, and may stay open."""
        lexer = self._lexer
        depth = 1
        while depth:
            lexer.skip_spaces()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char == "{":
                lexer.position += 1
                depth += 1
            elif char == "}":
                lexer.position += 1
                depth = self._end_of_braces(depth - 1)
            elif char in ("/", END):
                self._end_or_fail()
            else:
                self._top_key()
                if not self._braced_value_goes_on():
                    depth = self._end_of_braces(depth - 1)

    def _braced_value_goes_on(self) -> bool:
        """After a value: True at its terminator, False at the brace that closes."""
        lexer = self._lexer
        while True:
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char in BLANKS + "/":
                lexer.position += 1
            elif char in NEWLINES + ";,":
                lexer.position += 1
                return True
            elif char == "}":
                lexer.position += 1
                return False
            else:
                self._fail_end("a block-level value to end with a new line, comment or EOF")

    def _end_of_braces(self, depth: int) -> int:
        """After a closing brace inside `depth` others; returns the depth that is left."""
        lexer = self._lexer
        while depth:
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
                return depth
            if char in BLANKS + NEWLINES + "/":
                lexer.position += 1
            elif char in ";,":
                lexer.position += 1
                return depth
            elif char == "}":
                lexer.position += 1
                depth -= 1
            else:
                self._fail_end("a block-level to end with a '}'")
        return depth

    def _end_or_fail(self) -> NoReturn:
        if self._lexer.is_at_end:
            raise EndOfInput
        self._lexer.fail("Unexpected EOF.", self._lexer.position)

    def _top_key(self) -> None:
        lexer = self._lexer
        char = lexer.peek()
        if char in "=:":
            lexer.fail(f"Unexpected key separator '{char}'", lexer.position)
        if char in "'\"":
            self._push_key(*lexer.quoted_key(on_end=""))
        elif self._bare_key_or_include():
            return
        lexer.skip_spaces()
        char = lexer.peek()
        if char == END:
            raise EndOfInput
        lexer.position += char in "=:"
        self._value()

    # Maps and arrays

    def _map(self) -> None:
        lexer = self._lexer
        self._enter({})
        while True:
            lexer.skip_spaces()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char == "}" or self._map_key() or not self._end_of_map_value():
                break
        lexer.position += 1
        self._leave()

    def _map_key(self) -> bool:
        """Read a key and its value; True at a brace in place of the value."""
        lexer = self._lexer
        char = lexer.peek()
        if char in "=:":
            lexer.fail(f"Unexpected key separator '{char}'.", lexer.position)
        if char == "]":
            lexer.fail("Unexpected array end ']' processing map.", lexer.position)
        if char == END:
            lexer.fail("Unexpected EOF processing map.", lexer.position)
        if char in "'\"":
            kind = "double quoted" if char == '"' else "quoted"
            self._push_key(*lexer.quoted_key(on_end=f"Unexpected EOF processing {kind} map key."))
        else:
            # A slash that begins no comment is dropped, and what follows begins the key.
            lexer.position += char == "/"
            if self._bare_key_or_include(in_map=True):
                return False
        lexer.skip_spaces()
        if lexer.peek() in "=:":
            lexer.position += 1
        lexer.skip_spaces()
        char = lexer.peek()
        if char == ",":
            lexer.fail('Unexpected map value terminator ",".', lexer.position)
        if char == "}":
            return True
        self._value()
        return False

    def _end_of_map_value(self) -> bool:
        """After a value: True at its terminator, False at the closing brace."""
        lexer = self._lexer
        while True:
            lexer.skip_blanks()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char in NEWLINES + ";,/":
                lexer.position += 1
                return True
            elif char == "}":
                return False
            else:
                self._fail_end('a map value terminator "," or a map terminator "}"')

    def _array(self) -> None:
        lexer = self._lexer
        self._enter([])
        while True:
            lexer.skip_spaces()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char in ",/":
                lexer.fail("Unexpected array value terminator ','.", lexer.position)
            elif char == "]":
                break
            else:
                self._value()
                if not self._end_of_array_value():
                    break
        lexer.position += 1
        self._leave()

    def _end_of_array_value(self) -> bool:
        """After a value: True at its terminator, False at the closing bracket."""
        lexer = self._lexer
        while True:
            lexer.skip_blanks()
            char = lexer.peek()
            if lexer.at_comment:
                self._comment()
            elif char in NEWLINES + ",/":
                lexer.position += 1
                return True
            elif char == "]":
                return False
            else:
                self._fail_end('an array value terminator "," or an array terminator "]"')

    def _enter(self, container: dict[str, Value] | list[Value]) -> None:
        self._last_key = None
        if len(self._open) > DEPTH_MAX:
            self._fail_size(f"more than {DEPTH_MAX} maps and arrays inside one another")
        self._lexer.position += 1
        self._open.append(container)

    def _leave(self) -> None:
        container = self._open.pop()
        lexer = self._lexer
        self._set(Value(container, lexer.place(lexer.position)))

    # Keys and values

    def _bare_key_or_include(self, *, in_map: bool = False) -> bool:
        """Read a bare key and push it; True when it was an `include`, with its file."""
        lexer = self._lexer
        key, place = lexer.bare_key()
        if lexer.space_at(lexer.position):
            if key.lower() == "include":
                self._include(place)
                return True
        elif in_map and lexer.peek() == END:
            lexer.fail("Unexpected EOF processing map key.", lexer.position)
        self._push_key(key, place)
        return False

    def _push_key(self, key: str, place: Place) -> None:
        self._keys.append((key, place))
        self._last_key = key

    def _comment(self) -> None:
        self._last_key = None
        self._lexer.skip_comment()

    def _value(self) -> None:
        lexer = self._lexer
        lexer.skip_blanks()
        char = lexer.peek()
        if char == "[":
            self._array()
        elif char == "{":
            self._map()
        else:
            data, place = lexer.scalar()
            if isinstance(data, Variable):
                self._set(self._variable(data.name, place))
            else:
                self._set(Value(data, place))

    def _set(self, value: Value) -> None:
        """Put a value into the innermost open container, under the last key in a map."""
        self._last_key = None
        if value.depth > DEPTH_MAX:
            self._fail_size(f"more than {DEPTH_MAX} maps and arrays inside one another")
        if value.weight > WEIGHT_MAX:
            self._fail_size(f"more than {WEIGHT_MAX:,} values, with its variables written out")
        container = self._open[-1]
        if isinstance(container, list):
            container.append(value)
            return
        key, value.place = self._keys.pop()
        container[key] = value

    # Variables and includes

    def _variable(self, name: str, place: Place) -> Value:
        if name.startswith(_BCRYPT_PREFIX):  # a bcrypt hash without quotes
            return Value("$" + name, place)
        for container in reversed(self._open):
            if isinstance(container, dict) and name in container:
                found = container[name]
                found.is_variable = True
                return found.moved_to(place)
        found = self._environment_variable(name, place)
        if found is None:
            raise ConfigSyntaxError(
                place,
                f"variable reference for '{name}' on line {place.line} can not be found",
                hint=f"set `{name}` above this line or in the environment, or quote the text",
            )
        return found.moved_to(place)

    def _environment_variable(self, name: str, place: Place) -> Value | None:
        """Read an environment variable's text as a value, as if it stood in the file."""
        session = self._session
        names = session.environment_names
        problem = f"variable reference for '{name}' on line {place.line} could not be parsed: "
        if name in names or len(names) >= VARIABLE_DEPTH_MAX:
            raise ConfigSyntaxError(place, f"{problem}variable reference cycle for '{name}'")
        # A name that the environment cannot hold is not there.
        text = (
            session.environment.get(name) if name and "=" not in name and END not in name else None
        )
        if text is None:
            return None
        names.append(name)
        try:
            content = f"{_ENVIRONMENT_KEY}={text}".encode("utf-8", "surrogateescape")
            tree = session.parse(content, "", place)
        except ConfigError as error:
            raise ConfigSyntaxError(place, problem + error.problem, hint=error.hint) from error
        finally:
            names.pop()
        assert isinstance(tree.data, dict)  # noqa: S101 - a whole file is a map
        found = tree.data.get(_ENVIRONMENT_KEY)
        if found is not None:
            _move_all(found, place)
        return found

    def _include(self, place: Place) -> None:
        """Read `include file` from behind its keyword, and merge its map into the open one."""
        self._last_key = None
        name = self._include_name()
        directory = os.path.dirname(self._lexer.file) or "."  # noqa: PTH120
        # Joined even when it begins with a slash, as in nats-server.
        path = os.path.normpath(f"{directory}/{name}")
        if path.startswith("//"):
            path = path[1:]
        try:
            tree = self._session.parse_file(path, place)
        except ConfigError as error:
            problem = f"error parsing include file '{name}', {error.problem}"
            raise ConfigSyntaxError(error.place, problem, hint=error.hint) from error
        assert isinstance(tree.data, dict)  # noqa: S101 - a whole file is a map
        for key, value in tree.data.items():
            self._keys.append((key, value.place))
            self._set(value)

    def _include_name(self) -> str:
        lexer = self._lexer
        lexer.skip_blanks()
        char, start = lexer.peek(), lexer.position
        if char in "'\"":
            end = self._include_end(char + END, start + 1)
            if end >= len(lexer.text) or lexer.text[end] == END:
                kind = "double quoted" if char == '"' else "quoted"
                lexer.fail(f"Unexpected EOF in {kind} include", end)
            lexer.position = end + 1
            return lexer.decoded(start + 1, end)
        refused = {
            "[": "start of an array",
            "{": "start of a map",
            "(": "start of a block",
            "-": "start of a number",
            "\\": "escape sequence",
            "\n": "new line",
            "\r": "new line",
        }.get(char)
        if refused is None and lexer.wide(start)[0].isdecimal():
            refused = "start of a number"
        if refused is not None:
            lexer.fail(f"Expected include value but found {refused}", start)
        end = self._include_end(NEWLINES + BLANKS + ";}'" + END, start)
        lexer.position = end + (end < len(lexer.text) and lexer.text[end] == "'")
        return lexer.decoded(start, end)

    def _include_end(self, stops: str, start: int) -> int:
        text = self._lexer.text
        end = start
        while end < len(text) and text[end] not in stops:
            end += 1
        return end

    # Errors

    def _fail_end(self, expected: str) -> NoReturn:
        lexer = self._lexer
        at = lexer.position
        lexer.fail(f"Expected {expected}, but got '{lexer.show(at)}' instead.", at)

    def _fail_size(self, what: str) -> NoReturn:
        place = self._lexer.place(self._lexer.position)
        raise ConfigSyntaxError(
            place, f"Parse error on line {place.line}: 'the configuration has {what}'"
        )


def _move_all(value: Value, place: Place) -> None:
    """Give a whole tree one place: where its environment variable was named."""
    value.place = place
    if isinstance(value.data, dict):
        for child in value.data.values():
            _move_all(child, place)
    elif isinstance(value.data, list):
        for child in value.data:
            _move_all(child, place)
