//! Reading all subscriptions of a sublist piece by piece, so that its lock is held for a moment
//! only.

use crate::literals::Literals;
use crate::members::Members;
use crate::sublist::{Interest, Sublist};
use crate::trie::Slot;

/// Places looked at for each subscription that may be visited: sparse tables have empty ones.
const PLACES_PER_VISIT: usize = 8;

/// Where a scan goes on. What is inserted, removed or moved between two pieces may be missed, or
/// met twice; what stands still is met once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The literals' tables come first, then the trie.
    is_in_trie: bool,
    table: usize,
    place: usize,
    /// Of several on one subject, how many were met.
    member: usize,
}

/// What a piece may still do.
pub(crate) struct Budget<'a, T> {
    pub(crate) visits: usize,
    pub(crate) places: usize,
    visit: &'a mut dyn FnMut(&T),
}

impl<T: Interest> Budget<'_, T> {
    pub(crate) fn is_spent(&self) -> bool {
        self.visits == 0 || self.places == 0
    }

    fn one(&mut self, item: &T) {
        self.visits -= 1;
        (self.visit)(item);
    }

    /// Visits members from `from` on; where to go on when the budget ends before they do.
    fn many(&mut self, members: &Members<T>, from: usize) -> Option<usize> {
        for (at, item) in (from..).zip(members.iter().skip(from)) {
            if self.visits == 0 {
                return Some(at);
            }
            self.one(item);
        }
        None
    }
}

impl<T: Interest> Sublist<T> {
    /// Visits up to `at_most` subscriptions from `cursor` on, in no order that means anything;
    /// false when there are no more.
    pub fn scan(&self, cursor: &mut Cursor, at_most: usize, visit: &mut dyn FnMut(&T)) -> bool {
        let places = at_most.saturating_mul(PLACES_PER_VISIT);
        let mut budget = Budget { visits: at_most, places, visit };
        if !cursor.is_in_trie {
            if scan_literals(&self.literals, cursor, &mut budget) {
                return true;
            }
            *cursor = Cursor { is_in_trie: true, ..Cursor::default() };
        }
        while let Some(slot) = self.wildcards.slot(cursor.place) {
            if budget.is_spent() {
                return true;
            }
            budget.places -= 1;
            match slot {
                Slot::None => {}
                Slot::One(item) => budget.one(item),
                Slot::Many(members) => {
                    if let Some(at) = budget.many(members, cursor.member) {
                        cursor.member = at;
                        return true;
                    }
                    cursor.member = 0;
                }
            }
            cursor.place += 1;
        }
        false
    }
}

/// True when the budget ended first.
fn scan_literals<T: Interest>(
    literals: &Literals<T>,
    cursor: &mut Cursor,
    budget: &mut Budget<'_, T>,
) -> bool {
    while let Some(shard) = literals.shard(cursor.table / 2) {
        let is_ones = cursor.table.is_multiple_of(2);
        let places = if is_ones { shard.ones.num_buckets() } else { shard.many.num_buckets() };
        while cursor.place < places {
            if budget.is_spent() {
                return true;
            }
            budget.places -= 1;
            if is_ones {
                if let Some(item) = shard.ones.get_bucket(cursor.place) {
                    budget.one(item);
                }
            } else if let Some(members) = shard.many.get_bucket(cursor.place) {
                if let Some(at) = budget.many(members, cursor.member) {
                    cursor.member = at;
                    return true;
                }
                cursor.member = 0;
            }
            cursor.place += 1;
        }
        *cursor = Cursor { table: cursor.table + 1, ..Cursor::default() };
    }
    false
}
