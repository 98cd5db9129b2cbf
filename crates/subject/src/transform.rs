//! Subject transforms: a pattern, and what a subject that it matches becomes.
//!
//! A destination's tokens are literals, `$n`, or functions of the tokens that the pattern's `*` stand
//! for: `{{wildcard(n)}}`, `{{partition(buckets, n, …)}}`, `{{split(n, delimiter)}}`,
//! `{{splitFromLeft(n, at)}}`, `{{splitFromRight(n, at)}}`, `{{sliceFromLeft(n, size)}}`,
//! `{{sliceFromRight(n, size)}}`, `{{left(n, length)}}`, `{{right(n, length)}}`, `{{random(limit)}}`.
//! A `>` at the end of both carries over what it stands for.
//!
//! Source: nats-server 2.15 `server/subject_transform.go`, its quirks included: a `*` with number 0
//! or below is the first token, and positions beyond a token leave it as it is.

mod function;

use std::fmt;

use function::Function;

use crate::{STAR, TAIL, is_valid_literal, matches, tokens};

/// Why a transform cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransformError {
    /// A side is no valid subject, the destination has a `*`, or one side alone ends with `>`.
    BadSubject,
    /// A token of the destination is wrong, in this way.
    Destination(Wrong, Vec<u8>),
}

/// What is wrong with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no such function.
    UnknownFunction,
    /// It speaks of a `*` that the pattern does not have.
    OutOfRange,
    /// Too few arguments.
    NotEnough,
    /// Too many arguments.
    TooMany,
    /// An argument that is no number, or no delimiter.
    Argument,
    /// A reversible transform has only `wildcard`.
    NotReversible,
    /// A reversible transform needs every `*` of its pattern.
    NotAllUsed,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownFunction => "unknown function",
            Self::OutOfRange => "wildcard index out of range",
            Self::NotEnough => "not enough arguments passed to the function",
            Self::TooMany => "too many arguments passed to the function",
            Self::Argument => "function argument is invalid or in the wrong format",
            Self::NotReversible => {
                "the only mapping function allowed for import transforms is {{Wildcard()}}"
            }
            Self::NotAllUsed => "not using all of the token wildcard(s)",
        })
    }
}

impl fmt::Display for TransformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSubject => formatter.write_str("invalid subject"),
            Self::Destination(wrong, token) => {
                let token = String::from_utf8_lossy(token);
                write!(formatter, "invalid mapping destination: {wrong} in {token}")
            }
        }
    }
}

impl std::error::Error for TransformError {}

/// A transform that can be applied.
#[derive(Clone, Debug)]
pub struct Transform {
    source: Vec<u8>,
    destination: Vec<u8>,
    /// One for each token of the destination but a `>` at its end.
    functions: Vec<Function>,
    /// Where in a subject the tokens of the `>` begin; `None` when there is none.
    tail_from: Option<usize>,
}

impl Transform {
    /// Compiles a transform. An empty `source` is `>`.
    ///
    /// # Errors
    /// The sides do not go together, or the destination is wrong; in nats-server's words.
    pub fn new(source: &[u8], destination: &[u8]) -> Result<Self, TransformError> {
        Self::compile(source, destination, false)
    }

    /// As [`Self::new`], for one that can be reversed: only `wildcard`, and of every `*`.
    ///
    /// # Errors
    /// As [`Self::new`], and where it could not be reversed.
    pub fn new_strict(source: &[u8], destination: &[u8]) -> Result<Self, TransformError> {
        Self::compile(source, destination, true)
    }

    fn compile(source: &[u8], destination: &[u8], strict: bool) -> Result<Self, TransformError> {
        let source = if source.is_empty() { TAIL } else { source };
        let (from, to) = (Shape::of(source)?, Shape::of(destination)?);
        if !to.stars.is_empty() || from.has_tail != to.has_tail {
            return Err(TransformError::BadSubject);
        }
        let has_wildcards = from.has_tail || !from.stars.is_empty();
        let mut functions = Vec::new();
        let mut used = 0;
        for token in tokens(destination) {
            let wrong = |wrong| TransformError::Destination(wrong, token.to_vec());
            let mut function = Function::parse(token).map_err(wrong)?;
            if !has_wildcards {
                function.forget_stars().map_err(wrong)?;
            } else if strict && !function.is_reversible() {
                return Err(wrong(Wrong::NotReversible));
            }
            for star in function.stars_mut() {
                used += 1;
                *star = place_of(*star, &from.stars).map_err(|number| {
                    let shown = [token, format!(": [{number}]").as_bytes()].concat();
                    TransformError::Destination(Wrong::OutOfRange, shown)
                })?;
            }
            functions.push(function);
        }
        if strict && used < from.stars.len() {
            return Err(TransformError::Destination(Wrong::NotAllUsed, destination.to_vec()));
        }
        let tail_from = from.has_tail.then(|| from.count - 1);
        if tail_from.is_some() {
            functions.pop();
        }
        Ok(Self {
            source: source.to_vec(),
            destination: destination.to_vec(),
            functions,
            tail_from,
        })
    }

    /// The pattern.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// What matching subjects become, as it was written.
    pub fn destination(&self) -> &[u8] {
        &self.destination
    }

    /// What a published subject becomes; `None` when the pattern does not match it. `random` draws
    /// from 0 to 2³¹ − 1.
    pub fn transform(&self, subject: &[u8], random: &mut dyn FnMut() -> u32) -> Option<Vec<u8>> {
        if !is_valid_literal(subject) || !matches(&self.source, subject) {
            return None;
        }
        if self.source == TAIL && self.destination == TAIL {
            return Some(subject.to_vec());
        }
        Some(self.apply(subject, random))
    }

    /// What a subject becomes that the pattern is known to match.
    pub fn apply(&self, subject: &[u8], random: &mut dyn FnMut() -> u32) -> Vec<u8> {
        let parts: Vec<&[u8]> = tokens(subject).collect();
        let mut made = Vec::with_capacity(subject.len() + self.destination.len());
        for (index, function) in self.functions.iter().enumerate() {
            if index > 0 {
                made.push(b'.');
            }
            function.write(&mut made, subject, &parts, random);
        }
        let tail = self.tail_from.and_then(|from| parts.get(from..)).unwrap_or_default();
        for (index, token) in tail.iter().enumerate() {
            if index > 0 || !self.functions.is_empty() {
                made.push(b'.');
            }
            made.extend_from_slice(token);
        }
        made
    }

    /// The transform back; `None` when it cannot be reversed.
    pub fn reversed(&self) -> Option<Self> {
        let mut places = Vec::new();
        let mut source: Vec<&[u8]> = Vec::new();
        for token in tokens(&self.destination) {
            if function::is_place_holder(token) {
                places.push(token);
                source.push(STAR);
            } else {
                source.push(token);
            }
        }
        let mut places = places.into_iter();
        let back = |token| if token == STAR { places.next() } else { Some(token) };
        let destination = tokens(&self.source).map(back).collect::<Option<Vec<_>>>()?;
        Self::new_strict(&source.join(&b'.'), &destination.join(&b'.')).ok()
    }
}

/// A side of a transform.
struct Shape {
    /// Which of its tokens are `*`.
    stars: Vec<usize>,
    has_tail: bool,
    count: usize,
}

impl Shape {
    fn of(subject: &[u8]) -> Result<Self, TransformError> {
        crate::kind(subject).ok_or(TransformError::BadSubject)?;
        let mut shape = Self { stars: Vec::new(), has_tail: false, count: 0 };
        for token in tokens(subject) {
            if token == STAR {
                shape.stars.push(shape.count);
            }
            shape.has_tail = token == TAIL;
            shape.count += 1;
        }
        Ok(shape)
    }
}

/// The token that the `*` with this number stands for; an error is the number.
fn place_of(number: i64, stars: &[usize]) -> Result<i64, i64> {
    match usize::try_from(number) {
        Err(_) | Ok(0) => Ok(0),
        Ok(place) => stars.get(place - 1).and_then(|&at| i64::try_from(at).ok()).ok_or(number),
    }
}

#[cfg(test)]
mod tests;
