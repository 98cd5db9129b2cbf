//! The client protocol: bytes in, operations out. Knows no socket, no clock, no account.
//!
//! Source: nats-server 2.15 `server/parser.go`, whose machine reads one byte at a time. This one
//! reads whole operations, and is held against a plain byte-wise machine in `checks`.

mod line;
mod publish;
#[cfg(test)]
mod tests;
mod verb;

use self::line::Line;
use self::publish::Head;
use self::verb::Verb;
use crate::quote::quote;

/// What a peer may send at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument part of a control line (bytes, verb and separator not counted).
    ///
    /// Blanks before the arguments, and what follows PING, PONG and +OK up to the line's end, may
    /// each be as long at most; nats-server leaves these two unlimited because it never keeps them.
    pub control_line_bytes_max: usize,
    /// Largest payload, headers included (bytes); `None` is without limit.
    pub payload_bytes_max: Option<usize>,
}

/// One PUB or HPUB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Subject as sent. Empty only for an HMSG sent by a client: nats-server takes it, with an
    /// empty payload, and publishes it to nobody, without the pedantic check.
    pub subject: &'a [u8],
    /// Reply subject, if one was given.
    pub reply: Option<&'a [u8]>,
    /// Size of the header block for HPUB, `None` for PUB. At most the payload's size.
    pub header_bytes: Option<usize>,
    /// The size of the header block as it was written; empty for a PUB.
    pub header_text: &'a [u8],
    /// The total size as the peer wrote it: leading zeros are echoed.
    pub size_text: &'a [u8],
    /// Headers and body.
    pub payload: &'a [u8],
    /// `reply size\r\npayload\r\n` (everything after `subject` and its single space) when the
    /// arguments were separated by single spaces and the line ended in CRLF, so that it can be
    /// copied as one piece behind `MSG subject sid `. For HPUB, with the header size in its place.
    pub verbatim: Option<&'a [u8]>,
    /// The control line's bytes, verb and line end included.
    pub line: &'a [u8],
}

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// CONNECT with its JSON, not yet read.
    Connect(&'a [u8]),
    /// INFO with its JSON.
    Info(&'a [u8]),
    /// PING.
    Ping,
    /// PONG.
    Pong,
    /// +OK.
    Ok,
    /// -ERR with its text as sent.
    Err(&'a [u8]),
    /// PUB or HPUB.
    Publish(Publish<'a>),
    /// SUB.
    Subscribe {
        /// Subject as sent.
        subject: &'a [u8],
        /// Queue group.
        queue: Option<&'a [u8]>,
        /// Subscription id, any token.
        sid: &'a [u8],
    },
    /// UNSUB; `max` is `None` when absent, and 0 for what does not read as a positive number.
    Unsubscribe {
        /// Subscription id.
        sid: &'a [u8],
        /// Messages after which the subscription ends, counted since SUB.
        max: Option<u64>,
    },
}

/// A step of the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A whole operation; the caller drops the first `used_bytes` of its input.
    Op {
        /// What was said.
        op: Op<'a>,
        /// Bytes of input that it took.
        used_bytes: usize,
    },
    /// Not whole yet. Worth calling again once the input holds `wanted_bytes`.
    More {
        /// Bytes of input (from its start) to wait for, at least. Never more than the operation
        /// takes, and always more than the input held.
        wanted_bytes: usize,
    },
}

/// What a peer did wrong. The connection knows how to answer and whether to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// `-ERR 'Unknown Protocol Operation'`; the rest goes to the log.
    UnknownOperation {
        /// Up to 32 bytes from the place of the error; the input's last byte is left out when the
        /// input ends before, as in nats-server.
        snippet: Vec<u8>,
        /// nats-server's number for the state in which the wrong byte was met.
        state: u8,
        /// Place of the wrong byte, counted from the start of the input.
        offset: usize,
    },
    /// Closed without `-ERR`; the log line, e.g. `processPub Parse Error: "a b c d"`.
    BadArguments(String),
    /// `-ERR 'maximum control line exceeded'`.
    ControlLineTooLong,
    /// `-ERR 'Maximum Payload Violation'`.
    PayloadTooLarge {
        /// What the control line declared.
        declared_bytes: usize,
    },
}

impl Violation {
    /// The line for the log, in nats-server's words. It calls only parse errors by the
    /// connection's kind, and takes the limit from [`Limits`] for an oversized payload.
    pub fn log_line(&self, limits: &Limits) -> String {
        match self {
            Self::UnknownOperation { snippet, state, offset } => {
                let proto = quote(snippet);
                format!("Client parser ERROR, state={state}, i={offset}: proto='{proto}...'")
            }
            Self::BadArguments(line) => line.clone(),
            Self::ControlLineTooLong => "maximum control line exceeded".to_owned(),
            Self::PayloadTooLarge { declared_bytes } => {
                let most = limits.payload_bytes_max.unwrap_or(usize::MAX);
                format!("maximum payload exceeded: {declared_bytes} vs {most}")
            }
        }
    }
}

/// Parses the first operation of `input`; the operation borrows from it.
///
/// Verbs are case-insensitive and a bare LF ends a line too. A byte that no verb continues is an
/// error at once, without waiting for its line to end.
///
/// # Errors
/// What the peer did wrong. The connection answers with its `-ERR` line and knows whether to close.
#[inline]
pub fn next_op<'a>(input: &'a [u8], limits: &Limits) -> Result<Step<'a>, Violation> {
    match publish::plain_pub(input, limits) {
        Some(head) => head.with_payload(input, limits),
        None => match publish::plain_hpub(input, limits) {
            Some(head) => head.with_payload(input, limits),
            None => any_op(input, limits, true),
        },
    }
}

/// [`next_op`] for a connection that has not agreed on headers: HPUB is refused on its control
/// line, before its arguments are looked at.
///
/// # Errors
/// As [`next_op`]; HPUB gives [`Violation::BadArguments`], `message headers not supported`.
#[inline]
pub fn next_op_without_headers<'a>(
    input: &'a [u8],
    limits: &Limits,
) -> Result<Step<'a>, Violation> {
    match publish::plain_pub(input, limits) {
        Some(head) => head.with_payload(input, limits),
        None => any_op(input, limits, false),
    }
}

/// The subject of a PUB or HPUB whose control line is whole, right and within the limits,
/// whatever follows the line: nats-server complains about it before the payload is there.
/// `headers` is whether an HPUB may come.
#[cold]
pub fn announced_subject<'a>(input: &'a [u8], limits: &Limits, headers: bool) -> Option<&'a [u8]> {
    let verb = verb::read(input).ok()??;
    let line = Line::read(input, verb, limits).ok()??;
    let head = match verb.verb {
        Verb::Pub => Head::of_pub(input, &line).ok()?,
        Verb::Hpub if headers => Head::of_hpub(input, &line).ok()?,
        _ => return None,
    };
    head.subject_within(limits)
}

/// Every operation in every spelling; the short way for a plain PUB stands before it.
fn any_op<'a>(input: &'a [u8], limits: &Limits, headers: bool) -> Result<Step<'a>, Violation> {
    let Some(verb) = verb::read(input)? else { return Ok(more(input)) };
    let Some(line) = Line::read(input, verb, limits)? else { return Ok(more(input)) };
    let op = match verb.verb {
        Verb::Ping => Op::Ping,
        Verb::Pong => Op::Pong,
        Verb::Ok => Op::Ok,
        Verb::Connect => Op::Connect(line.argument),
        Verb::Info => Op::Info(line.argument),
        Verb::Err => Op::Err(line.argument),
        Verb::Sub => subscribe(line.argument)?,
        Verb::Unsub => unsubscribe(line.argument)?,
        Verb::Pub => return Head::of_pub(input, &line)?.with_payload(input, limits),
        Verb::Hpub if headers => {
            return Head::of_hpub(input, &line)?.with_payload(input, limits);
        }
        Verb::Hpub => {
            return Err(Violation::BadArguments("message headers not supported".to_owned()));
        }
        Verb::Hmsg => return Head::of_hmsg(&line).with_payload(input, limits),
    };
    Ok(Step::Op { op, used_bytes: line.bytes })
}

fn subscribe(argument: &[u8]) -> Result<Op<'_>, Violation> {
    match *line::tokens(argument, line::is_space).slices(argument).as_slice() {
        [subject, sid] => Ok(Op::Subscribe { subject, queue: None, sid }),
        [subject, queue, sid] => Ok(Op::Subscribe { subject, queue: Some(queue), sid }),
        _ => Err(bad_arguments("processSub Parse Error", argument)),
    }
}

fn unsubscribe(argument: &[u8]) -> Result<Op<'_>, Violation> {
    match *line::tokens(argument, line::is_space).slices(argument).as_slice() {
        [sid] => Ok(Op::Unsubscribe { sid, max: None }),
        // nats-server ends the subscription at once for whatever is not a number above 0.
        [sid, max] => Ok(Op::Unsubscribe { sid, max: Some(line::size(max).unwrap_or(0) as u64) }),
        _ => Err(bad_arguments("processUnsub Parse Error", argument)),
    }
}

/// Incomplete, and any further byte may decide.
fn more(input: &[u8]) -> Step<'_> {
    Step::More { wanted_bytes: input.len() + 1 }
}

/// A byte that the machine does not know in this state.
#[cold]
fn unknown_operation(input: &[u8], offset: usize, state: u8) -> Violation {
    const SNIPPET_BYTES_MAX: usize = 32;
    let mut stop = offset + SNIPPET_BYTES_MAX;
    if stop > input.len() {
        // nats-server cuts one byte too many here; its log lines are compared to the letter.
        stop = input.len() - 1;
    }
    Violation::UnknownOperation { snippet: input[offset..stop].to_vec(), state, offset }
}

#[cold]
fn bad_arguments(problem: &str, argument: &[u8]) -> Violation {
    Violation::BadArguments(format!("{problem}: {}", quote(argument)))
}
