//! A stream's state is made again of what was kept of it: messages in their order, then the rest.

use super::messages::Slot;
use super::{Lifetime, Stream};

/// A message of a file stream that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) seq: u64,
    pub(crate) subject: &'a [u8],
    pub(crate) time_ns: u64,
    pub(crate) place: u64,
    /// As limits count it.
    pub(crate) bytes: u64,
    pub(crate) lifetime: Lifetime,
    pub(crate) is_marker: bool,
}

/// What no message tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    pub(crate) last_time_ns: Option<u64>,
    pub(crate) last_msg_id: Vec<u8>,
}

impl Stream {
    /// What no message tells.
    pub(crate) fn remembered(&self) -> Remembered {
        Remembered {
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            last_time_ns: self.last_time_ns,
            last_msg_id: self.last_msg_id.clone(),
        }
    }

    /// Ids of earlier messages are not remembered.
    pub(crate) fn ids_from(&self) -> u64 {
        self.last_time_ns.unwrap_or(0).saturating_sub(self.limits.duplicate_window_ns)
    }

    /// Adds a message; its sequence is above all that are here.
    pub(crate) fn take_up(&mut self, found: &Found<'_>) {
        let &Found { seq, subject, time_ns, place, bytes, lifetime, is_marker } = found;
        let subject = self.subjects.add(subject, seq);
        let flags = super::flags_of(lifetime, is_marker);
        self.messages.push(seq, &Slot { time_ns, place, subject, bytes, flags });
        if let Lifetime::Ttl { ttl_ns } = lifetime {
            self.deadlines.add(time_ns.saturating_add(ttl_ns), seq);
        }
        self.bytes += bytes;
    }

    /// Adds a message id.
    pub(crate) fn take_up_id(&mut self, id: &[u8], seq: u64, time_ns: u64) {
        if !id.is_empty() {
            self.duplicates.add(id, seq, time_ns);
        }
    }

    /// Ends it with what no message tells.
    pub(crate) fn end_take_up(&mut self, remembered: Remembered) {
        self.first_seq = remembered.first_seq;
        self.last_seq = remembered.last_seq;
        self.last_time_ns = remembered.last_time_ns;
        self.last_msg_id = remembered.last_msg_id;
        self.settle();
    }
}
