//! Header blocks: `NATS/1.0\r\n`, lines `Name: value\r\n`, `\r\n`.
//!
//! A name counts as nats-server sees it: case-sensitive, at the beginning of a line, the first of
//! several. Source: nats-server 2.15 `server/client.go` (`sliceHeader`, `removeHeaderIfPresent`).

use std::borrow::Cow;

use memchr::memmem;

/// The first line.
pub const FIRST_LINE: &[u8] = b"NATS/1.0\r\n";

/// A block with nothing in it.
const EMPTY_BYTES: usize = FIRST_LINE.len() + 2;

/// What the server adds to requests that cross accounts; it is not stored.
const CLIENT_INFO: &[u8] = b"Nats-Request-Info";

/// The value of a header; `None` without it. Blanks before the value are not part of it.
pub fn find<'a>(headers: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let start = line_of(headers, name)? + name.len() + 1;
    let value = &headers[start..];
    let blanks = value.iter().take_while(|&&byte| byte == b' ').count();
    let value = &value[blanks..];
    let end = memmem::find(value, b"\r\n").unwrap_or(value.len());
    Some(&value[..end])
}

/// Where the line of a header begins. By lines: to make ready for a search of a whole name took 7 %
/// of a thread that stores messages of 128 B.
fn line_of(headers: &[u8], name: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', headers).map(|end| end + 1).find(|&start| {
        let line = &headers[start..];
        line.starts_with(name) && line.get(name.len()) == Some(&b':')
    })
}

/// The block without a header; empty when nothing else was in it.
pub fn without<'a>(headers: Cow<'a, [u8]>, name: &[u8]) -> Cow<'a, [u8]> {
    let mut left = headers;
    while let Some(start) = line_of(&left, name) {
        let Some(bytes) = memmem::find(&left[start..], b"\r\n") else { return left };
        left.to_mut().drain(start..start + bytes + 2);
        if left.len() <= EMPTY_BYTES {
            return Cow::Borrowed(b"");
        }
    }
    left
}

/// The block without the headers that begin so; empty when nothing else was in it.
pub fn without_any(headers: &[u8], prefixes: &[&[u8]]) -> Vec<u8> {
    let mut left = Vec::with_capacity(headers.len());
    let mut rest = headers;
    while let Some(end) = memmem::find(rest, b"\r\n") {
        let (line, later) = rest.split_at(end + 2);
        if !prefixes.iter().any(|prefix| line.starts_with(prefix)) {
            left.extend_from_slice(line);
        }
        rest = later;
    }
    if left.len() <= EMPTY_BYTES {
        left.clear();
    }
    left
}

/// The block with one more header, at its end.
pub fn with(headers: &[u8], name: &[u8], value: &[u8]) -> Cow<'static, [u8]> {
    Cow::Owned(with_all(headers, &[(name, value)]))
}

/// The block with more headers, at its end.
pub fn with_all(headers: &[u8], more: &[(&[u8], &[u8])]) -> Vec<u8> {
    // Of an empty block only the first line is left.
    let (begun, _) = headers.split_at(headers.len().saturating_sub(2));
    let begun = if begun.is_empty() { FIRST_LINE } else { begun };
    let more_bytes = more.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    let mut block = Vec::with_capacity(begun.len() + more_bytes + 2);
    block.extend_from_slice(begun);
    for (name, value) in more {
        for part in [name, &b": "[..], value, b"\r\n"] {
            block.extend_from_slice(part);
        }
    }
    block.extend_from_slice(b"\r\n");
    block
}

/// The block as a stream stores it: without a status, and without what other servers added.
pub fn stored(headers: &[u8]) -> Cow<'_, [u8]> {
    let first = memchr::memchr(b'\r', headers).unwrap_or(0);
    let name = &FIRST_LINE[..FIRST_LINE.len() - 2];
    let block = if headers.starts_with(name) && first > name.len() {
        let bare = [name, &headers[first..]].concat();
        if bare.len() == EMPTY_BYTES { Cow::Borrowed(&b""[..]) } else { Cow::Owned(bare) }
    } else {
        Cow::Borrowed(headers)
    };
    without(block, CLIENT_INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &[u8] = b"NATS/1.0\r\nA: 1\r\nNats-Msg-Id:  x y\r\nNats-Msg-Id: z\r\nB:\r\n\r\n";

    #[test]
    fn the_first_line_with_a_name_counts() {
        assert_eq!(find(BLOCK, b"Nats-Msg-Id"), Some(&b"x y"[..]));
        assert_eq!(find(BLOCK, b"A"), Some(&b"1"[..]));
        assert_eq!(find(BLOCK, b"B"), Some(&b""[..]));
    }

    #[test]
    fn names_are_whole_and_case_sensitive() {
        for name in [&b"nats-msg-id"[..], b"Msg-Id", b"Nats-Msg", b"x y", b"C"] {
            assert_eq!(find(BLOCK, name), None);
        }
        assert_eq!(find(b"", b"A"), None);
    }

    #[test]
    fn a_header_is_removed_wherever_it_is() {
        let left = without(Cow::Borrowed(BLOCK), b"Nats-Msg-Id");
        assert_eq!(*left, *b"NATS/1.0\r\nA: 1\r\nB:\r\n\r\n");
        let one = Cow::Borrowed(&b"NATS/1.0\r\nA: 1\r\n\r\n"[..]);
        assert_eq!(*without(one, b"A"), *b"");
    }

    #[test]
    fn a_header_is_added_at_the_end() {
        let block = with(b"NATS/1.0\r\nA: 1\r\n\r\n", b"B", b"2");
        assert_eq!(*block, *b"NATS/1.0\r\nA: 1\r\nB: 2\r\n\r\n");
        assert_eq!(*with(b"", b"B", b"2"), *b"NATS/1.0\r\nB: 2\r\n\r\n");
    }

    #[test]
    fn a_status_is_not_stored() {
        assert_eq!(*stored(b"NATS/1.0 503 No Responders\r\n\r\n"), *b"");
        assert_eq!(*stored(b"NATS/1.0 100\r\nA: 1\r\n\r\n"), *b"NATS/1.0\r\nA: 1\r\n\r\n");
        let asked = b"NATS/1.0\r\nNats-Request-Info: {}\r\nA: 1\r\n\r\n";
        assert_eq!(*stored(asked), *b"NATS/1.0\r\nA: 1\r\n\r\n");
    }
}
