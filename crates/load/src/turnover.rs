//! Connections that come and go: opened, answered with PONG, closed, a number of them at once.
//!
//! They are served round and round with reads that wait: by the time one has its turn again, its
//! answer is there, and nothing is paid for a poller.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::arguments::Arguments;
use crate::connection::connect_line;
use crate::error::{LoadError, shown};
use crate::meter::Meter;
use crate::options::Options;
use crate::report::Report;

/// `connect`: what is measured is the rate of whole lives of connections.
pub(crate) fn connect(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let count: usize = arguments.option("--connections")?.unwrap_or(10_000);
    let at_once: usize = arguments.option("--at-once")?.unwrap_or(64);
    arguments.finish()?;
    let greeting = format!("{}PING\r\n", connect_line(options.user.as_ref())).into_bytes();
    let meter = Meter::start(options.server)?;
    // One thread alone would be what limits a quick server.
    let shares = [(count / 2, at_once / 2), (count - count / 2, at_once - at_once / 2)];
    let turned = thread::scope(|scope| {
        let (options, greeting) = (&options, &greeting);
        let drivers = shares.map(|(count, at_once)| {
            scope.spawn(move || turn_over(options, greeting, count, at_once))
        });
        drivers.map(thread::ScopedJoinHandle::join)
    });
    let measured = meter.stop(Instant::now())?;
    let mut latencies_ns = Vec::with_capacity(count);
    for driver in turned {
        let panicked = |_| LoadError::Server("a thread of the generator panicked".to_owned());
        latencies_ns.extend(driver.map_err(panicked)??);
    }
    let report = Report::new("connect").count("at_once", at_once as u64);
    Ok(report.rate(count as u64, &measured).latencies(&mut latencies_ns))
}

/// `count` lives, at most `at_once` at a time; how long each took to its PONG (ns).
fn turn_over(
    options: &Options,
    greeting: &[u8],
    count: usize,
    at_once: usize,
) -> Result<Vec<u64>, LoadError> {
    let mut latencies_ns = Vec::with_capacity(count);
    let mut opened = 0;
    let mut ring: Vec<Option<Life>> = (0..at_once.clamp(1, count.max(1))).map(|_| None).collect();
    while latencies_ns.len() < count {
        for place in &mut ring {
            let next = match place.take() {
                Some(life) if life.greeted => {
                    latencies_ns.push(life.end()?);
                    None
                }
                Some(life) => Some(life.log_in(greeting)?),
                None if opened < count => {
                    opened += 1;
                    Some(Life::begin(options)?)
                }
                None => None,
            };
            *place = next;
        }
    }
    Ok(latencies_ns)
}

/// A connection between its start and its PONG.
struct Life {
    socket: TcpStream,
    began: Instant,
    greeted: bool,
}

impl Life {
    fn begin(options: &Options) -> Result<Self, LoadError> {
        let doing = |error| LoadError::io("open a connection", error);
        let began = Instant::now();
        let socket = TcpStream::connect(options.address).map_err(doing)?;
        socket.set_read_timeout(Some(options.timeout)).map_err(doing)?;
        Ok(Self { socket, began, greeted: false })
    }

    fn log_in(mut self, greeting: &[u8]) -> Result<Self, LoadError> {
        self.line(b"INFO ")?;
        self.greeted = true;
        self.socket.write_all(greeting).map_err(|error| LoadError::io("send CONNECT", error))?;
        Ok(self)
    }

    /// From the first step to the PONG (ns).
    fn end(mut self) -> Result<u64, LoadError> {
        self.line(b"PONG\r\n")?;
        let took = self.began.elapsed();
        // By a reset: thousands of sockets in TIME_WAIT would burden the next run.
        set_socket_linger(&self.socket, Some(Duration::ZERO))
            .map_err(|error| LoadError::io("close a connection", error.into()))?;
        Ok(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Reads the line that is due, and checks how it begins.
    fn line(&mut self, begins: &[u8]) -> Result<(), LoadError> {
        let mut buffer = [0; 4096];
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"\r\n") && filled < buffer.len() {
            match self.socket.read(&mut buffer[filled..]) {
                Ok(0) => {
                    return Err(LoadError::Server("the server closed a connection".to_owned()));
                }
                Ok(read) => filled += read,
                Err(error) => return Err(LoadError::io("wait for the server's answer", error)),
            }
        }
        let line = &buffer[..filled];
        if line.starts_with(begins) {
            return Ok(());
        }
        Err(LoadError::Server(format!("the server answered \"{}\"", shown(line))))
    }
}
