//! The result of a match, and the memory that matching reuses.

use hashbrown::HashTable;

use crate::hashing::Hashing;
use crate::sublist::Interest;
use crate::trie::Walk;

/// Groups up to which a queue name is searched group by group; above, an index is kept.
const SEARCHED_GROUPS_MAX: usize = 16;

/// Who is interested in one subject. Reuse it: its vectors keep their memory.
pub struct Matched<T> {
    /// Subscriptions without a queue; each of them gets the message.
    pub plain: Vec<T>,
    /// One entry for each queue group name, with its members; one of them gets the message. A
    /// group gathers members from all matching patterns. No entry is empty.
    pub queues: Vec<Vec<T>>,
    /// Positions in `queues` by queue name, of the first `indexed` ones.
    index: HashTable<u32>,
    indexed: usize,
    pub(crate) walk: Walk,
}

impl<T> Matched<T> {
    /// An empty result.
    pub fn new() -> Self {
        Self {
            plain: Vec::new(),
            queues: Vec::new(),
            index: HashTable::new(),
            indexed: 0,
            walk: Walk::default(),
        }
    }

    /// Whether nobody is interested.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty()
    }

    /// Empties the result; the memory stays.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.queues.clear();
        self.index.clear();
        self.indexed = 0;
    }
}

impl<T> Default for Matched<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Interest> Matched<T> {
    pub(crate) fn add_one(&mut self, item: &T, hashing: &Hashing) {
        if item.queue().is_empty() {
            self.plain.push(item.clone());
        } else {
            self.add_group(std::slice::from_ref(item), hashing);
        }
    }

    /// Adds groups of different names, none of them empty.
    pub(crate) fn add_groups<'a>(
        &mut self,
        groups: impl Iterator<Item = &'a [T]>,
        hashing: &Hashing,
    ) where
        T: 'a,
    {
        if self.queues.is_empty() {
            // The first pattern's groups cannot be here already.
            self.queues.extend(groups.map(<[T]>::to_vec));
        } else {
            groups.for_each(|group| self.add_group(group, hashing));
        }
    }

    fn add_group(&mut self, group: &[T], hashing: &Hashing) {
        match self.find(group[0].queue(), hashing) {
            Some(at) => self.queues[at].extend_from_slice(group),
            None => self.queues.push(group.to_vec()),
        }
    }

    fn find(&mut self, queue: &[u8], hashing: &Hashing) -> Option<usize> {
        let queues = &self.queues;
        if queues.len() <= SEARCHED_GROUPS_MAX {
            return queues.iter().position(|group| group[0].queue() == queue);
        }
        let hash = |&at: &u32| hashing.bytes(queues[at as usize][0].queue());
        for at in self.indexed as u32..queues.len() as u32 {
            self.index.insert_unique(hash(&at), at, hash);
        }
        self.indexed = queues.len();
        self.index
            .find(hashing.bytes(queue), |&at| queues[at as usize][0].queue() == queue)
            .map(|&at| at as usize)
    }
}
