//! The sublist of one account: which subscriptions a published subject reaches.
//!
//! Literal subjects are in hash tables, wildcard patterns in a trie; a match asks both. Knows
//! nothing of who subscribes: an item has a subject, a queue name and an identity.

use std::error::Error;
use std::fmt;

use keelback_subject::Kind;

use crate::hashing::Hashing;
use crate::literals::Literals;
use crate::matched::Matched;
use crate::members::Change;
use crate::trie::{Trie, Walk};

/// A subscription as the sublist sees it. Cheap to clone (an `Arc`).
///
/// The sublist stores the handle only, and reads the subject through it: what the methods return
/// must never change while the item is in a sublist.
pub trait Interest: Clone {
    /// What is subscribed to; wildcards allowed.
    fn subject(&self) -> &[u8];

    /// The queue group's name; empty for a plain subscription.
    fn queue(&self) -> &[u8];

    /// What tells this subscription from all others: the address it points to.
    fn id(&self) -> usize;

    /// Whether both handles are of the same subscription.
    fn is_same(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

/// The subject of a subscription is not well formed: an empty token, or `>` before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSubject;

impl fmt::Display for InvalidSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid subject")
    }
}

impl Error for InvalidSubject {}

/// Subscriptions by subject. Has no lock of its own: the owner has one around it.
pub struct Sublist<T> {
    pub(crate) literals: Literals<T>,
    pub(crate) wildcards: Trie<T>,
    hashing: Hashing,
    /// Subscriptions (count).
    len: usize,
    /// Insertions ever.
    inserted: u64,
    /// Removals ever.
    removed: u64,
}

impl<T: Interest> Sublist<T> {
    /// An empty sublist; `seed` is secret to those who choose the subjects.
    pub fn new(seed: u64) -> Self {
        Self {
            literals: Literals::new(),
            wildcards: Trie::new(),
            hashing: Hashing::new(seed),
            len: 0,
            inserted: 0,
            removed: 0,
        }
    }

    /// Inserts a subscription; nothing changes if this very one is there already.
    ///
    /// # Errors
    /// The subject is not well formed; nothing is inserted.
    pub fn insert(&mut self, item: T) -> Result<(), InvalidSubject> {
        let change = match keelback_subject::kind(item.subject()).ok_or(InvalidSubject)? {
            Kind::Literal => self.literals.insert(item, &self.hashing),
            Kind::Wildcard => self.wildcards.insert(item, &self.hashing),
        };
        self.len += usize::from(change.is_done());
        self.inserted += u64::from(change.is_done());
        Ok(())
    }

    /// Removes a subscription; `false` if it is not there.
    pub fn remove(&mut self, item: &T) -> bool {
        let change = match keelback_subject::kind(item.subject()) {
            None => Change::Nothing,
            Some(Kind::Literal) => self.literals.remove(item, &self.hashing),
            Some(Kind::Wildcard) => self.wildcards.remove(item, &self.hashing),
        };
        self.len -= usize::from(change.is_done());
        self.removed += u64::from(change.is_done());
        change.is_done()
    }

    /// Fills `found` with those whom a message on `subject` reaches; what was in it is dropped.
    ///
    /// A subject with an empty token reaches nobody. Wildcard tokens in `subject` are plain tokens.
    pub fn matches(&self, subject: &[u8], found: &mut Matched<T>) {
        found.clear();
        self.literals.add_to(subject, found, &self.hashing);
        if self.wildcards.is_empty() || !keelback_subject::has_no_empty_token(subject) {
            return;
        }
        // The walk's memory lives in the result, which the visits fill.
        let mut walk = std::mem::take(&mut found.walk);
        self.wildcards.walk(subject, &mut walk, &self.hashing, |slot| {
            slot.add_to(found, &self.hashing);
            true
        });
        found.walk = walk;
    }

    /// Whether a message on `subject` reaches anybody.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        if self.literals.has(subject, &self.hashing) {
            return true;
        }
        let mut interest = false;
        if !self.wildcards.is_empty() && keelback_subject::has_no_empty_token(subject) {
            self.wildcards.walk(subject, &mut Walk::default(), &self.hashing, |slot| {
                interest = !slot.is_none();
                !interest
            });
        }
        interest
    }

    /// Whether anybody is subscribed to `subject` itself, not by a wildcard.
    pub fn has_literal(&self, subject: &[u8]) -> bool {
        self.literals.has(subject, &self.hashing)
    }

    /// Subscriptions in the sublist (count).
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many were ever inserted, and removed.
    pub fn changes(&self) -> (u64, u64) {
        (self.inserted, self.removed)
    }

    /// Whether there is no subscription.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
