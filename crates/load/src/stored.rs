//! Reading what a stream holds: direct gets of random messages, many on the way.

use std::io::Read;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::connection::{Connection, READ_BYTES};
use crate::error::{LoadError, shown};
use crate::meter::Meter;
use crate::options::{Amount, Options};
use crate::report::Report;
use crate::streams::{Plan, Publisher, create, frame};

/// Requests that are written at once at most.
const BURST_MAX: u64 = 512;

const SUBJECT: &str = "load.0.0";

/// `stream-get`: messages read a second, of a stream that is filled first.
pub(crate) fn get(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let stored: u64 = arguments.option("--stored")?.unwrap_or(1_000_000).max(1);
    let window: u64 = arguments.option("--in-flight")?.unwrap_or(1000).max(1);
    let by: String = arguments.option("--by")?.unwrap_or_else(|| "sequence".to_owned());
    arguments.finish()?;
    let is_by_subject = match by.as_str() {
        "sequence" => false,
        "subject" => true,
        other => return Err(LoadError::Usage(format!("--by {other}: `sequence` or `subject`"))),
    };
    let amount = Amount::Messages(stored);
    let plan = Plan {
        options: Options { amount, ..options.clone() },
        publishers: 1,
        streams: 1,
        window: 5000,
        size: 16,
        storage: "file".to_owned(),
        config: r#","allow_direct":true"#.to_owned(),
        subjects: stored,
    };
    create(&plan)?;
    Publisher::open(&plan, 0)?.run(Instant::now())?;
    let mut connection = Connection::open(&options)?;
    connection.send(b"SUB _INBOX.get 1\r\n")?;
    connection.fence()?;
    let meter = Meter::start(options.server)?;
    let mut reader =
        Reader { connection, stored, state: 1, buffer: vec![0; READ_BYTES], filled: 0 };
    let read = reader.run(&options.amount, window, is_by_subject)?;
    let measured = meter.stop(Instant::now())?;
    Ok(Report::new("stream-get").count("stored", stored).rate(read, &measured))
}

struct Reader {
    connection: Connection,
    stored: u64,
    /// Of the numbers that look random.
    state: u64,
    buffer: Vec<u8>,
    filled: usize,
}

impl Reader {
    fn run(&mut self, amount: &Amount, window: u64, is_by_subject: bool) -> Result<u64, LoadError> {
        let (began, mut asked, mut read) = (Instant::now(), 0, 0);
        loop {
            let is_over = match *amount {
                Amount::Time(time) => began.elapsed() >= time,
                Amount::Messages(messages) => asked >= messages,
            };
            if is_over && read == asked {
                return Ok(read);
            }
            if !is_over {
                let burst = (window - (asked - read)).min(BURST_MAX);
                let text = (0..burst).map(|_| self.request(is_by_subject)).collect::<String>();
                self.connection.send(text.as_bytes())?;
                asked += burst;
            }
            read += self.read()?;
        }
    }

    fn request(&mut self, is_by_subject: bool) -> String {
        // Knuth's: its upper half looks random enough for messages to be far apart.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let chosen = (self.state >> 32) % self.stored;
        if is_by_subject {
            return format!("PUB $JS.API.DIRECT.GET.LOAD0.{SUBJECT}.{chosen} _INBOX.get 0\r\n\r\n");
        }
        let body = format!("{{\"seq\":{}}}", chosen + 1);
        format!("PUB $JS.API.DIRECT.GET.LOAD0 _INBOX.get {}\r\n{body}\r\n", body.len())
    }

    /// Reads once; how many messages came.
    fn read(&mut self) -> Result<u64, LoadError> {
        match self.connection.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err(LoadError::Server("the server closed the connection".to_owned())),
            Ok(read) => self.filled += read,
            Err(error) => return Err(LoadError::io("wait for messages", error)),
        }
        let (mut at, mut count) = (0, 0);
        while let Some((end, body)) = frame(&self.buffer[at..self.filled])? {
            if self.buffer[at..].starts_with(b"PING") {
                self.connection.send(b"PONG\r\n")?;
            } else {
                let body = &self.buffer[at + end - body - 2..at + end - 2];
                if !body.starts_with(b"NATS/1.0\r\n") {
                    return Err(LoadError::Server(format!("no message: {}", shown(body))));
                }
                count += 1;
            }
            at += end;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(count)
    }
}
