//! CONNECT lines for the protocol trace: secrets leave before the log sees them.
//!
//! nats-server searches the text for names by two patterns, whatever it is, and so do we, with
//! the same result for what clients send. Where its patterns would let a secret through, ours do
//! not: names are found in any case (Go's JSON takes `PASS` as well), and a quoted value ends at
//! its closing quote, not at its first comma, brace or escaped quote.

use std::ops::Range;

use crate::json::{Object, fold};

const REDACTED: &[u8] = b"[REDACTED]";

/// Names that end a longer word too, and may go on: `pass` is found in `"my_password"`.
const PREFIXES: [&[u8]; 2] = [b"auth_token", b"pass"];

/// Names that are words of their own.
const WORDS: [&[u8]; 3] = [b"proxy_sig", b"nkey", b"sig"];

/// The text of a CONNECT with each secret replaced by `[REDACTED]`; takes any bytes.
pub fn redact(connect: &[u8]) -> Vec<u8> {
    // Names written with escapes are found only by reading the JSON; everything else, nested
    // objects and text that is no JSON included, by the search.
    let by_member = replace(connect, &secret_members(connect));
    let by_prefix = replace(&by_member, &search(&by_member, &PREFIXES, false));
    replace(&by_prefix, &search(&by_prefix, &WORDS, true))
}

/// Values of the object's secret members, without quotes; nothing if it is no object.
fn secret_members(connect: &[u8]) -> Vec<Range<usize>> {
    let Ok(Some(object)) = Object::read(connect, "ClientOpts") else { return Vec::new() };
    let mut secrets = Vec::new();
    for member in object.members() {
        let name = fold(&member.name);
        let is_prefixed = PREFIXES.iter().any(|prefix| name.as_bytes().starts_with(prefix));
        if is_prefixed || WORDS.contains(&name.as_bytes()) {
            let start = connect.len() - member.tail_bytes;
            let quotes = usize::from(connect[start] == b'"');
            secrets.push(start + quotes..start + member.value_bytes - quotes);
        }
    }
    secrets
}

/// Values that stand behind one of `names` and a colon or equals sign, in order.
fn search(text: &[u8], names: &[&[u8]], as_words: bool) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let Some(name_bytes) = name_at(text, at, names, as_words) else {
            at += 1;
            continue;
        };
        let name_end = at + name_bytes;
        // A prefix may go on up to the next blank: `"passphrase"`.
        let longest = if as_words { name_end } else { name_end + run(text, name_end, is_dark) };
        match (name_end..=longest).find_map(|end| value_start(text, end)) {
            Some(start) => {
                let value = value_at(text, start);
                at = value.end.max(name_end);
                values.push(value);
            }
            // What was tried here would be tried in vain from any later place of this word.
            None => at = longest,
        }
    }
    values
}

/// Length of the name that stands at this place.
fn name_at(text: &[u8], at: usize, names: &[&[u8]], as_words: bool) -> Option<usize> {
    if as_words && at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_') {
        return None;
    }
    names.iter().map(|name| name.len()).zip(names).find_map(|(length, name)| {
        text.get(at..at + length)?.eq_ignore_ascii_case(name).then_some(length)
    })
}

/// Where the value starts if a name ends at `name_end`: behind a quote, blanks, and a colon or
/// equals sign. The value's own quote belongs to it.
fn value_start(text: &[u8], name_end: usize) -> Option<usize> {
    let mut at = name_end + usize::from(text.get(name_end) == Some(&b'"'));
    at += run(text, at, is_blank);
    if !matches!(text.get(at), Some(b':' | b'=')) {
        return None;
    }
    at += 1;
    Some(at + run(text, at, is_blank))
}

/// The value at `start`, without quotes.
fn value_at(text: &[u8], start: usize) -> Range<usize> {
    if text.get(start) != Some(&b'"') {
        return start..start + run(text, start, |byte| !b"\",\r\n}".contains(&byte));
    }
    let mut end = start + 1;
    loop {
        match text.get(end) {
            None => return start + 1..text.len(),
            Some(b'"') => return start + 1..end,
            Some(b'\\') => end += 2,
            Some(_) => end += 1,
        }
    }
}

/// How many bytes from `start` on are such.
fn run(text: &[u8], start: usize, is_such: fn(u8) -> bool) -> usize {
    text.get(start..).unwrap_or_default().iter().take_while(|&&byte| is_such(byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn is_dark(byte: u8) -> bool {
    !is_blank(byte)
}

/// `text` with each of the ranges, which are in order, replaced.
fn replace(text: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len() + ranges.len() * REDACTED.len());
    let mut at = 0;
    for range in ranges {
        replaced.extend_from_slice(&text[at..range.start]);
        replaced.extend_from_slice(REDACTED);
        at = range.end;
    }
    replaced.extend_from_slice(&text[at..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::redact;

    fn redacted(connect: &str) -> String {
        String::from_utf8_lossy(&redact(connect.as_bytes())).into_owned()
    }

    #[test]
    fn secrets_go_as_in_nats_servers_trace() {
        // Each pair was taken from the trace of nats-server 2.15.1.
        for (connect, expected) in [
            (
                r#"{"pass":"sec","auth_token":"tok" , "nkey":"nk","sig":"sg","proxy_sig":"ps","jwt":"jw"}"#,
                r#"{"pass":"[REDACTED]","auth_token":"[REDACTED]" , "nkey":"[REDACTED]","sig":"[REDACTED]","proxy_sig":"[REDACTED]","jwt":"jw"}"#,
            ),
            (
                r#"{"pass_word" = "x", user:pass:foo,"auth_tokenX": tok}"#,
                r#"{"pass_word" = "[REDACTED]", user:pass:[REDACTED],"auth_tokenX": [REDACTED]}"#,
            ),
            (r#""sig":"a" xsig:"b""#, r#""sig":"[REDACTED]" xsig:"b""#),
            ("compass:north", "compass:[REDACTED]"),
            (r#"{"pass":""}"#, r#"{"pass":"[REDACTED]"}"#),
            ("pass=pass=x", "pass=[REDACTED]"),
            (r#""pass"  "auth_token":1"#, r#""pass"  "auth_token":[REDACTED]"#),
            ("sig:1,sig:2", "sig:[REDACTED],sig:[REDACTED]"),
            ("passpass:1", "passpass:[REDACTED]"),
            (r#"pass" x:pass:"y"#, r#"pass" x:pass:"[REDACTED]"#),
            ("nkey nkey:7", "nkey nkey:[REDACTED]"),
            (r#""sig"sig:1"#, r#""sig"sig:[REDACTED]"#),
            (
                "pass:
x",
                "pass:
[REDACTED]",
            ),
            ("{}", "{}"),
            ("", ""),
        ] {
            assert_eq!(redacted(connect), expected, "{connect}");
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left() {
        for (connect, expected) in [
            (r#"{"pass":"a,b}c"}"#, r#"{"pass":"[REDACTED]"}"#),
            (r#"{"pass":"a\"b"}"#, r#"{"pass":"[REDACTED]"}"#),
            (r#"{"PASS":"a"}"#, r#"{"PASS":"[REDACTED]"}"#),
            ("Pass=a NKey:b", "Pass=[REDACTED]"),
            ("x, NKey:b", "x, NKey:[REDACTED]"),
            (r#"{"\u0070ass":"a"}"#, r#"{"\u0070ass":"[REDACTED]"}"#),
            (r#"{"\u0070ass":["a","b"]}"#, r#"{"\u0070ass":[REDACTED]}"#),
            (r#"{"x":{"pass":"a"}}"#, r#"{"x":{"pass":"[REDACTED]"}}"#),
            (r#"{"pass":"a\"#, r#"{"pass":"[REDACTED]"#),
        ] {
            assert_eq!(redacted(connect), expected, "{connect}");
        }
    }

    #[test]
    fn long_texts_of_names_take_linear_time() {
        let names = "pass".repeat(1 << 16);
        assert_eq!(redacted(&names), names);
    }
}
