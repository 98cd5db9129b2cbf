//! Subscriptions on literal subjects: hash tables of bare handles, keyed by the handles' subjects.
//!
//! A subject with one subscription costs a handle and a byte of control, over the table's load of
//! 7/16 to 7/8: 10 to 21 bytes for a pointer. The table is cut into shards which split one by one
//! as it grows (linear hashing), so that no insertion moves more than a shard's subjects: growing
//! one table of millions would hold the sublist's lock for seconds, since each handle must be
//! visited for its subject.

use hashbrown::HashTable;

use crate::hashing::Hashing;
use crate::matched::Matched;
use crate::members::{Change, Members};
use crate::sublist::Interest;

/// Average subjects in a shard above which a shard is added. Just before its split a shard has
/// twice as many, which fit 2^16 buckets at 7/8; its halves fit 2^15.
const SUBJECTS_PER_SHARD_MAX: usize = 27_500;
/// Average below which a shard is taken away; far from the above, so that churn does neither.
const SUBJECTS_PER_SHARD_MIN: usize = SUBJECTS_PER_SHARD_MAX / 4;
/// Buckets below which a sparse table is left alone.
const CAPACITY_KEPT: usize = 64;

pub(crate) struct Literals<T> {
    /// Never empty.
    shards: Vec<Shard<T>>,
    /// Distinct subjects (count).
    subjects: usize,
}

/// Invariant: a subject is in `ones` or in `many`, not in both.
pub(crate) struct Shard<T> {
    pub(crate) ones: HashTable<T>,
    /// Subjects with two or more subscriptions.
    pub(crate) many: HashTable<Box<Members<T>>>,
}

impl<T: Interest> Literals<T> {
    pub(crate) fn new() -> Self {
        Self { shards: vec![Shard::new()], subjects: 0 }
    }

    pub(crate) fn shard(&self, index: usize) -> Option<&Shard<T>> {
        self.shards.get(index)
    }

    pub(crate) fn insert(&mut self, item: T, hashing: &Hashing) -> Change {
        let hash = hashing.bytes(item.subject());
        let index = shard_index(hash, self.shards.len());
        match self.shards[index].insert(hash, item, hashing) {
            Inserted::NewSubject => {
                self.subjects += 1;
                if self.subjects > self.shards.len() * SUBJECTS_PER_SHARD_MAX {
                    self.split(hashing);
                }
                Change::Done
            }
            Inserted::Joined => Change::Done,
            Inserted::Nothing => Change::Nothing,
        }
    }

    pub(crate) fn remove(&mut self, item: &T, hashing: &Hashing) -> Change {
        let hash = hashing.bytes(item.subject());
        let index = shard_index(hash, self.shards.len());
        match self.shards[index].remove(hash, item, hashing) {
            Removed::LastOfSubject => {
                self.subjects -= 1;
                if self.subjects < (self.shards.len() - 1) * SUBJECTS_PER_SHARD_MIN {
                    self.merge(hashing);
                }
                Change::Done
            }
            Removed::Left => Change::Done,
            Removed::Nothing => Change::Nothing,
        }
    }

    pub(crate) fn add_to(&self, subject: &[u8], found: &mut Matched<T>, hashing: &Hashing) {
        let hash = hashing.bytes(subject);
        let shard = &self.shards[shard_index(hash, self.shards.len())];
        if let Some(item) = shard.ones.find(hash, |item| item.subject() == subject) {
            found.add_one(item, hashing);
        } else if let Some(members) = shard.find_many(hash, subject) {
            members.add_to(found, hashing);
        }
    }

    pub(crate) fn has(&self, subject: &[u8], hashing: &Hashing) -> bool {
        let hash = hashing.bytes(subject);
        let shard = &self.shards[shard_index(hash, self.shards.len())];
        shard.ones.find(hash, |item| item.subject() == subject).is_some()
            || shard.find_many(hash, subject).is_some()
    }

    /// Adds a shard and moves to it the subjects that belong there, all from one other shard.
    fn split(&mut self, hashing: &Hashing) {
        let added = self.shards.len();
        let source = split_source(added);
        let old = std::mem::replace(&mut self.shards[source], Shard::new());
        let mut halves: [Shard<T>; 2] = [Shard::new(), Shard::new()];
        for half in &mut halves {
            half.ones.reserve(old.ones.len() / 2, |item| hashing.bytes(item.subject()));
            half.many.reserve(old.many.len() / 2, |members| hashing.bytes(members.subject()));
        }
        old.scatter(
            hashing,
            |hash| usize::from(shard_index(hash, added + 1) == added),
            &mut halves,
        );
        let [kept, moved] = halves;
        self.shards[source] = kept;
        self.shards.push(moved);
    }

    /// Takes the last shard away and moves its subjects back to where they were split from.
    fn merge(&mut self, hashing: &Hashing) {
        if let Some(last) = self.shards.pop() {
            let target = split_source(self.shards.len());
            last.scatter(hashing, |_| target, &mut self.shards);
        }
    }
}

enum Inserted {
    NewSubject,
    Joined,
    Nothing,
}

enum Removed {
    LastOfSubject,
    Left,
    Nothing,
}

impl<T: Interest> Shard<T> {
    fn new() -> Self {
        Self { ones: HashTable::new(), many: HashTable::new() }
    }

    fn insert(&mut self, hash: u64, item: T, hashing: &Hashing) -> Inserted {
        let subject = item.subject();
        if let Ok(entry) = self.ones.find_entry(hash, |one| one.subject() == subject) {
            if entry.get().is_same(&item) {
                return Inserted::Nothing;
            }
            let (one, _) = entry.remove();
            self.insert_many(hash, Box::new(Members::of_two(one, item, hashing)), hashing);
            return Inserted::Joined;
        }
        if !self.many.is_empty()
            && let Some(members) = self.many.find_mut(hash, |members| members.subject() == subject)
        {
            return match members.insert(item, hashing) {
                Change::Done => Inserted::Joined,
                Change::Nothing => Inserted::Nothing,
            };
        }
        self.insert_one(hash, item, hashing);
        Inserted::NewSubject
    }

    fn remove(&mut self, hash: u64, item: &T, hashing: &Hashing) -> Removed {
        let subject = item.subject();
        if let Ok(entry) = self.ones.find_entry(hash, |one| one.subject() == subject) {
            if !entry.get().is_same(item) {
                return Removed::Nothing;
            }
            entry.remove();
            self.shrink(hashing);
            return Removed::LastOfSubject;
        }
        let Ok(mut entry) = self.many.find_entry(hash, |members| members.subject() == subject)
        else {
            return Removed::Nothing;
        };
        if !entry.get_mut().remove(item, hashing).is_done() {
            return Removed::Nothing;
        }
        if let Some(single) = entry.get().single().cloned() {
            entry.remove();
            self.insert_one(hash, single, hashing);
            self.shrink(hashing);
        }
        Removed::Left
    }

    fn find_many(&self, hash: u64, subject: &[u8]) -> Option<&Members<T>> {
        // Mostly empty, then one load tells.
        if self.many.is_empty() {
            return None;
        }
        self.many.find(hash, |members| members.subject() == subject).map(|members| &**members)
    }

    fn insert_one(&mut self, hash: u64, item: T, hashing: &Hashing) {
        self.ones.insert_unique(hash, item, |item| hashing.bytes(item.subject()));
    }

    fn insert_many(&mut self, hash: u64, members: Box<Members<T>>, hashing: &Hashing) {
        self.many.insert_unique(hash, members, |members| hashing.bytes(members.subject()));
    }

    /// Moves all subjects into those of `shards` that `choose` names by their hash.
    fn scatter(self, hashing: &Hashing, choose: impl Fn(u64) -> usize, shards: &mut [Self]) {
        for item in self.ones {
            let hash = hashing.bytes(item.subject());
            shards[choose(hash)].insert_one(hash, item, hashing);
        }
        for members in self.many {
            let hash = hashing.bytes(members.subject());
            shards[choose(hash)].insert_many(hash, members, hashing);
        }
    }

    /// Gives memory back once seven eighths of it are unused.
    fn shrink(&mut self, hashing: &Hashing) {
        if is_sparse(self.ones.len(), self.ones.capacity()) {
            self.ones.shrink_to(self.ones.len() * 2, |item| hashing.bytes(item.subject()));
        }
        if is_sparse(self.many.len(), self.many.capacity()) {
            self.many.shrink_to(self.many.len() * 2, |members| hashing.bytes(members.subject()));
        }
    }
}

fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > CAPACITY_KEPT && len * 8 < capacity
}

/// Where a hash belongs among `shards`: by as many bits as the shards need, and if there is no
/// such shard yet, by one bit less.
fn shard_index(hash: u64, shards: usize) -> usize {
    // hashbrown takes the lowest bits and the top seven: these are independent of both.
    let bits = (hash >> 24) as u32 as usize;
    let half = power_of_two_at_most(shards);
    let index = bits & (2 * half - 1);
    if index < shards { index } else { index - half }
}

/// The shard from which shard `index` is split.
fn split_source(index: usize) -> usize {
    index - power_of_two_at_most(index)
}

fn power_of_two_at_most(count: usize) -> usize {
    1 << count.ilog2()
}
