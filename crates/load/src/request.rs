//! Request-reply, one at a time: what a round trip takes.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::connection::{Connection, try_later};
use crate::error::LoadError;
use crate::frames::{Message, SEQUENCE_DIGITS, write_sequence};
use crate::meter::Meter;
use crate::options::{Amount, Options};
use crate::report::Report;

/// As clients do it: one wildcard subscription for all replies, a new reply subject each time.
const INBOX: &str = "_INBOX.load.";

/// `request-reply`.
pub(crate) fn request_reply(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    arguments.finish()?;
    let mut responder = Connection::open(&options)?;
    responder.send(b"SUB service 1\r\n")?;
    responder.fence()?;
    responder.set_patience(Duration::from_millis(100))?;
    let mut requester = Connection::open(&options)?;
    requester.send(format!("SUB {INBOX}* 1\r\n").as_bytes())?;
    requester.fence()?;
    let over = AtomicBool::new(false);
    let (asked, answered) = std::thread::scope(|scope| {
        let responding = scope.spawn(|| respond(&mut responder, size, &over));
        let asked = ask(&mut requester, size, &options);
        over.store(true, Ordering::Release);
        let answered = responding
            .join()
            .unwrap_or_else(|_| Err(LoadError::Server("the responder panicked".to_owned())));
        (asked, answered)
    });
    answered?;
    asked
}

fn ask(connection: &mut Connection, size: usize, options: &Options) -> Result<Report, LoadError> {
    let mut request = Message { reply: Some(reply_subject()), ..Message::plain("service", size) }
        .published(false);
    let mut reply = Message::plain(reply_subject(), size).delivered("1");
    let request_number = number_at(&request);
    let reply_number = number_at(&reply);
    let mut latencies_ns = Vec::new();
    let mut frames = Frames::new(reply.len());
    let meter = Meter::start(options.server)?;
    let mut now = meter.started();
    for number in 0.. {
        let over = match options.amount {
            Amount::Time(time) => now.duration_since(meter.started()) >= time,
            Amount::Messages(messages) => number >= messages,
        };
        if over {
            break;
        }
        write_sequence(&mut request[request_number..request_number + SEQUENCE_DIGITS], number);
        write_sequence(&mut reply[reply_number..reply_number + SEQUENCE_DIGITS], number);
        connection.send(&request)?;
        let came = loop {
            if let Some(frame) = frames.next(connection)? {
                break frame == reply;
            }
            if now.elapsed() > options.timeout {
                return Err(LoadError::Server(format!("no reply to request {number}")));
            }
        };
        if !came {
            return Err(LoadError::Server(format!("a wrong reply to request {number}")));
        }
        let then = std::mem::replace(&mut now, Instant::now());
        latencies_ns.push(u64::try_from((now - then).as_nanos()).unwrap_or(u64::MAX));
    }
    let measured = meter.stop(now)?;
    let requests = latencies_ns.len() as u64;
    let report = Report::new("request-reply").count("size", size as u64);
    Ok(report.rate(requests, &measured).latencies(&mut latencies_ns))
}

fn respond(connection: &mut Connection, size: usize, over: &AtomicBool) -> Result<(), LoadError> {
    let request =
        Message { reply: Some(reply_subject()), ..Message::plain("service", size) }.delivered("1");
    let from = number_at(&request);
    let mut reply = Message::plain(reply_subject(), size).published(false);
    let to = number_at(&reply);
    let mut frames = Frames::new(request.len());
    while !over.load(Ordering::Acquire) {
        if let Some(request) = frames.next(connection)? {
            reply[to..to + SEQUENCE_DIGITS].copy_from_slice(&request[from..from + SEQUENCE_DIGITS]);
            connection.send(&reply)?;
        }
    }
    Ok(())
}

fn reply_subject() -> String {
    format!("{INBOX}{}", "0".repeat(SEQUENCE_DIGITS))
}

/// Where the number of the reply subject stands.
fn number_at(frame: &[u8]) -> usize {
    let inbox = INBOX.as_bytes();
    let at = frame.windows(inbox.len()).position(|window| window == inbox);
    at.map_or(0, |at| at + inbox.len())
}

/// Frames of one length, one at a time.
struct Frames {
    frame_bytes: usize,
    buffer: Vec<u8>,
    filled: usize,
}

impl Frames {
    fn new(frame_bytes: usize) -> Self {
        Self { frame_bytes, buffer: vec![0; frame_bytes + 4096], filled: 0 }
    }

    /// Reads once if it must; `None` when there is no whole frame yet.
    fn next(&mut self, connection: &mut Connection) -> Result<Option<&[u8]>, LoadError> {
        if self.filled >= self.frame_bytes {
            // At most one frame is on the way: what stands behind it begins the next.
            self.buffer.copy_within(self.frame_bytes..self.filled, 0);
            self.filled -= self.frame_bytes;
        }
        match connection.read(&mut self.buffer[self.filled..]) {
            Ok(0) => {
                let problem = "the server closed the connection";
                return Err(LoadError::Server(problem.to_owned()));
            }
            Ok(read) => self.filled += read,
            Err(error) if try_later(&error) => {}
            Err(error) => return Err(LoadError::io("read", error)),
        }
        if self.buffer[..self.filled].starts_with(b"PING\r\n") {
            connection.send(b"PONG\r\n")?;
            self.buffer.copy_within(6..self.filled, 0);
            self.filled -= 6;
        }
        let whole = self.filled >= self.frame_bytes;
        Ok(whole.then(|| &self.buffer[..self.frame_bytes]))
    }
}
