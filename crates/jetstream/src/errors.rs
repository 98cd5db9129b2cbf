//! What is answered to a message that a stream does not take, in nats-server's codes and words.
//!
//! Source: nats-server 2.15 `server/errors.json`.

use std::fmt::Write as _;

use keelback_store::stream::Refusal;

/// Why a message was not stored, as its publisher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    code: u16,
    err_code: u16,
    description: Vec<u8>,
}

/// Names the errors: a code as of HTTP, a code of its own, the text.
macro_rules! errors {
    ($($name:ident = $code:literal, $err_code:literal, $text:literal;)*) => {
        $(
            #[doc = $text]
            pub(crate) fn $name() -> Refused {
                Refused::new($code, $err_code, $text.as_bytes().to_vec())
            }
        )*
    };
}

errors! {

    account_resources_exceeded = 400, 10002, "resource limits exceeded for account";
    insufficient_resources = 503, 10023, "insufficient resources";
    message_too_long = 400, 10054, "message size exceeds maximum allowed";
    other_stream = 400, 10060, "expected stream does not match";
    headers_too_long = 400, 10097, "header size exceeds maximum allowed of 64k";
    last_sequence_constant = 400, 10164, "wrong last sequence";
    sealed = 400, 10109, "invalid operation on sealed stream";
    ttl_invalid = 400, 10165, "invalid per-message TTL";
    ttl_disabled = 400, 10166, "per-message TTL is disabled";
    too_many_requests = 429, 10167, "too many requests";
    counters_disabled = 400, 10168, "message counters is disabled";
    increment_missing = 400, 10169, "message counter increment is missing";
    increment_with_payload = 400, 10170, "message counter has payload";
    counter_broken = 400, 10172, "message counter is broken";
    increment_invalid = 400, 10171, "message counter increment is invalid";
    atomic_disabled = 400, 10174, "atomic publish is disabled";
    batch_sequence_missing = 400, 10175, "atomic publish sequence is missing";
    batch_incomplete = 400, 10176, "atomic publish batch is incomplete";
    batch_id_invalid = 400, 10179, "atomic publish batch ID is invalid";
    batch_commit_invalid = 400, 10200, "atomic publish batch commit is invalid";
    batch_has_duplicate =
        400, 10201, "atomic publish batch contains duplicate message id";
    atomic_too_many = 429, 10210, "atomic publish too many inflight";
    schedules_disabled = 400, 10188, "message schedules is disabled";
    schedule_pattern_invalid = 400, 10189, "message schedules pattern is invalid";
    schedule_target_invalid = 400, 10190, "message schedules target is invalid";
    schedule_ttl_invalid = 400, 10191, "message schedules invalid per-message TTL";
    schedule_rollup_invalid = 400, 10192, "message schedules invalid rollup";
    schedule_source_invalid = 400, 10203, "message schedules source is invalid";
    schedule_zone_invalid = 400, 10223, "message schedules time zone is invalid";
    last_subject_sequence_missing =
        400, 10193, "missing sequence for expected last sequence per subject";
    batch_disabled = 400, 10205, "batch publish is disabled";

    batch_pattern_invalid = 400, 10206, "batch publish pattern is invalid";
    fast_id_invalid = 400, 10207, "batch publish ID is invalid";
    fast_id_unknown = 400, 10208, "batch publish ID unknown";
    fast_too_many = 429, 10211, "batch publish too many inflight";
    scheduler_invalid = 400, 10212, "message schedules invalid scheduler";
    source_header = 400, 10227, "message stream source header is not allowed";
}

pub(crate) fn api_level_required() -> Refused {
    Refused::new(412, 10185, b"JetStream minimum api level required".to_vec())
}

pub(crate) fn batch_too_large(messages_max: u64) -> Refused {
    let text = format!("atomic publish batch is too large: {messages_max}");
    Refused::new(400, 10199, text.into_bytes())
}

pub(crate) fn batch_header(name: &str) -> Refused {
    let text = format!("atomic publish unsupported header used: {name}");
    Refused::new(400, 10177, text.into_bytes())
}

pub(crate) fn store_failed(why: &str) -> Refused {
    Refused::new(503, 10077, why.as_bytes().to_vec())
}

pub(crate) fn rollup_failed(why: &str) -> Refused {
    Refused::new(500, 10111, why.as_bytes().to_vec())
}

impl Refused {
    fn new(code: u16, err_code: u16, description: Vec<u8>) -> Self {
        Self { code, err_code, description }
    }

    /// Its `code`: 429 is answered with a status as well.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Appends the error alone.
    pub(crate) fn write_error(&self, text: &mut Vec<u8>) {
        let head = format!(r#"{{"code":{},"err_code":{},"description":"#, self.code, self.err_code);
        text.extend_from_slice(head.as_bytes());
        write_json(text, &self.description);
        text.push(b'}');
    }

    /// Appends the answer of the stream `name`.
    pub fn write(&self, text: &mut Vec<u8>, name: &str) {
        text.extend_from_slice(br#"{"error":"#);
        self.write_error(text);
        text.extend_from_slice(br#","stream":"#);
        write_json(text, name.as_bytes());
        text.extend_from_slice(br#","seq":0}"#);
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::WrongLastSequence { last } => {
                Self::new(400, 10071, format!("wrong last sequence: {last}").into_bytes())
            }
            Refusal::WrongLastMsgId { last } => {
                Self::new(400, 10070, [b"wrong last msg ID: ", &**last].concat())
            }
            Refusal::Failed => insufficient_resources(),
            Refusal::BatchHasDuplicate => batch_has_duplicate(),
            Refusal::BatchExpectsOfItself => last_sequence_constant(),
            Refusal::BatchRollsUpItself { .. } => rollup_failed(&refusal.to_string()),
            other => store_failed(&other.to_string()),
        }
    }
}

/// Appends a text as JSON, escaped as Go escapes it.
pub(crate) fn write_json(to: &mut Vec<u8>, text: &[u8]) {
    let mut escaped = String::with_capacity(text.len() + 2);
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => escaped.extend(['\\', character]),
                '\n' => escaped.push_str("\\n"),
                '\r' => escaped.push_str("\\r"),
                '\t' => escaped.push_str("\\t"),
                '\u{8}' => escaped.push_str("\\b"),
                '\u{c}' => escaped.push_str("\\f"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a String cannot fail.
                    let _ = write!(escaped, "\\u{:04x}", u32::from(character));
                }
                _ => escaped.push(character),
            }
        }
        // Each byte that is no UTF-8 for itself.
        escaped.extend(chunk.invalid().iter().map(|_| "\\ufffd"));
    }
    to.push(b'"');
    to.extend_from_slice(escaped.as_bytes());
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_that_of_nats_server() {
        let mut text = Vec::new();
        sealed().write(&mut text, "ORDERS");
        let expected = br#"{"error":{"code":400,"err_code":10109,"description":"invalid operation on sealed stream"},"stream":"ORDERS","seq":0}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn texts_of_strangers_are_escaped_as_go_does() {
        let mut text = Vec::new();
        write_json(&mut text, b"a\"<\\\n\x01\xff\xe2\x80\xa8");
        assert_eq!(text, br#""a\"\u003c\\\n\u0001\ufffd\u2028""#);
    }
}
