//! What a published message asks of a stream: its headers, checked in nats-server's order.
//!
//! First comes what the message and the policy decide, then what the stream's state decides (when the
//! entry is applied), then the rest. A message that would be refused by the rest is not proposed: its
//! [`Late`] refusal is the answer unless the state has another. Source: nats-server 2.15
//! `server/stream.go`, `processJetStreamMsg`, for a server alone.

mod staged;

use std::borrow::Cow;

use keelback_store::stream::{Body, Conditions, Lifetime, Message, Rollup, Storage};

use crate::counter;
use crate::errors::{self, Refused};
use crate::headers::{self, find};
use crate::policy::Policy;
use crate::schedule;

pub use staged::{check_atomic, read_staged};

/// The longest record of a file stream, as nats-server counts it (bytes).
const RECORD_BYTES_MAX: usize = 32 << 20;

/// The longest header block (bytes).
const HEADER_BYTES_MAX: usize = 65535;

/// What a message that counts may not ask for.
const NOT_WITH_INCREMENT: [&[u8]; 6] = [
    b"Nats-Rollup",
    b"Nats-Expected-Stream",
    b"Nats-Expected-Last-Msg-Id",
    b"Nats-Expected-Last-Subject-Sequence-Subject",
    b"Nats-Expected-Last-Sequence",
    b"Nats-Expected-Last-Subject-Sequence",
];

const NS_PER_S: u64 = 1_000_000_000;

/// A message that a stream may take.
#[derive(Debug)]
pub struct Proposal<'a> {
    subject: Cow<'a, [u8]>,
    headers: Cow<'a, [u8]>,
    payload: &'a [u8],
    asked: Asked,
    /// It will be refused, unless the state has it refused for another reason first.
    pub late: Option<Late>,
}

/// A refusal that comes behind some of what the state decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// What is answered.
    pub refused: Refused,
    /// Message ids are looked at before it.
    pub is_behind_ids: bool,
}

/// What headers ask for, as numbers and ranges of the block.
#[derive(Debug, Default)]
struct Asked {
    last_seq: Option<u64>,
    last_subject_seq: Option<u64>,
    lifetime: Lifetime,
    rollup: Rollup,
    /// The schedule of another subject is over.
    purges: bool,
}

impl Proposal<'_> {
    /// What it takes in a stream, as nats-server counts it.
    pub fn record_bytes(&self, storage: Storage) -> u64 {
        let body = Body::Held { headers: &self.headers, payload: self.payload };
        storage.message_bytes(&self.subject, &body)
    }

    /// The server's streams hold more than they may.
    pub fn refuse_by_server_limit(&mut self) {
        self.refuse_late(errors::insufficient_resources(), true);
    }

    /// The account's streams would hold more than they may.
    pub fn refuse_by_account_limit(&mut self) {
        self.refuse_late(errors::account_resources_exceeded(), true);
    }

    /// The subject of the schedule that is over with it; empty for none.
    pub fn purges(&self) -> &[u8] {
        if self.asked.purges { schedule::purged(&self.headers) } else { b"" }
    }

    /// There is no schedule that could be over.
    pub fn refuse_by_schedule(&mut self) {
        self.refuse_late(errors::scheduler_invalid(), false);
    }

    /// Whether the stream may refuse it for another message.
    pub fn has_conditions(&self) -> bool {
        let asked = &self.asked;
        let by_id = find(&self.headers, b"Nats-Expected-Last-Msg-Id");
        asked.last_seq.is_some()
            || asked.last_subject_seq.is_some()
            || by_id.is_some_and(|id| !id.is_empty())
    }

    /// The message, for a stream to apply.
    pub fn message(&self, time_ns: u64) -> Message<'_> {
        let header = |name| find(&self.headers, name).unwrap_or_default();
        let (asked, has_headers) = (&self.asked, !self.headers.is_empty());
        let mut conditions = Conditions {
            last_seq: asked.last_seq,
            last_subject_seq: asked.last_subject_seq,
            ..Conditions::default()
        };
        let mut msg_id: &[u8] = b"";
        if has_headers {
            msg_id = header(b"Nats-Msg-Id");
            conditions.last_msg_id = header(b"Nats-Expected-Last-Msg-Id");
            conditions.subject = header(b"Nats-Expected-Last-Subject-Sequence-Subject");
        }
        Message {
            subject: &self.subject,
            body: Body::Held { headers: &self.headers, payload: self.payload },
            time_ns,
            lifetime: asked.lifetime,
            rollup: asked.rollup,
            msg_id,
            conditions,
            is_marker: has_headers && is_marker(&self.headers),
            purges: self.purges(),
        }
    }
}

/// Reads a message, which came at `now_ns`. `random` serves subject transforms.
///
/// # Errors
/// What is answered, whatever the stream's state is.
pub fn read<'a>(
    policy: &Policy,
    subject: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
    now_ns: u64,
    random: &mut dyn FnMut() -> u32,
) -> Result<Proposal<'a>, Refused> {
    let transformed = policy.transform.as_ref().and_then(|it| it.transform(subject, random));
    let subject = transformed.map_or(Cow::Borrowed(subject), Cow::Owned);
    check_record(policy, &subject, headers, payload)?;
    if policy.is_sealed {
        return Err(errors::sealed());
    }
    let headers =
        if headers.is_empty() { Cow::Borrowed(headers) } else { headers::stored(headers) };
    let bytes = headers.len() + payload.len();
    if policy.message_bytes_max.is_some_and(|max| bytes > max) {
        return Err(errors::message_too_long());
    }
    let mut proposal = Proposal { subject, headers, payload, asked: Asked::default(), late: None };
    if !proposal.headers.is_empty() {
        proposal.read_headers(policy, now_ns)?;
    }
    if policy.allows_counter && counter::increment(&proposal.headers)?.is_none() {
        proposal.refuse_late(errors::increment_missing(), true);
    }
    if proposal.headers.len() > HEADER_BYTES_MAX {
        proposal.refuse_late(errors::headers_too_long(), true);
    }
    proposal.read_lifetime(policy);
    Ok(proposal)
}

fn check_record(
    policy: &Policy,
    subject: &[u8],
    headers: &[u8],
    payload: &[u8],
) -> Result<(), Refused> {
    let bytes = 30 + subject.len() + headers.len() + payload.len();
    let is_too_large = policy.storage == Storage::File && bytes > RECORD_BYTES_MAX;
    if is_too_large { Err(errors::store_failed("message too large")) } else { Ok(()) }
}

impl Proposal<'_> {
    fn read_headers(&mut self, policy: &Policy, now_ns: u64) -> Result<(), Refused> {
        let has = |name: &[u8]| find(&self.headers, name).filter(|value| !value.is_empty());
        if memchr::memmem::find(&self.headers, b"\nNats-").is_none() {
            return Ok(());
        }
        if counter::increment(&self.headers)?.is_some() {
            self.check_increment(policy)?;
        }
        if has(b"Nats-Expected-Stream").is_some_and(|name| name != policy.name.as_bytes()) {
            return Err(errors::other_stream());
        }
        let ttl = has(b"Nats-TTL").map(read_ttl);
        if matches!(ttl, Some(Ok(_))) && !policy.allows_ttl {
            return Err(errors::ttl_disabled());
        }
        let last_subject_seq = has(b"Nats-Expected-Last-Subject-Sequence").map(number);
        let other_subject = has(b"Nats-Expected-Last-Subject-Sequence-Subject");
        if last_subject_seq.is_none() && other_subject.is_some() {
            return Err(errors::last_subject_sequence_missing());
        }
        let last_seq = has(b"Nats-Expected-Last-Sequence").map(number);
        self.asked.last_seq = last_seq;
        self.asked.last_subject_seq = last_subject_seq;
        let late = self.read_schedule(policy, now_ns).err();
        let has = |name: &[u8]| find(&self.headers, name).filter(|value| !value.is_empty());
        let late = late.or_else(|| has(b"Nats-Stream-Source").map(|_| errors::source_header()));
        let rollup = has(b"Nats-Rollup").map(|value| read_rollup(value, policy));
        if let Some(refused) = late {
            self.refuse_late(refused, false);
        }
        match rollup {
            Some(Ok(rollup)) => self.asked.rollup = rollup,
            Some(Err(refused)) => self.refuse_late(refused, true),
            None => {}
        }
        Ok(())
    }

    fn check_increment(&self, policy: &Policy) -> Result<(), Refused> {
        if !policy.allows_counter {
            return Err(errors::counters_disabled());
        }
        if !self.payload.is_empty() {
            return Err(errors::increment_with_payload());
        }
        let has = |name: &&[u8]| find(&self.headers, name).is_some_and(|text| !text.is_empty());
        if NOT_WITH_INCREMENT.iter().any(has) {
            return Err(errors::increment_invalid());
        }
        Ok(())
    }

    fn read_schedule(&mut self, policy: &Policy, now_ns: u64) -> Result<(), Refused> {
        match schedule::check(policy, &self.subject, &self.headers, now_ns)? {
            schedule::Asked::Nothing => {}
            schedule::Asked::Schedule => {
                self.headers = schedule::stored(std::mem::take(&mut self.headers));
            }
            schedule::Asked::Purge => self.asked.purges = true,
        }
        Ok(())
    }

    fn read_lifetime(&mut self, policy: &Policy) {
        let Some(ttl) = find(&self.headers, b"Nats-TTL").filter(|value| !value.is_empty()) else {
            return;
        };
        match read_ttl(ttl) {
            Err(InvalidTtl) => self.refuse_late(errors::ttl_invalid(), true),
            Ok(Ttl::Never) => self.asked.lifetime = Lifetime::Never,
            Ok(Ttl::Seconds(seconds)) => {
                let mut seconds = seconds;
                let is_raised =
                    seconds < policy.marker_ttl_s && policy.limits.msgs_per_subject_max != 1;
                if is_raised {
                    seconds = policy.marker_ttl_s;
                    let bare = headers::without(std::mem::take(&mut self.headers), b"Nats-TTL");
                    self.headers =
                        headers::with(&bare, b"Nats-TTL", seconds.to_string().as_bytes());
                }
                let ttl_ns = seconds.saturating_mul(NS_PER_S);
                self.asked.lifetime = Lifetime::Ttl { ttl_ns };
            }
        }
    }

    fn refuse_late(&mut self, refused: Refused, is_behind_ids: bool) {
        self.late.get_or_insert(Late { refused, is_behind_ids });
    }
}

enum Ttl {
    Never,
    Seconds(u64),
}

struct InvalidTtl;

/// `never`, a duration of Go, or seconds.
fn read_ttl(text: &[u8]) -> Result<Ttl, InvalidTtl> {
    if text.eq_ignore_ascii_case(b"never") {
        return Ok(Ttl::Never);
    }
    if let Some(duration_ns) = crate::duration::read(text) {
        let is_long = duration_ns >= i64::try_from(NS_PER_S).unwrap_or(i64::MAX);
        return is_long
            .then(|| Ttl::Seconds(duration_ns.unsigned_abs() / NS_PER_S))
            .ok_or(InvalidTtl);
    }
    let seconds = number(text);
    i64::try_from(seconds).map(|_| Ttl::Seconds(seconds)).map_err(|_| InvalidTtl)
}

/// Decimal digits; anything else is a number that nothing has, as in nats-server. One that is too
/// large wraps around there, and so it does here.
fn number(text: &[u8]) -> u64 {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let mut number = 0_i64;
    for byte in text {
        let Some(digit) = digit(byte) else { return u64::MAX };
        number = number.wrapping_mul(10).wrapping_add(digit);
    }
    number.cast_unsigned()
}

fn read_rollup(value: &[u8], policy: &Policy) -> Result<Rollup, Refused> {
    if !policy.allows_rollup {
        return Err(errors::rollup_failed("rollup not permitted"));
    }
    let value = String::from_utf8_lossy(value).to_lowercase();
    match &*value {
        "sub" => Ok(Rollup::Subject),
        "all" => Ok(Rollup::All),
        other => {
            let quoted = keelback_wire::quote::quote(other.as_bytes());
            Err(errors::rollup_failed(&format!("rollup value invalid: {quoted}")))
        }
    }
}

/// The message id of a header block; empty without one.
pub fn msg_id(headers: &[u8]) -> &[u8] {
    find(headers, b"Nats-Msg-Id").unwrap_or_default()
}

/// Whether a text says how long a message may stay.
pub(crate) fn is_ttl(text: &[u8]) -> bool {
    read_ttl(text).is_ok()
}

/// How long a message may stay that a stream has stored; what its header says was checked then.
pub fn stored_lifetime(headers: &[u8]) -> Lifetime {
    match find(headers, b"Nats-TTL").filter(|value| !value.is_empty()).map(read_ttl) {
        Some(Ok(Ttl::Never)) => Lifetime::Never,
        Some(Ok(Ttl::Seconds(seconds))) => {
            Lifetime::Ttl { ttl_ns: seconds.saturating_mul(NS_PER_S) }
        }
        Some(Err(InvalidTtl)) | None => Lifetime::Limits,
    }
}

/// Whether a message tells that its subject's messages are gone.
pub(crate) fn is_marker(headers: &[u8]) -> bool {
    find(headers, b"Nats-Marker-Reason").is_some_and(|reason| !reason.is_empty())
        || find(headers, b"KV-Operation") == Some(b"PURGE")
}

/// The header block of a marker that stays so long (seconds).
///
/// Source: nats-server 2.15 `server/stream.go`, `subjectDeleteMarkers`.
pub fn marker_headers(ttl_s: u64) -> Vec<u8> {
    format!(
        "NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: {}\r\nNats-Rollup: sub\r\n\r\n",
        crate::duration::show_seconds(ttl_s)
    )
    .into_bytes()
}
