//! PUB and HPUB: the control line, then the payload behind it.

use keelback_planted::{self as planted, Bug};

use super::line::{self, Line};
use super::verb::{STATE_PAYLOAD_CR, STATE_PAYLOAD_LF};
use super::{Limits, Op, Publish, Step, Violation, bad_arguments, unknown_operation};

/// The control line of a PUB or HPUB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    subject: &'a [u8],
    reply: Option<&'a [u8]>,
    header: Option<(&'a [u8], usize)>,
    size_text: &'a [u8],
    payload_bytes: usize,
    /// Where the part starts that can be copied as one piece.
    verbatim_start: Option<usize>,
    line_bytes: usize,
}

/// Reads the one spelling that makes up nearly all traffic, `PUB subject [reply] size\r\n` with
/// single spaces; `None` is for all others, right or wrong, which take the long way.
///
/// Plain byte loops: such lines are about 20 bytes long, where a call of `memchr` costs more.
#[inline]
pub(super) fn plain_pub<'a>(input: &'a [u8], limits: &Limits) -> Option<Head<'a>> {
    const SUBJECT_START: usize = 4;
    let &[p, u, b, b' '] = input.first_chunk()? else { return None };
    if [p | 0x20, u | 0x20, b | 0x20] != *b"pub" {
        return None;
    }
    let subject_end = plain_token_end(input, SUBJECT_START)?;
    if input[subject_end] != b' ' {
        return None;
    }
    let mut size_start = subject_end + 1;
    let mut end = plain_token_end(input, size_start)?;
    let mut reply = None;
    if input[end] == b' ' {
        reply = Some(&input[size_start..end]);
        size_start = end + 1;
        end = plain_token_end(input, size_start)?;
    }
    let ends_well = input[end] == b'\r' && input.get(end + 1) == Some(&b'\n');
    if !ends_well || end - SUBJECT_START > limits.control_line_bytes_max {
        return None;
    }
    let size_text = &input[size_start..end];
    Some(Head {
        subject: &input[SUBJECT_START..subject_end],
        reply,
        header: None,
        size_text,
        payload_bytes: line::size(size_text)?,
        verbatim_start: Some(subject_end + 1),
        line_bytes: end + 2,
    })
}

/// [`plain_pub`] for `HPUB subject [reply] headersize size\r\n`.
#[inline]
pub(super) fn plain_hpub<'a>(input: &'a [u8], limits: &Limits) -> Option<Head<'a>> {
    const SUBJECT_START: usize = 5;
    let &[h, p, u, b, b' '] = input.first_chunk()? else { return None };
    if [h | 0x20, p | 0x20, u | 0x20, b | 0x20] != *b"hpub" {
        return None;
    }
    let subject_end = plain_token_end(input, SUBJECT_START)?;
    let second_end = next_plain_token_end(input, subject_end)?;
    let third_end = next_plain_token_end(input, second_end)?;
    let (header_start, header_end, end) = match next_plain_token_end(input, third_end) {
        Some(fourth_end) => (second_end + 1, third_end, fourth_end),
        None => (subject_end + 1, second_end, third_end),
    };
    let ends_well = input[end] == b'\r' && input.get(end + 1) == Some(&b'\n');
    if !ends_well || end - SUBJECT_START > limits.control_line_bytes_max {
        return None;
    }
    let header_text = &input[header_start..header_end];
    let size_text = &input[header_end + 1..end];
    let (header_bytes, payload_bytes) = (line::size(header_text)?, line::size(size_text)?);
    if header_bytes > payload_bytes {
        return None;
    }
    Some(Head {
        subject: &input[SUBJECT_START..subject_end],
        reply: (header_start > subject_end + 1).then(|| &input[subject_end + 1..second_end]),
        header: Some((header_text, header_bytes)),
        size_text,
        payload_bytes,
        verbatim_start: Some(subject_end + 1),
        line_bytes: end + 2,
    })
}

/// The end of the token behind the one that ends at `end` with a single space.
#[inline]
fn next_plain_token_end(input: &[u8], end: usize) -> Option<usize> {
    if input[end] != b' ' {
        return None;
    }
    plain_token_end(input, end + 1)
}

/// The end of a token without control characters: the place of the first byte up to space.
/// `None` when there is no such byte, or no token.
#[inline]
fn plain_token_end(input: &[u8], start: usize) -> Option<usize> {
    let length = input[start..].iter().position(|&byte| byte <= b' ')?;
    (length > 0).then_some(start + length)
}

impl<'a> Head<'a> {
    /// `PUB <subject> [reply] <size>`.
    pub(super) fn of_pub(input: &'a [u8], line: &Line<'a>) -> Result<Self, Violation> {
        let tokens = line::tokens(line.argument, line::is_blank);
        let (subject, reply, size_text) = match *tokens.slices(line.argument).as_slice() {
            [subject, size] => (subject, None, size),
            [subject, reply, size] => (subject, Some(reply), size),
            _ => return Err(bad_arguments("processPub Parse Error", line.argument)),
        };
        let Some(payload_bytes) = line::size(size_text) else {
            return Err(bad_arguments("processPub Bad or Missing Size", line.argument));
        };
        Ok(Self {
            subject,
            reply,
            header: None,
            size_text,
            payload_bytes,
            verbatim_start: verbatim_start(input, line, tokens.ranges()),
            line_bytes: line.bytes,
        })
    }

    /// `HPUB <subject> [reply] <header size> <total size>`.
    pub(super) fn of_hpub(input: &'a [u8], line: &Line<'a>) -> Result<Self, Violation> {
        let wrong = |problem| Err(bad_arguments(problem, line.argument));
        let tokens = line::tokens(line.argument, line::is_blank);
        let (subject, reply, header_text, size_text) =
            match *tokens.slices(line.argument).as_slice() {
                [subject, header, size] => (subject, None, header, size),
                [subject, reply, header, size] => (subject, Some(reply), header, size),
                _ => return wrong("processHeaderPub Parse Error"),
            };
        let Some(header_bytes) = line::size(header_text) else {
            return wrong("processHeaderPub Bad or Missing Header Size");
        };
        let Some(payload_bytes) = line::size(size_text) else {
            return wrong("processHeaderPub Bad or Missing Total Size");
        };
        if header_bytes > payload_bytes {
            return wrong("processHeaderPub Header Size larger then TotalSize");
        }
        Ok(Self {
            subject,
            reply,
            header: Some((header_text, header_bytes)),
            size_text,
            payload_bytes,
            verbatim_start: verbatim_start(input, line, tokens.ranges()),
            line_bytes: line.bytes,
        })
    }

    /// HMSG is a verb between servers, but nats-server's machine also reads it from a client:
    /// it looks at no argument and takes an empty payload.
    pub(super) fn of_hmsg(line: &Line<'a>) -> Self {
        Self {
            subject: b"",
            reply: None,
            header: None,
            size_text: b"0",
            payload_bytes: 0,
            verbatim_start: None,
            line_bytes: line.bytes,
        }
    }

    /// The subject, unless the payload is larger than allowed.
    pub(super) fn subject_within(self, limits: &Limits) -> Option<&'a [u8]> {
        let is_within = limits.payload_bytes_max.is_none_or(|most| self.payload_bytes <= most);
        is_within.then_some(self.subject)
    }

    /// Takes the payload that follows the control line.
    #[inline]
    pub(super) fn with_payload(
        self,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<Step<'a>, Violation> {
        let off = usize::from(planted::is(Bug::PayloadLimitOffByOne));
        // Refused before a byte of it is buffered: the size is a stranger's word.
        if limits.payload_bytes_max.is_some_and(|most| self.payload_bytes > most + off) {
            return Err(Violation::PayloadTooLarge { declared_bytes: self.payload_bytes });
        }
        let body_end = self.line_bytes + self.payload_bytes;
        let used_bytes = body_end + 2;
        let is_split = planted::is(Bug::SplitReadOffByOne) && input.len() == body_end + 1;
        let used_bytes = used_bytes - usize::from(is_split);
        if !is_split && input.get(body_end..used_bytes) != Some(b"\r\n") {
            return unfinished(input, body_end);
        }
        let publish = Publish {
            subject: self.subject,
            reply: self.reply,
            header_bytes: self.header.map(|(_, bytes)| bytes),
            header_text: self.header.map_or(b"", |(text, _)| text),
            size_text: self.size_text,
            payload: &input[self.line_bytes..body_end],
            verbatim: self.verbatim_start.map(|start| &input[start..used_bytes]),
            line: &input[..self.line_bytes],
        };
        Ok(Step::Op { op: Op::Publish(publish), used_bytes })
    }
}

/// The payload has not arrived as a whole, or something other than CRLF follows it. A first wrong
/// byte is an error at once, so the wait is for that byte, not for both.
#[cold]
fn unfinished(input: &[u8], body_end: usize) -> Result<Step<'_>, Violation> {
    match input.get(body_end..) {
        None | Some([]) => Ok(Step::More { wanted_bytes: body_end + 1 }),
        Some(b"\r") => Ok(Step::More { wanted_bytes: body_end + 2 }),
        Some([b'\r', ..]) => Err(unknown_operation(input, body_end + 1, STATE_PAYLOAD_LF)),
        Some(_) => Err(unknown_operation(input, body_end, STATE_PAYLOAD_CR)),
    }
}

/// Where the arguments behind the subject start, if they stand as a MSG would have them.
fn verbatim_start(input: &[u8], line: &Line<'_>, tokens: &[(usize, usize)]) -> Option<usize> {
    let argument = line.argument;
    let single_spaces =
        tokens.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1 && argument[pair[0].1] == b' ');
    let at_the_end = tokens.last()?.1 == argument.len();
    let line_end = &input[line.argument_start + argument.len()..line.bytes];
    let subject_end = tokens.first()?.1;
    (single_spaces && at_the_end && line_end == b"\r\n")
        .then_some(line.argument_start + subject_end + 1)
}
