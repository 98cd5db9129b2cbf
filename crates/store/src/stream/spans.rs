//! A file stream's messages by the stretches that its segments hold. Of a span that nobody asks for
//! only a summary stays here, and its messages are read again when somebody does: it is *cold*, then
//! *warm*.

use std::fmt;

use super::rebuild::Kept;

/// Reads a span that is cold.
pub(crate) trait Source: Send {
    /// Its messages that live, ascending.
    ///
    /// # Errors
    /// They cannot be read: says why.
    fn load(&self) -> Result<Loaded, String>;
}

/// Messages that were read.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Texts of subjects.
    pub(crate) subjects: Vec<Box<[u8]>>,
    /// Each with the number of its subject.
    pub(crate) messages: Vec<(Kept, u32)>,
}

/// What is known of the messages of a span that is cold.
pub(crate) struct Cold {
    /// The first message that lives, and when it was stored.
    pub(crate) first_seq: u64,
    pub(crate) first_time_ns: u64,
    /// The last one.
    pub(crate) last_seq: u64,
    /// No message is younger.
    pub(crate) time_ns_max: u64,
    /// The time of the first one that may end by its age.
    pub(crate) mortal_ns: Option<u64>,
    pub(crate) source: Box<dyn Source>,
}

/// A span.
pub(super) struct Span {
    /// No message is below it, and none of an earlier span behind it.
    first_seq: u64,
    /// Messages that live (count).
    live: u64,
    /// Their size, as limits count it.
    live_bytes: u64,
    cold: Option<Box<Cold>>,
    /// It was asked for since this was last looked at.
    is_used: bool,
}

/// The spans of a stream, ascending; a stream in memory has none.
#[derive(Default)]
pub(super) struct Spans {
    all: Vec<Span>,
    /// How many are cold.
    cold: usize,
}

impl Spans {
    /// Messages from this one on belong to a new span.
    pub(super) fn begin(&mut self, first_seq: u64) {
        self.all.push(Span { first_seq, live: 0, live_bytes: 0, cold: None, is_used: true });
    }

    /// A span that was read from its summary.
    pub(super) fn begin_cold(&mut self, first_seq: u64, live: u64, live_bytes: u64, cold: Cold) {
        let cold = Some(Box::new(cold));
        self.all.push(Span { first_seq, live, live_bytes, cold, is_used: false });
        self.cold += 1;
    }

    /// A span without messages is not one any more.
    pub(super) fn end(&mut self, first_seq: u64) {
        if let Some(at) = self.at(first_seq).filter(|&at| self.all[at].first_seq == first_seq) {
            self.all.remove(at);
        }
    }

    /// The spans that begin in this range are one, which begins at `first_seq`. None is cold.
    pub(super) fn join(&mut self, begins: std::ops::RangeInclusive<u64>, first_seq: u64) {
        let start = self.all.partition_point(|span| span.first_seq < *begins.start());
        let end = self.all.partition_point(|span| span.first_seq <= *begins.end());
        let (mut live, mut live_bytes) = (0, 0);
        for span in &self.all[start..end] {
            (live, live_bytes) = (live + span.live, live_bytes + span.live_bytes);
        }
        let joined = Span { first_seq, live, live_bytes, cold: None, is_used: true };
        self.all.splice(start..end, [joined]);
    }

    /// A message was stored, the newest.
    pub(super) fn add(&mut self, bytes: u64) {
        if let Some(last) = self.all.last_mut() {
            last.live += 1;
            last.live_bytes += bytes;
            last.is_used = true;
        }
    }

    /// A message is gone; says whether its span can have held it.
    pub(super) fn remove(&mut self, seq: u64, bytes: u64) -> bool {
        let Some(span) = self.at(seq).map(|at| &mut self.all[at]) else { return true };
        let left = span.live.checked_sub(1).zip(span.live_bytes.checked_sub(bytes));
        (span.live, span.live_bytes) = left.unwrap_or_default();
        left.is_some()
    }

    /// All messages are gone.
    pub(super) fn clear(&mut self) {
        self.cold = 0;
        for span in &mut self.all {
            (span.live, span.live_bytes, span.cold) = (0, 0, None);
        }
    }

    /// Messages that live in the span that begins there (count), and their size.
    pub(super) fn live(&self, first_seq: u64) -> (u64, u64) {
        let span = self.at(first_seq).map(|at| &self.all[at]);
        let span = span.filter(|span| span.first_seq == first_seq);
        span.map_or((0, 0), |span| (span.live, span.live_bytes))
    }

    /// The span that a sequence would be in.
    fn at(&self, seq: u64) -> Option<usize> {
        let last = self.all.len().checked_sub(1)?;
        if self.all[last].first_seq <= seq {
            return Some(last);
        }
        self.all.partition_point(|span| span.first_seq <= seq).checked_sub(1)
    }

    /// Whether a sequence is in a span that is cold. If it is not, the span counts as used.
    pub(super) fn use_at(&mut self, seq: u64) -> Option<usize> {
        let at = self.at(seq)?;
        self.all[at].is_used = true;
        self.all[at].cold.as_ref().map(|_| at)
    }

    /// Whether a sequence is in a span that is cold.
    pub(super) fn is_cold(&self, seq: u64) -> bool {
        self.cold > 0 && self.at(seq).is_some_and(|at| self.all[at].cold.is_some())
    }

    /// Whether any is cold.
    pub(super) fn has_cold(&self) -> bool {
        self.cold > 0
    }

    /// The cold spans that have messages at or behind `from`, ascending.
    pub(super) fn cold_from(&self, from: u64) -> impl DoubleEndedIterator<Item = (usize, &Cold)> {
        let start = if self.cold == 0 { self.all.len() } else { self.at(from).unwrap_or(0) };
        let all = self.all[start..].iter().enumerate();
        all.filter_map(move |(at, span)| Some((start + at, &**span.cold.as_ref()?)))
            .filter(move |(_, cold)| cold.last_seq >= from)
    }

    /// Where a cold span without gaps ends that begins with this message.
    pub(super) fn whole_from(&self, seq: u64) -> Option<u64> {
        let span = self.at(seq).map(|at| &self.all[at])?;
        let cold = span.cold.as_ref().filter(|cold| cold.first_seq == seq)?;
        (cold.last_seq - cold.first_seq + 1 == span.live).then_some(cold.last_seq)
    }

    /// Whether a cold span has messages from `from` on and below `before`.
    pub(super) fn has_cold_within(&self, from: u64, before: u64) -> bool {
        self.cold_from(from).next().is_some_and(|(_, cold)| cold.first_seq < before)
    }

    /// The last cold span with messages below `before`.
    pub(super) fn last_cold_below(&self, before: u64) -> Option<(usize, &Cold)> {
        if self.cold == 0 {
            return None;
        }
        let end = self.all.partition_point(|span| span.first_seq < before);
        self.all[..end].iter().enumerate().rev().find_map(|(at, span)| {
            let cold = span.cold.as_ref().filter(|cold| cold.first_seq < before)?;
            Some((at, &**cold))
        })
    }

    /// Takes the summary of a span that is to be warm: with where it begins, and what it is to hold.
    pub(super) fn warm(&mut self, at: usize) -> Option<(Box<Cold>, u64, u64)> {
        let span = &mut self.all[at];
        let cold = span.cold.take()?;
        self.cold -= 1;
        span.is_used = true;
        Some((cold, span.live, span.live_bytes))
    }

    /// A span is cold (again).
    pub(super) fn cool(&mut self, at: usize, cold: Box<Cold>) {
        self.all[at].cold = Some(cold);
        self.cold += 1;
    }

    /// Where spans begin that are warm, have messages, and nobody asked for since this was last
    /// called.
    pub(super) fn sweep(&mut self) -> Vec<u64> {
        let all = self.all.iter_mut();
        let idle = all.filter_map(|span| {
            let is_used = std::mem::take(&mut span.is_used);
            (!is_used && span.live > 0 && span.cold.is_none()).then_some(span.first_seq)
        });
        idle.collect()
    }

    /// Where the span that begins there is and what it reaches to, if it may be cold and nobody asked
    /// for it since the last sweep.
    pub(super) fn idle(&self, first_seq: u64) -> Option<(usize, u64)> {
        let at = self.at(first_seq)?;
        let span = &self.all[at];
        let is_idle = span.first_seq == first_seq && span.live > 0 && !span.is_used;
        let next = self.all.get(at + 1).map_or(u64::MAX, |next| next.first_seq - 1);
        (is_idle && span.cold.is_none()).then_some((at, next))
    }

    /// Spans that are warm, and all (count).
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.all.len() - self.cold, self.all.len())
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} spans, {} of them cold", self.all.len(), self.cold)
    }
}
