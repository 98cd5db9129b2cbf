//! Whether a text is JSON, and if not, where it stops being so.

use super::JsonError;
use crate::quote::{is_printable, quote};

/// Deepest nesting of arrays and objects.
const DEPTH_MAX: usize = 10_000;

/// The blanks of JSON.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Checks that `text` is one JSON value between blanks.
pub(super) fn check(text: &[u8]) -> Result<(), JsonError> {
    let mut checker = Checker { text, at: 0, open: Vec::new() };
    loop {
        checker.value()?;
        // A value is whole: close what ends behind it, up to the place of the next value.
        loop {
            let Some(&open) = checker.open.last() else { return checker.end() };
            match (open, checker.next_byte()?) {
                (_, b',') => {
                    checker.at += 1;
                    if open == Open::Object {
                        checker.name()?;
                    }
                    break;
                }
                (Open::Array, b']') | (Open::Object, b'}') => checker.leave(),
                (Open::Array, _) => return Err(checker.unexpected("after array element")),
                (Open::Object, _) => {
                    return Err(checker.unexpected("after object key:value pair"));
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

struct Checker<'a> {
    text: &'a [u8],
    at: usize,
    /// What is open, outermost first; grows with what was sent, and ends at `DEPTH_MAX`.
    open: Vec<Open>,
}

impl Checker<'_> {
    /// Reads one value that holds no other, or opens arrays and objects down to such a one.
    fn value(&mut self) -> Result<(), JsonError> {
        loop {
            match self.next_byte()? {
                b'{' => {
                    self.enter(Open::Object)?;
                    if self.next_byte()? == b'}' {
                        self.leave();
                        return Ok(());
                    }
                    self.name()?;
                }
                b'[' => {
                    self.enter(Open::Array)?;
                    if self.next_byte()? == b']' {
                        self.leave();
                        return Ok(());
                    }
                }
                b'"' => return self.string(),
                b't' => return self.literal(b"true"),
                b'f' => return self.literal(b"false"),
                b'n' => return self.literal(b"null"),
                b'-' | b'0'..=b'9' => return self.number(),
                _ => return Err(self.unexpected("looking for beginning of value")),
            }
        }
    }

    fn enter(&mut self, what: Open) -> Result<(), JsonError> {
        if self.open.len() == DEPTH_MAX {
            return Err(JsonError("exceeded max depth".to_owned()));
        }
        self.at += 1;
        self.open.push(what);
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.open.pop();
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Result<(), JsonError> {
        if self.next_byte()? != b'"' {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        self.string()?;
        if self.next_byte()? != b':' {
            return Err(self.unexpected("after object key"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                0..b' ' => return Err(self.unexpected("in string")),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        const UNICODE_ESCAPE_BYTES: usize = 6;
        let rest = &self.text[self.at..];
        match rest.get(1) {
            None => Err(ends_early()),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let escape = &rest[..rest.len().min(UNICODE_ESCAPE_BYTES)];
                if !escape[2..].iter().all(u8::is_ascii_hexdigit) {
                    return Err(bad_escape(escape));
                }
                if escape.len() < UNICODE_ESCAPE_BYTES {
                    return Err(ends_early());
                }
                self.at += UNICODE_ESCAPE_BYTES;
                Ok(())
            }
            Some(_) => Err(bad_escape(&rest[..2])),
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), JsonError> {
        for &expected in literal {
            if self.byte()? != expected {
                let literal = String::from_utf8_lossy(literal);
                let expected = char::from(expected);
                return Err(
                    self.unexpected(&format!("in literal {literal} (expecting '{expected}')"))
                );
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek_is(b'-') {
            self.at += 1;
        }
        if self.peek_is(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek_is(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if self.peek_is(b'e') || self.peek_is(b'E') {
            self.at += 1;
            if self.peek_is(b'+') || self.peek_is(b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.byte()?.is_ascii_digit() {
            return Err(self.unexpected("in numeric literal"));
        }
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        Ok(())
    }

    /// Nothing but blanks may follow.
    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_spaces();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.unexpected("after top-level value"))
        }
    }

    fn skip_spaces(&mut self) {
        let spaces = self.text[self.at..].iter().take_while(|&&byte| is_space(byte)).count();
        self.at += spaces;
    }

    /// The next byte that is not blank; it stays to be read.
    fn next_byte(&mut self) -> Result<u8, JsonError> {
        self.skip_spaces();
        self.byte()
    }

    fn byte(&self) -> Result<u8, JsonError> {
        self.text.get(self.at).copied().ok_or_else(ends_early)
    }

    fn peek_is(&self, byte: u8) -> bool {
        self.text.get(self.at) == Some(&byte)
    }

    fn unexpected(&self, place: &str) -> JsonError {
        JsonError(format!("invalid character {} {place}", quoted_character(&self.text[self.at..])))
    }
}

fn ends_early() -> JsonError {
    JsonError("unexpected end of JSON input".to_owned())
}

/// The first character of `text` in Go's single quotes.
fn quoted_character(text: &[u8]) -> String {
    const CHARACTER_BYTES_MAX: usize = 4;
    let start = &text[..text.len().min(CHARACTER_BYTES_MAX)];
    let valid = start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    match (valid, start.first()) {
        (Some('\''), _) => r"'\''".to_owned(),
        (Some('"'), _) => r#"'"'"#.to_owned(),
        (Some(character), _) => {
            let quoted = quote(character.encode_utf8(&mut [0; CHARACTER_BYTES_MAX]).as_bytes());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
        (None, Some(byte)) => format!("'\\x{byte:02x}'"),
        (None, None) => String::new(),
    }
}

fn bad_escape(escape: &[u8]) -> JsonError {
    // Go shows it raw in backquotes if it can be read there.
    let readable = str::from_utf8(escape).is_ok_and(|text| {
        text.chars().all(|character| is_printable(character) && !matches!(character, '`' | ' '))
    });
    let quoted = quote(escape);
    let text = String::from_utf8_lossy(escape);
    JsonError(if readable {
        format!("invalid escape sequence `{text}` in string")
    } else {
        format!("invalid escape sequence {quoted} in string")
    })
}
