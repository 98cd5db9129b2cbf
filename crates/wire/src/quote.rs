//! Strangers' bytes for a log line, as Go's `%q` prints them.

use std::fmt::Write;

/// Puts `bytes` in double quotes; what is not printable, or not UTF-8, is escaped.
pub fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_escaped(&mut quoted, character);
        }
        for byte in chunk.invalid() {
            push_formatted(&mut quoted, format_args!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0b' => "\\v",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ if is_printable(character) => return quoted.push(character),
        _ => {
            let code = u32::from(character);
            return match code {
                0..0x80 => push_formatted(quoted, format_args!("\\x{code:02x}")),
                0x80..0x1_0000 => push_formatted(quoted, format_args!("\\u{code:04x}")),
                _ => push_formatted(quoted, format_args!("\\U{code:08x}")),
            };
        }
    };
    quoted.push_str(short);
}

fn push_formatted(quoted: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = quoted.write_fmt(arguments);
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space, as Go's `unicode.IsPrint`;
/// the two languages' tables may be of different Unicode versions.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    // The standard library shows its table only through `escape_debug`, which escapes marks too,
    // but not behind the first character of a string.
    let mut bytes = [b'a', 0, 0, 0, 0];
    let length = character.encode_utf8(&mut bytes[1..]).len();
    std::str::from_utf8(&bytes[..=length])
        .is_ok_and(|pair| pair.escape_debug().nth(1) == Some(character))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_as_go_does() {
        // The first line is from nats-server's log.
        let sent = b"a\x00\xff\xc3\xa9\xcc\x81\xe2\x80\x8b\" b c d";
        assert_eq!(quote(sent), "\"a\\x00\\xffé\u{301}\\u200b\\\" b c d\"");
        assert_eq!(quote(b"\x07\x08\x0b\x0c\n\r\t\\\x7f'"), r#""\a\b\v\f\n\r\t\\\x7f'""#);
        assert_eq!(quote("\u{e000}\u{10ffff}\u{a0}".as_bytes()), r#""\ue000\U0010ffff\u00a0""#);
        assert_eq!(quote(b"\xe2\x80"), r#""\xe2\x80""#);
        assert_eq!(quote(b""), r#""""#);
    }
}
