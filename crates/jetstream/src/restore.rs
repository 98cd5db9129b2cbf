//! What an archive says of the stream that is in it, and its messages as they are stored again.

use keelback_store::stream::{Body, Conditions, Message, Rollup};
use serde_json::Value;

use crate::publish;

/// The entry that comes first.
pub const STATE: &[u8] = b"state.json";

/// What an archive says of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Of the first message, or the next one where there is none.
    pub first_seq: u64,
    /// The last one that was given away.
    pub last_seq: u64,
    /// That follow (count).
    pub consumers: u64,
}

/// Reads it; `None` for what is none.
pub fn state(text: &[u8]) -> Option<State> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| match value.get(name) {
        None => Some(0),
        Some(number) => number.as_u64(),
    };
    Some(State {
        first_seq: number("first_seq")?,
        last_seq: number("last_seq")?,
        consumers: number("consumer_count")?,
    })
}

/// A message that was stored before, as it is stored again.
pub fn message<'a>(
    subject: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
    time_ns: u64,
) -> Message<'a> {
    Message {
        subject,
        body: Body::Held { headers, payload },
        time_ns,
        lifetime: publish::stored_lifetime(headers),
        rollup: Rollup::None,
        msg_id: publish::msg_id(headers),
        conditions: Conditions::default(),
        is_marker: publish::is_marker(headers),
        purges: b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read() {
        let text = br#"{"messages":3,"first_seq":4,"last_seq":9,"consumer_count":1,"x":[]}"#;
        assert_eq!(state(text), Some(State { first_seq: 4, last_seq: 9, consumers: 1 }));
        assert_eq!(state(b"{}"), Some(State { first_seq: 0, last_seq: 0, consumers: 0 }));
        assert_eq!(state(br#"{"first_seq":-1}"#), None);
        assert_eq!(state(b"no json"), None);
    }
}
