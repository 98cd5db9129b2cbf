//! What one user may publish and subscribe to, compiled from the configured lists.
//!
//! Deny wins over allow. Decisions are computed each time; whoever asks often keeps a cache.
//!
//! Source: nats-server 2.15 `server/client.go`, `setPermissions`, `canSubscribe`, `pubAllowed`,
//! `checkDenySub`, `queueMatches`; one rule is stricter, see [`Permissions::may_subscribe`].

mod rules;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use keelback_planted::{self as planted, Bug};

use crate::permissions::rules::{Rule, Rules};
use crate::sublist::Interest;

/// A subscribe rule: a subject, and the queue name it is limited to, if any (wildcards allowed in
/// both).
pub type SubscribeRule = (Vec<u8>, Option<Vec<u8>>);

/// The lists as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionRules {
    /// What may be published; `None` is everything, an empty list nothing.
    pub publish_allow: Option<Vec<Vec<u8>>>,
    /// What may not be published.
    pub publish_deny: Vec<Vec<u8>>,
    /// What may be subscribed to; `None` is everything, and so is an empty list (as in
    /// nats-server, where only a list with entries restricts).
    pub subscribe_allow: Option<Vec<SubscribeRule>>,
    /// What may not be subscribed to, and is not delivered to a wider subscription.
    pub subscribe_deny: Vec<SubscribeRule>,
    /// Permission to answer requests. Without `publish_allow`, nothing else may be published then.
    pub responses: Option<Responses>,
}

/// How a user may answer on reply subjects that it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Messages to one reply subject (count); negative is no limit.
    pub max: i64,
    /// How long after the request; `None` is no limit.
    pub expires: Option<Duration>,
}

/// The answer to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribe {
    /// Refused.
    Denied,
    /// Every message that matches may be delivered.
    Allowed,
    /// Accepted, but it overlaps what is denied: ask [`Permissions::denies_delivery`] for each
    /// message.
    Filtered,
}

/// Which part of a rule is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// The subject of a publish rule.
    Publish,
    /// The subject of a subscribe rule.
    Subscribe,
    /// The queue name of a subscribe rule.
    Queue,
}

/// A rule that is not a valid subject or queue name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    /// Where it stands.
    pub kind: RuleKind,
    /// The subject, or queue name, as configured.
    pub subject: Vec<u8>,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = String::from_utf8_lossy(&self.subject);
        match self.kind {
            RuleKind::Publish | RuleKind::Subscribe => {
                write!(f, "subject {subject:?} is not a valid subject")
            }
            RuleKind::Queue => write!(f, "queue {subject:?} is not a valid queue"),
        }
    }
}

impl Error for BadRule {}

/// One user's permissions, compiled. Immutable; connections share it.
pub struct Permissions {
    publish_allow: Option<Rules>,
    publish_deny: Rules,
    subscribe_allow: Option<Rules>,
    subscribe_deny: Rules,
    responses: Option<Responses>,
}

impl Permissions {
    /// Compiles the lists.
    ///
    /// # Errors
    /// The first rule that is not a valid subject or queue name.
    pub fn compile(rules: PermissionRules) -> Result<Self, BadRule> {
        let mut publish_allow = rules.publish_allow;
        if rules.responses.is_some() {
            publish_allow.get_or_insert_default();
        }
        let mut publish_deny = rules.publish_deny;
        if planted::is(Bug::WildcardDenyIgnored) {
            publish_deny.retain(|subject| keelback_subject::is_literal(subject));
        }
        let subscribe_allow = rules.subscribe_allow.filter(|rules| !rules.is_empty());
        Ok(Self {
            publish_allow: publish_allow.map(publish_rules).transpose()?,
            publish_deny: publish_rules(publish_deny)?,
            subscribe_allow: subscribe_allow.map(subscribe_rules).transpose()?,
            subscribe_deny: subscribe_rules(rules.subscribe_deny)?,
            responses: rules.responses,
        })
    }

    /// Whether a message may be published on `subject`, responses aside.
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        self.publish_allow.as_ref().is_none_or(|allow| allow.has_match(subject))
            && !self.publish_deny.has_match(subject)
    }

    /// Whether `subject` may be subscribed to, in the group `queue` if there is one.
    ///
    /// An allow rule must cover all of `subject`: `w.*` does not allow `w.>`, as it does in
    /// nats-server, which takes the requested `>` for a plain token. Where queue rules match
    /// `subject`, a subscription with a queue must satisfy one of them, and plain rules do not help.
    pub fn may_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> Subscribe {
        let queue = queue.unwrap_or_default();
        let allowed =
            self.subscribe_allow.as_ref().is_none_or(|allow| allows(allow, subject, queue));
        if !allowed || self.denies_delivery(subject, Some(queue)) {
            return Subscribe::Denied;
        }
        let wide = !queue.is_empty() || !keelback_subject::is_literal(subject);
        if wide && self.subscribe_deny.overlaps(subject) {
            return Subscribe::Filtered;
        }
        Subscribe::Allowed
    }

    /// Whether a message on `subject` must be withheld from a subscription (of the group `queue`)
    /// that was accepted as [`Subscribe::Filtered`].
    pub fn denies_delivery(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let queue = queue.unwrap_or_default();
        let mut denied = false;
        self.subscribe_deny.for_each_match(subject, |rule| {
            denied |= rule.queue().is_empty() || queue_matches(rule, queue);
        });
        denied
    }

    /// The permission to answer requests, if there is one.
    pub fn responses(&self) -> Option<&Responses> {
        self.responses.as_ref()
    }
}

fn publish_rules(subjects: Vec<Vec<u8>>) -> Result<Rules, BadRule> {
    subjects
        .into_iter()
        .map(|subject| checked(subject, None, RuleKind::Publish))
        .collect::<Result<Vec<_>, _>>()
        .map(Rules::new)
}

fn subscribe_rules(rules: Vec<SubscribeRule>) -> Result<Rules, BadRule> {
    rules
        .into_iter()
        .map(|(subject, queue)| checked(subject, queue, RuleKind::Subscribe))
        .collect::<Result<Vec<_>, _>>()
        .map(Rules::new)
}

fn checked(subject: Vec<u8>, queue: Option<Vec<u8>>, kind: RuleKind) -> Result<Rule, BadRule> {
    if !keelback_subject::is_valid(&subject) {
        return Err(BadRule { kind, subject });
    }
    match queue {
        Some(queue) if !keelback_subject::is_valid(&queue) => {
            Err(BadRule { kind: RuleKind::Queue, subject: queue })
        }
        queue => Ok(Rule::new(subject, queue.unwrap_or_default())),
    }
}

fn allows(allow: &Rules, subject: &[u8], queue: &[u8]) -> bool {
    let mut plain = false;
    // Queue rules that match in nats-server's wider sense shut out other queues here too; only
    // those that truly cover the subject let one in. So we never allow what nats-server refuses.
    let mut queues_limited = false;
    let mut queue_allowed = false;
    allow.for_each_match(subject, |rule| {
        let covers = keelback_subject::is_subset(subject, rule.subject());
        if rule.queue().is_empty() {
            plain |= covers;
        } else if !queue.is_empty() {
            queues_limited = true;
            queue_allowed |= covers && queue_matches(rule, queue);
        }
    });
    if queues_limited { queue_allowed } else { plain }
}

/// Whether `queue` is the rule's queue name or, if that has wildcards, is covered by it.
fn queue_matches(rule: &Rule, queue: &[u8]) -> bool {
    !queue.is_empty()
        && (queue == rule.queue()
            || (!keelback_subject::is_literal(rule.queue())
                && keelback_subject::is_subset(queue, rule.queue())))
}
