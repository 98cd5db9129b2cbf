//! A log, a stream in files, and what it must be.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::super::*;
use crate::disk::faulty::{Dice, FaultyDisk};
use crate::stream::{BatchText, Conditions, Lifetime, Limits, Purge, Rollup, Storage};

pub(super) const STREAM: &str = "streams/7";

pub(super) fn config(segment_bytes: u64) -> Config {
    Config { store: 11, group: 7, segment_bytes, hash_seed: 3 }
}

/// An entry that owns its bytes.
#[derive(Clone, Debug)]
pub(super) enum Own {
    Store {
        subject: Vec<u8>,
        headers: Vec<u8>,
        payload: Vec<u8>,
        time_ns: u64,
        lifetime: Lifetime,
        rollup: Rollup,
        id: Vec<u8>,
        is_marker: bool,
    },
    Batch(Vec<Own>, Rc<BatchText>),
    Pass {
        time_ns: u64,
        id: Vec<u8>,
    },
    Skip {
        last_seq: u64,
        time_ns: u64,
    },
    Remove {
        seq: u64,
        is_secure: bool,
    },
    Purge {
        filter: &'static [u8],
        below_seq: u64,
        keep: u64,
    },
    Expire {
        now_ns: u64,
    },
    Limit(Limits),
}

impl Own {
    pub(super) fn plain(subject: &str, number: u64, bytes: usize) -> Self {
        Self::Store {
            subject: subject.into(),
            headers: Vec::new(),
            payload: vec![number as u8; bytes],
            time_ns: number,
            lifetime: Lifetime::Limits,
            rollup: Rollup::None,
            id: Vec::new(),
            is_marker: false,
        }
    }

    /// All of these messages or none.
    pub(super) fn batch(messages: Vec<Self>) -> Self {
        let mut text = BatchText::default();
        for message in &messages {
            if let Entry::Store(message) = message.entry() {
                text.push(&message);
            }
        }
        Self::Batch(messages, Rc::new(text))
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        match *self {
            Self::Batch(_, ref text) => Entry::Batch(text.batch()),
            Self::Store {
                ref subject,
                ref headers,
                ref payload,
                time_ns,
                lifetime,
                rollup,
                ref id,
                is_marker,
            } => Entry::Store(Message {
                subject,
                body: Body::Held { headers, payload },
                time_ns,
                lifetime,
                rollup,
                msg_id: id,
                conditions: Conditions::default(),
                is_marker,
                // Some of them.
                purges: if payload.len() == 13 { b"a.1" } else { b"" },
            }),
            Self::Pass { time_ns, ref id } => Entry::Pass { time_ns, msg_id: id },
            Self::Skip { last_seq, time_ns } => Entry::Skip { last_seq, time_ns },
            Self::Remove { seq, .. } => Entry::Remove { seq },
            Self::Purge { filter, below_seq, keep } => {
                Entry::Purge(Purge { filter, below_seq, keep })
            }
            Self::Expire { now_ns } => Entry::Expire { now_ns },
            Self::Limit(limits) => Entry::Limit(limits),
        }
    }
}

/// What the stream must be: the state machine alone, and a map of what was stored.
pub(super) struct Expected {
    pub(super) stream: Stream,
    pub(super) contents: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
}

impl Expected {
    fn new(limits: Limits) -> Self {
        let stream = Stream::new(Storage::File, 0, limits, 1);
        Self { stream, contents: BTreeMap::new() }
    }

    fn apply(&mut self, own: &Own) -> Effects {
        let entry = own.entry();
        if let (Own::Batch(messages, _), Entry::Batch(batch)) = (own, entry) {
            let mut all = Effects::none();
            if let Some(refusal) = self.stream.check_batch(batch) {
                return Effects { outcome: Outcome::Refused(refusal), ..all };
            }
            for message in messages {
                let effects = self.apply(message);
                all.outcome = effects.outcome;
                all.removed.extend(effects.removed);
            }
            all.removed.sort();
            return all;
        }
        let Entry::Store(message) = entry else { return self.stream.apply(&entry) };
        let Body::Held { headers, payload } = message.body else { panic!("a placed body") };
        let (header_bytes, payload_bytes) = (headers.len() as u32, payload.len() as u32);
        let body = Body::Placed { header_bytes, payload_bytes, place: 0 };
        let effects = self.stream.apply(&Entry::Store(Message { body, ..message }));
        if let Outcome::Stored { seq } = effects.outcome {
            self.contents.insert(seq, (headers.to_vec(), payload.to_vec()));
        }
        effects
    }
}

pub(super) struct Session {
    pub(super) disk: FaultyDisk,
    pub(super) durable: Durable<FaultyDisk>,
    pub(super) log: Vec<Own>,
    pub(super) expected: Expected,
    /// The log may be trimmed up to there.
    pub(super) promised: Position,
    limits: Limits,
    segment_bytes: u64,
}

fn behind(entries: usize) -> Position {
    Position { file: 1, offset: entries as u64 }
}

impl Session {
    pub(super) fn new(disk: FaultyDisk, segment_bytes: u64, limits: Limits) -> Self {
        Self::try_new(disk, segment_bytes, limits).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn try_new(
        disk: FaultyDisk,
        segment_bytes: u64,
        limits: Limits,
    ) -> Result<Self, DurableError> {
        let (folder, config) = (Path::new(STREAM), config(segment_bytes));
        let durable = Durable::create(disk.clone(), folder, config, behind(0), 0, limits)?;
        let (log, expected) = (Vec::new(), Expected::new(limits));
        Ok(Self { disk, durable, log, expected, promised: behind(0), limits, segment_bytes })
    }

    /// Appends an entry to the log and applies it.
    pub(super) fn propose(&mut self, own: Own) -> Result<(), DurableError> {
        let expected = self.expected.apply(&own);
        self.log.push(own);
        let effects = apply(&mut self.durable, &self.log, self.log.len() - 1)?;
        assert_eq!(effects, expected, "{:?}", self.log.last());
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, is_closing: bool) -> Result<(), DurableError> {
        let result = self.durable.begin_checkpoint(is_closing)?.run();
        self.promised = self.durable.finish_checkpoint(result)?;
        Ok(())
    }

    /// Says whether there was something to do, and it was done.
    pub(super) fn compact(&mut self) -> bool {
        let Ok(Some(compaction)) = self.durable.begin_compaction() else { return false };
        self.durable.finish_compaction(compaction.run()).is_ok()
    }

    /// Opens the stream anew, as it is found on this disk, and replays the log.
    pub(super) fn reopen(&mut self, disk: &FaultyDisk) -> Vec<Damage> {
        self.try_reopen(disk).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn try_reopen(&mut self, disk: &FaultyDisk) -> Result<Vec<Damage>, DurableError> {
        let (folder, config) = (Path::new(STREAM), config(self.segment_bytes));
        let (mut durable, damage) = match Durable::open(disk.clone(), folder, config) {
            // Its making was not safe, and is replayed like all else.
            Err(DurableError::Missing { .. }) if self.promised == behind(0) => {
                let folder = Path::new(STREAM);
                let made =
                    Durable::create(disk.clone(), folder, config, behind(0), 0, self.limits)?;
                (made, Vec::new())
            }
            opened => opened?,
        };
        assert!(durable.applied() >= self.promised, "the log was trimmed too far");
        for at in durable.applied().offset as usize..self.log.len() {
            apply(&mut durable, &self.log, at)?;
        }
        (self.durable, self.disk) = (durable, disk.clone());
        Ok(damage)
    }

    /// The stream is what it must be, and every message reads back.
    pub(super) fn check(&mut self) {
        assert_eq!(self.damaged(), [], "messages that cannot be read");
        assert!(self.durable.read_ids().is_ok());
        let (stream, expected) = (self.durable.state(), &self.expected.stream);
        assert_eq!(stream.state(), expected.state());
        assert_eq!(stream.limits(), expected.limits());
        assert_eq!(stream.remembered_ids(), expected.remembered_ids());
        assert!(stream.ids(0..=u64::MAX).eq(expected.ids(0..=u64::MAX)), "ids");
        assert!(
            stream.subjects_matching(b">").eq(expected.subjects_matching(b">")),
            "subjects with their counts"
        );
        assert_eq!(self.durable.state().last_msg_id(), self.expected.stream.last_msg_id());
        let mut counted = (0, 0);
        for part in &self.durable.parts {
            let (live, live_bytes) = stream.live_in(part.first_seq);
            counted = (counted.0 + live, counted.1 + live_bytes);
        }
        assert_eq!(counted, (stream.state().messages, stream.state().bytes));
    }

    /// Lets messages go that are not asked for, of every so many segments one stays.
    pub(super) fn cool(&mut self, keep_every: usize) -> usize {
        self.durable.sweep();
        let idle = self.durable.sweep();
        let some = idle.into_iter().enumerate().filter(|(at, _)| (at + 1) % keep_every != 0);
        some.filter(|(_, first_seq)| self.durable.cool(*first_seq)).count()
    }

    /// A question is answered as it must be, whatever is not here when it is asked.
    pub(super) fn ask(&mut self, dice: &mut Dice, filters: &[&[u8]]) {
        let (stream, expected) = (&mut self.durable.state, &mut self.expected.stream);
        let state = expected.state();
        let seq =
            state.first_seq + dice.below(state.last_seq + 3 - state.first_seq.min(state.last_seq));
        let filter = filters[dice.below(filters.len() as u64) as usize];
        let is = format!("{:?} from {seq}", String::from_utf8_lossy(filter));
        match dice.below(8) {
            0 => {
                let known = |it: crate::stream::Stored<'_>| {
                    (it.seq, it.subject.to_vec(), it.time_ns, it.bytes)
                };
                assert_eq!(stream.get(seq).map(known), expected.get(seq).map(known), "{is}");
            }
            1 => {
                let next = stream.next_matching(filter, seq).map(|it| it.seq);
                assert_eq!(next, expected.next_matching(filter, seq).map(|it| it.seq), "{is}");
            }
            2 => {
                assert_eq!(
                    stream.count_from(filter, seq),
                    expected.count_from(filter, seq),
                    "{is}"
                );
            }
            3 => assert_eq!(
                stream.last_of_each(&[filter], seq, 100),
                expected.last_of_each(&[filter], seq, 100),
                "{is}"
            ),
            4 => {
                let time_ns = expected.get(seq).map_or(1000, |it| it.time_ns + dice.below(3));
                assert_eq!(stream.seq_at(time_ns), expected.seq_at(time_ns), "{time_ns}");
            }
            5 => {
                let count = 1 + dice.below(9) as usize;
                assert_eq!(stream.deleted(count), expected.deleted(count));
            }
            6 => {
                let range = seq..=seq + dice.below(30);
                let found = stream.sequences(range.clone(), 20);
                assert_eq!(found, expected.sequences(range, 20), "{is}");
            }
            _ => {
                let last = stream.last_matching(filter).map(|it| it.seq);
                assert_eq!(last, expected.last_matching(filter).map(|it| it.seq), "{is}");
            }
        }
        assert_eq!(stream.take_failure(), None);
    }

    /// Compares message by message; gives those that read as damaged.
    pub(super) fn damaged(&mut self) -> Vec<u64> {
        let expected = &mut self.expected.stream;
        let mut damaged = Vec::new();
        for live in expected.messages_from(0) {
            let seq = live.seq;
            let stored = match self.durable.read(seq) {
                Ok(Some(stored)) => stored,
                Ok(None) => panic!("message {seq} is not there"),
                Err(_) => {
                    damaged.push(seq);
                    continue;
                }
            };
            let (record, (headers, payload)) = (stored.record(), &self.expected.contents[&seq]);
            assert_eq!((record.sequence, record.time_ns), (seq, live.time_ns));
            assert_eq!((record.subject, record.headers), (live.subject, &headers[..]));
            assert_eq!(record.payload, payload);
            let known = self.durable.state.get(seq).map(|it| (it.subject, it.time_ns, it.bytes));
            assert_eq!(known, Some((live.subject, live.time_ns, live.bytes)));
        }
        for live in self.durable.state.messages_from(0) {
            assert!(expected.get(live.seq).is_some(), "message {} came back", live.seq);
        }
        damaged
    }
}

/// Applies an entry of the log; what is removed securely is erased first.
fn apply(
    durable: &mut Durable<FaultyDisk>,
    log: &[Own],
    at: usize,
) -> Result<Effects, DurableError> {
    if let Own::Remove { seq, is_secure: true } = log[at] {
        durable.erase(seq)?;
    }
    durable.apply(behind(at + 1), &log[at].entry())
}
