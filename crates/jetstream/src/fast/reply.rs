//! The reply subject of a message of a fast batch.

const SUFFIX: &[u8] = b".$FI";

const FLOW_USUAL: u16 = 10;

/// Whether a reply subject is that of a fast batch.
pub fn is_fast(reply: &[u8]) -> bool {
    reply.len() > SUFFIX.len() && reply.ends_with(SUFFIX)
}

/// What a reply subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "an operation, and a mode")]
pub struct Head<'a> {
    /// Of the batch.
    pub id: &'a [u8],
    /// Within the batch, from 1.
    pub sequence: u64,
    /// Messages between two acknowledgements, at most.
    pub flow: u16,
    /// Messages may be missing.
    pub gap_ok: bool,
    /// Nothing is stored: what is acknowledged is told again.
    pub is_ping: bool,
    /// The batch ends.
    pub is_commit: bool,
    /// It ends with the message before; nothing is stored.
    pub is_end: bool,
}

/// A reply subject that says nothing that can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Reads a reply subject of a fast batch.
///
/// # Errors
/// It is not what it should be.
pub fn parse(reply: &[u8]) -> Result<Head<'_>, Invalid> {
    let body = reply.strip_suffix(SUFFIX).ok_or(Invalid)?;
    let mut tokens = body.rsplit(|&byte| byte == b'.');
    let mut next = || tokens.next().ok_or(Invalid);
    let operation = number(next()?).filter(|&operation| operation <= 4).ok_or(Invalid)?;
    let sequence = number(next()?).filter(|&it| it > 0 && it < u64::MAX).ok_or(Invalid)?;
    let (is_start, is_append, is_end) = (operation == 0, operation == 1, operation == 3);
    if (sequence == 1 && (is_append || is_end)) || (sequence > 1 && is_start) {
        return Err(Invalid);
    }
    let gap_ok = match next()? {
        b"ok" => true,
        b"fail" => false,
        _ => return Err(Invalid),
    };
    let flow = match number(next()?) {
        None | Some(0) => FLOW_USUAL,
        Some(flow) => u16::try_from(flow).unwrap_or(u16::MAX),
    };
    let id = next()?;
    // Before the id is a prefix, which may be anything.
    next()?;
    Ok(Head {
        id,
        sequence,
        flow,
        gap_ok,
        is_ping: operation == 4,
        is_commit: operation == 2 || is_end,
        is_end,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_from_its_end() {
        let expected = Head {
            id: b"id",
            sequence: 7,
            flow: 100,
            gap_ok: true,
            is_ping: false,
            is_commit: true,
            is_end: false,
        };
        assert_eq!(parse(b"_INBOX.x.y.id.100.ok.7.2.$FI"), Ok(expected));
        let end = Head { gap_ok: false, is_end: true, flow: 10, ..expected };
        assert_eq!(parse(b"i.id.x.fail.7.3.$FI"), Ok(end));
        let flow = parse(b"i.id.99999999.fail.7.3.$FI").map(|head| head.flow);
        assert_eq!(flow, Ok(u16::MAX));
    }

    #[test]
    fn what_cannot_be_meant_is_invalid() {
        for reply in [
            "i.id.1.ok.1.5.$FI",
            "i.id.1.ok.1.x.$FI",
            "i.id.1.ok.0.1.$FI",
            "i.id.1.ok.18446744073709551615.1.$FI",
            "i.id.1.ok.1.1.$FI",
            "i.id.1.ok.2.0.$FI",
            "i.id.1.ok.1.3.$FI",
            "i.id.1.maybe.1.0.$FI",
            "id.1.ok.1.0.$FI",
            "1.0.$FI",
            ".$FI",
            "i.id.1.ok.1.0",
        ] {
            assert_eq!(parse(reply.as_bytes()), Err(Invalid), "{reply}");
        }
    }
}
