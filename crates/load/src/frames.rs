//! Messages as bytes: what a publisher writes and what a subscriber must read.

use std::ops::Range;
use std::sync::Arc;

/// Digits of the running number at the start of a payload that is verified.
pub(crate) const SEQUENCE_DIGITS: usize = 10;

/// What a publisher writes at once (bytes, at most). Smaller pieces pay for system calls, larger
/// ones leave the second-level cache.
const PIECE_BYTES: usize = 256 * 1024;

/// One message to publish.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) reply: Option<String>,
    /// A whole header block, or none.
    pub(crate) headers: Option<&'static str>,
    pub(crate) payload_bytes: usize,
}

impl Message {
    pub(crate) fn plain(subject: impl Into<String>, payload_bytes: usize) -> Self {
        Self { subject: subject.into(), reply: None, headers: None, payload_bytes }
    }

    /// PUB or HPUB. For a relay that copies raw bytes the verb is in small letters, which is legal
    /// too: a copied `PUB` would begin like a PING or PONG.
    pub(crate) fn published(&self, raw: bool) -> Vec<u8> {
        let mut frame = self.frame("PUB", "");
        if raw {
            let verb_bytes = if self.headers.is_some() { 4 } else { 3 };
            frame[..verb_bytes].make_ascii_lowercase();
        }
        frame
    }

    /// MSG or HMSG as a subscriber with this `sid` reads it.
    pub(crate) fn delivered(&self, sid: &str) -> Vec<u8> {
        self.frame("MSG", &format!(" {sid}"))
    }

    fn frame(&self, verb: &str, sid: &str) -> Vec<u8> {
        let Self { subject, reply, headers, payload_bytes } = self;
        let reply = reply.as_ref().map(|reply| format!(" {reply}")).unwrap_or_default();
        let mut frame = match headers {
            None => format!("{verb} {subject}{sid}{reply} {payload_bytes}\r\n"),
            Some(block) => {
                let (head, total) = (block.len(), block.len() + payload_bytes);
                format!("H{verb} {subject}{sid}{reply} {head} {total}\r\n{block}")
            }
        }
        .into_bytes();
        frame.extend((0..*payload_bytes).map(pattern));
        frame.extend_from_slice(b"\r\n");
        frame
    }
}

/// The payload's bytes: small letters, so that no payload looks like a control line.
fn pattern(at: usize) -> u8 {
    b"abcdefghijklmnopqrstuvwxyz"[at % 26]
}

/// Where the running number stands in a frame of this payload; `None` when it has no room.
pub(crate) fn sequence_range(frame_bytes: usize, payload_bytes: usize) -> Option<Range<usize>> {
    let start = frame_bytes - 2 - payload_bytes;
    (payload_bytes >= SEQUENCE_DIGITS).then_some(start..start + SEQUENCE_DIGITS)
}

/// Writes `number` into `digits`, most significant first.
pub(crate) fn write_sequence(digits: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// A buffer of messages that a publisher writes again and again, a piece at a time.
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// End of each message in `bytes`.
    ends: Vec<usize>,
    /// Where each message's running number stands.
    sequences: Vec<Option<Range<usize>>>,
    piece_bytes: usize,
}

impl Batch {
    /// `messages` in turn, repeated while they fit into a piece; once, if they are more than that.
    pub(crate) fn new(messages: &[Message], raw: bool) -> Self {
        let mut batch =
            Self { bytes: Vec::new(), ends: Vec::new(), sequences: Vec::new(), piece_bytes: 0 };
        let mut round_bytes = None;
        while round_bytes.is_none_or(|round| batch.bytes.len() + round <= PIECE_BYTES) {
            for message in messages {
                batch.push(message, raw);
            }
            round_bytes.get_or_insert(batch.bytes.len());
        }
        // Pieces of about one size: a small one at the end would cost as much as a large one.
        let pieces = batch.bytes.len().div_ceil(PIECE_BYTES);
        batch.piece_bytes = batch.bytes.len() / pieces + batch.bytes.len() / batch.ends.len();
        batch
    }

    fn push(&mut self, message: &Message, raw: bool) {
        let start = self.bytes.len();
        let frame = message.published(raw);
        let range = sequence_range(frame.len(), message.payload_bytes);
        self.bytes.extend_from_slice(&frame);
        self.ends.push(self.bytes.len());
        self.sequences.push(range.map(|range| start + range.start..start + range.end));
    }

    /// Messages in all.
    pub(crate) fn messages(&self) -> usize {
        self.ends.len()
    }

    /// The messages from `first` that make a piece: at least one, at most `messages_max`.
    pub(crate) fn piece(&self, first: usize, messages_max: u64) -> Range<usize> {
        let start = self.start_of(first);
        let within =
            self.ends[first..].partition_point(|&end| end - start <= self.piece_bytes).max(1);
        first..first + messages_max.min(within as u64) as usize
    }

    /// Where the messages stand in `bytes`.
    pub(crate) fn bytes_of(&self, messages: &Range<usize>) -> Range<usize> {
        self.start_of(messages.start)..self.start_of(messages.end)
    }

    fn start_of(&self, message: usize) -> usize {
        if message == 0 { 0 } else { self.ends[message - 1] }
    }

    /// Writes running numbers from `first` into the payloads of these messages.
    pub(crate) fn number_from(&mut self, messages: &Range<usize>, first: u64) {
        for (range, number) in self.sequences[messages.clone()].iter().zip(first..) {
            if let Some(range) = range {
                write_sequence(&mut self.bytes[range.clone()], number);
            }
        }
    }
}

/// The frames that one subscriber reads, in turn, over and over.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) frames: Arc<[ExpectedFrame]>,
}

/// One frame as it must arrive.
#[derive(Debug)]
pub(crate) struct ExpectedFrame {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sequence: Option<Range<usize>>,
}

impl Expected {
    /// What a subscriber reads of `messages`; `sid` says under which id each comes.
    pub(crate) fn new(messages: &[Message], raw: bool, sid: impl Fn(usize) -> String) -> Self {
        let frame = |(index, message): (usize, &Message)| {
            let bytes = if raw { message.published(true) } else { message.delivered(&sid(index)) };
            let sequence = sequence_range(bytes.len(), message.payload_bytes);
            ExpectedFrame { bytes, sequence }
        };
        Self { frames: messages.iter().enumerate().map(frame).collect() }
    }

    /// Largest frame (bytes).
    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.frames.iter().map(|frame| frame.bytes.len()).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_follow_the_protocol() {
        let message = Message::plain("a.b", 3);
        assert_eq!(message.published(false), b"PUB a.b 3\r\nabc\r\n");
        assert_eq!(message.delivered("7"), b"MSG a.b 7 3\r\nabc\r\n");
        let message = Message {
            subject: "a".to_owned(),
            reply: Some("r".to_owned()),
            headers: Some("NATS/1.0\r\n\r\n"),
            payload_bytes: 1,
        };
        assert_eq!(message.published(false), b"HPUB a r 12 13\r\nNATS/1.0\r\n\r\na\r\n");
        assert_eq!(message.delivered("1"), b"HMSG a 1 r 12 13\r\nNATS/1.0\r\n\r\na\r\n");
    }

    #[test]
    fn a_batch_is_written_in_pieces_of_whole_messages() {
        let batch = Batch::new(&[Message::plain("a", 12)], false);
        let whole = PIECE_BYTES / 24;
        assert_eq!((batch.bytes.len(), batch.messages()), (whole * 24, whole));
        assert_eq!(batch.piece(0, u64::MAX), 0..whole);
        assert_eq!(batch.bytes_of(&(0..whole)), 0..whole * 24);
        assert_eq!(batch.piece(5, 2), 5..7);
        let large = Batch::new(&[Message::plain("a", 2 * PIECE_BYTES)], false);
        assert_eq!(large.piece(0, u64::MAX), 0..1);
    }

    #[test]
    fn a_long_round_is_cut_into_even_pieces() {
        let messages = vec![Message::plain("a", 1000); 300];
        let batch = Batch::new(&messages, false);
        let first = batch.piece(0, u64::MAX);
        assert_eq!(batch.messages(), 300);
        assert!((150..=152).contains(&first.len()), "{first:?}");
        assert_eq!(batch.piece(first.end, u64::MAX).end, 300);
    }

    #[test]
    fn running_numbers_stand_at_the_start_of_payloads() {
        let mut batch = Batch::new(&[Message::plain("a", 12)], false);
        batch.number_from(&(0..3), 41);
        let text = String::from_utf8(batch.bytes[..72].to_vec()).unwrap();
        assert!(text.ends_with("PUB a 12\r\n0000000043kl\r\n"), "{text}");
    }
}
