//! One chunk of input of one client: operation after operation, until it ends.

use keelback_wire::client::{
    Limits, Op, Step, Violation, announced_subject, next_op, next_op_without_headers,
};
use keelback_wire::errors::{ClientError, ClosedReason};

use crate::client::{Client, Phase};
use crate::worker::Worker;

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// Bytes that are done with.
    pub used_bytes: usize,
    /// What the rest must grow to before it is worth another look; 0 when nothing is left.
    pub wanted_bytes: usize,
    /// What now.
    pub outcome: Outcome,
}

/// What a chunk asks of the reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Read on.
    Continue,
    /// Do not read until Python decided.
    Ask,
    /// Close; what is staged goes out first.
    Close(ClosedReason),
}

/// What an operation asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next operation.
    Continue,
    /// The next one, with the limits of whom the client is now.
    Admitted,
    /// Nothing, until Python answered.
    Ask,
}

impl Worker {
    /// Takes in what `client` sent. The caller keeps what is not used, and flushes at the end
    /// of its turn.
    pub fn ingest(&mut self, client: &mut Client, input: &[u8]) -> Ingested {
        client.traces = self.hub.log.is_tracing();
        self.renew_allowance(client);
        let mut limits = client.allowance.wire;
        let mut at = 0;
        let mut wanted_bytes = 0;
        // Of operations that are no activity, as in nats-server.
        let mut idle_bytes = 0;
        let mut outcome = Outcome::Continue;
        while at < input.len() {
            if client.phase == Phase::Open {
                let used = self.publish_repeats(client, input, at);
                if used > 0 {
                    at += used;
                    continue;
                }
            } else {
                if let Some(early) = self.before_open(client, input[at]) {
                    outcome = early;
                    break;
                }
                limits = client.allowance.wire;
            }
            let step = if client.flags.headers {
                next_op(&input[at..], &limits)
            } else {
                next_op_without_headers(&input[at..], &limits)
            };
            match step {
                Ok(Step::Op { op, used_bytes }) => {
                    if client.traces {
                        // Each message is followed by where it went.
                        self.close_run(client, input);
                        self.trace_in(client, &op, &input[at..at + used_bytes]);
                    }
                    if matches!(op, Op::Ping | Op::Pong | Op::Ok | Op::Info(_)) {
                        idle_bytes += used_bytes;
                    }
                    let next = self.apply(client, &op, input, at);
                    at += used_bytes;
                    match next {
                        Ok(Next::Continue) => {}
                        Ok(Next::Admitted) => limits = client.allowance.wire,
                        Ok(Next::Ask) => {
                            outcome = Outcome::Ask;
                            break;
                        }
                        Err(reason) => {
                            outcome = Outcome::Close(reason);
                            break;
                        }
                    }
                }
                Ok(Step::More { wanted_bytes: more }) => {
                    self.check_announced(client, at, input, &limits);
                    wanted_bytes = more;
                    break;
                }
                Err(violation) => {
                    self.check_announced(client, at, input, &limits);
                    outcome = Outcome::Close(self.refuse(client, &violation, input));
                    break;
                }
            }
        }
        self.close_run(client, input);
        self.flush_borrowed(input);
        self.publish_waiting();
        if at > 0 {
            client.keepalive.last_in = self.now;
        }
        if at > idle_bytes {
            client.connection.touch(self.now_ns);
        }
        self.count_lookups(&client.account);
        Ingested { used_bytes: at, wanted_bytes, outcome }
    }

    /// In pedantic mode an invalid subject is told when its control line is there, once.
    fn check_announced(&mut self, client: &mut Client, at: usize, input: &[u8], limits: &Limits) {
        if !client.flags.pedantic || client.told_invalid || client.phase != Phase::Open {
            return;
        }
        let announced = announced_subject(&input[at..], limits, client.flags.headers);
        let Some(subject) = announced else { return };
        if !keelback_subject::is_valid_literal(subject) {
            client.told_invalid = true;
            self.answer(client, &ClientError::InvalidPublishSubject, input);
        }
    }

    /// What may come before a client is admitted: CONNECT, or anything at all where clients
    /// without credentials are admitted.
    fn before_open(&mut self, client: &mut Client, first: u8) -> Option<Outcome> {
        if client.phase == Phase::Asked {
            return Some(Outcome::Ask);
        }
        if first.eq_ignore_ascii_case(&b'C') {
            return None;
        }
        if !self.settings.gate.admits_anonymous() {
            return Some(Outcome::Close(self.violate_authorization(client)));
        }
        client.came_early = true;
        match self.decide(client) {
            Ok(Next::Continue | Next::Admitted) => None,
            Ok(Next::Ask) => Some(Outcome::Ask),
            Err(reason) => Some(Outcome::Close(reason)),
        }
    }

    fn apply(
        &mut self,
        client: &mut Client,
        op: &Op<'_>,
        input: &[u8],
        start: usize,
    ) -> Result<Next, ClosedReason> {
        if let Op::Publish(message) = op {
            self.publish(client, message, input, start);
            return Ok(Next::Continue);
        }
        // What is delivered stays in its place among the answers.
        self.close_run(client, input);
        match *op {
            Op::Publish(_) | Op::Ok => {}
            Op::Connect(json) => return self.connect(client, json),
            Op::Info(json) => {
                if keelback_wire::info::check(json).is_err() {
                    return Err(ClosedReason::ProtocolViolation);
                }
            }
            Op::Ping => self.ping(client, input),
            Op::Pong => {
                client.keepalive.pong(self.now);
                client.tell_rtt();
            }
            Op::Err(text) => {
                let text = String::from_utf8_lossy(text);
                self.hub
                    .log
                    .error(|| format!("{} - Client Error {text}", client.connection.log_prefix()));
                return Err(ClosedReason::ParseError);
            }
            Op::Subscribe { subject, queue, sid } => {
                self.subscribe(client, subject, queue, sid, input);
            }
            Op::Unsubscribe { sid, max } => self.unsubscribe(client, sid, max),
        }
        Ok(Next::Continue)
    }

    /// Answers what the parser refused; returns why the connection closes.
    fn refuse(&mut self, client: &mut Client, violation: &Violation, input: &[u8]) -> ClosedReason {
        let (error, reason) = match violation {
            Violation::UnknownOperation { .. } => {
                (Some(ClientError::UnknownProtocolOperation), ClosedReason::ProtocolViolation)
            }
            Violation::BadArguments(_) => (None, ClosedReason::ProtocolViolation),
            Violation::ControlLineTooLong => (
                Some(ClientError::MaximumControlLineExceeded),
                ClosedReason::MaximumControlLineExceeded,
            ),
            Violation::PayloadTooLarge { .. } => {
                (Some(ClientError::MaximumPayloadViolation), ClosedReason::MaximumPayloadExceeded)
            }
        };
        if let Some(error) = error {
            self.answer(client, &error, input);
        }
        let limits = client.allowance.wire;
        self.hub.log.error(|| {
            format!("{} - {}", client.connection.log_prefix(), violation.log_line(&limits))
        });
        reason
    }
}
