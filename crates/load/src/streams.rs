//! Publishing into streams: each message asks for its acknowledgement, and so many may be on the way.

use std::io::Read;
use std::thread;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::connection::{Connection, READ_BYTES};
use crate::error::{LoadError, shown};
use crate::meter::Meter;
use crate::options::{Amount, Options};
use crate::report::Report;

/// Digits of a number in a reply subject.
const DIGITS: usize = 10;

/// Messages that are written at once at most.
const BURST_MAX: usize = 512;

#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) publishers: usize,
    pub(crate) streams: usize,
    pub(crate) window: usize,
    pub(crate) size: usize,
    pub(crate) storage: String,
    /// Further keys of each stream's configuration: `,"max_msgs":1000`.
    pub(crate) config: String,
    /// Messages are spread over so many subjects of a stream.
    pub(crate) subjects: u64,
}

/// `stream-publish`: acknowledged messages a second.
pub(crate) fn publish(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let plan = Plan {
        options,
        publishers: arguments.option("--publishers")?.unwrap_or(1).max(1),
        streams: arguments.option("--streams")?.unwrap_or(1).max(1),
        window: arguments.option("--in-flight")?.unwrap_or(1000).max(1),
        size: arguments.option("--size")?.unwrap_or(128),
        storage: arguments.option("--storage")?.unwrap_or_else(|| "file".to_owned()),
        config: arguments.option("--config")?.unwrap_or_default(),
        subjects: arguments.option("--subjects")?.unwrap_or(1).max(1),
    };
    let keep = arguments.switch("--existing");
    arguments.finish()?;
    if !keep {
        create(&plan)?;
    }
    let meter = Meter::start(plan.options.server)?;
    let began = meter.started();
    let results = thread::scope(|scope| {
        let plan = &plan;
        let threads: Vec<_> = (0..plan.publishers)
            .map(|number| scope.spawn(move || Publisher::open(plan, number)?.run(began)))
            .collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let measured = meter.stop(Instant::now())?;
    let (mut acknowledged, mut latencies_ns) = (0, Vec::new());
    for result in results {
        let panicked = |_| LoadError::Server("a publisher panicked".to_owned());
        let (count, latencies) = result.map_err(panicked)??;
        acknowledged += count;
        latencies_ns.extend(latencies);
    }
    let report = Report::new("stream-publish").count("size", plan.size as u64);
    Ok(report.rate(acknowledged, &measured).latencies(&mut latencies_ns))
}

/// Makes the streams.
pub(crate) fn create(plan: &Plan) -> Result<(), LoadError> {
    let mut connection = Connection::open(&plan.options)?;
    connection.send(b"SUB _INBOX.create 1\r\n")?;
    for number in 0..plan.streams {
        let (storage, config) = (&plan.storage, &plan.config);
        let body = format!(
            r#"{{"name":"LOAD{number}","subjects":["load.{number}.>"],"storage":"{storage}"{config}}}"#
        );
        let request = format!(
            "PUB $JS.API.STREAM.CREATE.LOAD{number} _INBOX.create {}\r\n{body}\r\n",
            body.len()
        );
        connection.send(request.as_bytes())?;
        let answer = read_message(&mut connection)?;
        if !answer.windows(8).any(|window| window == b"\"config\"") {
            return Err(LoadError::Server(format!("no stream: {}", shown(&answer))));
        }
    }
    Ok(())
}

/// One whole message.
fn read_message(connection: &mut Connection) -> Result<Vec<u8>, LoadError> {
    let (mut buffer, mut filled) = (vec![0; 1 << 16], 0);
    loop {
        let read = connection.read(&mut buffer[filled..]);
        filled += read.map_err(|error| LoadError::io("wait for the server's answer", error))?;
        if let Some((end, body)) = frame(&buffer[..filled])? {
            return Ok(buffer[end - body - 2..end - 2].to_vec());
        }
        if filled == buffer.len() {
            return Err(LoadError::Server("an answer that has no end".to_owned()));
        }
    }
}

/// Where the first frame ends and how long its body is, when all of it is there.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, LoadError> {
    let Some(line_end) = memchr::memchr(b'\n', bytes) else { return Ok(None) };
    let line = &bytes[..line_end];
    if line.starts_with(b"PING") {
        return Ok(Some((line_end + 1, 0)));
    }
    let digits = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let body = digits.iter().filter(|byte| byte.is_ascii_digit());
    let body = body.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    if !line.starts_with(b"MSG ") && !line.starts_with(b"HMSG ") {
        return Err(LoadError::Server(format!("the server sent \"{}\"", shown(line))));
    }
    let end = line_end + 1 + body + 2;
    Ok((bytes.len() >= end).then_some((end, body)))
}

pub(crate) struct Publisher<'a> {
    plan: &'a Plan,
    connection: Connection,
    number: usize,
    sent: u64,
    acknowledged: u64,
    /// Messages, made ready to be numbered.
    burst: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a> Publisher<'a> {
    pub(crate) fn open(plan: &'a Plan, number: usize) -> Result<Self, LoadError> {
        let mut connection = Connection::open(&plan.options)?;
        connection.send(format!("SUB _INBOX.load{number}.* 1\r\n").as_bytes())?;
        connection.fence()?;
        let (burst, buffer) = (Vec::new(), vec![0; READ_BYTES]);
        Ok(Self { plan, connection, number, sent: 0, acknowledged: 0, burst, buffer, filled: 0 })
    }

    /// Publishes until it is over; how many were acknowledged, and how long single ones took (ns).
    pub(crate) fn run(mut self, began: Instant) -> Result<(u64, Vec<u64>), LoadError> {
        let mut latencies_ns = Vec::new();
        let payload = vec![b'x'; self.plan.size];
        loop {
            let is_over = match self.plan.options.amount {
                Amount::Time(time) => began.elapsed() >= time,
                Amount::Messages(messages) => self.sent >= messages,
            };
            let on_the_way = (self.sent - self.acknowledged) as usize;
            if is_over && on_the_way == 0 {
                return Ok((self.acknowledged, latencies_ns));
            }
            let asked = Instant::now();
            if !is_over {
                let mut room = (self.plan.window - on_the_way).min(BURST_MAX);
                if let Amount::Messages(messages) = self.plan.options.amount {
                    room = room.min((messages - self.sent) as usize);
                }
                self.send(room, &payload)?;
            }
            self.read()?;
            if self.plan.window == 1 && self.acknowledged == self.sent {
                latencies_ns.push(asked.elapsed().as_nanos() as u64);
            }
        }
    }

    fn send(&mut self, count: usize, payload: &[u8]) -> Result<(), LoadError> {
        self.burst.clear();
        for _ in 0..count {
            let stream = (self.sent as usize + self.number) % self.plan.streams;
            let (number, size) = (self.number, payload.len());
            let (sent, subject) = (self.sent, self.sent % self.plan.subjects);
            let line = format!(
                "PUB load.{stream}.{number}.{subject} _INBOX.load{number}.{sent:0DIGITS$} {size}\r\n"
            );
            self.burst.extend_from_slice(line.as_bytes());
            self.burst.extend_from_slice(payload);
            self.burst.extend_from_slice(b"\r\n");
            self.sent += 1;
        }
        self.connection.send(&self.burst)
    }

    /// Reads once, and counts the acknowledgements.
    fn read(&mut self) -> Result<(), LoadError> {
        match self.connection.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err(LoadError::Server("the server closed the connection".to_owned())),
            Ok(read) => self.filled += read,
            Err(error) => return Err(LoadError::io("wait for acknowledgements", error)),
        }
        let mut at = 0;
        while let Some((end, body)) = frame(&self.buffer[at..self.filled])? {
            let body = &self.buffer[at + end - body - 2..at + end - 2];
            if body.starts_with(b"{\"stream\"") {
                self.acknowledged += 1;
            } else if self.buffer[at..].starts_with(b"PING") {
                self.connection.send(b"PONG\r\n")?;
            } else {
                return Err(LoadError::Server(format!("not acknowledged: {}", shown(body))));
            }
            at += end;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(())
    }
}
