"""Characters into keys and scalars: strings, numbers, dates, comments.

Knows no structure, no file and no option. The text is one character for each byte (Latin-1), so
that positions are nats-server's, which counts bytes; what is handed out is decoded. A NUL byte
reads like the end of the file, as it does there.

Source of the rules and texts: nats-server 2.15 `conf/lex.go`, checked against the binary.
"""

from __future__ import annotations

from keelback.config.gotext import INT64_MAX, INT64_MIN
from keelback.config.tree import Timestamp
from keelback.errors import ConfigSyntaxError, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    Scalar = str | bool | int | float | Timestamp

END = "\0"
BLANKS = " \t"
NEWLINES = "\n\r"
_SPACES = " \t\n\v\f\r"
_WIDE_SPACES = "\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DIGITS = "0123456789"
_NUMBER_ENDS = NEWLINES + BLANKS + END + "};,"
_STRING_STOPS = NEWLINES + BLANKS + END + "};,]'\\"
_SUFFIX_LETTERS = "kKmMgGtTpPeE"
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\"}
_DATE_SHAPE = "00-00T00:00:00Z"
_YEAR_DIGITS = 4
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class EndOfInput(Exception):  # noqa: N818 - not an error: the text ended where it may
    """The text ended where a key, a quoted string or nothing at all had begun."""


class Variable:
    """A reference, `$name`: the parser finds what it stands for."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Lexer:
    """A cursor over one text. `position` is where it stands; reading moves it."""

    def __init__(self, content: bytes, file: str) -> None:
        self.text = content.decode("latin-1")
        self.file = file
        self.position = 0
        # How far newlines were counted, so that a place costs only the way from the last one.
        self._counted_to = 0
        self._line = 1
        self._newline_at = 0
        # Where each of these characters stands next, so that each is looked for once.
        self._next_at: dict[str, int] = {}

    # Places and errors

    def place(self, start: int, end: int | None = None, length: int | None = None) -> Place:
        """The place of something between `start` and `end` that came to `length` bytes.

        nats-server names the line where a thing ended, and finds the column by going back its
        length from there: after escapes, `length` is shorter than the text that was read.
        """
        end = start if end is None else end
        self._count_to(start)
        started_on_first_line = self._newline_at == 0
        column = end - (end - start if length is None else length) - self._newline_at
        self._count_to(end)
        return Place(self.file, self._line, column + (started_on_first_line and self._line == 1))

    def fail(self, reason: str, at: int) -> NoReturn:
        """Refuse the character at `at`; nats-server has read it by then."""
        self._count_to(min(at + 1, len(self.text)))
        place = Place(self.file, self._line, max(at - self._newline_at, 0) + (self._line == 1))
        raise ConfigSyntaxError(place, f"Parse error on line {self._line}: '{reason}'")

    def show(self, at: int) -> str:
        """The character at `at` as an error names it."""
        char, _ = self.wide(at)
        return "\\n" if char == "\n" else char

    def _count_to(self, end: int) -> None:
        if end < self._counted_to:
            self._counted_to, self._line, self._newline_at = 0, 1, 0
        newlines = self.text.count("\n", self._counted_to, end)
        if newlines:
            self._line += newlines
            self._newline_at = self.text.rfind("\n", self._counted_to, end)
        self._counted_to = end

    # Characters

    def peek(self, ahead: int = 0) -> str:
        """The character `ahead` of the cursor; NUL behind the end."""
        at = self.position + ahead
        return self.text[at] if at < len(self.text) else END

    @property
    def is_at_end(self) -> bool:
        """No character is left (a NUL byte is one)."""
        return self.position >= len(self.text)

    def wide(self, at: int) -> tuple[str, int]:
        """The whole character at `at` and its bytes; U+FFFD for a byte that begins none."""
        if at >= len(self.text):
            return END, 0
        char = self.text[at]
        if char < "\x80":
            return char, 1
        length = 2 if char < "\xe0" else 3 if char < "\xf0" else 4
        try:
            return self.text[at : at + length].encode("latin-1").decode(), length
        except UnicodeDecodeError:
            return "\ufffd", 1

    def space_at(self, at: int) -> int:
        """The bytes of the white space at `at`, newlines included; 0 when there is none."""
        if at >= len(self.text):
            return 0
        char = self.text[at]
        if char < "\x80":
            return char in _SPACES
        wide, length = self.wide(at)
        return length if wide in _WIDE_SPACES else 0

    def skip_spaces(self) -> None:
        """Skip white space and newlines."""
        while length := self.space_at(self.position):
            self.position += length

    def skip_blanks(self) -> None:
        """Skip blanks and tabs, not newlines."""
        while self.peek() in BLANKS:
            self.position += 1

    def skip_comment(self) -> None:
        """Skip to the end of the line, which stays (or to a NUL byte)."""
        self.position = min(self._next(stop, self.position) for stop in NEWLINES + END)

    @property
    def at_comment(self) -> bool:
        """A comment begins here."""
        return self.peek() == "#" or self.text.startswith("//", self.position)

    def decoded(self, start: int, end: int) -> str:
        """The text between two positions."""
        return _decode(self.text[start:end])

    # Keys

    def bare_key(self) -> tuple[str, Place]:
        """Read a key without quotes; its first character is taken whatever it is."""
        start = self.position
        self.position += max(self.wide(start)[1], 0)
        while (char := self.peek()) not in "=:\0" and not self.space_at(self.position):
            self.position += 1 if char < "\x80" else self.wide(self.position)[1]
        return self.decoded(start, self.position), self.place(start, self.position)

    def quoted_key(self, on_end: str) -> tuple[str, Place]:
        """Read a key between quotes, raw; `on_end` is the error when the text ends before it."""
        quote = self.peek()
        start = self.position + 1
        end = self._find(quote, start)
        if self._char(end) != quote:
            self.position = end
            if end == start and not on_end:
                raise EndOfInput
            self.fail(on_end or "Unexpected EOF.", end)
        self.position = end + 1
        return self.decoded(start, end), self.place(start, end)

    # Scalars

    def scalar(self) -> tuple[Scalar | Variable, Place]:
        """Read the scalar at the cursor."""
        char = self.peek()
        if char == "'":
            return self._raw_string()
        if char == '"':
            return self._string(self.position + 1, is_quoted=True)
        if char == "(":
            return self._block_string()
        if char == "-":
            return self._negative_number()
        if char == ".":
            self.fail("Floats must start with a digit", self.position)
        if char in NEWLINES and not self.is_at_end:
            self.fail("Expected value but found new line", self.position)
        if self._digit_at(self.position):
            return self._number_date_or_string()
        return self._string(self.position, is_quoted=False)

    def _raw_string(self) -> tuple[str, Place]:
        start = self.position + 1
        end = self._find("'", start)
        if self._char(end) != "'":
            self.position = end
            if end == start and end >= len(self.text):
                raise EndOfInput
            self.fail("Unexpected EOF.", end)
        self.position = end + 1
        return self.decoded(start, end), self.place(start, end)

    def _block_string(self) -> tuple[str, Place]:  # noqa: RET503 - `fail` never returns
        start = self.position + 1
        close = start
        stop = self._next(END, start)
        while (close := self.text.find(")", close, stop)) >= 0:
            after = close + 1
            if self.text[close - 1] == "\n" and self._char(after) in "\n\0":
                # Without a newline after it, nats-server keeps the closing parenthesis.
                end = close if after < len(self.text) and self.text[after] == "\n" else after
                self.position = after
                return self.decoded(start, end), self.place(start, end)
            close = after
        self.fail("Unexpected EOF processing block.", stop)

    def _string(
        self, start: int, *, is_quoted: bool, scan_from: int | None = None
    ) -> tuple[Scalar | Variable, Place]:
        """Read a string with escapes, up to its quote, or without quotes up to a separator."""
        stops = '"\\\0' if is_quoted else _STRING_STOPS
        parts: list[str] = []
        part_start = start
        self.position = start if scan_from is None else scan_from
        while True:
            while (char := self.peek()) not in stops:
                self.position += 1
            if char != "\\":
                break
            parts.append(self.text[part_start : self.position])
            parts.append(self._escape())
            part_start = self.position
        end = self.position
        raw = "".join(parts) + self.text[part_start:end]
        place = self.place(start, end, len(raw))
        if is_quoted:
            if char != '"':
                self._fail_in_quotes(start, end, has_escapes=bool(parts), part_start=part_start)
            self.position += 1
        elif char == "'":
            self.position += 1
        elif not parts and scan_from is None:
            return self._word(raw, place)
        return _decode(raw), place

    def _fail_in_quotes(
        self, start: int, end: int, *, has_escapes: bool, part_start: int
    ) -> NoReturn:
        begin = part_start if has_escapes else start
        if end == begin and end >= len(self.text):
            raise EndOfInput
        self.fail("Unexpected EOF.", end)

    @staticmethod
    def _word(raw: str, place: Place) -> tuple[Scalar | Variable, Place]:
        boolean = _BOOLEANS.get(raw.lower())
        if boolean is not None:
            return boolean, place
        if raw.startswith("$"):
            return Variable(_decode(raw[1:])), Place(place.file, place.line, place.column + 1)
        return _decode(raw), place

    def _escape(self) -> str:
        """Read one escape; the cursor stands on its backslash."""
        at = self.position + 1
        letter = self._char(at)
        if letter == "x":
            return self._hex_escape(at + 1)
        escaped = _ESCAPES.get(letter)
        if escaped is None:
            self.fail(
                f"Invalid escape character '{self.show(at)}'. Only the following escape characters "
                'are allowed: \\xXX, \\t, \\n, \\r, \\", \\\\.',
                at,
            )
        self.position = at + 1
        return escaped

    def _hex_escape(self, at: int) -> str:
        for _ in range(2):
            if at < len(self.text) and self.text[at] in NEWLINES:
                self.fail("Expected two hexadecimal digits after '\\x', but hit end of line", at)
            at += self.wide(at)[1]
        digits = self.text[at - 2 : at]
        if not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.fail(
                f"Expected two hexadecimal digits after '\\x', but got '{_decode(digits)}'", at - 1
            )
        self.position = at
        return chr(int(digits, 16))

    # Numbers and dates

    def _number_date_or_string(self) -> tuple[Scalar | Variable, Place]:
        start = self.position
        self._skip_digits()
        char = self.peek()
        if char == "-":
            if self.position - start != _YEAR_DIGITS:
                self.fail("All ISO8601 dates must be in full Zulu form.", self.position)
            return self._date(start)
        if char == ".":
            return self._float_or_address(start)
        if char in _SUFFIX_LETTERS:
            return self._suffixed_number(start)
        if char in _NUMBER_ENDS:
            return self._integer(start)
        # nats-server has taken this character already, so that it ends no string: `[2]` is the
        # string `2]`, and the array goes on.
        return self._string(start, is_quoted=False, scan_from=self.position + 1)

    def _negative_number(self) -> tuple[Scalar | Variable, Place]:
        start = self.position
        self.position += 1
        if not self._digit_at(self.position):
            if self.peek() == ".":
                self.fail("Floats must start with a digit, not '.'.", self.position)
            self.fail(f"Expected a digit but got '{self.show(self.position)}'.", self.position)
        self._skip_digits()
        if self.peek() == ".":
            return self._float_or_address(start)
        if self.peek() in _SUFFIX_LETTERS:
            return self._suffixed_number(start)
        return self._integer(start)

    def _suffixed_number(self, start: int) -> tuple[Scalar | Variable, Place]:
        self.position += 1
        while self.peek() in "bBiI":
            self.position += 1
        if self.peek() in _NUMBER_ENDS:
            return self._integer(start)
        return self._string(start, is_quoted=False, scan_from=self.position)

    def _integer(self, start: int) -> tuple[int, Place]:
        text = self.decoded(start, self.position)
        digits = text.rstrip(_SUFFIX_LETTERS + "bBiI")
        place = self.place(start, self.position)
        if not digits.lstrip("-").isascii():
            raise ConfigSyntaxError(place, f"expected integer, but got '{text}'")
        suffix = text[len(digits) :].lower()
        if suffix[1:] not in ("", "b", "i", "ib"):
            raise ConfigSyntaxError(
                place,
                f"expected integer, but got '{text}'",
                hint=f"`{suffix}` is no size; `k`, `m` … are powers of 1000, `kb`, `mb` … of 1024",
            )
        power = " kmgtpe".index(suffix[0]) if suffix else 0
        # No int64 is longer; Python refuses to read thousands of digits.
        is_short = len(digits.lstrip("-0")) <= len(str(INT64_MAX))
        number = (
            int(digits) * (1024 if suffix[1:] else 1000) ** power if is_short else INT64_MAX + 1
        )
        if not INT64_MIN <= number <= INT64_MAX:
            raise ConfigSyntaxError(place, f"integer '{text}' is out of the range")
        return number, place

    def _float_or_address(self, start: int) -> tuple[float | str, Place]:
        self.position += 1
        if not self._digit_at(self.position):
            shown = self.show(self.position)
            self.fail(
                f"Floats must have a digit after the '.', but got '{shown}' instead.", self.position
            )
        self._skip_digits()
        if self.peek() == ".":
            while self.peek() in ".:-" or self._digit_at(self.position):
                self.position += 1
            return self.decoded(start, self.position), self.place(start, self.position)
        text = self.decoded(start, self.position)
        place = self.place(start, self.position)
        if not text.isascii():
            raise ConfigSyntaxError(place, f"expected float, but got '{text}'")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ConfigSyntaxError(place, f"float '{text}' is out of the range")
        return number, place

    def _date(self, start: int) -> tuple[Timestamp, Place]:
        self.position += 1
        for expected in _DATE_SHAPE:
            at = self.position
            shown = self.show(at)
            if expected == "0" and not self._digit_at(at):
                self.fail(f"Expected digit in ISO8601 datetime, but found '{shown}' instead.", at)
            if expected != "0" and self._char(at) != expected:
                self.fail(
                    f"Expected '{expected}' in ISO8601 datetime, but found '{shown}' instead.", at
                )
            self.position += self.wide(at)[1]
        text = self.decoded(start, self.position)
        place = self.place(start, self.position)
        if not _is_date(text):
            raise ConfigSyntaxError(place, f"expected Zulu formatted DateTime, but got '{text}'")
        return Timestamp(text), place

    # Help

    def _char(self, at: int) -> str:
        return self.text[at] if at < len(self.text) else END

    def _digit_at(self, at: int) -> bool:
        char = self._char(at)
        return char in _DIGITS if char < "\x80" else self.wide(at)[0].isdecimal()

    def _skip_digits(self) -> None:
        while self._digit_at(self.position):
            self.position += self.wide(self.position)[1]

    def _find(self, char: str, start: int) -> int:
        """Where `char` or a NUL byte stands next, or the end."""
        end = self._next(END, start)
        found = self.text.find(char, start, end)
        return end if found < 0 else found

    def _next(self, char: str, start: int) -> int:
        """Where `char` stands next, or the end of the text; remembered, as `start` only grows.

        Without that, a text of many short strings would be searched to its end for each of them.
        """
        at = self._next_at.get(char, -1)
        if at < start:
            at = self.text.find(char, start)
            at = self._next_at[char] = len(self.text) if at < 0 else at
        return at


def _decode(raw: str) -> str:
    return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8", "surrogateescape")


def _is_date(text: str) -> bool:
    if not text.isascii():
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    if not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1]:  # noqa: PLR2004
        return False
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    is_time = hour < 24 and minute < 60 and second < 60  # noqa: PLR2004
    return is_time and (is_leap or (month, day) != (2, 29))
