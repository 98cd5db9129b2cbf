//! What is published for a stream once its lock is free: answers, and messages again.

use std::collections::HashMap;

use keelback_jetstream::policy::{Policy, Republish};
use keelback_jetstream::republish::Place;
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::stream::{Body, Effects, Entry, Outcome};

use super::running::{Kept, Running};
use crate::receiver::Message;
use crate::worker::Worker;

/// Messages one behind the other: subject, headers, payload.
#[derive(Default)]
pub(super) struct Outgoing {
    text: Vec<u8>,
    lengths: Vec<[u32; 3]>,
}

impl Outgoing {
    /// Adds an answer to `reply`, the body of which `write` appends.
    pub(super) fn answer(&mut self, reply: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.push(reply, |_| {}, write);
    }

    fn push(
        &mut self,
        subject: &[u8],
        write_headers: impl FnOnce(&mut Vec<u8>),
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.text.extend_from_slice(subject);
        let headers_at = self.text.len();
        write_headers(&mut self.text);
        let payload_at = self.text.len();
        write(&mut self.text);
        let header_bytes = (payload_at - headers_at) as u32;
        let payload_bytes = (self.text.len() - payload_at) as u32;
        self.lengths.push([subject.len() as u32, header_bytes, payload_bytes]);
    }

    /// Adds a message that was stored, as it is published again.
    fn push_again(
        &mut self,
        republish: &Republish,
        target: &[u8],
        body: &Body<'_>,
        at: &Place<'_>,
    ) {
        let Body::Held { headers, payload } = *body else { return };
        let payload_again: &[u8] = if republish.headers_only { b"" } else { payload };
        self.push(
            target,
            |text| republish.write_headers(text, headers, payload, at),
            |text| text.extend_from_slice(payload_again),
        );
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], Message<'_>)> {
        let mut rest = &*self.text;
        self.lengths.iter().map(move |&lengths| {
            let [subject, headers, payload] = lengths.map(|bytes| {
                let (part, later) = rest.split_at(bytes as usize);
                rest = later;
                part
            });
            (subject, Message { reply: b"", headers, payload })
        })
    }

    fn clear(&mut self) {
        self.text.clear();
        self.lengths.clear();
    }

    /// Publishes all of it in the stream's account.
    pub(super) fn publish<D: Disk + Clone>(&mut self, worker: &mut Worker, running: &Running<D>) {
        for (subject, message) in self.iter() {
            worker.publish_own(&running.account, subject, &message);
        }
        self.clear();
    }

    /// As `publish`, when what is being read is done with.
    pub(super) fn publish_later<D: Disk + Clone>(
        &mut self,
        worker: &mut Worker,
        running: &Running<D>,
    ) {
        for (subject, message) in self.iter() {
            worker.answer_later(&running.account, subject, &message);
        }
        self.clear();
    }
}

impl<D: Disk + Clone> Kept<D> {
    /// Applies an entry; a message that it stores goes out again, if the policy says so.
    pub(super) fn apply_and_republish(
        &mut self,
        behind: Position,
        entry: &Entry<'_>,
        policy: &Policy,
        worker: &mut Worker,
        outgoing: &mut Outgoing,
    ) -> Effects {
        let Some(republish) = &policy.republish else { return self.apply(behind, entry) };
        let messages: Vec<_> = match entry {
            Entry::Store(message) => vec![*message],
            Entry::Batch(batch) => batch.iter().collect(),
            _ => return self.apply(behind, entry),
        };
        let mut last_seqs: HashMap<&[u8], u64> = HashMap::new();
        for message in &messages {
            let subject = message.subject;
            let last_seq = || self.stream().last_seq_matching(subject).unwrap_or(0);
            last_seqs.entry(subject).or_insert_with(last_seq);
        }
        let effects = self.apply(behind, entry);
        let Outcome::Stored { seq: last } = effects.outcome else { return effects };
        let random = &mut || worker.next_random() as u32;
        for (seq, message) in (last + 1 - messages.len() as u64..).zip(&messages) {
            let (name, subject, time_ns) = (&*policy.name, message.subject, message.time_ns);
            let last_seq = last_seqs.insert(subject, seq).unwrap_or(0);
            if let Some(target) = republish.target(subject, random) {
                let at = Place { name, subject, seq, last_seq, time_ns };
                outgoing.push_again(republish, &target, &message.body, &at);
            }
        }
        effects
    }
}
