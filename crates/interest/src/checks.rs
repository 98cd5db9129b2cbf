//! A rule that must hold for any sequence of changes; the corpus test and the fuzz target share
//! it. Not part of the product: built for tests and with the feature `checks` only.
#![allow(clippy::missing_panics_doc)]

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Cursor, Generations, Interest, Matched, Stamp, Sublist};

/// Few and short ones, so that patterns meet; some are valid in no subject, some only in the
/// right place.
const TOKENS: [&[u8]; 10] =
    [b"a", b"b", b"c", b"*", b">", b"*", b"a*", b"", b"\xff", b"longer than what is kept inline"];
const QUEUES: [&[u8]; 4] = [b"", b"", b"q", b"r"];

#[derive(Clone)]
struct Sub(Arc<(Vec<u8>, &'static [u8], usize)>);

impl Interest for Sub {
    fn subject(&self) -> &[u8] {
        &self.0.0
    }

    fn queue(&self) -> &[u8] {
        self.0.1
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// Who was found, by queue name and number; sorted.
type Found = Vec<(Vec<u8>, usize)>;

/// Reads `program` as insertions, removals and matches, and holds sublist and caches to the plain
/// rule: subscription by subscription, token by token.
pub fn sublist(program: &[u8]) {
    let mut bytes = program.iter().copied();
    let mut house = House::new(u64::from(bytes.next().unwrap_or(0)));
    while let Some(step) = bytes.next() {
        match step % 8 {
            0..3 => {
                let subject = subject(&mut bytes);
                house.insert(subject, QUEUES[usize::from(step >> 3) % QUEUES.len()]);
            }
            3..5 => house.remove(usize::from(step >> 3)),
            _ => house.publish(&subject(&mut bytes)),
        }
        assert_eq!(house.sublist.len(), house.subs.len());
    }
    house.scan(1 + house.subs.len() / 3);
    while !house.subs.is_empty() {
        house.remove(0);
    }
    assert!(house.sublist.is_empty());
}

/// A sublist as an account keeps it, the plain list beside it, and one reader's cache.
struct House {
    sublist: Sublist<Sub>,
    generations: Generations,
    subs: Vec<Sub>,
    cache: HashMap<Vec<u8>, (Stamp, u64, Found)>,
    count: usize,
}

impl House {
    fn new(seed: u64) -> Self {
        Self {
            sublist: Sublist::new(seed),
            generations: Generations::with_buckets(seed, 64),
            subs: Vec::new(),
            cache: HashMap::new(),
            count: 0,
        }
    }

    fn insert(&mut self, subject: Vec<u8>, queue: &'static [u8]) {
        let is_valid = keelback_subject::kind(&subject).is_some();
        self.count += 1;
        let sub = Sub(Arc::new((subject, queue, self.count)));
        assert_eq!(self.sublist.insert(sub.clone()).is_ok(), is_valid);
        if is_valid {
            self.generations.bump(sub.subject());
            self.subs.push(sub);
        }
    }

    fn remove(&mut self, at: usize) {
        if self.subs.is_empty() {
            return;
        }
        let sub = self.subs.swap_remove(at % self.subs.len());
        assert!(self.sublist.remove(&sub));
        self.generations.bump(sub.subject());
        assert!(!self.sublist.remove(&sub));
    }

    /// Whatever the size of its pieces, a scan meets each once.
    fn scan(&self, at_most: usize) {
        let (mut cursor, mut found) = (Cursor::default(), Vec::new());
        loop {
            let before = found.len();
            let more = self.sublist.scan(&mut cursor, at_most, &mut |sub| found.push(sub.clone()));
            assert!(found.len() - before <= at_most);
            if !more {
                break;
            }
        }
        assert_eq!(sorted(found.iter()), sorted(self.subs.iter()));
    }

    fn publish(&mut self, subject: &[u8]) {
        let mut matched = Matched::new();
        let (any, stamp) = (self.generations.any(), self.generations.stamp(subject));
        self.sublist.matches(subject, &mut matched);
        let found = sorted(matched.plain.iter().chain(matched.queues.iter().flatten()));
        let is_wanted = |sub: &&Sub| keelback_subject::matches(sub.subject(), subject);
        let expected = sorted(self.subs.iter().filter(is_wanted));
        assert_eq!(found, expected, "{}", subject.escape_ascii());
        assert_eq!(self.sublist.has_interest(subject), !expected.is_empty());
        let is_named = self.subs.iter().any(|sub| sub.subject() == subject && is_literal(subject));
        assert_eq!(self.sublist.has_literal(subject), is_named);
        for group in &matched.queues {
            assert!(group.iter().all(|sub| sub.queue() == group[0].queue()), "a mixed group");
        }
        if let Some((stamp, any_then, cached)) = self.cache.get(subject)
            && (*any_then == any || self.generations.is_current(stamp))
        {
            assert_eq!(*cached, expected, "a stale result of {}", subject.escape_ascii());
        }
        self.cache.insert(subject.to_vec(), (stamp, any, found));
    }
}

fn is_literal(subject: &[u8]) -> bool {
    keelback_subject::kind(subject) == Some(keelback_subject::Kind::Literal)
}

fn sorted<'a>(subs: impl Iterator<Item = &'a Sub>) -> Found {
    let mut found: Found = subs.map(|sub| (sub.queue().to_vec(), sub.0.2)).collect();
    found.sort();
    found
}

/// Up to six tokens: the first byte has their number, each further one chooses one.
fn subject(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let count = 1 + usize::from(bytes.next().unwrap_or(0)) % 6;
    let token = |byte: u8| TOKENS[usize::from(byte) % TOKENS.len()];
    bytes.take(count).map(token).collect::<Vec<_>>().join(&b'.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    #[test]
    fn seeds_and_a_few_thousand_other_programs_keep_the_rule() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sublist");
        let mut paths: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(!paths.is_empty(), "no seeds");
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 40) as u8
        };
        for path in paths {
            let seed = std::fs::read(path).unwrap();
            super::sublist(&seed);
            for _ in 0..200 {
                let mut changed = seed.clone();
                for _ in 0..4 {
                    let at = usize::from(next()) % changed.len();
                    changed[at] = next();
                }
                super::sublist(&changed);
            }
        }
        for length in 0..2000 {
            super::sublist(&(0..length % 300).map(|_| next()).collect::<Vec<_>>());
        }
    }
}
