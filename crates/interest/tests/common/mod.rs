//! A subscription for tests, and subjects over a small alphabet, so that they meet.
// Each test binary uses a part of this.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use keelback_interest::{Interest, Matched, Sublist};
use proptest::prelude::*;

/// A handle like the engine's, with a number to tell results by.
#[derive(Clone, Debug)]
pub struct Sub(Arc<(Vec<u8>, Vec<u8>, usize)>);

impl Sub {
    pub fn new(subject: impl AsRef<[u8]>, queue: impl AsRef<[u8]>, number: usize) -> Self {
        Self(Arc::new((subject.as_ref().to_vec(), queue.as_ref().to_vec(), number)))
    }

    pub fn plain(subject: impl AsRef<[u8]>) -> Self {
        Self::new(subject, "", 0)
    }

    pub fn number(&self) -> usize {
        self.0.2
    }
}

impl Interest for Sub {
    fn subject(&self) -> &[u8] {
        &self.0.0
    }

    fn queue(&self) -> &[u8] {
        &self.0.1
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

/// What a match found, in an order that can be compared: plain numbers, and numbers by queue name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub plain: Vec<usize>,
    pub queues: Vec<(Vec<u8>, Vec<usize>)>,
}

impl Found {
    pub fn of(found: &Matched<Sub>) -> Self {
        let mut queues: Vec<_> = found
            .queues
            .iter()
            .map(|group| (group[0].queue().to_vec(), sorted(group.iter().map(Sub::number))))
            .collect();
        queues.sort();
        Self { plain: sorted(found.plain.iter().map(Sub::number)), queues }
    }

    /// The same by the plain rule, subscription by subscription.
    pub fn by_rule<'a>(subs: impl Iterator<Item = &'a Sub>, subject: &[u8]) -> Self {
        let mut found = Self::default();
        for sub in subs.filter(|sub| keelback_subject::matches(sub.subject(), subject)) {
            if sub.queue().is_empty() {
                found.plain.push(sub.number());
                continue;
            }
            match found.queues.iter_mut().find(|(queue, _)| queue == sub.queue()) {
                Some((_, numbers)) => numbers.push(sub.number()),
                None => found.queues.push((sub.queue().to_vec(), vec![sub.number()])),
            }
        }
        found.plain.sort_unstable();
        found.queues.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
        found.queues.sort();
        found
    }
}

pub fn matched(sublist: &Sublist<Sub>, subject: impl AsRef<[u8]>) -> Found {
    let mut found = Matched::new();
    sublist.matches(subject.as_ref(), &mut found);
    Found::of(&found)
}

fn sorted(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// Subjects for publishing; some have empty tokens or tokens that look like wildcards.
pub fn published() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof![9 => "[abc]", 1 => "[ab*>]?"], 1..6)
        .prop_map(|tokens| tokens.join("."))
}

/// Valid patterns, half of them with wildcards.
pub fn pattern() -> impl Strategy<Value = String> {
    let token = prop_oneof![6 => "[abc]", 1 => Just("a_token_longer_than_the_inline_ones".into()), 3 => "[*]"];
    (prop::collection::vec(token, 1..5), any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |(mut tokens, literal, tail)| {
            if literal {
                for token in &mut tokens {
                    *token = token.replace('*', "b");
                }
            } else if tail {
                tokens.push(">".into());
            }
            tokens.join(".")
        },
    )
}
