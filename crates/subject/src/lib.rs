//! Subjects: tokens, validity, wildcards. Knows no subscription, no account, no wire.
//!
//! A subject is bytes, not text: nats-server checks no UTF-8 either. Tokens are separated by `.`;
//! `*` as a whole token stands for one token, `>` as the whole last token for one or more. Inside a
//! longer token both are plain bytes (`foo*`, `a>b`).
//!
//! Source: nats-server 2.15 `server/sublist.go`, `isValidSubject`, `isValidLiteralSubject`,
//! `isSubsetMatchTokenized`.
#![forbid(unsafe_code)]

pub mod transform;

const SEPARATOR: u8 = b'.';
const STAR: &[u8] = b"*";
const TAIL: &[u8] = b">";

/// What a well-formed subject may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Itself only.
    Literal,
    /// More than one subject: it has a `*` or `>` token.
    Wildcard,
}

/// The tokens of `subject`, in order; empty ones too, so that an empty subject has one.
pub fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|&byte| byte == SEPARATOR)
}

/// The number of tokens of `subject` (count); an empty subject has one, an empty token.
pub fn token_count(subject: &[u8]) -> usize {
    tokens(subject).count()
}

/// Whether `subject` is valid in a configuration or an API: well formed, and without white space.
pub fn is_valid(subject: &[u8]) -> bool {
    kind(subject).is_some() && !subject.iter().any(|&byte| is_white_space(byte))
}

/// What `subject` may stand for, or `None` if it is not well formed: no empty token, `>` only last.
///
/// This is all that nats-server asks of a SUB. White space ends an argument on the wire, except for
/// the form feed, which it accepts as part of a subject.
pub fn kind(subject: &[u8]) -> Option<Kind> {
    let mut kind = Kind::Literal;
    let mut ended = false;
    for token in tokens(subject) {
        if token.is_empty() || ended {
            return None;
        }
        if is_wildcard(token) {
            kind = Kind::Wildcard;
            ended = token == TAIL;
        }
    }
    Some(kind)
}

/// Whether no token of `subject` is a wildcard; says nothing about validity.
pub fn is_literal(subject: &[u8]) -> bool {
    !tokens(subject).any(is_wildcard)
}

/// Whether `subject` passes the check of a pedantic publish: no empty token and no wildcard.
///
/// White space is not looked at, as in nats-server: on the wire it cannot be part of a subject.
pub fn is_valid_literal(subject: &[u8]) -> bool {
    tokens(subject).all(|token| !token.is_empty() && !is_wildcard(token))
}

/// Whether no token of `subject` is empty: what a published subject needs to reach anyone.
pub fn has_no_empty_token(subject: &[u8]) -> bool {
    // One pass without slices: this runs for each match.
    let mut previous = SEPARATOR;
    for &byte in subject {
        if byte == SEPARATOR && previous == SEPARATOR {
            return false;
        }
        previous = byte;
    }
    previous != SEPARATOR
}

/// Whether a message published on `subject` reaches a subscription on `pattern`.
///
/// The tokens of `subject` are taken as they are: a published `a.*` is reached by `a.*` and `a.>`,
/// not by `a.b`. A subject with an empty token reaches nothing, an invalid pattern is not reached.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut wanted = tokens(pattern);
    let mut rest = tokens(subject);
    loop {
        match (wanted.next(), rest.next()) {
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None | Some(b"")) => return false,
            (Some(TAIL), Some(_)) => {
                return wanted.next().is_none() && rest.all(|token| !token.is_empty());
            }
            (Some(want), Some(token)) => {
                if want != STAR && want != token {
                    return false;
                }
            }
        }
    }
}

/// Whether every subject that `subject` stands for is matched by `pattern`; both may have wildcards.
///
/// `foo.*` is a subset of `>`, `*.*` and `foo.*`, not of `foo.bar`; `foo.>` is not one of `foo.*`.
/// Expects valid subjects; of invalid ones it says what nats-server says, so that `>` covers any
/// rest. A token that merely begins with `*` is plain here, where nats-server takes it for a
/// wildcard in `pattern`.
pub fn is_subset(subject: &[u8], pattern: &[u8]) -> bool {
    let mut inner = tokens(subject);
    for outer in tokens(pattern) {
        let Some(token) = inner.next() else { return false };
        if outer == TAIL {
            return true;
        }
        if outer.is_empty() || token.is_empty() || token == TAIL {
            return false;
        }
        if outer != STAR && outer != token {
            return false;
        }
    }
    inner.next().is_none()
}

/// Whether some subject is matched by both `left` and `right`; both may have wildcards.
pub fn overlaps(left: &[u8], right: &[u8]) -> bool {
    let mut left = tokens(left);
    let mut right = tokens(right);
    loop {
        match (left.next(), right.next()) {
            (None, None) | (Some(TAIL), Some(_)) | (Some(_), Some(TAIL)) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some(one), Some(other)) => {
                if one != STAR && other != STAR && one != other {
                    return false;
                }
            }
        }
    }
}

fn is_wildcard(token: &[u8]) -> bool {
    matches!(token, STAR | TAIL)
}

fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c')
}

#[cfg(test)]
mod tests;
