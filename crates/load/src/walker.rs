//! A subscriber's bytes: steps from frame to frame by known lengths. Knows no socket.
//!
//! The fast way looks at one byte of each frame, its first: enough to notice a stream that is out
//! of step, and to tell a server's PING or `-ERR` from a delivery. Where all frames are of one
//! length, most of them need not be seen at all (`skim`): what is read next shows whether the
//! stream is still in step. The slow way (`--verify`) compares every byte, and the running numbers.

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
    /// Reads so far, of either kind.
    reads: u64,
    /// A PING may have been among the bytes that were not seen.
    may_lag: bool,
    /// An unfinished control line.
    line: Vec<u8>,
    verify: Option<Verify>,
}

struct Verify {
    order: Order,
    frame: Vec<u8>,
    next_number: u64,
}

/// Of so many reads one is looked at.
const LOOK_EVERY: u64 = 16;

const PING: &[u8] = b"PING\r\n";

/// Longest control line that a server may send us (INFO grows with the cluster).
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Walker {
    pub(crate) fn new(expected: Expected, verify: Option<Order>) -> Self {
        let lengths = expected.frames.iter().map(|frame| frame.bytes.len()).collect();
        let verify = verify.map(|order| Verify { order, frame: Vec::new(), next_number: 0 });
        Self {
            expected,
            lengths,
            next: 0,
            skip: 0,
            messages: 0,
            reads: 0,
            may_lag: false,
            line: Vec::new(),
            verify,
        }
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
            } else if self.lags(rest) {
                // The last frame that was counted is not whole: its end stands here.
                self.skip = PING.len();
                self.messages -= 1;
                on_control(Control::Ping);
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

    /// How many bytes, up to `most`, may be taken without a look at them (at least one frame's);
    /// `None` when the next read must be looked at.
    pub(crate) fn skim_bytes(&mut self, most: usize) -> Option<usize> {
        let [length] = self.lengths[..] else { return None };
        self.reads += 1;
        let must_look = self.reads % LOOK_EVERY == 1
            || self.verify.is_some()
            || !self.line.is_empty()
            || self.skip + length > most;
        (!must_look).then(|| self.skip + (most - self.skip) / length * length)
    }

    /// So many bytes were taken without a look at them.
    pub(crate) fn skim(&mut self, bytes: usize) {
        let length = self.lengths[0];
        self.may_lag = true;
        if bytes < self.skip {
            self.skip -= bytes;
            return;
        }
        let rest = bytes - self.skip;
        self.messages += u64::from(self.skip > 0) + (rest / length) as u64;
        self.skip = match rest % length {
            0 => 0,
            begun => length - begun,
        };
    }

    /// All deliveries have come, and what comes next is looked at: if as many bytes of one more
    /// seem to be there as a PING has, it was one.
    pub(crate) fn settle(&mut self) {
        if self.may_lag && self.skip + PING.len() == self.lengths[0] {
            self.skip = 0;
            self.may_lag = false;
        }
    }

    /// Whether a PING among bytes that were not seen moved the frames: then what stands where one
    /// must begin is the end of the one before.
    fn lags(&mut self, bytes: &[u8]) -> bool {
        if !self.may_lag || begins_delivery(bytes[0]) || !self.line.is_empty() {
            return false;
        }
        self.may_lag = false;
        let frame = &self.expected.frames[0].bytes;
        let end = &frame[frame.len() - PING.len()..];
        let seen = bytes.len().min(end.len());
        bytes[..seen] == end[..seen]
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
                PING => on_control(Control::Ping),
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
    fn what_is_not_looked_at_counts_too_and_a_ping_in_it_is_found() {
        let messages = [Message::plain("a", 16)];
        let bytes = deliveries(&messages, 12);
        let frame = bytes.len() / 12;
        for at in (0..=10 * frame).step_by(frame) {
            let all = 12 * frame - at.min(frame) + 6;
            for (ping, skimmed) in
                [(false, 5), (true, 5), (true, 5 + frame), (true, 4 * frame), (true, all)]
            {
                let mut bytes = bytes.clone();
                if ping {
                    bytes.splice(at..at, *b"PING\r\n");
                }
                bytes.extend_from_slice(b"PONG\r\n");
                for part in 1..2 * frame {
                    let mut walker = walker(&messages, None);
                    let mut controls = Vec::new();
                    let first = at.min(frame);
                    walker.take(&bytes[..first], |control| controls.push(control)).unwrap();
                    walker.skim(skimmed);
                    if first + skimmed + b"PONG\r\n".len() == bytes.len() {
                        walker.settle();
                        controls.push(Control::Ping);
                    }
                    for part in bytes[first + skimmed..].chunks(part) {
                        walker.take(part, |control| controls.push(control)).unwrap();
                    }
                    assert_eq!(walker.messages, 12, "PING at {at}, {skimmed} skimmed");
                    let wanted = [Control::Ping, Control::Pong];
                    assert_eq!(controls, wanted[usize::from(!ping)..]);
                }
            }
        }
    }

    #[test]
    fn one_read_in_sixteen_is_looked_at_and_all_when_lengths_differ() {
        let mut same = walker(&[Message::plain("a", 16)], None);
        let skims: Vec<_> = (0..32).map(|_| same.skim_bytes(100)).collect();
        assert_eq!(skims.iter().filter(|skim| skim.is_none()).count(), 2);
        assert_eq!((skims[0], skims[1]), (None, Some(90)));
        assert_eq!(same.skim_bytes(29), None);
        let mixed = [Message::plain("a", 16), Message::plain("a", 17)];
        for mut walker in [walker(&mixed, None), walker(&mixed[..1], Some(Order::Gapless))] {
            assert!((0..32).all(|_| walker.skim_bytes(1000).is_none()));
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
