//! Generations: no stale result after a change, few lost results without one.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, RwLock};

use common::{Found, Sub, matched, pattern, published};
use keelback_interest::{Generations, Interest, Stamp, Sublist};
use proptest::prelude::*;

#[test]
fn a_stamp_is_small() {
    assert_eq!(size_of::<Stamp>(), 12);
}

#[test]
fn a_change_that_concerns_a_subject_shows() {
    for (pattern, subject) in [
        ("a.b.c", "a.b.c"),
        ("a", "a"),
        ("a.b.*", "a.b.c"),
        ("a.b.>", "a.b.c.d"),
        ("a.b.*.d", "a.b.c.d"),
        ("a.*", "a.b"),
        ("a.*.c", "a.b.c"),
        ("a.>", "a.b.c"),
        ("a.*", "a.*"),
        (">", "a"),
        ("*", "a"),
        ("*.b", "a.b"),
    ] {
        let generations = Generations::new(3);
        let (any, stamp) = (generations.any(), generations.stamp(subject.as_bytes()));
        assert!(generations.is_current(&stamp));
        generations.bump(pattern.as_bytes());
        assert!(!generations.is_current(&stamp), "{pattern} concerns {subject}");
        assert_ne!(generations.any(), any);
        assert!(generations.is_current(&generations.stamp(subject.as_bytes())));
    }
}

#[test]
fn churn_of_others_leaves_most_stamps_current() {
    for (churn, least_current) in
        [("_INBOX.{}.*", 900), ("_INBOX.{}", 900), ("{}.x.y.*", 900), ("q{}.>", 900)]
    {
        let generations = Generations::new(5);
        let stamps: Vec<_> =
            (0..1_000).map(|n| generations.stamp(format!("orders{n}.eu.new").as_bytes())).collect();
        // One bucket in 4,096 at worst, twice: of 200 changes, one stamp in ten at most.
        for n in 0..200 {
            generations.bump(churn.replace("{}", &n.to_string()).as_bytes());
        }
        let current = stamps.iter().filter(|stamp| generations.is_current(stamp)).count();
        assert!(current >= least_current, "{churn}: {current} of 1,000");
        assert_eq!(generations.any(), 200);
    }
}

#[test]
fn even_four_buckets_work() {
    for buckets in [0, 1, 4, 5, 1 << 20] {
        let generations = Generations::with_buckets(1, buckets);
        let stamp = generations.stamp(b"a.b.c");
        generations.bump(b"a.b.*");
        assert!(!generations.is_current(&stamp));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_changes_a_result_makes_its_stamp_stale(
        seed: u64,
        before in prop::collection::vec(pattern(), 0..10),
        changed in pattern(),
        subjects in prop::collection::vec(published(), 1..20),
    ) {
        let generations = Generations::new(seed);
        let mut sublist = Sublist::new(seed);
        for (number, pattern) in before.iter().enumerate() {
            sublist.insert(Sub::new(pattern, "", number)).unwrap();
        }
        let sub = Sub::new(&changed, "", usize::MAX);
        for insert in [true, false] {
            let cached: Vec<_> = subjects
                .iter()
                .map(|subject| (generations.stamp(subject.as_bytes()), matched(&sublist, subject)))
                .collect();
            if insert {
                sublist.insert(sub.clone()).unwrap();
            } else {
                prop_assert!(sublist.remove(&sub));
            }
            generations.bump(sub.subject());
            for (subject, (stamp, found)) in subjects.iter().zip(&cached) {
                if matched(&sublist, subject) != *found {
                    prop_assert!(!generations.is_current(stamp), "{} {}", changed, subject);
                }
            }
        }
    }
}

/// One reader's cache, used as the documentation of `Generations` says.
#[derive(Default)]
struct Cache {
    entries: HashMap<&'static str, Entry>,
    reused: usize,
}

struct Entry {
    any: u64,
    stamp: Stamp,
    found: Found,
}

impl Cache {
    fn lookup(&mut self, subject: &'static str, shared: &Shared) -> &Found {
        let any = shared.generations.any();
        let current = self.entries.get_mut(subject).is_some_and(|entry| {
            let current = entry.any == any || shared.generations.is_current(&entry.stamp);
            if current {
                entry.any = any;
            }
            current
        });
        if current {
            self.reused += 1;
        } else {
            let stamp = shared.generations.stamp(subject.as_bytes());
            let found = matched(&shared.sublist.read().unwrap(), subject);
            self.entries.insert(subject, Entry { any, stamp, found });
        }
        &self.entries[subject].found
    }
}

struct Shared {
    sublist: RwLock<Sublist<Sub>>,
    generations: Generations,
    /// For each writer, the rounds it had acknowledged, and those it had begun.
    rounds: Vec<(AtomicUsize, AtomicUsize)>,
}

const PATTERNS: [&str; 6] = ["a.b.c", "a.b.*", "a.>", ">", "*.b.c", "a.*.c"];
const ROUNDS: usize = if cfg!(miri) { 6 } else { 800 };

#[test]
fn no_reader_uses_a_result_older_than_an_acknowledged_change() {
    let shared = Shared {
        sublist: RwLock::new(Sublist::new(9)),
        generations: Generations::new(9),
        rounds: PATTERNS.iter().map(|_| Default::default()).collect(),
    };
    let ended = AtomicBool::new(false);
    let start = Barrier::new(PATTERNS.len() / 2 + 2);
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| read(&shared, &ended, &start))).collect();
        let writers: Vec<_> = (0..PATTERNS.len() / 2)
            .map(|n| {
                let (shared, start) = (&shared, &start);
                scope.spawn(move || write(shared, [2 * n, 2 * n + 1], start))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        ended.store(true, Ordering::Release);
        for reader in readers {
            assert!(
                reader.join().unwrap() > 0,
                "nothing changes any more, and no result is reused"
            );
        }
    });
    assert!(shared.sublist.read().unwrap().is_empty());
}

/// Replaces the subscription on each of two patterns by one with the round's number, again and
/// again, with unrelated changes in between.
fn write(shared: &Shared, patterns: [usize; 2], start: &Barrier) {
    start.wait();
    let mut current: [Option<Sub>; 2] = [None, None];
    for round in 1..=ROUNDS {
        for (slot, at) in current.iter_mut().zip(patterns) {
            let sub = Sub::new(PATTERNS[at], "", round * PATTERNS.len() + at);
            shared.rounds[at].1.store(round, Ordering::Release);
            change(shared, PATTERNS[at], |sublist| {
                sublist.insert(sub.clone()).unwrap();
                if let Some(old) = slot.replace(sub) {
                    assert!(sublist.remove(&old));
                }
            });
            shared.rounds[at].0.store(round, Ordering::Release);
        }
        let inbox = format!("_INBOX.{round}.{}", patterns[0]);
        let sub = Sub::plain(&inbox);
        change(shared, &inbox, |sublist| sublist.insert(sub.clone()).unwrap());
        change(shared, &inbox, |sublist| assert!(sublist.remove(&sub)));
        std::thread::yield_now();
    }
    for (slot, at) in current.iter_mut().zip(patterns) {
        change(shared, PATTERNS[at], |sublist| assert!(sublist.remove(&slot.take().unwrap())));
    }
}

fn change(shared: &Shared, pattern: &str, change: impl FnOnce(&mut Sublist<Sub>)) {
    let mut sublist = shared.sublist.write().unwrap();
    change(&mut sublist);
    shared.generations.bump(pattern.as_bytes());
}

/// Looks up one subject; whatever each writer acknowledged before must be in the result.
fn read(shared: &Shared, ended: &AtomicBool, start: &Barrier) -> usize {
    let mut cache = Cache::default();
    start.wait();
    while !ended.load(Ordering::Acquire) {
        let acknowledged: Vec<_> =
            shared.rounds.iter().map(|(round, _)| round.load(Ordering::Acquire)).collect();
        let found = cache.lookup("a.b.c", shared);
        for (at, &least) in acknowledged.iter().enumerate() {
            let begun = shared.rounds[at].1.load(Ordering::Acquire);
            let rounds: Vec<_> = found
                .plain
                .iter()
                .filter(|&number| number % PATTERNS.len() == at)
                .map(|number| number / PATTERNS.len())
                .collect();
            // The writers take their last ones away at the end.
            let gone = rounds.is_empty() && (least == 0 || begun == ROUNDS);
            assert!(
                gone || matches!(rounds[..], [round] if (least..=begun).contains(&round)),
                "{}: found {rounds:?}, acknowledged {least}, begun {begun}",
                PATTERNS[at],
            );
        }
    }
    // How often a result is used again before is the schedule's choice; now it must be.
    cache.lookup("a.b.c", shared);
    let before = cache.reused;
    cache.lookup("a.b.c", shared);
    cache.reused - before
}
