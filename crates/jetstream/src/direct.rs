//! Messages that are asked for past the API: `$JS.API.DIRECT.GET`.
//!
//! Source: nats-server 2.15 `server/stream.go`, `getDirectRequest` and `getDirectMulti`.

use keelback_store::stream::Stream;
use serde_json::{Map, Value};

use crate::headers::{find, with_all};
use crate::time;

/// The subject before the stream's name.
pub const PREFIX: &str = "$JS.API.DIRECT.GET.";

/// The highest level of the API that this server has.
const API_LEVEL: u64 = 5;

/// Subjects that one request may ask the last messages of.
const SUBJECTS_MAX: usize = 1024;

/// A message that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its subject.
    pub subject: Vec<u8>,
    /// The header block; empty without one.
    pub headers: Vec<u8>,
    /// The message without its headers.
    pub payload: Vec<u8>,
    /// Since 1970.
    pub time_ns: u64,
}

/// A stream that messages are read from.
pub trait Reader {
    /// Which messages there are.
    fn stream(&mut self) -> &mut Stream;

    /// The message with this sequence; `None` if there is none, or it cannot be read.
    fn read(&mut self, seq: u64) -> Option<Found>;
}

/// What is asked for.
#[derive(Debug, Default)]
struct Request {
    seq: u64,
    last_for: String,
    next_for: String,
    batch: u64,
    bytes_max: usize,
    start_ns: Option<u64>,
    multi_last: Vec<String>,
    up_to_seq: u64,
    up_to_ns: Option<u64>,
    without_headers: bool,
}

/// Takes answers: header block and payload.
pub type Send<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// Answers a request to the stream `name`. `key` is the subject behind its name, empty without one.
/// `bytes_max` is how much one request gets that does not say.
pub fn answer(
    reader: &mut impl Reader,
    name: &str,
    key: &[u8],
    (headers, body): (&[u8], &[u8]),
    bytes_max: usize,
    send: Send<'_>,
) {
    if find(headers, b"Nats-Required-Api-Level").is_some_and(|level| !is_supported(level)) {
        return send(b"NATS/1.0 412 Required Api Level\r\n\r\n", b"");
    }
    let request = match read(body, key) {
        Ok(request) => request,
        Err(why) => return send(format!("NATS/1.0 408 {why}\r\n\r\n").as_bytes(), b""),
    };
    let mut answering = Answering { reader, name, bytes_max, last_seq: 0, sent_bytes: 0, send };
    if request.bytes_max > 0 {
        answering.bytes_max = request.bytes_max;
    }
    if request.multi_last.is_empty() {
        answering.messages(&request);
    } else {
        answering.last_of_each(&request);
    }
}

fn is_supported(level: &[u8]) -> bool {
    let level = String::from_utf8_lossy(level);
    level.is_empty() || level.parse::<u64>().is_ok_and(|level| level <= API_LEVEL)
}

/// Reads a request, or says what is wrong with it.
fn read(body: &[u8], key: &[u8]) -> Result<Request, &'static str> {
    if body.is_empty() && key.is_empty() {
        return Err("Empty Request");
    }
    let mut request = Request::default();
    if !body.is_empty() {
        let value: Value = serde_json::from_slice(body).map_err(|_| "Malformed Request")?;
        request.take(&value).ok_or("Malformed Request")?;
    }
    if !key.is_empty() {
        let Request { last_for, next_for, multi_last, seq, batch, .. } = &request;
        let says_more = !last_for.is_empty()
            || !next_for.is_empty()
            || !multi_last.is_empty()
            || (*seq, *batch, request.up_to_seq) != (0, 0, 0)
            || request.start_ns.is_some()
            || request.up_to_ns.is_some();
        if says_more {
            return Err("Bad Request");
        }
        request.last_for = String::from_utf8_lossy(key).into_owned();
        return Ok(request);
    }
    request.check().map(|()| request)
}

impl Request {
    /// Takes the fields of an object, whatever their case; `None` if one is of another type.
    fn take(&mut self, value: &Value) -> Option<()> {
        let none = Map::new();
        let fields = if value.is_null() { &none } else { value.as_object()? };
        for (name, value) in fields {
            if value.is_null() {
                continue;
            }
            match &*name.to_ascii_lowercase() {
                "seq" => self.seq = value.as_u64()?,
                "last_by_subj" => value.as_str()?.clone_into(&mut self.last_for),
                "next_by_subj" => value.as_str()?.clone_into(&mut self.next_for),
                "batch" => self.batch = value.as_i64()?.max(0).unsigned_abs(),
                "max_bytes" => self.bytes_max = usize::try_from(value.as_i64()?.max(0)).ok()?,
                "start_time" => self.start_ns = Some(time::read(value.as_str()?)?),
                "multi_last" => {
                    let subjects = value.as_array()?.iter().map(|subject| subject.as_str());
                    let subjects = subjects.map(|subject| subject.map(str::to_owned));
                    self.multi_last = subjects.collect::<Option<_>>()?;
                }
                "up_to_seq" => self.up_to_seq = value.as_u64()?,
                "up_to_time" => self.up_to_ns = Some(time::read(value.as_str()?)?),
                "no_hdr" => self.without_headers = value.as_bool()?,
                _ => {}
            }
        }
        Some(())
    }

    fn check(&self) -> Result<(), &'static str> {
        let (by_seq, by_time) = (self.seq > 0, self.start_ns.is_some());
        let (by_last, by_next) = (!self.last_for.is_empty(), !self.next_for.is_empty());
        let by_each = !self.multi_last.is_empty();
        if !(by_seq || by_last || by_next || by_each || by_time) {
            return Err("Empty Request");
        }
        let conflicts = (by_seq && by_time)
            || (by_last && (by_seq || by_time || by_next || by_each || self.batch > 0))
            || (by_next && by_each)
            || (self.up_to_seq > 0 && self.up_to_ns.is_some());
        if conflicts { Err("Bad Request") } else { Ok(()) }
    }
}

struct Answering<'a, R> {
    reader: &'a mut R,
    name: &'a str,
    bytes_max: usize,
    /// Of the message that was sent before.
    last_seq: u64,
    sent_bytes: usize,
    send: Send<'a>,
}

impl<R: Reader> Answering<'_, R> {
    fn messages(&mut self, request: &Request) {
        let stream = self.reader.stream();
        let mut seq = request.start_ns.map_or(request.seq, |start_ns| stream.seq_at(start_ns));
        let is_batch = request.batch > 0;
        let filter = request.next_for.as_bytes();
        let mut pending = if is_batch { stream.count_from(filter, seq) } else { 0 };
        for number in 0..request.batch.max(1) {
            let stream = self.reader.stream();
            let found = if !request.next_for.is_empty() || (seq > 0 && (is_batch || number > 0)) {
                stream.next_matching(filter, seq).map(|found| found.seq)
            } else if seq > 0 {
                Some(seq)
            } else {
                stream.last_seq_matching(request.last_for.as_bytes())
            };
            let message = found.and_then(|seq| self.reader.read(seq).map(|message| (seq, message)));
            let Some((found, message)) = message else {
                if request.batch > 1 && number > 0 {
                    break;
                }
                return (self.send)(b"NATS/1.0 404 Message Not Found\r\n\r\n", b"");
            };
            seq = found + 1;
            if !request.without_headers {
                // As in nats-server.
                pending = pending.saturating_sub(1);
            }
            self.send_message(
                found,
                &message,
                is_batch.then_some(pending),
                request.without_headers,
            );
            if self.sent_bytes >= self.bytes_max {
                break;
            }
        }
        if is_batch {
            self.end(pending, None);
        }
    }

    fn last_of_each(&mut self, request: &Request) {
        let stream = self.reader.stream();
        let mut up_to = request.up_to_seq;
        if let Some(up_to_ns) = request.up_to_ns {
            let behind = stream.seq_at(up_to_ns);
            if behind <= stream.state().first_seq {
                return (self.send)(b"NATS/1.0 404 No Results\r\n\r\n", b"");
            }
            up_to = behind - 1;
        }
        if up_to == 0 {
            up_to = stream.state().last_seq;
        }
        let filters: Vec<&[u8]> = request.multi_last.iter().map(String::as_bytes).collect();
        let Ok(found) = stream.last_of_each(&filters, up_to, SUBJECTS_MAX) else {
            return (self.send)(b"NATS/1.0 413 Too Many Results\r\n\r\n", b"");
        };
        if found.is_empty() {
            return (self.send)(b"NATS/1.0 404 No Results\r\n\r\n", b"");
        }
        let (mut pending, mut sent) = (found.len() as u64, 0);
        for seq in found {
            pending -= 1;
            if seq < request.seq {
                continue;
            }
            let Some(message) = self.reader.read(seq) else {
                return (self.send)(b"NATS/1.0 404 Message Not Found\r\n\r\n", b"");
            };
            self.send_message(seq, &message, Some(pending), false);
            sent += 1;
            let is_enough = request.batch > 0 && sent >= request.batch;
            if self.sent_bytes >= self.bytes_max || is_enough {
                break;
            }
        }
        self.end(pending, Some(up_to));
    }

    /// Sends a message with where it is from; one of many with how many follow.
    fn send_message(&mut self, seq: u64, found: &Found, pending: Option<u64>, is_bare: bool) {
        let Found { subject, headers, payload, time_ns } = found;
        if is_bare {
            (self.send)(b"", payload);
        } else {
            let (sequence, shown) = (seq.to_string(), time::show(*time_ns));
            let (pending, last) = (pending.map(|it| it.to_string()), self.last_seq.to_string());
            let more: [(&[u8], &[u8]); 6] = [
                (b"Nats-Stream", self.name.as_bytes()),
                (b"Nats-Subject", subject),
                (b"Nats-Sequence", sequence.as_bytes()),
                (b"Nats-Time-Stamp", shown.as_bytes()),
                (b"Nats-Num-Pending", pending.as_deref().unwrap_or_default().as_bytes()),
                (b"Nats-Last-Sequence", last.as_bytes()),
            ];
            let count = if pending.is_some() { more.len() } else { more.len() - 2 };
            (self.send)(&with_all(headers, &more[..count]), payload);
        }
        self.last_seq = seq;
        self.sent_bytes += subject.len() + headers.len() + payload.len();
    }

    fn end(&mut self, pending: u64, up_to: Option<u64>) {
        let last = self.last_seq;
        let up_to = up_to.map_or(String::new(), |up_to| format!("Nats-UpTo-Sequence: {up_to}\r\n"));
        let block = format!(
            "NATS/1.0 204 EOB\r\nNats-Num-Pending: {pending}\r\nNats-Last-Sequence: {last}\r\n{up_to}\r\n"
        );
        (self.send)(block.as_bytes(), b"");
    }
}
