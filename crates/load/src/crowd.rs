//! Crowds of connections: opening them, logging them in, keeping them idle.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::arguments::Arguments;
use crate::connection::{connect_line, try_later};
use crate::error::{LoadError, shown};
use crate::meter::Meter;
use crate::options::Options;
use crate::report::Report;

/// `logins`: everybody is greeted, then all send CONNECT at once.
pub(crate) fn logins(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let count: usize = arguments.word("the number of logins")?.unwrap_or(10_000);
    arguments.finish()?;
    let mut crowd = Crowd::new(&options, 256)?;
    crowd.keep = true;
    let opened = Instant::now();
    crowd.greet(count, |crowd, _| {
        crowd.waiting -= 1;
        Ok(())
    })?;
    let greeted = opened.elapsed();
    crowd.at_once = count;
    let meter = Meter::start(options.server)?;
    crowd.log_in()?;
    let measured = meter.stop(Instant::now())?;
    let report = Report::new("logins")
        .flag("password", options.user.is_some())
        .number("greeting_seconds", greeted.as_secs_f64());
    Ok(report.rate(count as u64, &measured).latencies(&mut crowd.latencies_ns))
}

/// `idle`: the server's memory with and without connections that do nothing.
pub(crate) fn idle(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let count: usize = arguments.option("--connections")?.unwrap_or(10_000);
    let settle_s: f64 = arguments.option("--settle")?.unwrap_or(1.0);
    arguments.finish()?;
    let Some(server) = options.server else {
        return Err(LoadError::Usage("idle wants --server-pid: it reads its memory".to_owned()));
    };
    let before = server.memory_bytes()?;
    let mut crowd = Crowd::new(&options, 64)?;
    crowd.keep = true;
    crowd.greet(count, |_, member| {
        member.login();
        Ok(())
    })?;
    // Not an event that could be awaited: servers give memory back at their leisure.
    std::thread::sleep(Duration::try_from_secs_f64(settle_s).unwrap_or_default());
    let after = server.memory_bytes()?;
    let each = after.saturating_sub(before) as f64 / count.max(1) as f64;
    Ok(Report::new("idle")
        .count("connections", count as u64)
        .count("memory_before_bytes", before)
        .count("memory_after_bytes", after)
        .number("bytes_per_connection", each))
}

/// Connections that are all driven by one thread.
struct Crowd<'a> {
    options: &'a Options,
    connect: Vec<u8>,
    poller: OwnedFd,
    members: Vec<Option<Member>>,
    /// Connections that may be between their start and their PONG.
    at_once: usize,
    /// Connections that are.
    waiting: usize,
    /// Whether a connection stays open after its PONG.
    keep: bool,
    latencies_ns: Vec<u64>,
}

struct Member {
    socket: TcpStream,
    began: Instant,
    /// An unfinished line.
    answer: Vec<u8>,
    /// How the line that is awaited begins; empty when none is.
    awaits: &'static [u8],
    greeted: bool,
    wants_login: bool,
}

impl Member {
    fn login(&mut self) {
        self.wants_login = true;
    }
}

impl<'a> Crowd<'a> {
    fn new(options: &'a Options, at_once: usize) -> Result<Self, LoadError> {
        raise_descriptor_limit();
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| LoadError::io("epoll", error.into()))?;
        let connect = format!("{}PING\r\n", connect_line(options.user.as_ref())).into_bytes();
        Ok(Self {
            options,
            connect,
            poller,
            members: Vec::new(),
            at_once,
            waiting: 0,
            keep: false,
            latencies_ns: Vec::new(),
        })
    }

    /// Opens `count` connections; `on_info` decides what each does once it has read INFO.
    fn greet(
        &mut self,
        count: usize,
        mut on_info: impl FnMut(&mut Self, &mut Member) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let mut last = Instant::now();
        while self.members.len() < count || self.waiting > 0 {
            while self.members.len() < count && self.waiting < self.at_once {
                self.open()?;
            }
            for index in self.ready(&mut last)? {
                let Some(mut member) = self.members[index].take() else { continue };
                if self.advance(&mut member)? {
                    if !member.greeted {
                        member.greeted = true;
                        on_info(self, &mut member)?;
                        self.begin_login(&mut member)?;
                        self.members[index] = Some(member);
                    } else if self.finish(&member) {
                        self.members[index] = Some(member);
                    }
                } else {
                    self.members[index] = Some(member);
                }
            }
        }
        Ok(())
    }

    /// Sends CONNECT on every connection, then waits for every PONG.
    fn log_in(&mut self) -> Result<(), LoadError> {
        let mut members = std::mem::take(&mut self.members);
        for member in members.iter_mut().flatten() {
            member.login();
            member.began = Instant::now();
            self.begin_login(member)?;
            self.waiting += 1;
        }
        self.members = members;
        let mut last = Instant::now();
        while self.waiting > 0 {
            for index in self.ready(&mut last)? {
                let Some(mut member) = self.members[index].take() else { continue };
                if self.advance(&mut member)? {
                    self.finish(&member);
                }
                self.members[index] = Some(member);
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), LoadError> {
        let doing = |error: Errno| LoadError::io("open a connection", error.into());
        let family =
            if self.options.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(family, SocketType::STREAM, flags, None).map_err(doing)?;
        let began = Instant::now();
        match rustix::net::connect(&socket, &self.options.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(doing(error)),
        }
        let data = epoll::EventData::new_u64(self.members.len() as u64);
        epoll::add(&self.poller, &socket, data, epoll::EventFlags::IN).map_err(doing)?;
        let socket = TcpStream::from(socket);
        let answer = Vec::new();
        let awaits = b"INFO ";
        let member = Member { socket, began, answer, awaits, greeted: false, wants_login: false };
        self.members.push(Some(member));
        self.waiting += 1;
        Ok(())
    }

    fn begin_login(&self, member: &mut Member) -> Result<(), LoadError> {
        if !std::mem::take(&mut member.wants_login) {
            return Ok(());
        }
        member.awaits = b"PONG\r\n";
        // A few hundred bytes always fit into an empty socket buffer.
        member.socket.write_all(&self.connect).map_err(|error| LoadError::io("send CONNECT", error))
    }

    /// Reads; says whether the awaited line (INFO, then PONG) came.
    fn advance(&self, member: &mut Member) -> Result<bool, LoadError> {
        let mut buffer = [0; 4096];
        match member.socket.read(&mut buffer) {
            Ok(0) => return Err(self.lost(member, "the server closed a connection")),
            Ok(read) => member.answer.extend_from_slice(&buffer[..read]),
            Err(error) if try_later(&error) => return Ok(false),
            Err(error) => return Err(self.lost(member, &error.to_string())),
        }
        let mut came = false;
        while let Some(end) = member.answer.iter().position(|&byte| byte == b'\n') {
            let rest = member.answer.split_off(end + 1);
            let line = std::mem::replace(&mut member.answer, rest);
            // Servers ping a client two seconds after its CONNECT: here, while others still wait.
            if line == b"PING\r\n" {
                member
                    .socket
                    .write_all(b"PONG\r\n")
                    .map_err(|error| LoadError::io("answer a PING", error))?;
            } else if !came && line.starts_with(member.awaits) && !member.awaits.is_empty() {
                came = true;
                member.awaits = b"";
            } else {
                let answered = format!("the server answered \"{}\"", shown(&line));
                return Err(self.lost(member, &answered));
            }
        }
        Ok(came)
    }

    fn lost(&self, member: &Member, what: &str) -> LoadError {
        let stage = if member.greeted { "CONNECT" } else { "connecting" };
        let done = self.latencies_ns.len();
        LoadError::Server(format!("after {done} connections were answered, {stage}: {what}"))
    }

    /// Counts a PONG; says whether the connection stays open.
    fn finish(&mut self, member: &Member) -> bool {
        let took = member.began.elapsed().as_nanos();
        self.latencies_ns.push(u64::try_from(took).unwrap_or(u64::MAX));
        self.waiting -= 1;
        self.keep
    }

    /// Waits for connections that can be read.
    fn ready(&self, last: &mut Instant) -> Result<Vec<usize>, LoadError> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let room = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.poller, room, Some(&patience)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(LoadError::io("epoll", io::Error::from(error))),
        }
        if !events.is_empty() {
            *last = Instant::now();
        } else if last.elapsed() > self.options.timeout {
            let (waiting, done) = (self.waiting, self.latencies_ns.len());
            let problem = format!("{waiting} connections wait for an answer, {done} have theirs");
            return Err(LoadError::Server(problem));
        }
        Ok(events.iter().map(|event| event.data.u64() as usize).collect())
    }
}

/// A crowd needs a descriptor each; the soft limit is often 1,024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, opening the connections will say so.
    let _ = setrlimit(Resource::Nofile, limit);
}
