//! What is published to a stream becomes a proposal for the log; a stream in memory applies at once.

use std::sync::Arc;

use keelback_jetstream::ack;
use keelback_jetstream::atomic;
use keelback_jetstream::errors::Refused;
use keelback_jetstream::fast;
use keelback_jetstream::policy::Policy;
use keelback_jetstream::publish::{self, Proposal};
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::stream::{Entry, Outcome, Refusal, encode};

use super::outgoing::Outgoing;
use super::running::Running;
use super::usage::Exceeded;
use crate::proposals::{Origin, Proposer};
use crate::receiver::{Message, Received, Receiver};
use crate::worker::Worker;

/// Takes what is published to the subjects of a stream.
pub(super) struct StreamReceiver<D: Disk + Clone> {
    pub(super) running: Arc<Running<D>>,
    pub(super) proposer: Arc<dyn Proposer>,
}

impl<D: Disk + Clone> Receiver for StreamReceiver<D> {
    fn receive(&self, worker: &mut Worker, received: &Received<'_>) {
        let policy = self.running.policy();
        if policy.allows_counter {
            return self.receive_counted(worker, &policy, received);
        }
        for message in received.iter() {
            let subject = received.subject;
            let Message { reply, headers, payload } = message;
            if fast::is_fast(reply) {
                self.take_fast(worker, &policy, subject, &message);
                continue;
            }
            if let Some(id) = atomic::id(headers) {
                self.stage(worker, &policy, (subject, id), &message);
                continue;
            }
            let now_ns = worker.now_ns;
            let random = &mut || worker.next_random() as u32;
            match publish::read(&policy, subject, headers, payload, now_ns, random) {
                Ok(mut proposal) => {
                    self.refuse_by_limits(&policy, &mut proposal);
                    let purges = proposal.purges();
                    if !purges.is_empty() && !self.running.may_purge_schedule(purges) {
                        proposal.refuse_by_schedule();
                    }
                    self.propose(worker, &policy, &proposal, reply);
                }
                Err(refused) => {
                    self.answer(worker, &policy, reply, |text| refused.write(text, &policy.name));
                }
            }
        }
    }
}

impl<D: Disk + Clone> StreamReceiver<D> {
    pub(super) fn refuse_by_limits(&self, policy: &Policy, proposal: &mut Proposal<'_>) {
        match self.running.exceeded(proposal.record_bytes(policy.storage)) {
            Some(Exceeded::Server) => proposal.refuse_by_server_limit(),
            Some(Exceeded::Account) => proposal.refuse_by_account_limit(),
            None => {}
        }
    }

    pub(super) fn propose(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        proposal: &Proposal<'_>,
        reply: &[u8],
    ) {
        let message = proposal.message(worker.now_ns);
        if let Some(late) = &proposal.late {
            // What the state says comes first.
            let found = self.running.kept().stream().check(&message, late.is_behind_ids);
            self.answer_refused(worker, policy, reply, found.as_ref(), &late.refused);
            return;
        }
        self.propose_entry(worker, policy, &Entry::Store(message), reply);
    }

    /// Has an entry with messages applied, and answered.
    pub(super) fn propose_entry(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        entry: &Entry<'_>,
        reply: &[u8],
    ) {
        if self.running.is_in_memory() {
            let mut outgoing = Outgoing::default();
            let mut kept = self.running.kept();
            let at = Position::default();
            let outcome =
                self.running.apply(&mut kept, (at, entry), policy, worker, &mut outgoing).outcome;
            let told = fast::is_fast(reply)
                .then(|| self.running.decided(policy, (reply, entry), &outcome, kept.stream()));
            drop(kept);
            outgoing.publish_later(worker, &self.running);
            match told {
                Some(mut answers) => self.tell(worker, reply, &mut answers),
                None => self.answer(worker, policy, reply, |text| {
                    ack::answer(text, policy, entry, &outcome);
                }),
            }
            return;
        }
        if self.running.is_failing() {
            if fast::is_fast(reply) {
                let outcome = Outcome::Refused(Refusal::Failed);
                let kept = self.running.kept();
                let told = self.running.decided(policy, (reply, entry), &outcome, kept.stream());
                drop(kept);
                self.tell(worker, reply, &mut { told });
                return;
            }
            self.answer(worker, policy, reply, |text| ack::write_unsafe(text, policy, false));
            return;
        }
        let proposals = worker.proposals(&self.proposer);
        let group = self.running.group;
        // The longest message, and the longest batch, are far below the longest entry.
        if proposals.entries.push_with(group, |body| encode(body, entry)).is_ok() {
            proposals.origins.push(Origin::Publisher { reply_bytes: reply.len() as u32 });
            proposals.replies.extend_from_slice(reply);
        }
    }

    /// Answers what the state says, or else this.
    pub(super) fn answer_refused(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        reply: &[u8],
        found: Option<&Outcome>,
        refused: &Refused,
    ) {
        self.answer(worker, policy, reply, |text| match found {
            Some(outcome) => ack::write(text, policy, outcome),
            None => refused.write(text, &policy.name),
        });
    }

    pub(super) fn answer(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        reply: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if !reply.is_empty() && !policy.no_ack {
            // Messages behind it are answered by another thread.
            worker.answers_first = true;
            worker.answer_with(&self.running.account, reply, write);
        }
    }
}
