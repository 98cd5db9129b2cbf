//! What the log has made safe is applied, and whoever proposed it is answered.

use std::iter::Peekable;
use std::sync::{Arc, PoisonError};

use keelback_jetstream::ack;
use keelback_jetstream::fast;
use keelback_store::commit::{Committer, Outcome};
use keelback_store::disk::Disk;
use keelback_store::log::{self, Entries, LogError, Position};
use keelback_store::meta::{self, Change};
use keelback_store::stream::{self, Effects};

use super::counting::Again;
use super::outgoing::Outgoing;
use super::running::Running;
use super::{Failure, Name, Streams};
use crate::events::Event;
use crate::lock;
use crate::log::Level;
use crate::proposals::{Origin, Proposals, Proposer};
use crate::worker::Worker;

impl<D: Disk + Clone> Proposer for Streams<D> {
    fn propose(&self, proposals: Proposals) {
        let Proposals { entries, origins, replies, is_vital } = proposals;
        let Some(streams) = self.me.upgrade() else { return };
        let done = move |outcome: &Outcome, entries: &Entries| {
            streams.committed(outcome, entries, origins, &replies);
        };
        // After the end nobody is answered: callers see that their channel is gone.
        if let Some(committer) = &*self.committer.read().unwrap_or_else(PoisonError::into_inner) {
            if is_vital {
                committer.submit_vital(entries, Box::new(done));
            } else {
                committer.submit(entries, Box::new(done));
            }
        }
    }
}

/// Entries with whoever proposed them.
type Committed<'a> = Peekable<Box<dyn Iterator<Item = (log::Entry<'a>, Origin)> + 'a>>;

impl<D: Disk + Clone> Streams<D> {
    /// Called on the commit thread, for one submission after the other.
    fn committed(
        &self,
        outcome: &Outcome,
        entries: &Entries,
        origins: Vec<Origin>,
        replies: &[u8],
    ) {
        self.note_log(outcome);
        let mut origins = Some(origins);
        (self.act)(&mut |worker| {
            let Some(origins) = origins.take() else { return };
            match outcome {
                Ok(first) => {
                    let each = entries.iter_from(*first).zip(origins);
                    let each: Box<dyn Iterator<Item = _>> = Box::new(each);
                    self.apply_all(worker, each.peekable(), replies);
                }
                Err(error) => {
                    let each = entries.iter_from(Position::default()).zip(origins);
                    self.refuse_all(worker, each, replies, error);
                }
            }
        });
        if let Ok(first) = outcome {
            *lock(&self.applied) = entries.end_from(*first);
        }
    }

    fn apply_all(&self, worker: &mut Worker, mut each: Committed<'_>, mut replies: &[u8]) {
        let mut outgoing = Outgoing::default();
        while let Some((entry, _)) = each.peek() {
            let group = entry.group;
            if group == meta::GROUP {
                if let Some((entry, origin)) = each.next() {
                    self.apply_change(entry.body, origin);
                }
                continue;
            }
            let running = self.running_group(group);
            let (mut released, mut again) = (Vec::new(), Vec::new());
            let mut kept = running.as_ref().map(|it| (it.kept(), it.policy()));
            while let Some((entry, origin)) = each.next_if(|(entry, _)| entry.group == group) {
                let reply = reply_of(&origin, &mut replies);
                let decoded = stream::decode(entry.body);
                let (Some((kept, policy)), Some(running), Some(decoded)) =
                    (&mut kept, &running, decoded)
                else {
                    // The stream was deleted by an entry before.
                    tell(origin, Err("the stream is gone".to_owned()));
                    continue;
                };
                let at = (entry.end(), &decoded);
                let effects = running.apply(kept, at, policy, worker, &mut outgoing);
                if let (Origin::Publisher { .. }, stream::Entry::Store(message)) =
                    (&origin, &decoded)
                    && policy.allows_counter
                    && running.counted(&effects.outcome, kept.stream())
                {
                    again.push(Again::new(message, reply));
                    continue;
                }
                if fast::is_fast(reply) {
                    let stream = kept.stream();
                    let at = (reply, &decoded);
                    outgoing.tell(reply, running.decided(policy, at, &effects.outcome, stream));
                    released.push(reply);
                } else if !reply.is_empty() && !policy.no_ack {
                    outgoing.answer(reply, |text| {
                        ack::answer(text, policy, &decoded, &effects.outcome);
                    });
                }
                tell(origin, Ok(effects));
            }
            if let (Some(running), Some((kept, _))) = (&running, &mut kept) {
                if kept.flush().is_err_and(|failure| failure.is_full()) {
                    self.note_full();
                }
                if let Some(why) = running.note_failure(kept) {
                    self.tell_failure(running, why);
                }
            }
            let policy = kept.map(|(_, policy)| policy);
            if let (Some(running), Some(policy)) = (running, policy) {
                outgoing.publish(worker, &running);
                for reply in released {
                    self.take_released(worker, &running, &policy, reply);
                }
                self.count_again(worker, &running, &policy, &again);
            }
        }
    }

    fn refuse_all<'a>(
        &self,
        worker: &mut Worker,
        each: impl Iterator<Item = (log::Entry<'a>, Origin)>,
        mut replies: &[u8],
        error: &LogError,
    ) {
        let is_busy = matches!(error, LogError::Busy);
        let mut outgoing = Outgoing::default();
        for (entry, origin) in each {
            let reply = reply_of(&origin, &mut replies);
            let is_publisher = matches!(origin, Origin::Publisher { .. });
            tell(origin, Err(error.to_string()));
            let Some(running) = self.running_group(entry.group) else { continue };
            let policy = running.policy();
            if policy.allows_counter && is_publisher {
                running.not_counted();
            }
            if fast::is_fast(reply) {
                let entry = stream::decode(entry.body).unwrap_or(stream::Entry::Remove { seq: 0 });
                let outcome = stream::Outcome::Refused(stream::Refusal::Failed);
                let kept = running.kept();
                let told = running.decided(&policy, (reply, &entry), &outcome, kept.stream());
                drop(kept);
                outgoing.tell(reply, told);
                outgoing.publish(worker, &running);
                self.take_released(worker, &running, &policy, reply);
            } else if !reply.is_empty() && !policy.no_ack {
                outgoing.answer(reply, |text| ack::write_unsafe(text, &policy, is_busy));
                outgoing.publish(worker, &running);
            }
        }
    }

    fn apply_change(&self, body: &[u8], origin: Origin) {
        if let Some(change) = Change::decode(body) {
            lock(&self.meta).apply(change);
        }
        tell(origin, Ok(Effects::none()));
    }

    /// Takes note of whether the log takes entries.
    pub(super) fn note_log(&self, outcome: &Outcome) {
        let failure = match outcome {
            // What makes room is taken all the same.
            Ok(_) if self.is_full() => return,
            Ok(_) => Failure::default(),
            // Too much waits: no fault of the disk.
            Err(error) if matches!(**error, LogError::Busy) => return,
            Err(error) => Failure { why: error.to_string(), is_full: error.is_full() },
        };
        let why = failure.why.clone();
        let was_failing = !std::mem::replace(&mut *lock(&self.failure), failure).why.is_empty();
        if was_failing == why.is_empty() {
            self.tell_turn(("", ""), why);
        }
    }

    /// The disk has room again, if that was what was missing.
    pub(super) fn note_room(&self) {
        let was_full = lock(&self.failure).is_full;
        if was_full {
            self.note_log(&Ok(Position::default()));
        }
    }

    /// Something has to be written for which the disk has no room.
    pub(super) fn note_full(&self) {
        self.with_committer(Committer::note_full);
        self.note_log(&Err(Arc::new(LogError::Full)));
    }

    /// Whether only what makes room is taken.
    pub(super) fn is_full(&self) -> bool {
        self.with_committer(Committer::is_full).unwrap_or(false)
    }

    /// Does something with the log, as long as it is there.
    pub(super) fn with_committer<T>(&self, act: impl FnOnce(&Committer<D>) -> T) -> Option<T> {
        self.committer.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
    }

    /// Tells that a stream takes no messages, and why, or, when that is empty, that it does again.
    pub(super) fn tell_failure(&self, running: &Running<D>, why: &str) {
        self.tell_turn((&running.account.name, &running.name), why.to_owned());
    }

    fn tell_turn(&self, (account, stream): Name<'_>, why: String) {
        let what = if stream.is_empty() {
            "every stream in files".to_owned()
        } else {
            format!("the stream '{account} > {stream}'")
        };
        if why.is_empty() {
            self.hub.log.write(Level::Info, &format!("JetStream: {what} takes messages again"));
        } else {
            let problem = format!("JetStream: {what} takes no messages: {why}");
            self.hub.log.write(Level::Error, &problem);
        }
        let (account, stream) = (account.to_owned(), stream.to_owned());
        self.hub.events.push(Event::DiskTurned { account, stream, why });
    }

    fn running_group(&self, group: u32) -> Option<Arc<Running<D>>> {
        self.by_group.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }
}

/// The reply of an entry: the next of `replies`.
fn reply_of<'a>(origin: &Origin, replies: &mut &'a [u8]) -> &'a [u8] {
    let Origin::Publisher { reply_bytes } = *origin else { return b"" };
    let (reply, rest) = replies.split_at(reply_bytes as usize);
    *replies = rest;
    reply
}

fn tell(origin: Origin, applied: Result<Effects, String>) {
    if let Origin::Caller(caller) = origin {
        // Who does not wait any more is not told.
        let _ = caller.try_send(applied);
    }
}
