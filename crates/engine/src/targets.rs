//! A match result, compiled for delivery: who gets a message of one subject, and under which
//! encoded prefix. Immutable; shared by the caches of a thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::HashMap;
use foldhash::HashSet;
use keelback_interest::Matched;
use smallvec::{SmallVec, smallvec};

use crate::receiver::Receiver;
use crate::subscription::SubRef;

/// What stands before a message's `reply size`.
///
/// This, and the lists with one entry, stand in the match result itself: with 1,000 subjects in use
/// each step to another place in memory misses the cache (-25 % of the time outside the kernel).
pub type Prefix = SmallVec<[u8; 40]>;

/// Plain subscribers that get the same bytes.
pub struct Group {
    /// `HMSG subject sid `; without its first byte, the prefix of a MSG.
    pub prefix: Prefix,
    /// Whether they read headers.
    pub has_headers: bool,
    /// At least one.
    pub subs: SmallVec<[SubRef; 1]>,
}

/// A subscriber that is looked at for each message: a member of a queue group, or one with a
/// limit, a filter or a grant.
pub struct Member {
    /// As in [`Group`].
    pub prefix: Prefix,
    /// Whether it reads headers.
    pub has_headers: bool,
    /// Whose it is.
    pub sub: SubRef,
}

/// Who gets the messages of one subject.
#[derive(Default)]
pub struct Targets {
    /// Plain subscribers by equal bytes.
    pub groups: SmallVec<[Group; 1]>,
    /// Plain subscribers that are looked at for each message.
    pub checked: Vec<Member>,
    /// Queue groups; one member of each gets a message.
    pub queues: Vec<Vec<Member>>,
    /// What takes them inside the server.
    pub receivers: Vec<Arc<dyn Receiver>>,
    /// The subject, for receivers.
    pub subject: Box<[u8]>,
    /// One connection stands here twice: its messages must come out one by one, in order.
    pub is_interleaved: bool,
}

impl Targets {
    /// Compiles what the sublist found for `subject`; `matched` is emptied.
    pub fn compile(subject: &[u8], matched: &mut Matched<SubRef>) -> Arc<Self> {
        let mut targets = Self { is_interleaved: is_any_twice(matched), ..Self::default() };
        let mut by_prefix: HashMap<(Box<[u8]>, bool), usize> = HashMap::default();
        for sub in matched.plain.drain(..) {
            if let Some(receiver) = &sub.connection.receiver {
                targets.receivers.push(receiver.clone());
                continue;
            }
            let has_headers = sub.connection.has_headers.load(Ordering::Relaxed);
            if sub.is_checked() {
                targets.checked.push(Member::new(subject, sub));
                continue;
            }
            // One or two subscribers are the rule: no table for them.
            if targets.groups.len() < 3 {
                let known = targets.groups.iter_mut().find(|group| {
                    group.has_headers == has_headers && group.subs[0].sid() == sub.sid()
                });
                if let Some(group) = known {
                    group.subs.push(sub);
                    continue;
                }
            } else if by_prefix.is_empty() {
                for (index, group) in targets.groups.iter().enumerate() {
                    by_prefix.insert((group.subs[0].sid().into(), group.has_headers), index);
                }
            }
            if !by_prefix.is_empty() {
                let key = (Box::<[u8]>::from(sub.sid()), has_headers);
                if let Some(&index) = by_prefix.get(&key) {
                    targets.groups[index].subs.push(sub);
                    continue;
                }
                by_prefix.insert(key, targets.groups.len());
            }
            let prefix = encode_prefix(subject, sub.sid());
            targets.groups.push(Group { prefix, has_headers, subs: smallvec![sub] });
        }
        targets.queues = matched
            .queues
            .drain(..)
            .map(|members| members.into_iter().map(|sub| Member::new(subject, sub)).collect())
            .collect();
        if !targets.receivers.is_empty() {
            targets.subject = subject.into();
        }
        Arc::new(targets)
    }

    /// Subscribers and queue groups, as nats-server counts.
    pub fn fanout(&self) -> u64 {
        let plain: usize = self.groups.iter().map(|group| group.subs.len()).sum();
        (plain + self.checked.len() + self.queues.len() + self.receivers.len()) as u64
    }

    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.checked.is_empty()
            && self.queues.is_empty()
            && self.receivers.is_empty()
    }

    /// Whether a message of connection `publisher` certainly reaches somebody else.
    pub fn reaches_beyond(&self, publisher: u64) -> bool {
        let mut plain = self.groups.iter().flat_map(|group| &group.subs);
        !self.receivers.is_empty()
            || plain.any(|sub| sub.connection.id != publisher && !sub.connection.is_closing())
    }
}

impl Member {
    fn new(subject: &[u8], sub: SubRef) -> Self {
        Self {
            prefix: encode_prefix(subject, sub.sid()),
            has_headers: sub.connection.has_headers.load(Ordering::Relaxed),
            sub,
        }
    }
}

pub(crate) fn encode_prefix(subject: &[u8], sid: &[u8]) -> Prefix {
    let mut prefix = Prefix::with_capacity(subject.len() + sid.len() + 7);
    for part in [b"HMSG ", subject, b" ", sid, b" "] {
        prefix.extend_from_slice(part);
    }
    prefix
}

fn is_any_twice(matched: &Matched<SubRef>) -> bool {
    let is_peer = |sub: &&SubRef| sub.connection.receiver.is_none();
    let all = || matched.plain.iter().chain(matched.queues.iter().flatten()).filter(is_peer);
    let count = all().take(3).count();
    if count < 2 {
        return false;
    }
    let mut seen = HashSet::default();
    all().any(|sub| !seen.insert(sub.connection.id))
}
