//! PUB and HPUB: what a client may publish, who wants it, and the run that gathers it.

use std::sync::Arc;

use keelback_wire::client::Publish;
use keelback_wire::errors::ClientError;

use crate::client::{Client, LastMatch};
use crate::stage::STAGE_BYTES_MAX;
use crate::targets::Targets;
use crate::worker::{NO_HEADERS, RunMessage, Worker};

/// Runs are closed at this many bytes, so that what they refer to is still in the cache.
const RUN_BYTES_MAX: usize = STAGE_BYTES_MAX;

/// Prefixes that only servers may use as replies.
const RESERVED_REPLIES: [&[u8]; 3] = [b"_R_.", b"$JS.ACK.", b"_GR_."];

impl Worker {
    /// Takes as many messages as repeat the remembered control line; returns the bytes used.
    #[inline]
    pub(crate) fn publish_repeats(
        &mut self,
        client: &mut Client,
        input: &[u8],
        start: usize,
    ) -> usize {
        let memo = &client.memo;
        let line_bytes = memo.line.len();
        if line_bytes == 0 || !input[start..].starts_with(&memo.line) {
            return 0;
        }
        let Some(last) = &mut client.last_match else { return 0 };
        let generations = &client.account.generations;
        let any = generations.any();
        if last.any != any {
            if !generations.is_current(&last.stamp) {
                client.memo.line.clear();
                return 0;
            }
            last.any = any;
        }
        let total = memo.total_bytes;
        let mut at = start;
        let mut count = 0;
        if last.targets.is_empty() && !(client.flags.no_responders && memo.reply_bytes > 0) {
            while is_repeat(input, at, &memo.line, total) {
                at += total;
                count += 1;
            }
        } else {
            if !self.continue_run(&last.targets) {
                self.begin_run(client, input);
            }
            let memo = &client.memo;
            let tail_bytes = total as u32 - memo.tail_at;
            let is_single = self.must_stay_single(client);
            let room = RUN_BYTES_MAX.saturating_sub(self.run.tail_bytes);
            let limit = if is_single { 1 } else { room / tail_bytes as usize + 1 };
            let mut message = RunMessage {
                tail_start: at as u32 + memo.tail_at,
                tail_bytes,
                payload_bytes: memo.payload_bytes,
                header_bytes: memo.header_bytes,
                reply_bytes: memo.reply_bytes,
            };
            while count < limit && is_repeat(input, at, &memo.line, total) {
                self.run.messages.push(message);
                message.tail_start += total as u32;
                at += total;
                count += 1;
            }
            self.run.tail_bytes += tail_bytes as usize * count;
            if is_single || self.run.tail_bytes >= RUN_BYTES_MAX {
                self.close_run(client, input);
            }
        }
        let payload = u64::from(client.memo.payload_bytes);
        client.connection.counters.add_in(count as u64, payload * count as u64);
        at - start
    }

    /// Ends the run that is open and begins one with the client's last match.
    fn begin_run(&mut self, client: &mut Client, input: &[u8]) {
        self.close_run(client, input);
        let Some(last) = &client.last_match else { return };
        self.run.targets = Some(last.targets.clone());
        if client.flags.no_responders {
            self.run.subject.clear();
            self.run.subject.extend_from_slice(&last.subject);
        }
    }

    #[inline]
    fn continue_run(&self, targets: &Arc<Targets>) -> bool {
        self.run.targets.as_ref().is_some_and(|current| Arc::ptr_eq(current, targets))
    }

    /// Whether each message is delivered before the next is looked at.
    fn must_stay_single(&self, client: &Client) -> bool {
        let Some(targets) = &self.run.targets else { return true };
        targets.is_interleaved
            || (client.flags.no_responders && !targets.reaches_beyond(client.connection.id))
    }

    /// One PUB or HPUB that was parsed; `start` is where it stands in the input.
    pub(crate) fn publish(
        &mut self,
        client: &mut Client,
        message: &Publish<'_>,
        input: &[u8],
        start: usize,
    ) {
        client.connection.counters.add_in(1, message.payload.len() as u64);
        let Some(is_repeatable) = self.permits(client, message, input) else { return };
        if client.flags.verbose {
            self.close_run(client, input);
            let connection = client.connection.clone();
            self.reply(&connection, b"+OK\r\n");
        }
        self.find_targets(client, message.subject);
        let Some(verbatim) = message.verbatim else {
            self.publish_normalized(client, message, input);
            return;
        };
        let line_bytes = message.line.len();
        let payload_bytes = message.payload.len();
        let tail_at = line_bytes + payload_bytes + 2 - verbatim.len();
        let run_message = RunMessage {
            tail_start: (start + tail_at) as u32,
            tail_bytes: verbatim.len() as u32,
            payload_bytes: payload_bytes as u32,
            header_bytes: message.header_bytes.map_or(NO_HEADERS, |bytes| bytes as u32),
            reply_bytes: message.reply.map_or(0, <[u8]>::len) as u32,
        };
        let memo = &mut client.memo;
        memo.line.clear();
        if is_repeatable {
            memo.line.extend_from_slice(message.line);
            memo.total_bytes = line_bytes + payload_bytes + 2;
            memo.tail_at = tail_at as u32;
            memo.payload_bytes = run_message.payload_bytes;
            memo.header_bytes = run_message.header_bytes;
            memo.reply_bytes = run_message.reply_bytes;
        }
        self.add_to_run(client, run_message, input);
    }

    fn add_to_run(&mut self, client: &mut Client, message: RunMessage, input: &[u8]) {
        let Some(last) = &client.last_match else { return };
        if last.targets.is_empty() && !(client.flags.no_responders && message.reply_bytes > 0) {
            return;
        }
        if !self.continue_run(&last.targets) {
            self.begin_run(client, input);
        }
        self.run.messages.push(message);
        self.run.tail_bytes += message.tail_bytes as usize;
        if self.run.tail_bytes >= RUN_BYTES_MAX || self.must_stay_single(client) {
            self.close_run(client, input);
        }
    }

    /// Makes `client.last_match` that of `subject`.
    fn find_targets(&mut self, client: &mut Client, subject: &[u8]) {
        let any = client.account.generations.any();
        if let Some(last) = &mut client.last_match
            && last.subject == subject
            && (last.any == any || client.account.generations.is_current(&last.stamp))
        {
            last.any = any;
            return;
        }
        let (targets, stamp) = self.targets_of(&client.account, subject, any);
        match &mut client.last_match {
            Some(last) => {
                last.subject.clear();
                last.subject.extend_from_slice(subject);
                last.targets = targets;
                last.stamp = stamp;
                last.any = any;
            }
            None => {
                client.last_match =
                    Some(LastMatch { subject: subject.to_vec(), targets, stamp, any });
            }
        }
    }

    /// Whether the message may go on; `Some(true)` when the same control line would get the
    /// same answer again.
    fn permits(
        &mut self,
        client: &mut Client,
        message: &Publish<'_>,
        input: &[u8],
    ) -> Option<bool> {
        let subject = message.subject;
        let mut is_repeatable = !client.flags.verbose && !client.traces;
        // Without subject: an HMSG, which a client may say and nobody hears.
        let was_told = std::mem::take(&mut client.told_invalid);
        if client.flags.pedantic
            && !was_told
            && !subject.is_empty()
            && !keelback_subject::is_valid_literal(subject)
        {
            self.answer(client, &ClientError::InvalidPublishSubject, input);
            is_repeatable = false;
        }
        let is_reserved = subject.starts_with(b"_GR_.")
            || (subject.starts_with(b"$NRG.") && !client.account.is_system());
        let mut may_publish = !is_reserved;
        if let Some(policy) = &client.policy
            && may_publish
            && !policy.permissions.may_publish(subject)
        {
            is_repeatable = false;
            may_publish = policy.may_respond(subject, self.now);
        }
        if !may_publish {
            let error = ClientError::PublishDenied { subject };
            self.answer(client, &error, input);
            self.hub.log.error(|| {
                let subject = String::from_utf8_lossy(subject).into_owned();
                let prefix = client.connection.log_prefix();
                format!("{prefix} - Publish Violation - Subject {subject:?}")
            });
            return None;
        }
        if let Some(reply) = message.reply
            && RESERVED_REPLIES.iter().any(|prefix| reply.starts_with(prefix))
        {
            let error = ClientError::ReplyDenied { reply };
            self.answer(client, &error, input);
            self.hub.log.error(|| {
                let reply = String::from_utf8_lossy(reply).into_owned();
                let prefix = client.connection.log_prefix();
                format!("{prefix} - Publish Violation - Reply {reply:?}")
            });
            return None;
        }
        Some(is_repeatable)
    }

    /// `-ERR` in its place among what is delivered.
    pub(crate) fn answer(&mut self, client: &mut Client, error: &ClientError<'_>, input: &[u8]) {
        self.close_run(client, input);
        let mut line = Vec::new();
        error.write(&mut line);
        let connection = client.connection.clone();
        self.reply(&connection, &line);
    }

    /// A message whose control line was written with tabs, runs of blanks or a bare LF: put in
    /// the usual form, which the fast path copies from.
    fn publish_normalized(&mut self, client: &mut Client, message: &Publish<'_>, input: &[u8]) {
        self.close_run(client, input);
        // What follows borrows from `text`; a stage borrows from one place at a time.
        self.flush_borrowed(input);
        client.memo.line.clear();
        let mut text = Vec::with_capacity(message.payload.len() + 64);
        if let Some(reply) = message.reply {
            text.extend_from_slice(reply);
            text.push(b' ');
        }
        if message.header_bytes.is_some() {
            text.extend_from_slice(message.header_text);
            text.push(b' ');
        }
        text.extend_from_slice(message.size_text);
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(message.payload);
        text.extend_from_slice(b"\r\n");
        let run_message = RunMessage {
            tail_start: 0,
            tail_bytes: text.len() as u32,
            payload_bytes: message.payload.len() as u32,
            header_bytes: message.header_bytes.map_or(NO_HEADERS, |bytes| bytes as u32),
            reply_bytes: message.reply.map_or(0, <[u8]>::len) as u32,
        };
        self.add_to_run(client, run_message, &text);
        self.close_run(client, &text);
        self.flush_borrowed(&text);
    }
}

/// Whether at `at` the whole message with control line `line` stands.
#[inline]
fn is_repeat(input: &[u8], at: usize, line: &[u8], total: usize) -> bool {
    let end = at + total;
    end <= input.len() && input[at..].starts_with(line) && input[end - 2..end] == *b"\r\n"
}
