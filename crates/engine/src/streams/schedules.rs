//! Schedules of a stream: which there are, and what is done when one is due.
//!
//! A schedule is the last message of its subject. What is remembered here is found again by reading
//! those when the stream is opened.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use keelback_jetstream::policy::Policy;
use keelback_jetstream::publish;
use keelback_jetstream::schedule::{self, Due};
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::stream::{Body, Conditions, Effects, Entry, Message, Outcome, Rollup, Storage};

use super::Streams;
use super::calls::FoundMessage;
use super::outgoing::Outgoing;
use super::running::{Kept, Running};
use crate::lock;
use crate::log::Level;
use crate::worker::Worker;

/// One that could not be carried out is tried again after so long.
const AGAIN_NS: u64 = 1_000_000_000;

/// That are carried out before others are looked at.
const FIRED_A_TURN: usize = 1000;

/// The schedules of a stream.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    /// Sequence and time, by subject.
    known: HashMap<Vec<u8>, (u64, u64)>,
    /// Time and subject.
    due: BTreeSet<(u64, Vec<u8>)>,
    /// Those that were there when the stream was opened are known.
    is_loaded: bool,
}

impl Schedules {
    fn put(&mut self, subject: &[u8], seq: u64, at_ns: u64) {
        self.remove(subject);
        self.known.insert(subject.to_vec(), (seq, at_ns));
        self.due.insert((at_ns, subject.to_vec()));
    }

    fn remove(&mut self, subject: &[u8]) {
        if let Some((_, at_ns)) = self.known.remove(subject) {
            self.due.remove(&(at_ns, subject.to_vec()));
        }
    }

    fn move_to(&mut self, subject: &[u8], at_ns: u64) {
        if let Some(&(seq, _)) = self.known.get(subject) {
            self.put(subject, seq, at_ns);
        }
    }

    fn next_due(&self, now_ns: u64) -> Option<(Vec<u8>, u64, u64)> {
        let (at_ns, subject) = self.due.first().filter(|(at_ns, _)| *at_ns <= now_ns)?;
        let (seq, _) = self.known.get(subject)?;
        Some((subject.clone(), *seq, *at_ns))
    }
}

impl<D: Disk + Clone> Running<D> {
    /// Applies an entry; what it stores goes out again if the policy says so, and is remembered if it
    /// is a schedule.
    pub(super) fn apply(
        &self,
        kept: &mut Kept<D>,
        (behind, entry): (Position, &Entry<'_>),
        policy: &Policy,
        worker: &mut Worker,
        outgoing: &mut Outgoing,
    ) -> Effects {
        let effects = kept.apply_and_republish(behind, entry, policy, worker, outgoing);
        if policy.schedules.is_some()
            && let Outcome::Stored { seq } = effects.outcome
        {
            match entry {
                Entry::Store(message) => self.note(message, seq, worker.now_ns),
                Entry::Batch(batch) => {
                    let first = seq + 1 - u64::from(batch.count());
                    for (seq, message) in (first..).zip(batch.iter()) {
                        self.note(&message, seq, worker.now_ns);
                    }
                }
                _ => {}
            }
        }
        effects
    }

    /// Takes note of a message that was stored.
    fn note(&self, message: &Message<'_>, seq: u64, now_ns: u64) {
        let Body::Held { headers, .. } = message.body else { return };
        let mut schedules = lock(&self.schedules);
        match schedule::due(headers, message.time_ns, now_ns) {
            Ok(Some(Due { at_ns, .. })) => schedules.put(message.subject, seq, at_ns),
            _ => schedules.remove(message.subject),
        }
        if let Some((subject, at_ns)) = schedule::next_of(headers) {
            schedules.move_to(subject, at_ns);
        }
    }

    /// Whether a message may say that the schedule of this subject is over: there is one, or nothing.
    pub(super) fn may_purge_schedule(&self, subject: &[u8]) -> bool {
        let last = self.kept().stream().last_seq_matching(subject);
        let known = lock(&self.schedules).known.get(subject).map(|(seq, _)| *seq);
        last.is_none() || last == known
    }
}

impl<D: Disk + Clone> Streams<D> {
    /// Carries out the schedules that are due.
    pub(super) fn fire_due(&self, running: &Arc<Running<D>>, now_ns: u64) {
        let policy = running.policy();
        if policy.schedules.is_none() {
            return;
        }
        if !lock(&running.schedules).is_loaded {
            load(running, now_ns);
        }
        for _ in 0..FIRED_A_TURN {
            let next = lock(&running.schedules).next_due(now_ns);
            let Some((subject, seq, at_ns)) = next else { return };
            self.fire(running, &policy, (&subject, seq), (at_ns, now_ns));
        }
    }

    fn fire(
        &self,
        running: &Arc<Running<D>>,
        policy: &Policy,
        (subject, seq): (&[u8], u64),
        (at_ns, now_ns): (u64, u64),
    ) {
        let found = {
            let mut kept = running.kept();
            let is_last = kept.stream().last_seq_matching(subject) == Some(seq);
            if is_last { kept.read(seq).ok().flatten() } else { None }
        };
        let made = found.as_ref().and_then(|found| make(running, found, at_ns, now_ns));
        let Some(made) = made else {
            // It was removed meanwhile, or says nothing any more.
            lock(&running.schedules).remove(subject);
            return;
        };
        let drawn = &mut [0; 4];
        self.hub.fill_random(drawn);
        let random = u32::from_ne_bytes(*drawn);
        let transform = policy.transform.as_ref();
        let target = transform.and_then(|it| it.transform(&made.target, &mut || random));
        let target = target.map_or(Cow::Borrowed(&*made.target), Cow::Owned);
        let rollup = headers_say(&made.headers, b"Nats-Rollup") == Some(b"sub");
        let message = Message {
            subject: &target,
            body: Body::Held { headers: &made.headers, payload: &made.payload },
            time_ns: now_ns,
            lifetime: publish::stored_lifetime(&made.headers),
            rollup: if rollup { Rollup::Subject } else { Rollup::None },
            msg_id: b"",
            conditions: Conditions::default(),
            is_marker: false,
            purges: schedule::purged(&made.headers),
        };
        let fits = fits(running, policy, &message);
        let asked = if fits { self.ask(running, &Entry::Store(message)).ok() } else { None };
        let outcome = asked.map(|effects| effects.outcome);
        let stored = matches!(outcome, Some(Outcome::Stored { .. }));
        let mut schedules = lock(&running.schedules);
        match (stored, made.is_last) {
            (true, true) => schedules.remove(subject),
            // The message that was stored has moved it.
            (true, false) => {}
            (false, _) => {
                schedules.move_to(subject, now_ns.saturating_add(AGAIN_NS));
                let (account, name) = (&running.account.name, &running.name);
                let problem = format!(
                    "JetStream: a schedule of the stream '{account} > {name}' was not carried out"
                );
                self.hub.log.write(Level::Warn, &problem);
            }
        }
    }
}

fn headers_say<'a>(headers: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    keelback_jetstream::headers::find(headers, name)
}

/// Whether a stream may hold one more message.
fn fits<D: Disk + Clone>(running: &Running<D>, policy: &Policy, message: &Message<'_>) -> bool {
    let Body::Held { headers, payload } = message.body else { return false };
    let bytes = headers.len() + payload.len();
    let storage: Storage = policy.storage;
    policy.message_bytes_max.is_none_or(|max| bytes <= max)
        && running.exceeded(storage.message_bytes(message.subject, &message.body)).is_none()
}

/// What a schedule has stored.
struct Made {
    target: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    /// The schedule is over.
    is_last: bool,
}

fn make<D: Disk + Clone>(
    running: &Running<D>,
    found: &FoundMessage,
    at_ns: u64,
    now_ns: u64,
) -> Option<Made> {
    let due = schedule::due(&found.headers, at_ns, now_ns).ok()??;
    let (target, source) = schedule::places(&found.headers)?;
    let copied = source.and_then(|source| {
        let mut kept = running.kept();
        let seq = kept.stream().last_seq_matching(source)?;
        kept.read(seq).ok().flatten()
    });
    let copied = copied.as_ref().unwrap_or(found);
    Some(Made {
        target: target.to_vec(),
        headers: schedule::fired(&found.headers, &found.subject, &copied.headers, &due),
        payload: copied.payload.clone(),
        is_last: due.repeats.is_none(),
    })
}

/// Finds the schedules that the stream held when it was opened.
fn load<D: Disk + Clone>(running: &Running<D>, now_ns: u64) {
    let subjects: Vec<Vec<u8>> = {
        let kept = running.kept();
        kept.stream().subjects_matching(b">").map(|(subject, _)| subject.to_vec()).collect()
    };
    for subject in subjects {
        let found = last(running, &subject);
        let Some(found) = found else { continue };
        let Ok(Some(due)) = schedule::due(&found.headers, found.time_ns, now_ns) else { continue };
        // What it had stored last tells when it is due.
        let stored = schedule::places(&found.headers).and_then(|(to, _)| last(running, to));
        let told = stored.as_ref().and_then(|stored| schedule::next_of(&stored.headers));
        let told = told.filter(|(from, _)| *from == subject).map(|(_, at_ns)| at_ns);
        let mut schedules = lock(&running.schedules);
        if !schedules.known.contains_key(&subject) {
            schedules.put(&subject, found.seq, told.unwrap_or(due.at_ns));
        }
    }
    lock(&running.schedules).is_loaded = true;
}

fn last<D: Disk + Clone>(running: &Running<D>, subject: &[u8]) -> Option<FoundMessage> {
    let mut kept = running.kept();
    let seq = kept.stream().last_seq_matching(subject)?;
    kept.read(seq).ok().flatten()
}
