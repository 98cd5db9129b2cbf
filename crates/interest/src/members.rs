//! The subscriptions on one subject: plain ones, and queue groups by name.
//!
//! Inserting and removing cost the same whether the subject has ten members or a hundred thousand.

use hashbrown::HashTable;

use crate::hashing::Hashing;
use crate::matched::Matched;
use crate::sublist::Interest;

/// Members up to which a group is searched member by member; above, it keeps an index.
const SEARCHED_MEMBERS_MAX: usize = 32;

/// Whether an insertion or removal found what it needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Done,
    /// Already there, or not there to remove.
    Nothing,
}

impl Change {
    pub(crate) fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// Two or more subscriptions on one subject (one alone is kept without this).
pub(crate) struct Members<T> {
    plain: Group<T>,
    /// Keyed by the queue name of the group's members. Invariant: no group here is empty.
    queues: HashTable<Group<T>>,
}

impl<T: Interest> Members<T> {
    pub(crate) fn of_two(first: T, second: T, hashing: &Hashing) -> Self {
        let mut members = Self { plain: Group::new(), queues: HashTable::new() };
        members.insert(first, hashing);
        members.insert(second, hashing);
        members
    }

    /// The subject of all members.
    pub(crate) fn subject(&self) -> &[u8] {
        let group =
            if self.plain.is_empty() { self.queues.iter().next() } else { Some(&self.plain) };
        group.map_or(&[], |group| group.list[0].subject())
    }

    /// All members, those without a queue first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.plain.list.iter().chain(self.queues.iter().flat_map(|group| &group.list))
    }

    pub(crate) fn insert(&mut self, item: T, hashing: &Hashing) -> Change {
        if item.queue().is_empty() {
            return self.plain.insert(item, hashing);
        }
        let hash = hashing.bytes(item.queue());
        if let Some(group) = self.queues.find_mut(hash, |group| group.queue() == item.queue()) {
            return group.insert(item, hashing);
        }
        let mut group = Group::new();
        let change = group.insert(item, hashing);
        self.queues.insert_unique(hash, group, |group| hashing.bytes(group.queue()));
        change
    }

    pub(crate) fn remove(&mut self, item: &T, hashing: &Hashing) -> Change {
        if item.queue().is_empty() {
            return self.plain.remove(item, hashing);
        }
        let hash = hashing.bytes(item.queue());
        let Ok(mut entry) = self.queues.find_entry(hash, |group| group.queue() == item.queue())
        else {
            return Change::Nothing;
        };
        let change = entry.get_mut().remove(item, hashing);
        if entry.get().is_empty() {
            entry.remove();
        }
        change
    }

    /// The only member left, if there is one only.
    pub(crate) fn single(&self) -> Option<&T> {
        let group = match (self.plain.is_empty(), self.queues.len()) {
            (false, 0) => &self.plain,
            (true, 1) => self.queues.iter().next()?,
            _ => return None,
        };
        if let [member] = group.list.as_slice() { Some(member) } else { None }
    }

    pub(crate) fn add_to(&self, found: &mut Matched<T>, hashing: &Hashing) {
        found.plain.extend_from_slice(&self.plain.list);
        found.add_groups(self.queues.iter().map(|group| group.list.as_slice()), hashing);
    }
}

/// Members of one queue group, or the plain ones.
struct Group<T> {
    list: Vec<T>,
    /// Where in `list` a member stands, by its id. Complete when there, and there when the list
    /// has grown above [`SEARCHED_MEMBERS_MAX`] and not shrunk to half of that since.
    positions: Option<Box<HashTable<u32>>>,
}

impl<T: Interest> Group<T> {
    fn new() -> Self {
        Self { list: Vec::new(), positions: None }
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn queue(&self) -> &[u8] {
        self.list.first().map_or(&[], Interest::queue)
    }

    fn insert(&mut self, item: T, hashing: &Hashing) -> Change {
        if self.position(&item, hashing).is_some() {
            return Change::Nothing;
        }
        let position = self.list.len() as u32;
        let hash = hashing.id(item.id());
        self.list.push(item);
        let list = &self.list;
        if let Some(positions) = &mut self.positions {
            positions.insert_unique(hash, position, |&at| hashing.id(list[at as usize].id()));
        } else if list.len() > SEARCHED_MEMBERS_MAX {
            self.positions = Some(Box::new(Self::index(list, hashing)));
        }
        Change::Done
    }

    fn remove(&mut self, item: &T, hashing: &Hashing) -> Change {
        let Some(position) = self.position(item, hashing) else { return Change::Nothing };
        let last = self.list.len() - 1;
        if let Some(positions) = &mut self.positions {
            let at = |wanted: usize| move |&at: &u32| at as usize == wanted;
            if let Ok(entry) = positions.find_entry(hashing.id(item.id()), at(position)) {
                entry.remove();
            }
            if position != last {
                let moved = hashing.id(self.list[last].id());
                if let Some(at) = positions.find_mut(moved, at(last)) {
                    *at = position as u32;
                }
            }
        }
        self.list.swap_remove(position);
        self.shrink(hashing);
        Change::Done
    }

    fn position(&self, item: &T, hashing: &Hashing) -> Option<usize> {
        let list = &self.list;
        match &self.positions {
            Some(positions) => positions
                .find(hashing.id(item.id()), |&at| list[at as usize].is_same(item))
                .map(|&at| at as usize),
            None => list.iter().position(|member| member.is_same(item)),
        }
    }

    /// Gives memory back once three quarters of it are unused; so the cost is spread over as many
    /// removals as there are members left.
    fn shrink(&mut self, hashing: &Hashing) {
        if self.list.len() <= SEARCHED_MEMBERS_MAX / 2 {
            self.positions = None;
        }
        if self.list.len() * 4 < self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
            let list = &self.list;
            if let Some(positions) = &mut self.positions {
                positions.shrink_to(list.len() * 2, |&at| hashing.id(list[at as usize].id()));
            }
        }
    }

    fn index(list: &[T], hashing: &Hashing) -> HashTable<u32> {
        let hash = |at: u32| hashing.id(list[at as usize].id());
        let mut positions = HashTable::with_capacity(list.len() * 2);
        for at in 0..list.len() as u32 {
            positions.insert_unique(hash(at), at, |&at| hash(at));
        }
        positions
    }
}
