//! One compiled list of rules: searched one by one while short, through a sublist when long.

use std::sync::Arc;

use crate::matched::Matched;
use crate::sublist::{Interest, Sublist};

/// Rules up to which a list is searched one by one (count).
const SEARCHED_RULES_MAX: usize = 16;
/// The rules are the operator's, so their hashes need no secret.
const SEED: u64 = 0;

/// A subject, and the queue name it is limited to (empty for none). Cheap to clone.
#[derive(Clone)]
pub(super) struct Rule(Arc<Words>);

struct Words {
    subject: Box<[u8]>,
    queue: Box<[u8]>,
}

impl Rule {
    pub(super) fn new(subject: Vec<u8>, queue: Vec<u8>) -> Self {
        Self(Arc::new(Words { subject: subject.into(), queue: queue.into() }))
    }
}

impl Interest for Rule {
    fn subject(&self) -> &[u8] {
        &self.0.subject
    }

    fn queue(&self) -> &[u8] {
        &self.0.queue
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

pub(super) struct Rules {
    all: Vec<Rule>,
    /// The same rules, if they are many.
    sublist: Option<Box<Sublist<Rule>>>,
}

impl Rules {
    /// A list of rules whose subjects are valid.
    pub(super) fn new(all: Vec<Rule>) -> Self {
        let sublist = (all.len() > SEARCHED_RULES_MAX).then(|| {
            let mut sublist = Sublist::new(SEED);
            for rule in &all {
                let inserted = sublist.insert(rule.clone());
                debug_assert!(inserted.is_ok(), "the caller checked the subject");
            }
            Box::new(sublist)
        });
        Self { all, sublist }
    }

    /// Whether a rule matches `subject`, whose wildcards are taken for plain tokens.
    pub(super) fn has_match(&self, subject: &[u8]) -> bool {
        match &self.sublist {
            Some(sublist) => sublist.has_interest(subject),
            None => self.all.iter().any(|rule| keelback_subject::matches(rule.subject(), subject)),
        }
    }

    /// Visits the rules that match `subject`, whose wildcards are taken for plain tokens.
    pub(super) fn for_each_match(&self, subject: &[u8], mut visit: impl FnMut(&Rule)) {
        match &self.sublist {
            Some(sublist) => {
                let mut found = Matched::new();
                sublist.matches(subject, &mut found);
                found.plain.iter().chain(found.queues.iter().flatten()).for_each(visit);
            }
            None => self
                .all
                .iter()
                .filter(|rule| keelback_subject::matches(rule.subject(), subject))
                .for_each(&mut visit),
        }
    }

    /// Whether some subject is matched by both a rule and `subject`.
    pub(super) fn overlaps(&self, subject: &[u8]) -> bool {
        self.all.iter().any(|rule| keelback_subject::overlaps(rule.subject(), subject))
    }
}
