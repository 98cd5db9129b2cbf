//! Counters: a message adds to its subject's total, which is what the stream stores.
//!
//! Source: nats-server 2.15 `server/stream.go`; ADR-49.

use num_bigint::BigInt;
use serde_json::Value;

use crate::errors::{self, Refused};
use crate::headers::find;

const INCREMENT: &[u8] = b"Nats-Incr";

/// What a message adds; `None` for one that adds nothing.
///
/// # Errors
/// It is no number.
pub fn increment(headers: &[u8]) -> Result<Option<BigInt>, Refused> {
    match find(headers, INCREMENT).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => number(text).map(Some).ok_or_else(errors::increment_invalid),
    }
}

/// As Go reads it: without the underscores that `BigInt` would take.
fn number(text: &[u8]) -> Option<BigInt> {
    if text.contains(&b'_') { None } else { BigInt::parse_bytes(text, 10) }
}

/// The total that a stored message says.
///
/// # Errors
/// It says none.
pub fn total(payload: &[u8]) -> Result<BigInt, Refused> {
    let value: Value = serde_json::from_slice(payload).map_err(|_| errors::counter_broken())?;
    match value.get("val") {
        Some(Value::String(text)) => Ok(number(text.as_bytes()).unwrap_or_default()),
        None if value.is_object() => Ok(BigInt::default()),
        _ => Err(errors::counter_broken()),
    }
}

/// A message that says a total.
pub fn payload(total: &BigInt) -> Vec<u8> {
    format!(r#"{{"val":"{total}"}}"#).into_bytes()
}

/// What is answered where the total of a subject cannot be read.
pub fn broken() -> Refused {
    errors::counter_broken()
}

/// What is answered to a message that would become too long.
pub fn too_long() -> Refused {
    errors::message_too_long()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_are_numbers_of_any_length() {
        let read = |text: &str| {
            let headers = format!("NATS/1.0\r\nNats-Incr: {text}\r\n\r\n");
            increment(headers.as_bytes()).map(|found| found.map(|number| number.to_string()))
        };
        assert_eq!(read("7"), Ok(Some("7".to_owned())));
        assert_eq!(read("+7"), Ok(Some("7".to_owned())));
        assert_eq!(read("-007"), Ok(Some("-7".to_owned())));
        assert_eq!(
            read("123456789012345678901234567890").map(|it| it.map(|it| it.len())),
            Ok(Some(30))
        );
        assert_eq!(read(""), Ok(None));
        for text in ["x", "1.5", "1_000", "0x1", "-", "1 "] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn totals_are_read_as_they_are_written() {
        let number = BigInt::from(-5);
        assert_eq!(payload(&number), br#"{"val":"-5"}"#);
        assert_eq!(total(&payload(&number)), Ok(number));
        assert_eq!(total(b"{}"), Ok(BigInt::default()));
        for text in [&b""[..], b"5", b"[]", br#"{"val":5}"#] {
            assert!(total(text).is_err());
        }
    }
}
