//! A stream as plainly as it can be said: a map of messages, every question answered by looking at
//! all of them.

use std::collections::{BTreeMap, BTreeSet};

use keelback_subject as subject;

use super::super::*;

#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) subject: Vec<u8>,
    pub(super) headers: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) place: u64,
    pub(super) time_ns: u64,
    pub(super) bytes: u64,
    lifetime: Lifetime,
    is_marker: bool,
}

impl Kept {
    /// Its subject, and what is read of it.
    pub(super) fn on_shelf(&self, sequence: u64) -> (Vec<u8>, super::super::Kept) {
        let Self { time_ns, place, bytes, lifetime, is_marker, .. } = *self;
        let kept = super::super::Kept { sequence, time_ns, place, bytes, lifetime, is_marker };
        (self.subject.clone(), kept)
    }
}

pub(super) struct Model {
    pub(super) storage: Storage,
    pub(super) limits: Limits,
    pub(super) messages: BTreeMap<u64, Kept>,
    pub(super) last_seq: u64,
    pub(super) last_time_ns: Option<u64>,
    empty_first_seq: u64,
    ids: Vec<(Vec<u8>, u64, u64)>,
}

pub(super) fn is_match(filter: &[u8], text: &[u8]) -> bool {
    filter.is_empty() || subject::matches(filter, text)
}

impl Model {
    pub(super) fn new(storage: Storage, first_seq: u64, limits: Limits) -> Self {
        Self {
            storage,
            limits,
            messages: BTreeMap::new(),
            last_seq: first_seq.saturating_sub(1),
            last_time_ns: None,
            empty_first_seq: first_seq,
            ids: Vec::new(),
        }
    }

    pub(super) fn apply(&mut self, entry: &Entry<'_>) -> (Outcome, BTreeSet<u64>, Vec<u64>) {
        let before: BTreeSet<u64> = self.messages.keys().copied().collect();
        let (mut outcome, mut expiring) = (Outcome::Done, Vec::new());
        match *entry {
            Entry::Store(ref message) => outcome = self.store(message),
            Entry::Batch(batch) => outcome = self.store_batch(batch),
            Entry::Pass { time_ns, msg_id } => {
                outcome = self.duplicate(msg_id, time_ns).unwrap_or_else(|| {
                    self.advance(time_ns, msg_id);
                    Outcome::Stored { seq: self.last_seq }
                });
            }
            Entry::Skip { last_seq, time_ns } => {
                if last_seq > self.last_seq {
                    self.last_seq = last_seq;
                    self.last_time_ns.get_or_insert(time_ns);
                }
            }
            Entry::Remove { seq } => drop(self.messages.remove(&seq)),
            Entry::Purge(purge) => self.purge(&purge),
            Entry::Expire { now_ns } => expiring = self.expire(now_ns),
            Entry::Limit(limits) => self.limit(limits),
        }
        if self.messages.is_empty() && self.last_seq > 0 {
            self.empty_first_seq = self.last_seq + 1;
        }
        let mut all = before;
        match (&outcome, entry) {
            (Outcome::Stored { seq }, Entry::Store(_)) => drop(all.insert(*seq)),
            (Outcome::Stored { seq }, Entry::Batch(batch)) => {
                all.extend(seq + 1 - u64::from(batch.count())..=*seq);
            }
            _ => {}
        }
        all.retain(|seq| !self.messages.contains_key(seq));
        (outcome, all, expiring)
    }

    pub(super) fn first_seq(&self) -> u64 {
        self.messages.keys().next().copied().unwrap_or(self.empty_first_seq)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.messages.values().map(|kept| kept.bytes).sum()
    }

    pub(super) fn of(&self, filter: &[u8]) -> Vec<u64> {
        let matching = self.messages.iter().filter(|(_, kept)| is_match(filter, &kept.subject));
        matching.map(|(&seq, _)| seq).collect()
    }

    pub(super) fn duplicate(&self, msg_id: &[u8], now_ns: u64) -> Option<Outcome> {
        let (_, seq, time_ns) = self.ids.iter().rev().find(|(id, ..)| id == msg_id)?;
        (time_ns + self.limits.duplicate_window_ns > now_ns)
            .then_some(Outcome::Duplicate { seq: *seq })
    }

    /// The earliest time at which an expiry has something to do.
    pub(super) fn due_ns(&self) -> Option<u64> {
        let age_max_ns = self.limits.age_max_ns;
        let mut mortal = self.messages.values().filter(|kept| kept.lifetime != Lifetime::Never);
        let by_age = mortal.next().filter(|_| age_max_ns > 0).map(|kept| kept.time_ns + age_max_ns);
        self.messages.values().filter_map(Kept::end_ns).chain(by_age).min()
    }

    fn store(&mut self, message: &Message<'_>) -> Outcome {
        if let Some(duplicate) = self.duplicate(message.msg_id, message.time_ns) {
            return duplicate;
        }
        let bytes = self.storage.message_bytes(message.subject, &message.body);
        let older = self.of(message.subject);
        let Limits { msgs_max, bytes_max, msgs_per_subject_max, discard, .. } = self.limits;
        let is_replaced = msgs_per_subject_max > 0 && older.len() as u64 >= msgs_per_subject_max;
        if discard != Discard::Old {
            if discard == Discard::NewPerSubject && is_replaced && message.rollup == Rollup::None {
                return Outcome::Refused(Refusal::MsgsPerSubjectMax);
            }
            if msgs_max > 0 && self.messages.len() as u64 >= msgs_max && !is_replaced {
                return Outcome::Refused(Refusal::MsgsMax);
            }
            let fits = bytes_max == 0 || self.bytes() + bytes <= bytes_max;
            let makes_room = is_replaced && self.messages[&older[0]].bytes >= bytes;
            if !fits && !makes_room {
                return Outcome::Refused(Refusal::BytesMax);
            }
        }
        self.advance(message.time_ns, message.msg_id);
        let seq = self.last_seq;
        self.messages.insert(seq, Kept::new(message, bytes));
        self.enforce_subjects();
        self.enforce_stream();
        if self.messages.contains_key(&seq) {
            let text = message.subject;
            match message.rollup {
                Rollup::None => {}
                Rollup::Subject => {
                    self.messages.retain(|&other, kept| other == seq || kept.subject != text);
                }
                Rollup::All => self.messages.retain(|&other, _| other == seq),
            }
        }
        if !message.purges.is_empty() {
            self.messages.retain(|_, kept| kept.subject != message.purges);
        }
        Outcome::Stored { seq }
    }

    fn store_batch(&mut self, batch: Batch<'_>) -> Outcome {
        let messages: Vec<_> = batch.iter().collect();
        for at in 0..messages.len() {
            if let Some(refusal) = self.batch_refusal(&messages[..at], &messages[at]) {
                return Outcome::Refused(refusal);
            }
        }
        let mut outcome = Outcome::Done;
        for message in &messages {
            outcome = self.store(message);
            assert!(matches!(outcome, Outcome::Stored { .. }), "{message:?}");
        }
        outcome
    }

    fn batch_refusal(&self, before: &[Message<'_>], message: &Message<'_>) -> Option<Refusal> {
        let (id, text) = (message.msg_id, message.subject);
        let is_again = before.iter().any(|other| other.msg_id == id);
        if !id.is_empty() && (is_again || self.duplicate(id, message.time_ns).is_some()) {
            return Some(Refusal::BatchHasDuplicate);
        }
        let is_written = before.iter().any(|other| other.subject == text);
        if message.rollup == Rollup::Subject && is_written {
            return Some(Refusal::BatchRollsUpItself { all: false });
        }
        if message.rollup == Rollup::All && !before.is_empty() {
            return Some(Refusal::BatchRollsUpItself { all: true });
        }
        let Limits { msgs_max, bytes_max, msgs_per_subject_max, discard, .. } = self.limits;
        if discard == Discard::Old {
            return None;
        }
        let held = (self.messages.len() + before.len()) as u64 + 1;
        let size =
            |message: &Message<'_>| self.storage.message_bytes(message.subject, &message.body);
        let bytes = self.bytes() + before.iter().map(size).sum::<u64>() + size(message);
        let of_subject =
            self.of(text).len() + before.iter().filter(|it| it.subject == text).count();
        if msgs_max > 0 && held > msgs_max {
            return Some(Refusal::MsgsMax);
        }
        if bytes_max > 0 && bytes > bytes_max {
            return Some(Refusal::BytesMax);
        }
        let is_limited = discard == Discard::NewPerSubject && message.rollup == Rollup::None;
        let is_full = msgs_per_subject_max > 0 && of_subject as u64 >= msgs_per_subject_max;
        (is_limited && is_full).then_some(Refusal::MsgsPerSubjectMax)
    }

    fn advance(&mut self, time_ns: u64, msg_id: &[u8]) {
        self.last_seq += 1;
        self.last_time_ns = Some(time_ns);
        if !msg_id.is_empty() && self.limits.duplicate_window_ns > 0 {
            self.forget_ids(time_ns);
            self.ids.push((msg_id.to_vec(), self.last_seq, time_ns));
        }
    }

    fn forget_ids(&mut self, now_ns: u64) {
        let window_ns = self.limits.duplicate_window_ns;
        let over =
            self.ids.iter().take_while(|(.., time_ns)| time_ns + window_ns <= now_ns).count();
        self.ids.drain(..over);
    }

    fn purge(&mut self, purge: &Purge<'_>) {
        let is_all = purge.filter.is_empty() || purge.filter == b">";
        let mut due = self.of(purge.filter);
        if !is_all || purge.below_seq == 0 {
            due.truncate(due.len().saturating_sub(purge.keep as usize));
        }
        if purge.below_seq > 0 {
            due.retain(|&seq| seq < purge.below_seq);
        }
        for seq in due {
            self.messages.remove(&seq);
        }
        if is_all && purge.below_seq == 0 && purge.keep == 0 {
            self.empty_first_seq = self.last_seq + 1;
        }
        if is_all && purge.below_seq > 1 && purge.below_seq > self.last_seq {
            self.last_seq = purge.below_seq - 1;
        }
    }

    fn expire(&mut self, now_ns: u64) -> Vec<u64> {
        self.forget_ids(now_ns);
        let age_max_ns = self.limits.age_max_ns;
        let is_old = |kept: &Kept| kept.time_ns + age_max_ns <= now_ns;
        let mortal = self.messages.iter().filter(|(_, kept)| kept.lifetime != Lifetime::Never);
        let by_age = mortal.take_while(|(_, kept)| age_max_ns > 0 && is_old(kept));
        let mut due: Vec<u64> = by_age.map(|(&seq, _)| seq).collect();
        let by_ttl = self
            .messages
            .iter()
            .filter(|(_, kept)| kept.end_ns().is_some_and(|end_ns| end_ns <= now_ns));
        // First what is too old, then what has lived for as long as it may.
        due.extend(by_ttl.map(|(&seq, _)| seq));
        let mut expiring = BTreeSet::new();
        for seq in due {
            let Some(kept) = self.messages.get(&seq) else { continue };
            let is_last = self.of(&kept.subject).len() == 1;
            if self.limits.marks_expiry && is_last && !kept.is_marker {
                expiring.insert(seq);
            } else {
                self.messages.remove(&seq);
            }
        }
        expiring.into_iter().collect()
    }

    fn limit(&mut self, limits: Limits) {
        self.limits = limits;
        if limits.duplicate_window_ns == 0 {
            self.ids.clear();
        }
        self.enforce_stream();
        self.enforce_subjects();
    }

    fn enforce_subjects(&mut self) {
        let max = self.limits.msgs_per_subject_max as usize;
        let texts: BTreeSet<_> = self.messages.values().map(|kept| kept.subject.clone()).collect();
        for text in texts {
            let all = self.of(&text);
            if max > 0 && all.len() > max {
                for seq in &all[..all.len() - max] {
                    self.messages.remove(seq);
                }
            }
        }
    }

    fn enforce_stream(&mut self) {
        let Limits { msgs_max, bytes_max, discard, .. } = self.limits;
        let is_over = |model: &Self| {
            (msgs_max > 0 && model.messages.len() as u64 > msgs_max)
                || (bytes_max > 0 && model.bytes() > bytes_max)
        };
        while discard == Discard::Old && is_over(self) {
            self.messages.pop_first();
        }
    }
}

impl Kept {
    fn new(message: &Message<'_>, bytes: u64) -> Self {
        let (headers, payload, place) = match message.body {
            Body::Placed { place, .. } => (Vec::new(), Vec::new(), place),
            Body::Held { headers, payload } => (headers.to_vec(), payload.to_vec(), 0),
        };
        Self {
            subject: message.subject.to_vec(),
            headers,
            payload,
            place,
            time_ns: message.time_ns,
            bytes,
            lifetime: message.lifetime,
            is_marker: message.is_marker,
        }
    }

    fn end_ns(&self) -> Option<u64> {
        match self.lifetime {
            Lifetime::Ttl { ttl_ns } => Some(self.time_ns + ttl_ns),
            Lifetime::Limits | Lifetime::Never => None,
        }
    }
}
