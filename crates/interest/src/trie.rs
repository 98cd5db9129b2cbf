//! Subscriptions with wildcards: a trie of tokens, kept flat.
//!
//! Nodes live in one vector and name each other by index. The edges of all nodes to their literal
//! children are in one hash table, keyed by parent and token; `*` and `>` are fields. So a node
//! with one child and one with a million are alike, and nothing here recurses: the depth of a
//! stranger's subject costs no stack.
//!
//! **Bound of a match.** From a node a walk goes on to at most two children (`*` and the token's
//! own), and each node is reached through its one parent only: a match visits no node twice, so it
//! costs at most the number of nodes whose path matches a prefix of the subject, whatever the
//! shape of the patterns. Making it slow takes as many stored nodes as it costs steps.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use keelback_planted::{self as planted, Bug};

use crate::hashing::Hashing;
use crate::matched::Matched;
use crate::members::{Change, Members};
use crate::sublist::Interest;
use crate::trie::token::Token;

mod token;

/// The root's index; also means "no child" where a child is named, as the root is nobody's child.
const ROOT: u32 = 0;
/// Nodes kept when all patterns are gone (count).
const NODES_KEPT: usize = 64;

pub(crate) struct Trie<T> {
    nodes: Vec<Node<T>>,
    /// Indexes of `nodes` that are unused.
    free: Vec<u32>,
    edges: HashTable<Edge>,
}

/// Invariant: except for the root, a node has members or children.
struct Node<T> {
    parent: u32,
    /// The child for `*`, or [`ROOT`].
    star: u32,
    /// The child for `>`, or [`ROOT`]; it has no children.
    tail: u32,
    /// Literal children (count).
    literals: u32,
    /// What leads here from the parent, if this is a literal child.
    token: Token,
    members: Slot<T>,
}

/// The hash is kept so that growing the table visits no node.
struct Edge {
    hash: u32,
    child: u32,
}

/// The subscriptions whose pattern ends at a node.
pub(crate) enum Slot<T> {
    None,
    One(T),
    Many(Box<Members<T>>),
}

impl<T: Interest> Trie<T> {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), edges: HashTable::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The subscriptions whose pattern ends at node `index`.
    pub(crate) fn slot(&self, index: usize) -> Option<&Slot<T>> {
        self.nodes.get(index).map(|node| &node.members)
    }

    /// Inserts an item whose subject is valid.
    pub(crate) fn insert(&mut self, item: T, hashing: &Hashing) -> Change {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(ROOT, Token::new(b"")));
        }
        let mut at = ROOT;
        for token in keelback_subject::tokens(item.subject()) {
            at = self.child_or_new(at, token, hashing);
        }
        self.nodes[at as usize].members.insert(item, hashing)
    }

    pub(crate) fn remove(&mut self, item: &T, hashing: &Hashing) -> Change {
        let Some(at) = self.find(item.subject(), hashing) else { return Change::Nothing };
        let change = self.nodes[at as usize].members.remove(item, hashing);
        self.prune(at, hashing);
        change
    }

    /// Calls `visit` for each pattern that `subject` matches, until it says `false`. `subject` has
    /// no empty token; its wildcards are plain tokens.
    pub(crate) fn walk(
        &self,
        subject: &[u8],
        walk: &mut Walk,
        hashing: &Hashing,
        mut visit: impl FnMut(&Slot<T>) -> bool,
    ) {
        if self.nodes.is_empty() {
            return;
        }
        walk.start();
        while let Some((mut at, mut depth)) = walk.pending.pop() {
            loop {
                let node = &self.nodes[at as usize];
                let Some(token) = walk.token(depth, subject, hashing) else {
                    if !visit(&node.members) {
                        return;
                    }
                    if planted::is(Bug::TailMatchesNothing) && node.tail != ROOT {
                        visit(&self.nodes[node.tail as usize].members);
                    }
                    break;
                };
                if node.tail != ROOT && !visit(&self.nodes[node.tail as usize].members) {
                    return;
                }
                if planted::is(Bug::StarMatchesMore)
                    && node.star != ROOT
                    && token.end < subject.len()
                {
                    visit(&self.nodes[node.star as usize].members);
                }
                let literal = if node.literals == 0 {
                    ROOT
                } else {
                    let hash = edge_hash(hashing, at, token.hash);
                    self.literal(at, &subject[token.start..token.end], hash)
                };
                depth += 1;
                at = match (node.star, literal) {
                    (ROOT, ROOT) => break,
                    (ROOT, child) | (child, ROOT) => child,
                    (star, literal) => {
                        walk.pending.push((star, depth));
                        literal
                    }
                };
            }
        }
    }

    fn find(&self, pattern: &[u8], hashing: &Hashing) -> Option<u32> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut at = ROOT;
        for token in keelback_subject::tokens(pattern) {
            at = match self.child(at, token, hashing) {
                ROOT => return None,
                child => child,
            };
        }
        Some(at)
    }

    fn child(&self, at: u32, token: &[u8], hashing: &Hashing) -> u32 {
        match token {
            b"*" => self.nodes[at as usize].star,
            b">" => self.nodes[at as usize].tail,
            _ => self.literal(at, token, edge_hash(hashing, at, hashing.bytes(token))),
        }
    }

    fn literal(&self, parent: u32, token: &[u8], hash: u32) -> u32 {
        let nodes = &self.nodes;
        self.edges
            .find(spread(hash), |edge| edge.leads(nodes, hash, parent, token))
            .map_or(ROOT, |edge| edge.child)
    }

    fn child_or_new(&mut self, at: u32, token: &[u8], hashing: &Hashing) -> u32 {
        match token {
            b"*" | b">" => match self.child(at, token, hashing) {
                ROOT => {
                    let child = self.add(Node::new(at, Token::new(b"")));
                    let node = &mut self.nodes[at as usize];
                    *(if token == b"*" { &mut node.star } else { &mut node.tail }) = child;
                    child
                }
                child => child,
            },
            _ => {
                let hash = edge_hash(hashing, at, hashing.bytes(token));
                match self.literal(at, token, hash) {
                    ROOT => {
                        let child = self.add(Node::new(at, Token::new(token)));
                        self.nodes[at as usize].literals += 1;
                        let edge = Edge { hash, child };
                        self.edges.insert_unique(spread(hash), edge, |edge| spread(edge.hash));
                        child
                    }
                    child => child,
                }
            }
        }
    }

    fn add(&mut self, node: Node<T>) -> u32 {
        if let Some(index) = self.free.pop() {
            self.nodes[index as usize] = node;
            return index;
        }
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    /// Removes the node `at` and then those above it, as long as they lead nowhere.
    fn prune(&mut self, mut at: u32, hashing: &Hashing) {
        while at != ROOT && self.nodes[at as usize].leads_nowhere() {
            let node =
                std::mem::replace(&mut self.nodes[at as usize], Node::new(ROOT, Token::new(b"")));
            self.free.push(at);
            let parent = &mut self.nodes[node.parent as usize];
            if parent.star == at {
                parent.star = ROOT;
            } else if parent.tail == at {
                parent.tail = ROOT;
            } else {
                parent.literals -= 1;
                let hash = edge_hash(hashing, node.parent, hashing.bytes(node.token.bytes()));
                if let Entry::Occupied(edge) = self.edges.entry(
                    spread(hash),
                    |edge| edge.child == at,
                    |edge| spread(edge.hash),
                ) {
                    edge.remove();
                }
            }
            at = node.parent;
        }
        if self.nodes[ROOT as usize].leads_nowhere() {
            self.reset();
        }
    }

    fn reset(&mut self) {
        self.nodes.clear();
        self.nodes.shrink_to(NODES_KEPT);
        self.free.clear();
        self.free.shrink_to(NODES_KEPT);
        self.edges.clear();
        self.edges.shrink_to(NODES_KEPT, |edge| spread(edge.hash));
    }
}

impl<T> Node<T> {
    fn new(parent: u32, token: Token) -> Self {
        Self { parent, star: ROOT, tail: ROOT, literals: 0, token, members: Slot::None }
    }

    fn leads_nowhere(&self) -> bool {
        matches!(self.members, Slot::None)
            && self.star == ROOT
            && self.tail == ROOT
            && self.literals == 0
    }
}

impl Edge {
    fn leads<T>(&self, nodes: &[Node<T>], hash: u32, parent: u32, token: &[u8]) -> bool {
        self.hash == hash && {
            let child = &nodes[self.child as usize];
            child.parent == parent && child.token.bytes() == token
        }
    }
}

impl<T: Interest> Slot<T> {
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(crate) fn add_to(&self, found: &mut Matched<T>, hashing: &Hashing) {
        match self {
            Self::None => {}
            Self::One(item) => found.add_one(item, hashing),
            Self::Many(members) => members.add_to(found, hashing),
        }
    }

    fn insert(&mut self, item: T, hashing: &Hashing) -> Change {
        match std::mem::replace(self, Self::None) {
            Self::None => *self = Self::One(item),
            Self::One(one) if one.is_same(&item) => {
                *self = Self::One(one);
                return Change::Nothing;
            }
            Self::One(one) => *self = Self::Many(Box::new(Members::of_two(one, item, hashing))),
            Self::Many(mut members) => {
                let change = members.insert(item, hashing);
                *self = Self::Many(members);
                return change;
            }
        }
        Change::Done
    }

    fn remove(&mut self, item: &T, hashing: &Hashing) -> Change {
        match self {
            Self::One(one) if one.is_same(item) => {
                *self = Self::None;
                Change::Done
            }
            Self::Many(members) => {
                let change = members.remove(item, hashing);
                if let Some(single) = members.single().cloned() {
                    *self = Self::One(single);
                }
                change
            }
            Self::None | Self::One(_) => Change::Nothing,
        }
    }
}

/// What a walk needs to remember; reused from match to match.
#[derive(Default)]
pub(crate) struct Walk {
    /// The subject's tokens as far as the walk needed them.
    tokens: Vec<Piece>,
    /// Nodes still to visit, with their depth. At most one for each depth.
    pending: Vec<(u32, usize)>,
}

#[derive(Clone, Copy)]
struct Piece {
    start: usize,
    end: usize,
    hash: u64,
}

impl Walk {
    fn start(&mut self) {
        self.tokens.clear();
        self.pending.clear();
        self.pending.push((ROOT, 0));
    }

    /// The token at `depth`, which is at most one deeper than asked for before.
    fn token(&mut self, depth: usize, subject: &[u8], hashing: &Hashing) -> Option<Piece> {
        if let Some(token) = self.tokens.get(depth) {
            return Some(*token);
        }
        let start = self.tokens.last().map_or(0, |token| token.end + 1);
        let rest = subject.get(start..)?;
        let end = start + rest.iter().position(|&byte| byte == b'.').unwrap_or(rest.len());
        let token = Piece { start, end, hash: hashing.bytes(&subject[start..end]) };
        self.tokens.push(token);
        Some(token)
    }
}

fn edge_hash(hashing: &Hashing, parent: u32, token_hash: u64) -> u32 {
    hashing.edge(parent, token_hash) as u32
}

/// hashbrown takes the bucket from the lowest bits and a tag from the highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests;
