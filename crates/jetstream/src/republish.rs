//! A stored message is published again, under another subject, with headers that say where it is.
//!
//! Source: nats-server 2.15 `server/stream.go`, `processJetStreamMsg`.

use std::io::Write as _;

use crate::policy::Republish;
use crate::time;

/// Where a stored message is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Of the stream.
    pub name: &'a str,
    /// Under which it is stored.
    pub subject: &'a [u8],
    /// Its own.
    pub seq: u64,
    /// Of the last message of this subject before it; 0 for none.
    pub last_seq: u64,
    /// Since 1970.
    pub time_ns: u64,
}

impl Republish {
    /// The subject to publish under; `None` for a message that is not to be, or cannot be.
    pub fn target(&self, subject: &[u8], random: &mut dyn FnMut() -> u32) -> Option<Vec<u8>> {
        let target = self.transform.transform(subject, random)?;
        keelback_subject::is_valid_literal(&target).then_some(target)
    }

    /// Appends the header block: that of the message, and where it is.
    pub fn write_headers(
        &self,
        text: &mut Vec<u8>,
        headers: &[u8],
        payload: &[u8],
        at: &Place<'_>,
    ) {
        let own = headers.strip_suffix(b"\r\n").filter(|own| !own.is_empty());
        text.extend_from_slice(own.unwrap_or(b"NATS/1.0\r\n"));
        let fields: [(&str, &dyn std::fmt::Display); 3] = [
            ("Nats-Sequence", &at.seq),
            ("Nats-Time-Stamp", &time::show(at.time_ns)),
            ("Nats-Last-Sequence", &at.last_seq),
        ];
        text.extend_from_slice(b"Nats-Stream: ");
        text.extend_from_slice(at.name.as_bytes());
        text.extend_from_slice(b"\r\nNats-Subject: ");
        text.extend_from_slice(at.subject);
        text.extend_from_slice(b"\r\n");
        for (name, value) in fields {
            // Writing to memory does not fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.headers_only {
            let _ = write!(text, "Nats-Msg-Size: {}\r\n", payload.len());
        }
        text.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use keelback_subject::transform::Transform;

    use super::*;

    fn republish(from: &str, to: &str, headers_only: bool) -> Republish {
        let transform = Transform::new(from.as_bytes(), to.as_bytes());
        Republish { transform: transform.expect("a transform"), headers_only }
    }

    #[test]
    fn a_message_goes_where_it_is_mapped_to() {
        let republish = republish("a.*", "b.{{wildcard(1)}}", false);
        assert_eq!(republish.target(b"a.x", &mut || 0), Some(b"b.x".to_vec()));
        assert_eq!(republish.target(b"c.x", &mut || 0), None);
    }

    #[test]
    fn headers_say_where_a_message_is() {
        let at = Place { name: "S", subject: b"a.x", seq: 7, last_seq: 3, time_ns: 0 };
        let mut text = Vec::new();
        republish(">", "b.>", false).write_headers(&mut text, b"", b"12345", &at);
        let place = "Nats-Stream: S\r\nNats-Subject: a.x\r\nNats-Sequence: 7\r\n\
                     Nats-Time-Stamp: 1970-01-01T00:00:00Z\r\nNats-Last-Sequence: 3\r\n";
        assert_eq!(String::from_utf8_lossy(&text), format!("NATS/1.0\r\n{place}\r\n"));
        text.clear();
        let own = b"NATS/1.0\r\nA: b\r\n\r\n";
        republish(">", "b.>", true).write_headers(&mut text, own, b"12345", &at);
        let expected = format!("NATS/1.0\r\nA: b\r\n{place}Nats-Msg-Size: 5\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}
