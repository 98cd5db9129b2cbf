//! A message of a batch: what it asks for is checked in another order than that of a message alone.
//!
//! Source: nats-server 2.15 `server/jetstream_batching.go`, `checkMsgHeadersPreClusteredProposal`.

use std::borrow::Cow;

use super::{Asked, HEADER_BYTES_MAX, Proposal, Ttl, number, read_rollup, read_ttl};
use crate::counter;
use crate::errors::{self, Refused};
use crate::headers::find;
use crate::policy::Policy;

/// Reads a message of a batch, the headers of which are as they are stored. A late refusal is behind
/// all conditions.
///
/// # Errors
/// What is answered, whatever the stream's state is.
pub fn read_staged<'a>(
    policy: &Policy,
    subject: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
    now_ns: u64,
    random: &mut dyn FnMut() -> u32,
) -> Result<Proposal<'a>, Refused> {
    let transformed = policy.transform.as_ref().and_then(|it| it.transform(subject, random));
    let subject = transformed.map_or(Cow::Borrowed(subject), Cow::Owned);
    super::check_record(policy, &subject, headers, payload)?;
    if headers.len() > HEADER_BYTES_MAX {
        return Err(errors::headers_too_long());
    }
    let headers = Cow::Borrowed(headers);
    let mut proposal = Proposal { subject, headers, payload, asked: Asked::default(), late: None };
    proposal.read_staged_headers(policy, now_ns)?;
    proposal.read_lifetime(policy);
    Ok(proposal)
}

/// Whether a batch that must be whole may have such a message.
///
/// # Errors
/// What is answered.
pub fn check_atomic(headers: &[u8]) -> Result<(), Refused> {
    let name = "Nats-Expected-Last-Msg-Id";
    match find(headers, name.as_bytes()) {
        Some(id) if !id.is_empty() => Err(errors::batch_header(name)),
        _ => Ok(()),
    }
}

impl Proposal<'_> {
    fn read_staged_headers(&mut self, policy: &Policy, now_ns: u64) -> Result<(), Refused> {
        let has = |name: &[u8]| find(&self.headers, name).filter(|value| !value.is_empty());
        if counter::increment(&self.headers)?.is_some() {
            // Streams of counters take no batches.
            return Err(errors::counters_disabled());
        }
        if has(b"Nats-Expected-Stream").is_some_and(|name| name != policy.name.as_bytes()) {
            return Err(errors::other_stream());
        }
        match has(b"Nats-TTL").map(read_ttl) {
            None | Some(Ok(Ttl::Seconds(0))) => {}
            Some(_) if !policy.allows_ttl => return Err(errors::ttl_disabled()),
            Some(Ok(_)) => {}
            Some(Err(_)) => return Err(errors::ttl_invalid()),
        }
        if has(b"Nats-Stream-Source").is_some() {
            return Err(errors::source_header());
        }
        let last_seq = has(b"Nats-Expected-Last-Sequence").map(number);
        let last_subject_seq = has(b"Nats-Expected-Last-Subject-Sequence").map(number);
        let other_subject = has(b"Nats-Expected-Last-Subject-Sequence-Subject");
        let is_missing = last_subject_seq.is_none() && other_subject.is_some();
        let late = is_missing.then(errors::last_subject_sequence_missing);
        self.asked.last_seq = last_seq;
        self.asked.last_subject_seq = last_subject_seq;
        let late = late.or_else(|| self.read_schedule(policy, now_ns).err());
        let has = |name: &[u8]| find(&self.headers, name).filter(|value| !value.is_empty());
        let rollup = has(b"Nats-Rollup").map(|value| read_rollup(value, policy)).transpose();
        match (late, rollup) {
            (Some(refused), _) | (None, Err(refused)) => self.refuse_late(refused, true),
            (None, Ok(rollup)) => self.asked.rollup = rollup.unwrap_or_default(),
        }
        Ok(())
    }
}
