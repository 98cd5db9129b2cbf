//! The client protocol read byte by byte, slow on purpose: each rule stands here once, as
//! nats-server's machine has it, without short ways and without looking ahead.

use crate::client::Limits;
use crate::quote::quote;

const VERBS: [&str; 11] =
    ["connect", "info", "ping", "pong", "+ok", "-err", "pub", "hpub", "hmsg", "sub", "unsub"];

/// One operation, as a name and its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) verb: &'static str,
    pub(super) fields: Vec<Option<Vec<u8>>>,
    /// All of its bytes.
    pub(super) raw: Vec<u8>,
}

/// Why reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Unknown { offset: usize },
    BadArguments(String),
    LineTooLong,
    PayloadTooLarge { declared_bytes: usize },
}

/// Where in an operation the machine stands.
enum State {
    Verb,
    /// Between verb and argument.
    Blanks(&'static str),
    Argument(&'static str),
    /// Behind a verb whose arguments do not count.
    Ignored(&'static str),
    Payload(Head),
    Cr(Head),
    Lf(Head),
}

/// What may stand behind PING whatever the limit.
const IGNORED_BYTES_MIN: usize = 16 << 10;

/// A publish whose line was read.
struct Head {
    tokens: Vec<Vec<u8>>,
    has_header: bool,
    payload_bytes: usize,
    line_bytes: usize,
}

/// The machine.
pub(super) struct Plain {
    limits: Limits,
    headers: bool,
    /// All bytes of this operation so far.
    raw: Vec<u8>,
    state: State,
    /// Where in `raw` the argument begins.
    argument_start: usize,
    /// A CR stands behind the argument's first byte.
    saw_cr: bool,
    payload_start: usize,
}

impl Plain {
    pub(super) fn new(limits: Limits, headers: bool) -> Self {
        Self {
            limits,
            headers,
            raw: Vec::new(),
            state: State::Verb,
            argument_start: 0,
            saw_cr: false,
            payload_start: 0,
        }
    }

    /// Takes one byte; gives the operation that it ends.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<Said>, Fault> {
        self.raw.push(byte);
        let unknown = Err(Fault::Unknown { offset: self.raw.len() - 1 });
        match std::mem::replace(&mut self.state, State::Verb) {
            State::Verb => self.verb()?,
            State::Blanks(verb) => {
                let blanks = self.raw.len() - verb.len();
                if byte == b' ' || byte == b'\t' {
                    if blanks > self.limits.control_line_bytes_max {
                        return Err(Fault::LineTooLong);
                    }
                    self.state = State::Blanks(verb);
                } else if blanks == 1 && !matches!(verb, "connect" | "info") {
                    return unknown;
                } else {
                    self.argument_start = self.raw.len() - 1;
                    self.saw_cr = false;
                    self.check_length(self.raw.len())?;
                    self.state = State::Argument(verb);
                }
            }
            State::Argument(verb) if byte == b'\n' => return self.line(verb),
            State::Argument(verb) => {
                self.saw_cr |= byte == b'\r';
                self.check_length(self.raw.len())?;
                self.state = State::Argument(verb);
            }
            State::Ignored(verb) if byte == b'\n' => return Ok(Some(self.said(verb, vec![]))),
            State::Ignored(verb) => {
                let most = self.limits.control_line_bytes_max.max(IGNORED_BYTES_MIN);
                if self.raw.len() - verb.len() > most + 1 {
                    return Err(Fault::LineTooLong);
                }
                self.state = State::Ignored(verb);
            }
            State::Payload(head) => self.payload(head),
            State::Cr(_) if byte != b'\r' => return unknown,
            State::Cr(head) => self.state = State::Lf(head),
            State::Lf(_) if byte != b'\n' => return unknown,
            State::Lf(head) => return Ok(Some(self.publish(&head))),
        }
        Ok(None)
    }

    fn verb(&mut self) -> Result<(), Fault> {
        let text = self.raw.to_ascii_lowercase();
        let Some(verb) = VERBS.iter().find(|verb| verb.as_bytes().starts_with(&text)) else {
            return Err(Fault::Unknown { offset: self.raw.len() - 1 });
        };
        if text == verb.as_bytes() {
            self.state = match *verb {
                "ping" | "pong" | "+ok" => State::Ignored(verb),
                _ => State::Blanks(verb),
            };
        }
        Ok(())
    }

    /// Length of the argument that ends at `end`. A CR in it makes its last byte fall.
    fn argument_bytes(&self, end: usize) -> usize {
        end - self.argument_start - usize::from(self.saw_cr)
    }

    fn check_length(&self, end: usize) -> Result<(), Fault> {
        let too_long = self.argument_bytes(end) > self.limits.control_line_bytes_max;
        if too_long { Err(Fault::LineTooLong) } else { Ok(()) }
    }

    /// The line has ended with the last byte.
    fn line(&mut self, verb: &'static str) -> Result<Option<Said>, Fault> {
        let end = self.raw.len() - 1;
        self.check_length(end)?;
        let argument = self.raw[self.argument_start..][..self.argument_bytes(end)].to_vec();
        let separators: &[u8] = if matches!(verb, "pub" | "hpub") { b" \t" } else { b" \t\r\n" };
        let tokens: Vec<Vec<u8>> = argument
            .split(|byte| separators.contains(byte))
            .filter(|token| !token.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let bad =
            |problem: &str| Err(Fault::BadArguments(format!("{problem}: {}", quote(&argument))));
        let mut fields: Vec<Option<Vec<u8>>> = tokens.iter().cloned().map(Some).collect();
        match (verb, tokens.len()) {
            ("connect" | "info" | "-err", _) => Ok(Some(self.said(verb, vec![Some(argument)]))),
            ("sub", 2) => {
                fields.insert(1, None);
                Ok(Some(self.said(verb, fields)))
            }
            ("sub", 3) => Ok(Some(self.said(verb, fields))),
            ("sub", _) => bad("processSub Parse Error"),
            ("unsub", 1) => {
                fields.push(None);
                Ok(Some(self.said(verb, fields)))
            }
            ("unsub", 2) => {
                let max = size(&tokens[1]).unwrap_or(0);
                fields[1] = Some(max.to_string().into_bytes());
                Ok(Some(self.said(verb, fields)))
            }
            ("unsub", _) => bad("processUnsub Parse Error"),
            ("hmsg", _) => self.head(vec![Vec::new(), b"0".to_vec()], false, 0),
            ("hpub", _) if !self.headers => {
                Err(Fault::BadArguments("message headers not supported".to_owned()))
            }
            ("hpub", 3 | 4) => {
                match (size(&tokens[tokens.len() - 2]), size(&tokens[tokens.len() - 1])) {
                    (None, _) => bad("processHeaderPub Bad or Missing Header Size"),
                    (_, None) => bad("processHeaderPub Bad or Missing Total Size"),
                    (Some(header), Some(total)) if header > total => {
                        bad("processHeaderPub Header Size larger then TotalSize")
                    }
                    (_, Some(total)) => self.head(tokens, true, total),
                }
            }
            ("hpub", _) => bad("processHeaderPub Parse Error"),
            ("pub", 2 | 3) => match size(&tokens[tokens.len() - 1]) {
                None => bad("processPub Bad or Missing Size"),
                Some(total) => self.head(tokens, false, total),
            },
            _ => bad("processPub Parse Error"),
        }
    }

    fn head(
        &mut self,
        tokens: Vec<Vec<u8>>,
        has_header: bool,
        payload_bytes: usize,
    ) -> Result<Option<Said>, Fault> {
        if self.limits.payload_bytes_max.is_some_and(|most| payload_bytes > most) {
            return Err(Fault::PayloadTooLarge { declared_bytes: payload_bytes });
        }
        self.payload_start = self.raw.len();
        let head = Head { tokens, has_header, payload_bytes, line_bytes: self.raw.len() };
        self.state = if payload_bytes == 0 { State::Cr(head) } else { State::Payload(head) };
        Ok(None)
    }

    fn payload(&mut self, head: Head) {
        let whole = self.raw.len() - self.payload_start == head.payload_bytes;
        self.state = if whole { State::Cr(head) } else { State::Payload(head) };
    }

    fn publish(&mut self, head: &Head) -> Said {
        let payload = &self.raw[head.line_bytes..][..head.payload_bytes];
        let (subject, behind) = head.tokens.split_at(1);
        let numbers = if head.has_header { 2 } else { 1 };
        let reply = (behind.len() > numbers).then(|| behind[0].clone());
        let header_text = head.has_header.then(|| behind[behind.len() - 2].clone());
        let header =
            header_text.as_deref().and_then(size).map(|size| size.to_string().into_bytes());
        // As it would be written anew, behind the subject.
        let anew = [b" ", behind.join(&b' ').as_slice(), b"\r\n", payload, b"\r\n"].concat();
        let as_sent = &self.raw[self.argument_start + subject[0].len()..];
        let verbatim = (!subject[0].is_empty() && as_sent == anew).then(|| anew[1..].to_vec());
        let fields = vec![
            Some(subject[0].clone()),
            reply,
            header,
            header_text,
            behind.last().cloned(),
            Some(payload.to_vec()),
            verbatim,
            Some(self.raw[..head.line_bytes].to_vec()),
        ];
        self.said("publish", fields)
    }

    fn said(&mut self, verb: &'static str, fields: Vec<Option<Vec<u8>>>) -> Said {
        Said { verb, fields, raw: std::mem::take(&mut self.raw) }
    }
}

fn size(text: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(text).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 9;
    if plain { digits.parse().ok() } else { None }
}
