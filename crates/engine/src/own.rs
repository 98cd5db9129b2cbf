//! Messages that the server publishes: answers to requests, acknowledgements, advisories.

use std::sync::Arc;

use crate::account::Account;
use crate::client::Client;
use crate::receiver::{Message, peerless};
use crate::subscription::SubRef;
use crate::worker::{NO_HEADERS, RunMessage, Worker};

/// What a worker keeps for messages of the server's own.
#[derive(Default)]
pub(crate) struct Own {
    client: Option<Box<Client>>,
    text: Vec<u8>,
    /// Those that wait for the end of what is being read.
    waiting: Waiting,
}

/// Messages one behind the other.
#[derive(Default)]
struct Waiting {
    texts: Vec<u8>,
    messages: Vec<WaitingMessage>,
}

struct WaitingMessage {
    account: Arc<Account>,
    subject_bytes: u32,
    reply_bytes: u32,
    header_bytes: u32,
    payload_bytes: u32,
}

impl Worker {
    /// Publishes a message of the server's own as soon as what is being read is done with. For
    /// receivers: what they answer must not come between what they were given.
    pub fn answer_later(&mut self, account: &Arc<Account>, subject: &[u8], message: &Message<'_>) {
        let waiting = &mut self.own.waiting;
        for part in [subject, message.reply, message.headers, message.payload] {
            waiting.texts.extend_from_slice(part);
        }
        waiting.messages.push(WaitingMessage {
            account: account.clone(),
            subject_bytes: subject.len() as u32,
            reply_bytes: message.reply.len() as u32,
            header_bytes: message.headers.len() as u32,
            payload_bytes: message.payload.len() as u32,
        });
    }

    /// As `answer_later`, of a message with a payload alone, which `write` appends.
    pub fn answer_with(
        &mut self,
        account: &Arc<Account>,
        subject: &[u8],
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let waiting = &mut self.own.waiting;
        waiting.texts.extend_from_slice(subject);
        let start = waiting.texts.len();
        write(&mut waiting.texts);
        waiting.messages.push(WaitingMessage {
            account: account.clone(),
            subject_bytes: subject.len() as u32,
            reply_bytes: 0,
            header_bytes: 0,
            payload_bytes: (waiting.texts.len() - start) as u32,
        });
    }

    /// Ends what a thread did for the server: what waits is published, what is staged is written.
    pub fn end_turn(&mut self) {
        self.publish_waiting();
        self.propose();
        self.flush(&[]);
    }

    /// Publishes what waits.
    pub(crate) fn publish_waiting(&mut self) {
        // What is published may make a receiver answer again.
        while !self.own.waiting.messages.is_empty() {
            let mut waiting = std::mem::take(&mut self.own.waiting);
            let mut rest = &*waiting.texts;
            for each in &waiting.messages {
                let mut take = |bytes: u32| {
                    let (part, later) = rest.split_at(bytes as usize);
                    rest = later;
                    part
                };
                let subject = take(each.subject_bytes);
                let reply = take(each.reply_bytes);
                let headers = take(each.header_bytes);
                let payload = take(each.payload_bytes);
                self.publish_own(&each.account, subject, &Message { reply, headers, payload });
            }
            if self.own.waiting.messages.is_empty() {
                waiting.messages.clear();
                waiting.texts.clear();
                self.own.waiting = waiting;
            }
        }
    }

    /// Publishes a message of the server's own. Nothing of what is staged may point into what is
    /// being read.
    pub fn publish_own(&mut self, account: &Arc<Account>, subject: &[u8], message: &Message<'_>) {
        let mut text = std::mem::take(&mut self.own.text);
        let run_message = encode_tail(&mut text, message);
        self.deliver_own(account, subject, run_message, &text);
        if text.capacity() <= TEXT_KEPT_BYTES {
            self.own.text = text;
        }
    }

    fn deliver_own(
        &mut self,
        account: &Arc<Account>,
        subject: &[u8],
        message: RunMessage,
        text: &[u8],
    ) {
        let mut client = self.own.client.take().unwrap_or_else(|| {
            let connection = Arc::new(peerless(self.hub.threads, None));
            let peer = (String::new(), 0);
            Box::new(Client::new(connection, account.clone(), peer, false, self.now))
        });
        if !Arc::ptr_eq(&client.account, account) {
            client.account = account.clone();
        }
        client.traces = self.hub.log.is_tracing();
        client.flags.no_responders = false;
        let mut matched = std::mem::take(&mut self.matched);
        account.sublist().matches(subject, &mut matched);
        // Inboxes are used once: no match result of theirs is worth a place in the cache.
        if let Some(sub) = only_one(&matched.plain, &matched.queues) {
            let sub = sub.clone();
            matched.clear();
            self.matched = matched;
            self.deliver_to_one(&client, &sub, subject, message, text);
        } else if matched.is_empty() {
            self.matched = matched;
        } else {
            let targets = crate::targets::Targets::compile(subject, &mut matched);
            self.matched = matched;
            self.run.tail_bytes = message.tail_bytes as usize;
            self.deliver(&mut client, &targets, &[message], text);
            self.run.tail_bytes = 0;
        }
        self.flush_borrowed(text);
        self.own.client = Some(client);
    }
}

/// A longer buffer is not kept for the next message.
const TEXT_KEPT_BYTES: usize = 64 << 10;

/// The one plain subscription that needs no look, if nothing else matches.
fn only_one<'a>(plain: &'a [SubRef], queues: &[Vec<SubRef>]) -> Option<&'a SubRef> {
    let [sub] = plain else { return None };
    let is_plain = !sub.is_checked() && sub.connection.receiver.is_none();
    (is_plain && queues.is_empty()).then_some(sub)
}

/// Writes `reply size\r\npayload\r\n`, as it stands in what a client publishes.
fn encode_tail(text: &mut Vec<u8>, message: &Message<'_>) -> RunMessage {
    text.clear();
    let payload_bytes = message.headers.len() + message.payload.len();
    if !message.reply.is_empty() {
        text.extend_from_slice(message.reply);
        text.push(b' ');
    }
    if !message.headers.is_empty() {
        push_number(text, message.headers.len());
        text.push(b' ');
    }
    push_number(text, payload_bytes);
    for part in [b"\r\n".as_slice(), message.headers, message.payload, b"\r\n"] {
        text.extend_from_slice(part);
    }
    let has_headers = !message.headers.is_empty();
    RunMessage {
        tail_start: 0,
        tail_bytes: text.len() as u32,
        payload_bytes: payload_bytes as u32,
        header_bytes: if has_headers { message.headers.len() as u32 } else { NO_HEADERS },
        reply_bytes: message.reply.len() as u32,
    }
}

/// In decimal; without the machinery of formatting.
fn push_number(text: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}
