//! What a publisher is answered.

use keelback_store::stream::{Body, Entry, Outcome};
use keelback_wire::quote::quote;

use crate::atomic;
use crate::counter;
use crate::errors::{self, Refused, write_json};
use crate::policy::Policy;

/// Appends the answer to what became of an entry that has messages.
pub fn answer(text: &mut Vec<u8>, policy: &Policy, entry: &Entry<'_>, outcome: &Outcome) {
    match (entry, outcome) {
        (Entry::Batch(batch), Outcome::Stored { seq }) => {
            let last = batch.iter().last().map(|message| message.body);
            let Some(Body::Held { headers, .. }) = last else { return };
            let id = atomic::id(headers).unwrap_or_default();
            write_batch(text, policy, *seq, id, batch.count().into());
        }
        (Entry::Store(message), Outcome::Stored { seq }) if policy.allows_counter => {
            let total = match message.body {
                Body::Held { payload, .. } => counter::total(payload).unwrap_or_default(),
                Body::Placed { .. } => return,
            };
            write_stored(text, policy, *seq, format!(",\"val\":\"{total}\"}}").as_bytes());
        }
        _ => write(text, policy, outcome),
    }
}

/// Appends the answer to a batch of so many messages.
pub(crate) fn write_batch(text: &mut Vec<u8>, policy: &Policy, seq: u64, id: &[u8], count: u64) {
    write_stored(text, policy, seq, b",\"batch\":");
    text.extend_from_slice(quote(id).as_bytes());
    text.extend_from_slice(b",\"count\":");
    write_number(text, count);
    text.push(b'}');
}

/// Appends the answer to a batch the only message of which has an id that is known.
pub(crate) fn write_duplicate_batch(
    text: &mut Vec<u8>,
    policy: &Policy,
    seq: u64,
    id: &[u8],
    count: u64,
) {
    write_stored(text, policy, seq, b",\"duplicate\": true,\"batch\":");
    text.extend_from_slice(quote(id).as_bytes());
    text.extend_from_slice(b",\"count\":");
    write_number(text, count);
    text.push(b'}');
}

/// Appends the answer to what became of a message.
pub fn write(text: &mut Vec<u8>, policy: &Policy, outcome: &Outcome) {
    match outcome {
        Outcome::Stored { seq } => write_stored(text, policy, *seq, b"}"),
        // The blank is nats-server's.
        Outcome::Duplicate { seq } => write_stored(text, policy, *seq, b",\"duplicate\": true}"),
        Outcome::Refused(refusal) => Refused::from(refusal).write(text, &policy.name),
        Outcome::Done => {}
    }
}

/// Appends the answer to a message that could not be made safe.
pub fn write_unsafe(text: &mut Vec<u8>, policy: &Policy, is_busy: bool) {
    let refused =
        if is_busy { errors::too_many_requests() } else { errors::insufficient_resources() };
    refused.write(text, &policy.name);
}

fn write_stored(text: &mut Vec<u8>, policy: &Policy, seq: u64, end: &[u8]) {
    text.extend_from_slice(b"{\"stream\":");
    write_json(text, policy.name.as_bytes());
    if !policy.domain.is_empty() {
        text.extend_from_slice(b",\"domain\":");
        write_json(text, policy.domain.as_bytes());
    }
    text.extend_from_slice(b",\"seq\":");
    write_number(text, seq);
    text.extend_from_slice(end);
}

/// In decimal; without the machinery of formatting.
fn write_number(text: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use keelback_store::stream::{Limits, Storage};

    use super::*;

    fn answer(policy: &Policy, outcome: &Outcome) -> String {
        let mut text = Vec::new();
        write(&mut text, policy, outcome);
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn answers_are_those_of_nats_server() {
        let mut policy = Policy::new("S", Storage::File, Limits::default());
        assert_eq!(answer(&policy, &Outcome::Stored { seq: 1 }), r#"{"stream":"S","seq":1}"#);
        let duplicate = r#"{"stream":"S","seq":10,"duplicate": true}"#;
        assert_eq!(answer(&policy, &Outcome::Duplicate { seq: 10 }), duplicate);
        policy.domain = "hub".to_owned();
        let last = r#"{"stream":"S","domain":"hub","seq":18446744073709551615}"#;
        assert_eq!(answer(&policy, &Outcome::Stored { seq: u64::MAX }), last);
    }
}
