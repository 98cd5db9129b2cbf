//! Random entries, flushes, checkpoints, compactions and restarts.

use proptest::prelude::*;

use super::super::*;
use super::session::{Own, Session};
use crate::disk::faulty::{Dice, FaultyDisk};
use crate::stream::{Discard, Lifetime, Limits, Rollup};

const SUBJECTS: [&str; 6] = ["a.1", "a.2", "b.1", "b.x.2", "c", "kv.long.subject.of.some.length"];
const FILTERS: [&[u8]; 5] = [b"", b"a.*", b"b.>", b"c", b"*.1"];

/// Draws entries with times that mostly ascend.
pub(super) struct Author {
    pub(super) dice: Dice,
    pub(super) now_ns: u64,
    /// Whether what is removed may be erased.
    pub(super) may_erase: bool,
}

impl Author {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), now_ns: 1000, may_erase: true }
    }

    pub(super) fn limits(&mut self) -> Limits {
        let dice = &mut self.dice;
        let mut some = |below: u64| if dice.below(3) == 0 { 1 + dice.below(below) } else { 0 };
        Limits {
            msgs_max: some(60),
            bytes_max: some(4000),
            msgs_per_subject_max: some(12),
            age_max_ns: some(200),
            duplicate_window_ns: some(80),
            discard: [Discard::Old, Discard::Old, Discard::New][some(2) as usize],
            marks_expiry: some(3) == 1,
            packs: some(1) == 1,
        }
    }

    pub(super) fn entry(&mut self, stream: &Stream) -> Own {
        self.now_ns = (self.now_ns + self.dice.below(6)).saturating_sub(1);
        let (time_ns, state) = (self.now_ns, stream.state());
        let seq = state.first_seq
            + self.dice.below(state.last_seq - state.first_seq.min(state.last_seq) + 2);
        match self.dice.below(40) {
            0 => Own::Skip { last_seq: state.last_seq + 1 + self.dice.below(5), time_ns },
            1 => Own::Pass { time_ns, id: self.id() },
            2 => Own::Purge {
                filter: FILTERS[self.dice.below(5) as usize],
                below_seq: if self.dice.below(2) == 0 { seq } else { 0 },
                keep: self.dice.below(4),
            },
            3..6 => Own::Expire { now_ns: time_ns + self.dice.below(20) },
            6 => Own::Limit(self.limits()),
            39 => Own::batch((0..=self.dice.below(6)).map(|_| self.message(time_ns)).collect()),
            7..16 => Own::Remove { seq, is_secure: self.may_erase && self.dice.below(4) == 0 },
            _ => self.message(time_ns),
        }
    }

    fn message(&mut self, time_ns: u64) -> Own {
        let dice = &mut self.dice;
        let lifetime = match dice.below(10) {
            0 => Lifetime::Never,
            1 => Lifetime::Ttl { ttl_ns: dice.below(60) },
            _ => Lifetime::Limits,
        };
        let rollup = match dice.below(50) {
            0 => Rollup::All,
            1 => Rollup::Subject,
            _ => Rollup::None,
        };
        let length = if dice.below(20) == 0 { 900 } else { dice.below(60) };
        let subject = SUBJECTS[dice.below(6) as usize].into();
        let (payload, is_marker) = (vec![time_ns as u8; length as usize], dice.below(9) == 0);
        let id = self.id();
        // An id stands in the headers, as a rule.
        let mut headers = Vec::new();
        if self.dice.below(3) > 0 {
            headers.extend_from_slice(b"NATS/1.0\r\nNats-Msg-Id: ");
            headers.extend_from_slice(&id);
            headers.extend_from_slice(b"\r\n\r\n");
        }
        Own::Store { subject, headers, payload, time_ns, lifetime, rollup, id, is_marker }
    }

    fn id(&mut self) -> Vec<u8> {
        match self.dice.below(20) {
            number @ 0..12 => format!("id-{number}").into(),
            _ => Vec::new(),
        }
    }
}

/// Does something beside applying entries.
fn keep_house(session: &mut Session, author: &mut Author) {
    let seed = author.dice.below(1 << 30);
    match author.dice.below(8) {
        0 | 1 => assert!(session.durable.flush().is_ok()),
        2 => assert!(session.checkpoint(author.dice.below(3) == 0).is_ok()),
        3 => {
            session.compact();
        }
        4 => {
            // Entries are applied, and a compaction ends, while a checkpoint runs.
            let begun = session.durable.begin_compaction();
            let compaction = begun.unwrap_or_else(|error| panic!("{error}"));
            let begun = session.durable.begin_checkpoint(author.dice.below(2) == 0);
            let checkpoint = begun.unwrap_or_else(|error| panic!("{error}"));
            propose(session, author, 5);
            let compacted = compaction.map(Compaction::run);
            propose(session, author, 5);
            assert!(session.durable.flush().is_ok());
            if let Some(compacted) = compacted {
                assert!(session.durable.finish_compaction(compacted).is_ok());
            }
            let finished = session.durable.finish_checkpoint(checkpoint.run());
            session.promised = finished.unwrap_or_else(|error| panic!("{error}"));
        }
        5 => {
            assert!(session.checkpoint(true).is_ok());
            let disk = session.disk.copy();
            assert_eq!(session.reopen(&disk), []);
        }
        6 => {
            let disk = session.disk.copy();
            assert_eq!(session.reopen(&disk), []);
        }
        // An erased record may be torn by a power cut.
        _ if author.may_erase => assert!(session.checkpoint(false).is_ok()),
        _ => {
            let disk = session.disk.after_power_cut(&mut Dice::new(seed));
            assert_eq!(session.reopen(&disk), []);
        }
    }
}

fn propose(session: &mut Session, author: &mut Author, count: u64) {
    for _ in 0..count {
        let own = author.entry(&session.expected.stream);
        session.propose(own).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn live_through(seed: u64, turns: u64, may_erase: bool) {
    let mut author = Author::new(seed);
    author.may_erase = may_erase;
    let segment_bytes = 4096 + [300, 900, 4000][author.dice.below(3) as usize];
    let limits = author.limits();
    let mut session = Session::new(FaultyDisk::default(), segment_bytes, limits);
    for _ in 0..turns {
        let count = author.dice.below(25);
        propose(&mut session, &mut author, count);
        keep_house(&mut session, &mut author);
        for _ in 0..author.dice.below(12) {
            session.ask(&mut author.dice, &FILTERS);
        }
        // Looking at everything has everything here: so not each time.
        if author.dice.below(3) == 0 {
            session.check();
        }
        session.cool(1 + author.dice.below(4) as usize);
    }
    session.check();
    assert_eq!(session.durable.take_damage(), []);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("KEELBACK_SOAK").is_some() { 20_000 } else { 300 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_stream_in_files_is_what_it_is_in_memory(
        seed: u64, turns in 1_u64..25, may_erase: bool,
    ) {
        live_through(seed, turns, may_erase);
    }
}
