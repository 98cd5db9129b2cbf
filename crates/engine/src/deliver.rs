//! The end of a run: its messages are encoded and staged for each target.

use std::sync::Arc;

use keelback_planted::{self as planted, Bug};

use crate::client::Client;
use crate::receiver::Received;
use crate::stage::{SHARE_BYTES_MIN, STAGE_BYTES_MAX};
use crate::subscription::Claim;
use crate::targets::{Group, Member, Targets, encode_prefix};
use crate::worker::{NO_HEADERS, RunMessage, Worker};

/// Payloads from this size on are written straight from the input (measured: -18 % processor
/// time at 16 KiB; below 8 KiB the copy is cheaper than the entry of `writev`).
const BORROW_BYTES_MIN: u32 = 8 << 10;

/// Encoded runs are cut into blocks of about this size: a read's worth. With half of it fan-out to
/// ten took 40 % more processor time, for waking the readers twice as often.
const BLOCK_BYTES: usize = STAGE_BYTES_MAX;

/// Room for the message with which a block gets full.
const BLOCK_ROOM_BYTES: usize = 8 << 10;

/// Blocks that are kept to be used again: as many as wait for subscribers that lag a little.
const SPARE_BLOCKS_MAX: usize = 64;

impl Worker {
    /// Delivers the messages gathered since the match result last changed.
    pub(crate) fn close_run(&mut self, client: &mut Client, input: &[u8]) {
        let Some(targets) = self.run.targets.take() else { return };
        let mut messages = std::mem::take(&mut self.run.messages);
        if !messages.is_empty() {
            self.deliver(client, &targets, &messages, input);
            messages.clear();
        }
        self.run.messages = messages;
        self.run.tail_bytes = 0;
    }

    pub(crate) fn deliver(
        &mut self,
        client: &mut Client,
        targets: &Targets,
        messages: &[RunMessage],
        input: &[u8],
    ) {
        let mut taken = 0;
        for group in &targets.groups {
            taken += self.deliver_group(client, group, messages, input);
        }
        for member in &targets.checked {
            for message in messages {
                taken += usize::from(self.deliver_member(client, member, message, input));
            }
        }
        for members in &targets.queues {
            for message in messages {
                taken += usize::from(self.deliver_queue(client, members, message, input));
            }
        }
        for receiver in &targets.receivers {
            let (account, connection) = (&client.account, client.connection.id);
            let subject = &*targets.subject;
            receiver.receive(self, &Received { account, connection, subject, messages, input });
            taken += messages.len();
        }
        // A client that wants to hear of this has runs of one message, unless somebody else
        // certainly takes them.
        let reached_nobody = taken == 0 || planted::is(Bug::FalseNoResponders);
        if reached_nobody && client.wants_no_responders() {
            self.tell_no_responders(client, messages, input);
        }
    }

    fn deliver_group(
        &mut self,
        client: &Client,
        group: &Group,
        messages: &[RunMessage],
        input: &[u8],
    ) -> usize {
        let is_own = |id: u64| !client.has_echo() && id == client.connection.id;
        if group.subs.len() == 1 || self.run.tail_bytes < SHARE_BYTES_MIN || client.traces {
            let mut taken = 0;
            for sub in &group.subs {
                if !is_own(sub.connection.id) && !sub.connection.is_closing() {
                    sub.count(messages.len() as u64);
                    let prefix = (&*group.prefix, group.has_headers);
                    self.copy_run(client, &sub.connection, prefix, messages, input);
                    taken += 1;
                }
            }
            return taken;
        }
        self.share_run(group, messages, input, client, &is_own)
    }

    /// Delivers a message of the server's own to the only one who wants it.
    pub(crate) fn deliver_to_one(
        &mut self,
        client: &Client,
        sub: &crate::subscription::SubRef,
        subject: &[u8],
        message: RunMessage,
        input: &[u8],
    ) {
        let connection = &sub.connection;
        if connection.is_closing() {
            return;
        }
        sub.count(1);
        let has_headers = connection.has_headers.load(std::sync::atomic::Ordering::Relaxed);
        let prefix = encode_prefix(subject, sub.sid());
        self.copy_run(client, connection, (&prefix, has_headers), &[message], input);
    }

    /// Encodes a run for one connection alone, into its stage.
    fn copy_run(
        &mut self,
        client: &Client,
        connection: &Arc<crate::Connection>,
        (prefix, has_headers): (&[u8], bool),
        messages: &[RunMessage],
        input: &[u8],
    ) {
        if client.traces {
            self.trace_deliveries(connection, (prefix, has_headers), messages, input);
        }
        let mut rest = messages;
        while !rest.is_empty() {
            let stage = self.stage(connection);
            stage.from = client.connection.id;
            let before = stage.len();
            let mut count = 0;
            let mut payload_bytes = 0;
            let mut borrowed = false;
            for message in rest {
                if stage.len() >= 2 * STAGE_BYTES_MAX {
                    break;
                }
                count += 1;
                payload_bytes += u64::from(message.payload_bytes);
                if message.payload_bytes >= BORROW_BYTES_MIN && !loses_headers(has_headers, message)
                {
                    let start = message.tail_start as usize;
                    stage.append(|buffer| buffer.extend_from_slice(verb(prefix, message)));
                    stage.borrow_input(input, start, start + message.tail_bytes as usize);
                    borrowed = true;
                } else {
                    stage.append(|buffer| encode(buffer, prefix, has_headers, message, input));
                }
            }
            stage.messages += count as u64;
            stage.message_bytes += payload_bytes;
            let added = stage.len() - before;
            // A run is large by itself; single messages gather first.
            let enough = if messages.len() > 1 { STAGE_BYTES_MAX / 2 } else { STAGE_BYTES_MAX };
            let is_full = stage.len() >= enough;
            if borrowed {
                self.note_borrowed();
            }
            self.after_append(connection, added, is_full, input);
            rest = &rest[count..];
        }
    }

    #[cold]
    fn trace_deliveries(
        &self,
        connection: &crate::Connection,
        (prefix, has_headers): (&[u8], bool),
        messages: &[RunMessage],
        input: &[u8],
    ) {
        for message in messages {
            let mut encoded = Vec::new();
            encode(&mut encoded, prefix, has_headers, message, input);
            let is_bare = message.header_bytes == NO_HEADERS || loses_headers(has_headers, message);
            let header_bytes = if is_bare { 0 } else { message.header_bytes as usize };
            self.trace_message(connection, &encoded, header_bytes);
        }
    }

    /// Encodes a run once, in blocks, for all connections of the group.
    fn share_run(
        &mut self,
        group: &Group,
        messages: &[RunMessage],
        input: &[u8],
        client: &Client,
        is_own: &dyn Fn(u64) -> bool,
    ) -> usize {
        let mut rest = messages;
        let mut taken = 0;
        while !rest.is_empty() {
            let mut block = self.spare_block();
            let buffer = Arc::make_mut(&mut block);
            let mut count = 0;
            let mut payload_bytes = 0;
            for message in rest {
                if buffer.len() >= BLOCK_BYTES {
                    break;
                }
                encode(buffer, &group.prefix, group.has_headers, message, input);
                count += 1;
                payload_bytes += u64::from(message.payload_bytes);
            }
            let end = buffer.len();
            for sub in &group.subs {
                if is_own(sub.connection.id) || sub.connection.is_closing() {
                    continue;
                }
                taken += 1;
                sub.count(count as u64);
                let stage = self.stage(&sub.connection);
                stage.from = client.connection.id;
                stage.share(&block, 0, end);
                stage.messages += count as u64;
                stage.message_bytes += payload_bytes;
                let is_full = stage.len() >= STAGE_BYTES_MAX;
                self.after_append(&sub.connection, 0, is_full, input);
            }
            self.keep_block(block);
            rest = &rest[count..];
        }
        taken
    }

    /// An empty block: the one used last, which the processor's cache holds, if no queue holds it
    /// any more; else the one used longest ago.
    fn spare_block(&mut self) -> Arc<Vec<u8>> {
        let blocks = &mut self.spare_blocks;
        let mut block = match () {
            () if blocks.back_mut().is_some_and(|block| Arc::get_mut(block).is_some()) => {
                blocks.pop_back()
            }
            () if blocks.front_mut().is_some_and(|block| Arc::get_mut(block).is_some()) => {
                blocks.pop_front()
            }
            () => None,
        }
        .unwrap_or_else(|| Arc::new(Vec::with_capacity(BLOCK_BYTES + BLOCK_ROOM_BYTES)));
        if let Some(buffer) = Arc::get_mut(&mut block) {
            buffer.clear();
        }
        block
    }

    fn keep_block(&mut self, block: Arc<Vec<u8>>) {
        if self.spare_blocks.len() >= SPARE_BLOCKS_MAX {
            self.spare_blocks.pop_front();
        }
        self.spare_blocks.push_back(block);
    }

    fn deliver_queue(
        &mut self,
        client: &mut Client,
        members: &[Member],
        message: &RunMessage,
        input: &[u8],
    ) -> bool {
        // A random start, then around: as in nats-server. The multiply maps without a division.
        let random = self.next_random() >> 32;
        let mut start = ((random * members.len() as u64) >> 32) as usize;
        if planted::is(Bug::QueueUnfair) {
            start = 0;
        }
        let all = planted::is(Bug::QueueDeliversToAll);
        let (before, from) = members.split_at(start);
        from.iter()
            .chain(before)
            .any(|member| self.deliver_member(client, member, message, input) && !all)
    }

    /// Delivers one message to one subscriber, if it may have it.
    fn deliver_member(
        &mut self,
        client: &mut Client,
        member: &Member,
        message: &RunMessage,
        input: &[u8],
    ) -> bool {
        let sub = &member.sub;
        let connection = &sub.connection;
        if (connection.id == client.connection.id && !client.has_echo())
            || connection.is_closing()
            || sub.is_ended()
        {
            return false;
        }
        if sub.is_checked() {
            if !self.may_receive(member, message, input) {
                return false;
            }
            match sub.claim() {
                Claim::Granted => {}
                Claim::Last => self.end_subscription(client, sub),
                Claim::Refused => return false,
            }
        } else {
            sub.count(1);
        }
        let prefix = (&*member.prefix, member.has_headers);
        self.copy_run(client, connection, prefix, std::slice::from_ref(message), input);
        true
    }

    fn may_receive(&self, member: &Member, message: &RunMessage, input: &[u8]) -> bool {
        let sub = &member.sub;
        let Some(policy) = sub.connection.policy() else { return true };
        if sub.is_filtered() {
            let queue = (!sub.queue().is_empty()).then(|| sub.queue());
            if policy.permissions.denies_delivery(member.subject(), queue) {
                return false;
            }
        }
        if sub.grants_responses()
            && let Some(reply) = message.reply(input)
        {
            policy.grant(reply, self.now);
        }
        true
    }

    /// Ends a subscription whose limit is reached by the message that is being delivered.
    fn end_subscription(&mut self, client: &Client, sub: &crate::subscription::SubRef) {
        if !sub.end() {
            return;
        }
        client.account.remove(sub);
        sub.connection.subscriptions.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        sub.connection.ended_subscriptions.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.trace_end(sub);
        self.hub.log.debug(|| {
            let sid = String::from_utf8_lossy(sub.sid());
            format!(
                "{} - Auto-unsubscribe limit of {} reached for sid '{sid}'",
                sub.connection.log_prefix(),
                sub.max()
            )
        });
    }

    /// 503 to a requester whose request reached nobody.
    fn tell_no_responders(&mut self, client: &mut Client, messages: &[RunMessage], input: &[u8]) {
        for message in messages {
            let Some(reply) = message.reply(input) else { continue };
            let Some(sid) = client.plain_sid_for(reply) else { continue };
            let header =
                [b"NATS/1.0 503\r\nNats-Subject: ".as_slice(), &self.run.subject, b"\r\n\r\n"]
                    .concat();
            let size = header.len().to_string();
            let line = [
                b"HMSG ".as_slice(),
                reply,
                b" ",
                &sid,
                b" ",
                size.as_bytes(),
                b" ",
                size.as_bytes(),
                b"\r\n",
                &header,
                b"\r\n",
            ]
            .concat();
            let connection = client.connection.clone();
            let stage = self.stage(&connection);
            stage.messages += 1;
            stage.message_bytes += header.len() as u64;
            if self.hub.log.is_tracing() {
                self.trace_message(&connection, &line, header.len());
            }
            self.stage_answer(&connection, &line);
        }
    }
}

impl Member {
    /// The subject that its prefix was made for.
    fn subject(&self) -> &[u8] {
        let end = self.prefix.len() - self.sub.sid().len() - 2;
        &self.prefix[b"HMSG ".len()..end]
    }
}

/// The prefix with the verb that the message has.
#[inline]
fn verb<'a>(prefix: &'a [u8], message: &RunMessage) -> &'a [u8] {
    if message.header_bytes == NO_HEADERS { &prefix[1..] } else { prefix }
}

/// Appends one message as its receiver reads it.
#[inline]
fn encode(
    buffer: &mut Vec<u8>,
    prefix: &[u8],
    has_headers: bool,
    message: &RunMessage,
    input: &[u8],
) {
    if loses_headers(has_headers, message) {
        encode_without_headers(buffer, prefix, message, input);
        return;
    }
    let tail = message.tail(input);
    let prefix = verb(prefix, message);
    buffer.reserve(prefix.len() + tail.len());
    buffer.extend_from_slice(prefix);
    buffer.extend_from_slice(tail);
}

/// Whether an HPUB becomes a MSG: for a receiver without headers, or when the block is empty.
#[inline]
fn loses_headers(has_headers: bool, message: &RunMessage) -> bool {
    message.header_bytes != NO_HEADERS && (!has_headers || message.header_bytes == 0)
}

/// A MSG made of an HPUB. The size stays as it was written unless a block is cut off, as in
/// nats-server.
#[cold]
fn encode_without_headers(buffer: &mut Vec<u8>, prefix: &[u8], message: &RunMessage, input: &[u8]) {
    let body = &message.payload(input)[message.header_bytes as usize..];
    buffer.extend_from_slice(&prefix[1..]);
    if let Some(reply) = message.reply(input) {
        buffer.extend_from_slice(reply);
        buffer.push(b' ');
    }
    if message.header_bytes == 0 || planted::is(Bug::StrippedSizeWrong) {
        buffer.extend_from_slice(message.size_text(input));
    } else {
        buffer.extend_from_slice(body.len().to_string().as_bytes());
    }
    buffer.extend_from_slice(b"\r\n");
    buffer.extend_from_slice(body);
    buffer.extend_from_slice(b"\r\n");
}
