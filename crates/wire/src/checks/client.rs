//! Rules of the client parser.

use super::plain::{Fault, Plain, Said};
use crate::client::{Limits, Op, Step, Violation, next_op, next_op_without_headers};

/// Limits small enough for short inputs to reach, and the usual ones.
pub const LIMITS: [Limits; 3] = [
    Limits { control_line_bytes_max: 12, payload_bytes_max: Some(16) },
    Limits { control_line_bytes_max: 40, payload_bytes_max: None },
    Limits { control_line_bytes_max: 4096, payload_bytes_max: Some(1 << 20) },
];

/// Everything that was read from some input: operations, then perhaps what was wrong.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    said: Vec<Said>,
    fault: Option<Fault>,
}

/// All rules for one input; `seed` chooses where it is cut.
pub fn all(input: &[u8], seed: u64) {
    for limits in &LIMITS {
        for headers in [true, false] {
            let whole = read_whole(input, limits, headers);
            let plain = read_plainly(input, limits, headers);
            assert_eq!(whole, plain, "not what the plain machine reads: {}", input.escape_ascii());
            let cut = read_in_chunks(input, limits, headers, Cuts::new(seed));
            assert_eq!(whole, cut, "cut by seed {seed}: {}", input.escape_ascii());
            let single = read_in_chunks(input, limits, headers, std::iter::repeat(1));
            assert_eq!(whole, single, "byte by byte: {}", input.escape_ascii());
        }
    }
}

/// Sizes of chunks, the same for the same seed: mostly short ones.
struct Cuts(u64);

impl Cuts {
    fn new(seed: u64) -> Self {
        Self(seed | 1)
    }
}

impl Iterator for Cuts {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        // xorshift64: any sequence will do that differs from seed to seed.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let most = if self.0 & 0x100 == 0 { 4 } else { 40 };
        Some(1 + (self.0 >> 32) as usize % most)
    }
}

type Parser = for<'a> fn(&'a [u8], &Limits) -> Result<Step<'a>, Violation>;

fn parser(headers: bool) -> Parser {
    if headers {
        |input, limits| next_op(input, limits)
    } else {
        |input, limits| next_op_without_headers(input, limits)
    }
}

fn read_whole(mut input: &[u8], limits: &Limits, headers: bool) -> Outcome {
    let parse = parser(headers);
    let mut outcome = Outcome { said: Vec::new(), fault: None };
    loop {
        match parse(input, limits) {
            Ok(Step::Op { op, used_bytes }) => {
                outcome.said.push(said(&op, &input[..used_bytes]));
                input = &input[used_bytes..];
            }
            Ok(Step::More { wanted_bytes }) => {
                assert!(wanted_bytes > input.len(), "waits for what is there");
                return outcome;
            }
            Err(violation) => {
                outcome.fault = Some(fault(violation));
                return outcome;
            }
        }
    }
}

/// As a connection does: it keeps the unfinished tail, and asks again only when the wanted bytes
/// are there.
fn read_in_chunks(
    mut input: &[u8],
    limits: &Limits,
    headers: bool,
    mut sizes: impl Iterator<Item = usize>,
) -> Outcome {
    let parse = parser(headers);
    let mut outcome = Outcome { said: Vec::new(), fault: None };
    let mut tail = Vec::new();
    let mut wanted = 1;
    while !input.is_empty() {
        let (chunk, rest) = input.split_at(sizes.next().unwrap_or(1).min(input.len()));
        tail.extend_from_slice(chunk);
        input = rest;
        while tail.len() >= wanted {
            match parse(&tail, limits) {
                Ok(Step::Op { op, used_bytes }) => {
                    assert!(used_bytes >= wanted, "waited for more than the operation took");
                    outcome.said.push(said(&op, &tail[..used_bytes]));
                    tail.drain(..used_bytes);
                    wanted = 1;
                }
                Ok(Step::More { wanted_bytes }) => {
                    assert!(wanted_bytes > tail.len(), "waits for what is there");
                    wanted = wanted_bytes;
                }
                Err(violation) => {
                    outcome.fault = Some(fault(violation));
                    return outcome;
                }
            }
        }
    }
    outcome
}

fn read_plainly(input: &[u8], limits: &Limits, headers: bool) -> Outcome {
    let mut plain = Plain::new(*limits, headers);
    let mut outcome = Outcome { said: Vec::new(), fault: None };
    for &byte in input {
        match plain.push(byte) {
            Ok(said) => outcome.said.extend(said),
            Err(fault) => {
                outcome.fault = Some(fault);
                break;
            }
        }
    }
    outcome
}

fn fault(violation: Violation) -> Fault {
    match violation {
        Violation::UnknownOperation { offset, snippet, .. } => {
            assert!(snippet.len() <= 32, "long snippet");
            Fault::Unknown { offset }
        }
        Violation::BadArguments(line) => Fault::BadArguments(line),
        Violation::ControlLineTooLong => Fault::LineTooLong,
        Violation::PayloadTooLarge { declared_bytes } => Fault::PayloadTooLarge { declared_bytes },
    }
}

fn said(op: &Op<'_>, raw: &[u8]) -> Said {
    let owned = |bytes: &[u8]| Some(bytes.to_vec());
    let (verb, fields) = match op {
        Op::Connect(json) => ("connect", vec![owned(json)]),
        Op::Info(json) => ("info", vec![owned(json)]),
        Op::Ping => ("ping", vec![]),
        Op::Pong => ("pong", vec![]),
        Op::Ok => ("+ok", vec![]),
        Op::Err(text) => ("-err", vec![owned(text)]),
        Op::Subscribe { subject, queue, sid } => {
            ("sub", vec![owned(subject), queue.and_then(owned), owned(sid)])
        }
        Op::Unsubscribe { sid, max } => {
            ("unsub", vec![owned(sid), max.map(|max| max.to_string().into_bytes())])
        }
        Op::Publish(publish) => {
            assert!(publish.header_bytes.is_none_or(|bytes| bytes <= publish.payload.len()));
            let fields = vec![
                owned(publish.subject),
                publish.reply.and_then(owned),
                publish.header_bytes.map(|bytes| bytes.to_string().into_bytes()),
                publish.header_bytes.and_then(|_| owned(publish.header_text)),
                owned(publish.size_text),
                owned(publish.payload),
                publish.verbatim.and_then(owned),
                owned(publish.line),
            ];
            ("publish", fields)
        }
    };
    Said { verb, fields, raw: raw.to_vec() }
}
