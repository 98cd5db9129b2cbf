//! The bytes of one token, inline when they are few.

/// Bytes that fit beside the tag and the length in three words; a NUID has 22.
const INLINE_BYTES_MAX: usize = 22;

pub(super) enum Token {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<Token>() <= 24);

impl Token {
    pub(super) fn new(token: &[u8]) -> Self {
        if token.len() > INLINE_BYTES_MAX {
            return Self::Heap(token.into());
        }
        let mut bytes = [0; INLINE_BYTES_MAX];
        bytes[..token.len()].copy_from_slice(token);
        Self::Inline { len: token.len() as u8, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}
