//! One token of a destination: what it makes of a subject's tokens.

use super::Wrong;

/// What a token of a destination stands for. Stars are numbers of `*` when parsed, places of tokens
/// when compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Literal(Vec<u8>),
    Wildcard(i64),
    Partition { buckets: i32, stars: Vec<i64> },
    Cut { how: Cut, star: i64, size: i32 },
    Split { star: i64, delimiter: Vec<u8> },
    Random(i32),
}

/// Functions of a token and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

/// Names in parts; the first letter of each part may be small or large.
const CUTS: &[(&[&str], Cut)] = &[
    (&["split", "from", "left"], Cut::SplitFromLeft),
    (&["split", "from", "right"], Cut::SplitFromRight),
    (&["slice", "from", "left"], Cut::SliceFromLeft),
    (&["slice", "from", "right"], Cut::SliceFromRight),
    (&["right"], Cut::Right),
    (&["left"], Cut::Left),
];

impl Function {
    pub(super) fn parse(token: &[u8]) -> Result<Self, Wrong> {
        if let [b'$', digits @ ..] = token
            && !digits.is_empty()
        {
            // Other things begin with `$` too: those are literals.
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            return Ok(number.map_or_else(|| Self::Literal(token.to_vec()), Self::Wildcard));
        }
        if token.len() <= 4 || !token.starts_with(b"{{") || !token.ends_with(b"}}") {
            return Ok(Self::Literal(token.to_vec()));
        }
        if let Some(arguments) = arguments(token, &["wildcard"]) {
            return match arguments[..] {
                [b""] => Err(Wrong::NotEnough),
                [number] => Ok(Self::Wildcard(integer(number)?)),
                _ => Err(Wrong::TooMany),
            };
        }
        if let Some(arguments) = arguments(token, &["partition"]) {
            let buckets = up_to_31_bits(arguments[0])?;
            let stars =
                arguments[1..].iter().map(|star| integer(star)).collect::<Result<_, _>>()?;
            return Ok(Self::Partition { buckets, stars });
        }
        for (name, how) in CUTS {
            if let Some(arguments) = arguments(token, name) {
                let [star, size] = two(&arguments)?;
                let (star, size) = (integer(star)?, integer(size)?);
                let size = i32::try_from(size).map_err(|_| Wrong::Argument)?;
                return Ok(Self::Cut { how: *how, star, size });
            }
        }
        if let Some(arguments) = arguments(token, &["split"]) {
            let [star, delimiter] = two(&arguments)?;
            let star = integer(star)?;
            if delimiter.contains(&b' ') {
                return Err(Wrong::Argument);
            }
            return Ok(Self::Split { star, delimiter: delimiter.to_vec() });
        }
        if let Some(arguments) = arguments(token, &["random"]) {
            let [limit] = arguments[..] else { return Err(Wrong::NotEnough) };
            return Ok(Self::Random(up_to_31_bits(limit)?));
        }
        Err(Wrong::UnknownFunction)
    }

    /// The pattern has no wildcards: only what needs none is left.
    pub(super) fn forget_stars(&mut self) -> Result<(), Wrong> {
        match self {
            Self::Literal(_) | Self::Random(_) => Ok(()),
            Self::Partition { stars, .. } => {
                stars.clear();
                Ok(())
            }
            Self::Wildcard(_) | Self::Cut { .. } | Self::Split { .. } => Err(Wrong::OutOfRange),
        }
    }

    pub(super) fn is_reversible(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Wildcard(_))
    }

    pub(super) fn stars_mut(&mut self) -> &mut [i64] {
        match self {
            Self::Literal(_) | Self::Random(_) => &mut [],
            Self::Partition { stars, .. } => stars,
            Self::Wildcard(star) | Self::Cut { star, .. } | Self::Split { star, .. } => {
                std::slice::from_mut(star)
            }
        }
    }

    /// Appends what it makes of a subject and its tokens.
    pub(super) fn write(
        &self,
        made: &mut Vec<u8>,
        subject: &[u8],
        tokens: &[&[u8]],
        random: &mut dyn FnMut() -> u32,
    ) {
        let token = |place: i64| {
            let token = usize::try_from(place).ok().and_then(|place| tokens.get(place));
            token.copied().unwrap_or_default()
        };
        match self {
            Self::Literal(text) => made.extend_from_slice(text),
            Self::Wildcard(star) => made.extend_from_slice(token(*star)),
            Self::Partition { buckets, stars } if stars.is_empty() => {
                partition(made, subject.iter(), *buckets);
            }
            Self::Partition { buckets, stars } => {
                partition(made, stars.iter().flat_map(|&star| token(star)), *buckets);
            }
            Self::Cut { how, star, size } => cut(made, *how, token(*star), *size),
            Self::Split { star, delimiter } => split(made, token(*star), delimiter),
            Self::Random(limit) => {
                // As Go's `%`: the sign of the limit does not matter, 0 is caught.
                let drawn = u32::checked_rem(random() & 0x7fff_ffff, limit.unsigned_abs());
                made.extend_from_slice(drawn.unwrap_or(0).to_string().as_bytes());
            }
        }
    }
}

/// Whether a token stands for a `*` when a transform is reversed.
pub(super) fn is_place_holder(token: &[u8]) -> bool {
    let is_short = matches!(token, [b'$', b'1'..=b'9', ..]);
    is_short || arguments(token, &["wildcard"]).is_some_and(|it| it.len() == 1 && !it[0].is_empty())
}

/// The arguments of the function with this name, at least one; `None` when it is another.
fn arguments<'a>(token: &'a [u8], name: &[&str]) -> Option<Vec<&'a [u8]>> {
    let mut starts = (0..token.len()).filter(|&at| token[at..].starts_with(b"{{"));
    let inside = starts.find_map(|at| call(&token[at + 2..], name))?;
    let parts = inside.split(|&byte| byte == b',').enumerate();
    Some(parts.map(|(index, part)| if index == 0 { part } else { skip_space(part) }).collect())
}

/// What stands between the parentheses.
fn call<'a>(text: &'a [u8], name: &[&str]) -> Option<&'a [u8]> {
    let mut rest = skip_space(text);
    for part in name {
        let (first, others) = part.as_bytes().split_first()?;
        rest = rest.split_first().filter(|(byte, _)| byte.to_ascii_lowercase() == *first)?.1;
        rest = rest.strip_prefix(others)?;
    }
    let inside = skip_space(rest).strip_prefix(b"(")?;
    let closes =
        |&at: &usize| inside[at] == b')' && skip_space(&inside[at + 1..]).starts_with(b"}}");
    (0..inside.len()).rev().find(closes).map(|end| &inside[..end])
}

fn skip_space(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
    &text[text.iter().take_while(|byte| is_space(byte)).count()..]
}

fn two<'a>(arguments: &[&'a [u8]]) -> Result<[&'a [u8]; 2], Wrong> {
    match arguments {
        [first, second] => Ok([first, second]),
        [] | [_] => Err(Wrong::NotEnough),
        _ => Err(Wrong::TooMany),
    }
}

fn integer(text: &[u8]) -> Result<i64, Wrong> {
    let text = std::str::from_utf8(text).map_err(|_| Wrong::Argument)?;
    text.trim_matches(' ').parse().map_err(|_| Wrong::Argument)
}

/// A number that Go puts into 32 bits after it has looked whether it is too large.
fn up_to_31_bits(text: &[u8]) -> Result<i32, Wrong> {
    let number = integer(text)?;
    if number > i64::from(i32::MAX) { Err(Wrong::Argument) } else { Ok(number as i32) }
}

/// FNV-1a over the bytes, in as many buckets.
fn partition<'a>(made: &mut Vec<u8>, key: impl Iterator<Item = &'a u8>, buckets: i32) {
    let hash =
        key.fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let bucket = hash.checked_rem(buckets.cast_unsigned()).unwrap_or(0);
    made.extend_from_slice(bucket.to_string().as_bytes());
}

fn cut(made: &mut Vec<u8>, how: Cut, token: &[u8], size: i32) {
    let size = usize::try_from(size).unwrap_or(0);
    if size == 0 || size >= token.len() {
        made.extend_from_slice(token);
        return;
    }
    let pieces: Vec<&[u8]> = match how {
        Cut::Left => vec![&token[..size]],
        Cut::Right => vec![&token[token.len() - size..]],
        Cut::SplitFromLeft => vec![&token[..size], &token[size..]],
        Cut::SplitFromRight => {
            let (head, tail) = token.split_at(token.len() - size);
            vec![head, tail]
        }
        Cut::SliceFromLeft => token.chunks(size).collect(),
        Cut::SliceFromRight => {
            let (head, rest) = token.split_at(token.len() % size);
            let head = (!head.is_empty()).then_some(head);
            head.into_iter().chain(rest.chunks(size)).collect()
        }
    };
    made.extend_from_slice(&pieces.join(&b'.'));
}

fn split(made: &mut Vec<u8>, token: &[u8], delimiter: &[u8]) {
    let pieces = if delimiter.is_empty() { characters(token) } else { split_at(token, delimiter) };
    for (index, piece) in pieces.iter().enumerate() {
        made.extend_from_slice(piece);
        let next = pieces.get(index + 1);
        if next.is_some_and(|next| !next.is_empty()) && !(index == 0 && piece.is_empty()) {
            made.push(b'.');
        }
    }
}

fn split_at<'a>(token: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = token;
    while let Some(at) = rest.windows(delimiter.len()).position(|window| window == delimiter) {
        pieces.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    pieces.push(rest);
    pieces
}

/// The characters of UTF-8; what is none goes byte by byte.
fn characters(token: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    for chunk in token.utf8_chunks() {
        let valid = chunk.valid();
        let lengths =
            valid.char_indices().map(|(at, one)| &valid.as_bytes()[at..at + one.len_utf8()]);
        pieces.extend(lengths);
        pieces.extend(chunk.invalid().chunks(1));
    }
    pieces
}
