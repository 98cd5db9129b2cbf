//! The verbs a client may send, and the states in which nats-server's machine reads them.

use super::{Violation, unknown_operation};

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Connect,
    Info,
    Ping,
    Pong,
    Ok,
    Err,
    Pub,
    Hpub,
    Hmsg,
    Sub,
    Unsub,
}

/// What may stand behind a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Anything up to the line's end, ignored.
    Ignored,
    /// Arguments; blanks before them may be missing.
    Arguments,
    /// At least one blank, then arguments.
    BlankArguments,
}

/// One verb: its text, and the number of the state in which each of its bytes is read.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) verb: Verb,
    /// Lower case.
    pub(super) text: &'static [u8],
    /// `states[n]` is the state after `n` bytes; the numbers show in nats-server's log.
    pub(super) states: &'static [u8],
    pub(super) tail: Tail,
}

/// State in which the CR behind a payload is read.
pub(super) const STATE_PAYLOAD_CR: u8 = 41;
/// State in which the LF behind a payload is read.
pub(super) const STATE_PAYLOAD_LF: u8 = 42;
const STATE_START: u8 = 0;
const STATE_H: u8 = 18;
const STATE_P: u8 = 29;

const fn row(verb: Verb, text: &'static [u8], states: &'static [u8], tail: Tail) -> Row {
    assert!(states.len() == text.len() + 1);
    Row { verb, text, states, tail }
}

static CONNECT: Row =
    row(Verb::Connect, b"connect", &[0, 10, 11, 12, 13, 14, 15, 16], Tail::Arguments);
static INFO: Row = row(Verb::Info, b"info", &[0, 71, 72, 73, 74], Tail::Arguments);
static PING: Row = row(Verb::Ping, b"ping", &[0, STATE_P, 34, 35, 36], Tail::Ignored);
static PONG: Row = row(Verb::Pong, b"pong", &[0, STATE_P, 37, 38, 39], Tail::Ignored);
static OK: Row = row(Verb::Ok, b"+ok", &[0, 1, 2, 3], Tail::Ignored);
static ERR: Row = row(Verb::Err, b"-err", &[0, 4, 5, 6, 7], Tail::BlankArguments);
static PUB: Row = row(Verb::Pub, b"pub", &[0, STATE_P, 30, 31], Tail::BlankArguments);
static HPUB: Row = row(Verb::Hpub, b"hpub", &[0, STATE_H, 19, 20, 21], Tail::BlankArguments);
static HMSG: Row = row(Verb::Hmsg, b"hmsg", &[0, STATE_H, 24, 25, 26], Tail::BlankArguments);
static SUB: Row = row(Verb::Sub, b"sub", &[0, 43, 44, 45], Tail::BlankArguments);
static UNSUB: Row = row(Verb::Unsub, b"unsub", &[0, 59, 60, 61, 62, 63], Tail::BlankArguments);

/// Reads the verb at the start of `input`; `None` when it is not whole yet.
///
/// # Errors
/// A byte that continues no verb, at once.
pub(super) fn read(input: &[u8]) -> Result<Option<&'static Row>, Violation> {
    let Some(row) = by_first_bytes(input)? else { return Ok(None) };
    for (offset, &expected) in row.text.iter().enumerate().skip(1) {
        match input.get(offset) {
            None => return Ok(None),
            Some(byte) if byte.to_ascii_lowercase() == expected => {}
            Some(_) => return Err(unknown_operation(input, offset, row.states[offset])),
        }
    }
    Ok(Some(row))
}

/// The verb that the first byte, or the first two, leave.
fn by_first_bytes(input: &[u8]) -> Result<Option<&'static Row>, Violation> {
    let Some(first) = input.first() else { return Ok(None) };
    let second = input.get(1).map(u8::to_ascii_lowercase);
    let row = match (first.to_ascii_lowercase(), second) {
        (b'p' | b'h', None) => return Ok(None),
        (b'p', Some(b'u')) => &PUB,
        (b'p', Some(b'i')) => &PING,
        (b'p', Some(b'o')) => &PONG,
        (b'p', Some(_)) => return Err(unknown_operation(input, 1, STATE_P)),
        (b'h', Some(b'p')) => &HPUB,
        (b'h', Some(b'm')) => &HMSG,
        (b'h', Some(_)) => return Err(unknown_operation(input, 1, STATE_H)),
        (b's', _) => &SUB,
        (b'u', _) => &UNSUB,
        (b'c', _) => &CONNECT,
        (b'i', _) => &INFO,
        (b'+', _) => &OK,
        (b'-', _) => &ERR,
        _ => return Err(unknown_operation(input, 0, STATE_START)),
    };
    Ok(Some(row))
}
