//! A subscriber's bytes: steps from frame to frame by known lengths. Knows no socket.
//!
//! The fast way looks at one byte of each frame, its first: enough to notice a stream that is out
//! of step, and to tell a server's PING or `-ERR` from a delivery. The slow way (`--verify`)
//! compares every byte, and the running numbers.

use crate::error::{LoadError, shown};
use crate::frames::{Expected, write_sequence};

/// How the running numbers of one connection's deliveries follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Each is one more than the last: all messages come here.
    Gapless,
    /// Each is more than the last: others take their share (a queue group).
    Rising,
}

/// A control line from the server, other than a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Wants a PONG.
    Ping,
    /// Answers our fence.
    Pong,
}

/// The state of one subscriber's stream.
pub(crate) struct Walker {
    expected: Expected,
    lengths: Vec<usize>,
    /// Which of `lengths` comes next.
    next: usize,
    /// Bytes of the current frame that have not come yet.
    skip: usize,
    /// Whole deliveries so far.
    pub(crate) messages: u64,
    /// An unfinished control line.
    line: Vec<u8>,
    verify: Option<Verify>,
}

struct Verify {
    order: Order,
    frame: Vec<u8>,
    next_number: u64,
}

/// Longest control line that a server may send us (INFO grows with the cluster).
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Walker {
    pub(crate) fn new(expected: Expected, verify: Option<Order>) -> Self {
        let lengths = expected.frames.iter().map(|frame| frame.bytes.len()).collect();
        let verify = verify.map(|order| Verify { order, frame: Vec::new(), next_number: 0 });
        Self { expected, lengths, next: 0, skip: 0, messages: 0, line: Vec::new(), verify }
    }

    /// Takes what was read; control lines are handed to `on_control`.
    ///
    /// # Errors
    /// The server sent an error, or bytes that are no delivery where one must begin.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        mut on_control: impl FnMut(Control),
    ) -> Result<(), LoadError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.skip > 0 {
                let taken = self.skip.min(rest.len());
                self.inside(&rest[..taken])?;
                rest = &rest[taken..];
            } else if !self.line.is_empty() || !begins_delivery(rest[0]) {
                rest = self.control(rest, &mut on_control)?;
            } else if self.verify.is_none() && self.lengths.len() == 1 {
                rest = self.same_lengths(rest);
            } else {
                self.skip = self.lengths[self.next];
                self.next = if self.next + 1 == self.lengths.len() { 0 } else { self.next + 1 };
            }
        }
        Ok(())
    }

    /// Steps over frames of one length; what is left begins a control line, or is nothing.
    fn same_lengths<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let length = self.lengths[0];
        let mut at = 0;
        while at < bytes.len() && begins_delivery(bytes[at]) {
            at += length;
            self.messages += 1;
        }
        if at > bytes.len() {
            self.messages -= 1;
            self.skip = at - bytes.len();
            at = bytes.len();
        }
        &bytes[at..]
    }

    fn inside(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        self.skip -= bytes.len();
        if let Some(verify) = &mut self.verify {
            verify.frame.extend_from_slice(bytes);
            if self.skip == 0 {
                verify.check(&self.expected, self.messages)?;
            }
        }
        if self.skip == 0 {
            self.messages += 1;
        }
        Ok(())
    }

    fn control<'a>(
        &mut self,
        bytes: &'a [u8],
        on_control: &mut impl FnMut(Control),
    ) -> Result<&'a [u8], LoadError> {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        self.line.extend_from_slice(&bytes[..end]);
        if self.line.ends_with(b"\n") {
            match self.line.as_slice() {
                b"PING\r\n" => on_control(Control::Ping),
                b"PONG\r\n" => on_control(Control::Pong),
                line if line.starts_with(b"INFO ") || line.starts_with(b"+OK") => {}
                line => return Err(unexpected(line, self.messages)),
            }
            self.line.clear();
        } else if self.line.len() > LINE_BYTES_MAX {
            return Err(unexpected(&self.line, self.messages));
        }
        Ok(&bytes[end..])
    }
}

impl Verify {
    fn check(&mut self, expected: &Expected, messages: u64) -> Result<(), LoadError> {
        let frames = &expected.frames;
        let template = &frames[(messages % frames.len() as u64) as usize];
        let mut wanted = template.bytes.clone();
        if let Some(range) = &template.sequence {
            let digits = &self.frame[range.clone()];
            let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
            let number: u64 = number.ok_or_else(|| unexpected(&self.frame, messages))?;
            let in_order = match self.order {
                Order::Gapless => number == self.next_number,
                Order::Rising => number >= self.next_number,
            };
            if !in_order {
                return Err(LoadError::Server(format!(
                    "delivery {messages} carries number {number} where {} was due",
                    self.next_number
                )));
            }
            self.next_number = number + 1;
            write_sequence(&mut wanted[range.clone()], number);
        }
        if self.frame != wanted {
            return Err(unexpected(&self.frame, messages));
        }
        self.frame.clear();
        Ok(())
    }
}

/// M and H begin MSG and HMSG; p and h begin the relay's copies of `pub` and `hpub`.
fn begins_delivery(byte: u8) -> bool {
    matches!(byte, b'M' | b'H' | b'p' | b'h')
}

fn unexpected(bytes: &[u8], messages: u64) -> LoadError {
    let text = shown(bytes);
    LoadError::Server(format!("after {messages} deliveries the server sent \"{text}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::frames::{Batch, Message};

    fn deliveries(messages: &[Message], count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, message) in messages.iter().cycle().take(count).enumerate() {
            let mut frame = message.delivered("1");
            let range = crate::frames::sequence_range(frame.len(), message.payload_bytes);
            write_sequence(&mut frame[range.unwrap()], number as u64);
            bytes.extend_from_slice(&frame);
        }
        bytes
    }

    fn walker(messages: &[Message], verify: Option<Order>) -> Walker {
        Walker::new(Expected::new(messages, false, |_| "1".to_owned()), verify)
    }

    #[test]
    fn no_split_of_the_bytes_changes_the_count() {
        let same = vec![Message::plain("a", 16)];
        let mixed = vec![Message::plain("a", 16), Message::plain("bb", 40)];
        for messages in [same, mixed] {
            let mut bytes = deliveries(&messages, 3);
            bytes.extend_from_slice(b"PING\r\nPONG\r\n");
            bytes.extend_from_slice(&deliveries(&messages, 4)[deliveries(&messages, 3).len()..]);
            for verify in [None, Some(Order::Gapless)] {
                for chunk in 1..bytes.len() {
                    let mut walker = walker(&messages, verify);
                    let mut controls = Vec::new();
                    for part in bytes.chunks(chunk) {
                        walker.take(part, |control| controls.push(control)).unwrap();
                    }
                    assert_eq!(walker.messages, 4, "in chunks of {chunk}");
                    assert_eq!(controls, [Control::Ping, Control::Pong]);
                }
            }
        }
    }

    #[test]
    fn a_stream_out_of_step_is_noticed_without_verify() {
        let messages = [Message::plain("a", 16)];
        let mut bytes = deliveries(&messages, 5);
        bytes.remove(20);
        assert!(walker(&messages, None).take(&bytes, |_| {}).is_err());
    }

    #[test]
    fn verify_finds_a_changed_byte_a_gap_and_a_repetition() {
        let messages = [Message::plain("a", 16)];
        let whole = deliveries(&messages, 4);
        let frame = whole.len() / 4;
        let mut changed = whole.clone();
        changed[frame + 25] ^= 1;
        let gap = [&whole[..frame], &whole[2 * frame..]].concat();
        let again = [&whole[..frame], &whole[..]].concat();
        for (bytes, name) in [(changed, "change"), (gap.clone(), "gap"), (again.clone(), "again")] {
            let taken = walker(&messages, Some(Order::Gapless)).take(&bytes, |_| {});
            assert!(taken.is_err(), "{name}");
        }
        walker(&messages, Some(Order::Rising)).take(&gap, |_| {}).unwrap();
        assert!(walker(&messages, Some(Order::Rising)).take(&again, |_| {}).is_err());
    }

    #[test]
    fn an_error_line_is_shown() {
        let taken = walker(&[Message::plain("a", 16)], None).take(b"-ERR 'Slow'\r\n", |_| {});
        assert!(taken.unwrap_err().to_string().contains("-ERR 'Slow'"));
    }

    #[test]
    fn raw_copies_are_walked_like_deliveries() {
        let messages = [Message::plain("a", 16)];
        let batch = Batch::new(&messages, true);
        let mut walker = Walker::new(Expected::new(&messages, true, |_| String::new()), None);
        walker.take(&batch.bytes, |_| {}).unwrap();
        assert_eq!(walker.messages, batch.messages() as u64);
    }
}
