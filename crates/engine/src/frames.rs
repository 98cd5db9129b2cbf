//! Deliveries found again in encoded bytes: which subject a slow consumer was to hear of. Nothing
//! else knows it any more once bytes wait, and it is asked once in a connection's life.

/// The subject of the first delivery that is not wholly before `at`: `bytes` begin where a line
/// does, or with what came before `at` of a message that goes on there.
#[cold]
pub(crate) fn subject_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    if let Some(subject) = subject_of(&bytes[at..]) {
        return Some(subject);
    }
    let mut found = None;
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        let line = &rest[..length];
        let mut next = start + length;
        if let Some(subject) = subject_of(line) {
            if start > at {
                return found.or(Some(subject));
            }
            let payload_bytes = size_of(line);
            next = next.saturating_add(payload_bytes.map_or(0, |size| size.saturating_add(2)));
            let is_out = payload_bytes.is_some() && next <= at;
            found = (!is_out).then_some(subject);
        }
        start = next;
    }
    found
}

/// The subject, if a delivery begins here.
fn subject_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"H").unwrap_or(line).strip_prefix(b"MSG ")?;
    // Without a space behind it, it may be cut off.
    let end = rest.iter().position(u8::is_ascii_whitespace)?;
    (rest[end] == b' ').then_some(&rest[..end])
}

/// The last number of a delivery's line: all that follows, headers included.
fn size_of(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"\r\n")?;
    let last = line.rsplit(|&byte| byte == b' ').next()?;
    str::from_utf8(last).ok()?.parse().ok()
}
