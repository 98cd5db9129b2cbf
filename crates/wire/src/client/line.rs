//! The rest of a control line behind its verb, and its tokens.

use keelback_planted::{self as planted, Bug};
use memchr::memchr;

use super::verb::{Row, Tail};
use super::{Limits, Violation, unknown_operation};

/// Most digits of a size: 999,999,999 bytes.
const SIZE_DIGITS_MAX: usize = 9;

/// What may stand behind PING whatever the limit of a control line: four times its default.
const IGNORED_BYTES_MIN: usize = 16 << 10;

/// Most arguments that any verb takes.
const ARGUMENTS_MAX: usize = 4;

/// A whole control line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// What stands between the blanks behind the verb and the line's end.
    pub(super) argument: &'a [u8],
    /// Where `argument` starts in the input.
    pub(super) argument_start: usize,
    /// Length of the line with verb and line end.
    pub(super) bytes: usize,
}

impl<'a> Line<'a> {
    /// Reads the line that starts with the verb `row`; `None` when it is not whole yet.
    pub(super) fn read(
        input: &'a [u8],
        row: &Row,
        limits: &Limits,
    ) -> Result<Option<Self>, Violation> {
        let verb_end = row.text.len();
        if row.tail == Tail::Ignored {
            return Self::read_ignored(input, verb_end, limits);
        }
        if row.tail == Tail::BlankArguments {
            match input.get(verb_end) {
                None => return Ok(None),
                Some(&byte) if is_blank(byte) => {}
                Some(_) => return Err(unknown_operation(input, verb_end, row.states[verb_end])),
            }
        }
        let rest = &input[verb_end..];
        let blanks = rest.iter().take_while(|&&byte| is_blank(byte)).count();
        if blanks > limits.control_line_bytes_max {
            return Err(Violation::ControlLineTooLong);
        }
        Self::read_argument(input, verb_end + blanks, limits)
    }

    /// The first byte of an argument never ends it, be it CR or LF: that is how nats-server's
    /// machine enters the state. And one CR anywhere behind it makes the line's last byte fall,
    /// whichever that is; for well-made lines it is the CR of the line's end.
    fn read_argument(
        input: &'a [u8],
        argument_start: usize,
        limits: &Limits,
    ) -> Result<Option<Self>, Violation> {
        let most = limits.control_line_bytes_max;
        // Bounded: a peer that never ends its line makes us rescan no more than the limit.
        let window = &input[argument_start..];
        let window = &window[..window.len().min(most.saturating_add(2))];
        let Some((_, behind_first)) = window.split_first() else { return Ok(None) };
        let found = find_newline(behind_first);
        let behind_first = &behind_first[..found.unwrap_or(behind_first.len())];
        // Nearly always it is the last byte that is a CR, and the search is spared.
        let dropped = behind_first.last() == Some(&b'\r') || memchr(b'\r', behind_first).is_some();
        let argument = &window[..=behind_first.len() - usize::from(dropped)];
        if argument.len() > most + usize::from(planted::is(Bug::ControlLineLimitOffByOne)) {
            return Err(Violation::ControlLineTooLong);
        }
        Ok(found.map(|newline| Self {
            argument,
            argument_start,
            bytes: argument_start + 1 + newline + 1,
        }))
    }

    /// Whatever follows PING, PONG and +OK. nats-server forgets it byte by byte and so has no
    /// limit; we keep it until the line ends, up to [`IGNORED_BYTES_MIN`] or the limit if more.
    fn read_ignored(
        input: &'a [u8],
        verb_end: usize,
        limits: &Limits,
    ) -> Result<Option<Self>, Violation> {
        let most = limits.control_line_bytes_max.max(IGNORED_BYTES_MIN);
        let rest = &input[verb_end..];
        let window = &rest[..rest.len().min(most.saturating_add(2))];
        match find_newline(window) {
            Some(newline) => Ok(Some(Self {
                argument: &[],
                argument_start: verb_end,
                bytes: verb_end + newline + 1,
            })),
            // The line's CR is not counted, hence more by two.
            None if window.len() > most.saturating_add(1) => Err(Violation::ControlLineTooLong),
            None => Ok(None),
        }
    }
}

/// The place of the first LF. Lines are short, and a plain loop finds it before a call of `memchr`
/// has set itself up; on long ones `memchr` goes on.
#[inline]
fn find_newline(window: &[u8]) -> Option<usize> {
    const SHORT_BYTES: usize = 32;
    let short = &window[..window.len().min(SHORT_BYTES)];
    short.iter().position(|&byte| byte == b'\n').or_else(|| {
        let long = &window[short.len()..];
        memchr(b'\n', long).map(|at| short.len() + at)
    })
}

/// Separators between the arguments of PUB and HPUB, and before those of every verb.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Separators between the arguments of SUB and UNSUB.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A size, or the `max` of UNSUB: 1 to 9 decimal digits and nothing else.
#[inline]
pub(super) fn size(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > SIZE_DIGITS_MAX {
        return None;
    }
    let mut value = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + usize::from(digit);
    }
    Some(value)
}

/// Where the tokens of an argument stand.
pub(super) struct Tokens {
    ranges: [(usize, usize); ARGUMENTS_MAX + 1],
    /// Tokens met; one more than `ARGUMENTS_MAX` stands for all that is too many.
    count: usize,
}

impl Tokens {
    /// Start and end of each token, in order.
    pub(super) fn ranges(&self) -> &[(usize, usize)] {
        &self.ranges[..self.count]
    }

    /// The tokens themselves; `argument` is what they were read from.
    #[inline]
    pub(super) fn slices<'a>(&self, argument: &'a [u8]) -> Slices<'a> {
        let mut slices = Slices { slices: [&[]; ARGUMENTS_MAX + 1], count: self.count };
        for (slice, &(start, end)) in slices.slices.iter_mut().zip(self.ranges()) {
            *slice = &argument[start..end];
        }
        slices
    }
}

/// A few tokens, on the stack.
pub(super) struct Slices<'a> {
    slices: [&'a [u8]; ARGUMENTS_MAX + 1],
    count: usize,
}

impl<'a> Slices<'a> {
    pub(super) fn as_slice(&self) -> &[&'a [u8]] {
        &self.slices[..self.count]
    }
}

/// Splits an argument at runs of separators.
#[inline]
pub(super) fn tokens(argument: &[u8], is_separator: impl Fn(u8) -> bool) -> Tokens {
    let mut tokens = Tokens { ranges: [(0, 0); ARGUMENTS_MAX + 1], count: 0 };
    let mut at = 0;
    while tokens.count <= ARGUMENTS_MAX {
        let Some(skipped) = argument[at..].iter().position(|&byte| !is_separator(byte)) else {
            break;
        };
        let start = at + skipped;
        let length = argument[start..].iter().position(|&byte| is_separator(byte));
        at = length.map_or(argument.len(), |length| start + length);
        tokens.ranges[tokens.count] = (start, at);
        tokens.count += 1;
    }
    tokens
}
