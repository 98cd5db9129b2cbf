//! A stream's entries as bodies of the log's entries. `docs/store-format.md` has the bytes.

use super::batch::Batch;
use super::{Body, Conditions, Entry, Lifetime, Limits, Message, Purge, Rollup};
use crate::bytes::{Fields, push_counted};

const STORE: u8 = 1;
const PASS: u8 = 2;
const SKIP: u8 = 3;
const REMOVE: u8 = 4;
const PURGE: u8 = 5;
const EXPIRE: u8 = 6;
const LIMIT: u8 = 7;
const BATCH: u8 = 8;

/// Flags of a message: what it has beside subject, headers and payload.
const HAS_TTL: u8 = 1;
const NEVER_EXPIRES: u8 = 2;
const ROLLS_UP_SUBJECT: u8 = 4;
const ROLLS_UP_ALL: u8 = 8;
const IS_MARKER: u8 = 16;
const HAS_ID: u8 = 32;
const HAS_LAST_SEQ: u8 = 64;
const HAS_CONDITIONS: u8 = 128;

/// Flags before the conditions.
const HAS_LAST_SUBJECT_SEQ: u8 = 1;
const PURGES: u8 = 2;

/// Appends an entry.
///
/// # Panics
/// A message's body is not held: where it is means nothing in the log.
pub fn encode(to: &mut Vec<u8>, entry: &Entry<'_>) {
    let mut numbers = |kind: u8, numbers: &[u64]| {
        to.push(kind);
        for number in numbers {
            to.extend_from_slice(&number.to_le_bytes());
        }
    };
    match entry {
        Entry::Store(message) => {
            to.push(STORE);
            encode_message(to, message);
        }
        Entry::Batch(batch) => {
            to.push(BATCH);
            batch.encode(to);
        }
        Entry::Pass { time_ns, msg_id } => {
            numbers(PASS, &[*time_ns]);
            to.extend_from_slice(msg_id);
        }
        Entry::Skip { last_seq, time_ns } => numbers(SKIP, &[*last_seq, *time_ns]),
        Entry::Remove { seq } => numbers(REMOVE, &[*seq]),
        Entry::Purge(purge) => {
            numbers(PURGE, &[purge.below_seq, purge.keep]);
            to.extend_from_slice(purge.filter);
        }
        Entry::Expire { now_ns } => numbers(EXPIRE, &[*now_ns]),
        Entry::Limit(limits) => {
            to.push(LIMIT);
            limits.encode(to);
        }
    }
}

/// Reads an entry; `None` for what `encode` never writes.
pub fn decode(body: &[u8]) -> Option<Entry<'_>> {
    let mut fields = Fields(body);
    let entry = match fields.u8()? {
        STORE => Entry::Store(decode_message(&mut fields)?),
        BATCH => return Some(Entry::Batch(Batch::decode(&mut fields)?)),
        PASS => Entry::Pass { time_ns: fields.u64()?, msg_id: fields.rest() },
        SKIP => Entry::Skip { last_seq: fields.u64()?, time_ns: fields.u64()? },
        REMOVE => Entry::Remove { seq: fields.u64()? },
        PURGE => {
            let (below_seq, keep) = (fields.u64()?, fields.u64()?);
            Entry::Purge(Purge { below_seq, keep, filter: fields.rest() })
        }
        EXPIRE => Entry::Expire { now_ns: fields.u64()? },
        LIMIT => Entry::Limit(Limits::decode(&mut fields)?),
        _ => return None,
    };
    fields.is_at_end().then_some(entry)
}

pub(super) fn encode_message(to: &mut Vec<u8>, message: &Message<'_>) {
    let Body::Held { headers, payload } = message.body else {
        panic!("the body of a message that goes to the log is not held");
    };
    to.push(flags_of(message));
    to.extend_from_slice(&message.time_ns.to_le_bytes());
    to.extend_from_slice(&(message.subject.len() as u32).to_le_bytes());
    to.extend_from_slice(&(headers.len() as u32).to_le_bytes());
    let ttl_ns = match message.lifetime {
        Lifetime::Ttl { ttl_ns } => Some(ttl_ns),
        Lifetime::Limits | Lifetime::Never => None,
    };
    for number in [ttl_ns, message.conditions.last_seq].into_iter().flatten() {
        to.extend_from_slice(&number.to_le_bytes());
    }
    if has_more(message) {
        let conditions = &message.conditions;
        let has_last = conditions.last_subject_seq.map_or(0, |_| HAS_LAST_SUBJECT_SEQ);
        to.push(has_last | if message.purges.is_empty() { 0 } else { PURGES });
        to.extend_from_slice(&conditions.last_subject_seq.unwrap_or(0).to_le_bytes());
        push_counted(to, conditions.subject);
        push_counted(to, conditions.last_msg_id);
        if !message.purges.is_empty() {
            push_counted(to, message.purges);
        }
    }
    if !message.msg_id.is_empty() {
        push_counted(to, message.msg_id);
    }
    for part in [message.subject, headers, payload] {
        to.extend_from_slice(part);
    }
}

pub(super) fn decode_message<'a>(fields: &mut Fields<'a>) -> Option<Message<'a>> {
    let flags = fields.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let time_ns = fields.u64()?;
    let (subject_bytes, header_bytes) = (fields.u32()? as usize, fields.u32()? as usize);
    let lifetime = match (has(HAS_TTL), has(NEVER_EXPIRES)) {
        (true, false) => Lifetime::Ttl { ttl_ns: fields.u64()? },
        (false, true) => Lifetime::Never,
        (false, false) => Lifetime::Limits,
        (true, true) => return None,
    };
    let rollup = match (has(ROLLS_UP_SUBJECT), has(ROLLS_UP_ALL)) {
        (true, false) => Rollup::Subject,
        (false, true) => Rollup::All,
        (false, false) => Rollup::None,
        (true, true) => return None,
    };
    let (mut conditions, mut purges) = (Conditions::default(), &b""[..]);
    if has(HAS_LAST_SEQ) {
        conditions.last_seq = Some(fields.u64()?);
    }
    if has(HAS_CONDITIONS) {
        let (more, last) = (fields.u8()?, fields.u64()?);
        conditions.last_subject_seq = (more & HAS_LAST_SUBJECT_SEQ != 0).then_some(last);
        conditions.subject = fields.counted()?;
        conditions.last_msg_id = fields.counted()?;
        if more & PURGES != 0 {
            purges = fields.counted()?;
        }
    }
    let msg_id = if has(HAS_ID) { fields.counted()? } else { b"" };
    let subject = fields.take(subject_bytes)?;
    let headers = fields.take(header_bytes)?;
    let payload = fields.rest();
    let body = Body::Held { headers, payload };
    let is_marker = has(IS_MARKER);
    Some(Message {
        subject,
        body,
        time_ns,
        lifetime,
        rollup,
        msg_id,
        conditions,
        is_marker,
        purges,
    })
}

fn flags_of(message: &Message<'_>) -> u8 {
    let lifetime = match message.lifetime {
        Lifetime::Limits => 0,
        Lifetime::Ttl { .. } => HAS_TTL,
        Lifetime::Never => NEVER_EXPIRES,
    };
    let rollup = match message.rollup {
        Rollup::None => 0,
        Rollup::Subject => ROLLS_UP_SUBJECT,
        Rollup::All => ROLLS_UP_ALL,
    };
    let when = |holds: bool, flag: u8| if holds { flag } else { 0 };
    lifetime
        | rollup
        | when(message.is_marker, IS_MARKER)
        | when(!message.msg_id.is_empty(), HAS_ID)
        | when(message.conditions.last_seq.is_some(), HAS_LAST_SEQ)
        | when(has_more(message), HAS_CONDITIONS)
}

fn has_more(message: &Message<'_>) -> bool {
    let conditions = &message.conditions;
    !message.purges.is_empty()
        || conditions.last_subject_seq.is_some()
        || !conditions.subject.is_empty()
        || !conditions.last_msg_id.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::BatchText;
    use super::*;

    fn again(entry: &Entry<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, entry);
        bytes
    }

    fn texts() -> impl Strategy<Value = [Vec<u8>; 7]> {
        let text = || proptest::collection::vec(any::<u8>(), 0..40);
        [text(), text(), text(), text(), text(), text(), text()]
    }

    proptest! {
        #[test]
        fn a_message_is_found_as_it_was_written(
            texts in texts(),
            numbers in any::<(u64, Option<u64>, Option<u64>)>(),
            lifetime in prop_oneof![
                Just(Lifetime::Limits), Just(Lifetime::Never),
                any::<u64>().prop_map(|ttl_ns| Lifetime::Ttl { ttl_ns })
            ],
            rollup in prop_oneof![Just(Rollup::None), Just(Rollup::Subject), Just(Rollup::All)],
            is_marker in any::<bool>(),
        ) {
            let [subject, headers, payload, msg_id, other, last_msg_id, purges] = &texts;
            let (time_ns, last_seq, last_subject_seq) = numbers;
            let conditions =
                Conditions { last_seq, last_subject_seq, subject: other, last_msg_id };
            let body = Body::Held { headers, payload };
            let message =
                Message { subject, body, time_ns, lifetime, rollup, msg_id, conditions, is_marker, purges };
            let bytes = again(&Entry::Store(message));
            let found = decode(&bytes).map(|entry| format!("{entry:?}"));
            prop_assert_eq!(found, Some(format!("{:?}", Entry::Store(message))));
        }

        #[test]
        fn other_entries_are_found_as_they_were_written(
            numbers in any::<(u64, u64)>(), text in ".{0,20}",
        ) {
            let (one, other) = numbers;
            let filter = text.as_bytes();
            for entry in [
                Entry::Pass { time_ns: one, msg_id: filter },
                Entry::Skip { last_seq: one, time_ns: other },
                Entry::Remove { seq: one },
                Entry::Purge(Purge { filter, below_seq: one, keep: other }),
                Entry::Expire { now_ns: one },
                Entry::Limit(Limits { msgs_max: one, bytes_max: other, ..Limits::default() }),
            ] {
                let bytes = again(&entry);
                let found = decode(&bytes).map(|entry| format!("{entry:?}"));
                prop_assert_eq!(found, Some(format!("{entry:?}")));
            }
        }

        #[test]
        fn a_batch_is_found_as_it_was_written(texts in proptest::collection::vec(texts(), 1..5)) {
            let mut text = BatchText::default();
            let mut shown = Vec::new();
            for [subject, headers, payload, msg_id, ..] in &texts {
                let body = Body::Held { headers, payload };
                let message = Message {
                    subject,
                    body,
                    time_ns: 5,
                    lifetime: Lifetime::Limits,
                    rollup: Rollup::None,
                    msg_id,
                    conditions: Conditions::default(),
                    is_marker: false, purges: b"",
                };
                text.push(&message);
                shown.push(format!("{message:?}"));
            }
            let bytes = again(&Entry::Batch(text.batch()));
            let Some(Entry::Batch(batch)) = decode(&bytes) else {
                return Err(TestCaseError::fail("no batch"));
            };
            let found: Vec<_> = batch.iter().map(|message| format!("{message:?}")).collect();
            prop_assert_eq!(found, shown);
            prop_assert!(decode(&bytes[..bytes.len() - 1]).is_none());
        }

        #[test]
        fn any_bytes_are_an_entry_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
            let _ = decode(&bytes);
            for kind in [STORE, BATCH] {
                let _ = decode(&[&[kind][..], &bytes].concat());
            }
        }
    }
}
