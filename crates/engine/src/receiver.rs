//! What takes messages inside the server: a stream, or a request that Python serves.
//!
//! A receiver stands in an account's sublist as a subscription of a connection that has no peer.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::account::Account;
use crate::connection::{Connection, Kind};
use crate::events::{Event, Events, Request};
use crate::outbound::{Outbound, Transport};
use crate::subscription::SubRef;
use crate::worker::{RunMessage, Worker};

/// Takes messages in the place of a client.
pub trait Receiver: Send + Sync {
    /// Takes messages of one subject, on the thread that read them: it must not wait.
    fn receive(&self, worker: &mut Worker, received: &Received<'_>);
}

/// Consecutive messages of one subject.
pub struct Received<'a> {
    /// Where they were published.
    pub account: &'a Arc<Account>,
    /// By which connection; 0 by the server.
    pub connection: u64,
    /// Their subject.
    pub subject: &'a [u8],
    /// Where they are in `input`.
    pub messages: &'a [RunMessage],
    /// What was read.
    pub input: &'a [u8],
}

/// A message as its receiver reads it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Where an answer is wanted; empty for nowhere.
    pub reply: &'a [u8],
    /// The header block; empty without one.
    pub headers: &'a [u8],
    /// The message without its headers.
    pub payload: &'a [u8],
}

impl<'a> Received<'a> {
    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = Message<'a>> {
        let (messages, input) = (self.messages, self.input);
        messages.iter().map(|message| {
            let whole = message.payload(input);
            let (headers, payload) = whole.split_at(message.header_length());
            Message { reply: message.reply(input).unwrap_or_default(), headers, payload }
        })
    }
}

/// Carries nothing: a receiver has no peer.
struct Nowhere;

impl Transport for Nowhere {
    fn write(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn want_room(&mut self, _: bool) {}

    fn want_input(&mut self, _: bool) {}

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn finish(&mut self) {}
}

/// A connection without a peer: nobody can list or close it.
pub(crate) fn peerless(threads: usize, receiver: Option<Arc<dyn Receiver>>) -> Connection {
    let outbound = Outbound::new(Box::new(Nowhere));
    let mut connection = Connection::new(0, Kind::InProcess, String::new(), threads, outbound, 0);
    connection.receiver = receiver;
    connection
}

/// What a receiver is subscribed to; dropping it ends that.
pub struct Subscribed {
    account: Arc<Account>,
    subs: Vec<SubRef>,
}

impl Subscribed {
    /// Has `receiver` take what is published to these subjects in the account.
    ///
    /// # Errors
    /// One of them is not valid.
    pub fn new(
        account: Arc<Account>,
        subjects: &[&[u8]],
        receiver: Arc<dyn Receiver>,
        threads: usize,
    ) -> Result<Self, InvalidSubject> {
        let connection = Arc::new(peerless(threads, Some(receiver)));
        let mut subscribed = Self { account, subs: Vec::with_capacity(subjects.len()) };
        for subject in subjects {
            let sub = SubRef::new(connection.clone(), (subject, b"", b""), false, false);
            if !subscribed.account.insert(&sub) {
                return Err(InvalidSubject);
            }
            subscribed.subs.push(sub);
        }
        Ok(subscribed)
    }

    /// Where.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        for sub in &self.subs {
            sub.end();
        }
        self.account.remove_all(self.subs.iter());
    }
}

/// A subject that cannot be subscribed to.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidSubject;

/// Hands messages on to Python.
pub struct PythonReceiver(pub Arc<Events>);

impl Receiver for PythonReceiver {
    fn receive(&self, _: &mut Worker, received: &Received<'_>) {
        for message in received.iter() {
            self.0.push(Event::Request(Request {
                account: received.account.name.clone(),
                subject: received.subject.to_vec(),
                reply: message.reply.to_vec(),
                headers: message.headers.to_vec(),
                payload: message.payload.to_vec(),
                connection: received.connection,
            }));
        }
    }
}
