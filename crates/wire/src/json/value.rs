//! Values of a text that was checked already.

use std::borrow::Cow;

use super::{Member, Misfit, Object, fold, syntax};

/// A value as written. Every text starts at its value; it may go on behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// The number's text.
    Number(&'a [u8]),
    /// What stands between the quotes, still escaped.
    String(&'a [u8]),
    /// What follows the `[`.
    Array(&'a [u8]),
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    /// The value at the start of `text`.
    pub(super) fn of(text: &'a [u8]) -> Self {
        match text.first() {
            Some(b'{') => Self::Object(Object { text }),
            Some(b'[') => Self::Array(&text[1..]),
            Some(b'"') => Self::String(&text[1..length(text) - 1]),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(&text[..length(text)]),
            _ => Self::Null,
        }
    }

    /// Go's word for this kind of value.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// A bool; `None` for null, which leaves a field as it is.
    pub(crate) fn bool(self) -> Result<Option<bool>, Misfit> {
        match self {
            Self::Null => Ok(None),
            Self::Bool(value) => Ok(Some(value)),
            other => Err(other.misfit("bool")),
        }
    }

    /// A string; `None` for null.
    pub(crate) fn string(self) -> Result<Option<Cow<'a, str>>, Misfit> {
        match self {
            Self::Null => Ok(None),
            Self::String(escaped) => Ok(Some(unescape(escaped))),
            other => Err(other.misfit("string")),
        }
    }

    /// An integer in digits alone, within Go's type `wanted`; `None` for null.
    pub(crate) fn integer<I: std::str::FromStr>(
        self,
        wanted: &'static str,
    ) -> Result<Option<I>, Misfit> {
        match self {
            Self::Null => Ok(None),
            Self::Number(digits) => {
                let digits = String::from_utf8_lossy(digits);
                digits.parse().map(Some).map_err(|_| {
                    let met = format!("number {digits}");
                    Misfit { met, wanted, path: String::new(), element: false }
                })
            }
            other => Err(other.misfit(wanted)),
        }
    }

    /// A list of strings; its nulls are empty strings. `None` for null.
    pub(crate) fn strings(self) -> Result<Option<Vec<String>>, Misfit> {
        let Self::Array(mut rest) = self else {
            return match self {
                Self::Null => Ok(None),
                other => Err(other.misfit("[]string")),
            };
        };
        let mut strings = Vec::new();
        loop {
            let gap =
                rest.iter().take_while(|&&byte| byte == b',' || syntax::is_space(byte)).count();
            rest = &rest[gap..];
            if matches!(rest.first(), None | Some(b']')) {
                return Ok(Some(strings));
            }
            let string = Value::of(rest).string().map_err(|mut misfit| {
                misfit.path = format!(".{}", strings.len());
                misfit.element = true;
                misfit
            })?;
            strings.push(string.unwrap_or_default().into_owned());
            rest = &rest[length(rest)..];
        }
    }

    /// Whether this reads as Go's `SubjectPermission`: lists of strings under `allow` and `deny`.
    pub(crate) fn permission(self) -> Result<(), Misfit> {
        let object = match self {
            Self::Null => return Ok(()),
            Self::Object(object) => object,
            other => return Err(other.misfit("server.SubjectPermission")),
        };
        for Member { name, value, .. } in object.members() {
            if matches!(fold(&name).as_str(), "allow" | "deny") {
                value.strings().map_err(|mut misfit| {
                    misfit.path = format!(".{name}{}", misfit.path);
                    misfit
                })?;
            }
        }
        Ok(())
    }

    /// This value does not fit Go's type `wanted`.
    pub(crate) fn misfit(self, wanted: &'static str) -> Misfit {
        Misfit { met: self.kind().to_owned(), wanted, path: String::new(), element: false }
    }
}

/// Length of the value at the start of `text`.
pub(super) fn length(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => string_length(text),
        Some(b'{' | b'[') => nested_length(text),
        _ => text
            .iter()
            .position(|&byte| syntax::is_space(byte) || matches!(byte, b',' | b']' | b'}'))
            .unwrap_or(text.len()),
    }
}

/// Length with both quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of an array or object: brackets match because the text was checked.
fn nested_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at += string_length(&text[at..]);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The text between a string's quotes, without its escapes. What is not UTF-8 reads as U+FFFD,
/// one for each byte, and so does half a surrogate pair.
pub(super) fn unescape(escaped: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(escaped)
        && !escaped.contains(&b'\\')
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while !rest.is_empty() {
        let taken = match rest.iter().position(|&byte| byte == b'\\') {
            Some(0) => push_escape(&mut text, rest),
            plain => push_plain(&mut text, &rest[..plain.unwrap_or(rest.len())]),
        };
        rest = &rest[taken..];
    }
    Cow::Owned(text)
}

/// Text without escapes; gives its length.
fn push_plain(text: &mut String, plain: &[u8]) -> usize {
    for chunk in plain.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    plain.len()
}

/// The escape at the start of `escape`; gives its length.
fn push_escape(text: &mut String, escape: &[u8]) -> usize {
    let (character, bytes) = match escape.get(1) {
        Some(b'b') => ('\x08', 2),
        Some(b'f') => ('\x0c', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => unicode_escape(escape),
        Some(&other) => (char::from(other), 2),
        None => return escape.len(),
    };
    text.push(character);
    bytes
}

/// `\uXXXX`, or the two of a surrogate pair.
fn unicode_escape(escape: &[u8]) -> (char, usize) {
    let Some(first) = code_unit(escape) else {
        return (char::REPLACEMENT_CHARACTER, escape.len());
    };
    if let Some(character) = char::from_u32(u32::from(first)) {
        return (character, 6);
    }
    let second = code_unit(&escape[6..]);
    match char::decode_utf16([first].into_iter().chain(second)).next() {
        Some(Ok(character)) => (character, 12),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

fn code_unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
