//! The client protocol: bytes in, operations out.

/// What a peer may send at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument part of a control line (bytes, verb and separator not counted).
    pub control_line_bytes_max: usize,
    /// Largest payload, headers included (bytes); `None` is without limit.
    pub payload_bytes_max: Option<usize>,
}

/// One PUB or HPUB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Subject as sent.
    pub subject: &'a [u8],
    /// Reply subject, if one was given.
    pub reply: Option<&'a [u8]>,
    /// Size of the header block for HPUB, `None` for PUB.
    pub header_bytes: Option<usize>,
    /// The total size as the peer wrote it: leading zeros are echoed.
    pub size_text: &'a [u8],
    /// Headers and body.
    pub payload: &'a [u8],
    /// `reply size\r\npayload\r\n` (everything after `subject` and its single space) when the
    /// arguments were separated by single spaces and the line ended in CRLF, so that it can be
    /// copied as one piece behind `MSG subject sid `.
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
        /// Bytes of input (from its start) to wait for, at least.
        wanted_bytes: usize,
    },
}

/// What a peer did wrong. The connection knows how to answer and whether to close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// `-ERR 'Unknown Protocol Operation'`; `snippet` goes to the log.
    UnknownOperation {
        /// Up to 32 bytes from the place of the error.
        snippet: Vec<u8>,
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
