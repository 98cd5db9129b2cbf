//! The subscribers' thread: reads as fast as it can, counts, and says when all has come.
//!
//! To copy out what nobody looks at takes a subscriber longer than a fast server takes to send it,
//! and the run would measure the subscribers. So where the lengths are known, the kernel drops
//! most bytes instead (`MSG_TRUNC`); one read in sixteen, and the fence at the end, show that the
//! stream is in step to the byte.

use std::io::Read;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::connection::{Connection, READ_BYTES, try_later};
use crate::error::LoadError;
use crate::walker::{Control, Walker};

/// How long a quiet receiver sleeps before it looks whether the publishers are done.
const QUIET: Duration = Duration::from_millis(20);

/// What publishers and subscribers tell each other.
pub(crate) struct Progress {
    pub(crate) groups: Vec<Group>,
    /// All targets are set: nothing more is published.
    published: AtomicBool,
    failed: AtomicBool,
    publisher_waits: AtomicBool,
    publisher: OnceLock<Thread>,
}

/// Subscribers that share deliveries: one subscriber, or a queue group.
pub(crate) struct Group {
    target: AtomicU64,
    received: AtomicU64,
}

impl Progress {
    pub(crate) fn new(groups: usize) -> Self {
        let group = |_| Group { target: AtomicU64::new(0), received: AtomicU64::new(0) };
        Self {
            groups: (0..groups).map(group).collect(),
            published: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            publisher_waits: AtomicBool::new(false),
            publisher: OnceLock::new(),
        }
    }

    /// Fewest messages that a group of `range` has received.
    pub(crate) fn slowest(&self, range: &std::ops::Range<usize>) -> u64 {
        let received = |group: &Group| group.received.load(Ordering::Acquire);
        self.groups[range.clone()].iter().map(received).min().unwrap_or(u64::MAX)
    }

    /// Sets how much each group must have received in the end, after the last was published.
    pub(crate) fn set_targets(&self, targets: impl Iterator<Item = (usize, u64)>) {
        for (group, target) in targets {
            self.groups[group].target.store(target, Ordering::Release);
        }
        self.published.store(true, Ordering::Release);
    }

    /// Sleeps until the receiver got on, or a few milliseconds.
    pub(crate) fn wait_for_receiver(&self) {
        self.publisher.get_or_init(std::thread::current);
        self.publisher_waits.store(true, Ordering::SeqCst);
        std::thread::park_timeout(Duration::from_millis(2));
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Ends the other side's run: this side has failed.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.wake_publisher();
    }

    fn wake_publisher(&self) {
        if self.publisher_waits.swap(false, Ordering::SeqCst)
            && let Some(publisher) = self.publisher.get()
        {
            publisher.unpark();
        }
    }

    fn complete(&self) -> bool {
        let complete = |group: &Group| {
            group.received.load(Ordering::Relaxed) >= group.target.load(Ordering::Acquire)
        };
        self.published.load(Ordering::Acquire) && self.groups.iter().all(complete)
    }

    fn missing(&self) -> Vec<(usize, u64)> {
        let missing = |group: &Group| {
            let target = group.target.load(Ordering::Acquire);
            target.saturating_sub(group.received.load(Ordering::Relaxed))
        };
        self.groups.iter().map(missing).enumerate().collect()
    }

    fn due(&self) -> u64 {
        self.groups.iter().map(|group| group.target.load(Ordering::Acquire)).sum()
    }
}

/// One subscriber's connection.
pub(crate) struct Subscriber {
    pub(crate) connection: Connection,
    pub(crate) walker: Walker,
    pub(crate) group: usize,
}

/// Reads until every group has what is due.
///
/// Returns when the last delivery came. Afterwards each connection was fenced: nothing came twice.
///
/// # Errors
/// Nothing came for `timeout` though something is due; a connection closed; bytes out of step.
pub(crate) fn receive(
    subscribers: &mut [Subscriber],
    progress: &Progress,
    timeout: Duration,
) -> Result<Instant, LoadError> {
    let result = receive_all(subscribers, progress, timeout)
        .and_then(|last| nothing_more(subscribers, progress, timeout).map(|()| last));
    if result.is_err() {
        progress.fail();
    }
    result
}

fn receive_all(
    subscribers: &mut [Subscriber],
    progress: &Progress,
    timeout: Duration,
) -> Result<Instant, LoadError> {
    let mut buffer = vec![0; READ_BYTES];
    let mut last = Instant::now();
    let mut ready = Ready::new(subscribers)?;
    while !progress.complete() {
        let before = last;
        ready.wait()?;
        for &index in &ready.indices {
            if take(&mut subscribers[index], progress, &mut buffer)? {
                last = Instant::now();
            }
        }
        if progress.publisher_waits.load(Ordering::Relaxed) {
            progress.wake_publisher();
        }
        if last == before {
            let silent = last.elapsed();
            if progress.has_failed() {
                return Err(LoadError::Server("the publisher failed".to_owned()));
            }
            if silent > timeout {
                let (missing, due) = (progress.missing(), progress.due());
                return Err(LoadError::Missing { missing, due, silent_s: silent.as_secs_f64() });
            }
        }
    }
    Ok(last)
}

/// Reads once; says whether anything came.
fn take(
    subscriber: &mut Subscriber,
    progress: &Progress,
    buffer: &mut [u8],
) -> Result<bool, LoadError> {
    let skimmed = subscriber.walker.skim_bytes(buffer.len());
    let result = match skimmed {
        Some(most) => subscriber.connection.skim(&mut buffer[..most]),
        None => subscriber.connection.read(buffer),
    };
    let read = match result {
        Ok(read) => read,
        Err(error) if try_later(&error) => return Ok(false),
        Err(error) => return Err(LoadError::io("read deliveries", error)),
    };
    let group = &progress.groups[subscriber.group];
    if read == 0 {
        let got = group.received.load(Ordering::Relaxed);
        let problem = format!("the server closed a subscriber after {got} deliveries");
        return Err(LoadError::Server(problem));
    }
    let before = subscriber.walker.messages;
    let mut pinged = false;
    if skimmed.is_some() {
        subscriber.walker.skim(read);
    } else {
        subscriber.walker.take(&buffer[..read], |control| pinged |= control == Control::Ping)?;
    }
    group.received.fetch_add(subscriber.walker.messages - before, Ordering::Release);
    if pinged {
        subscriber.connection.send(b"PONG\r\n")?;
    }
    Ok(true)
}

/// Fences every connection: what comes before the PONG was sent too much.
fn nothing_more(
    subscribers: &mut [Subscriber],
    progress: &Progress,
    timeout: Duration,
) -> Result<(), LoadError> {
    let mut buffer = vec![0; READ_BYTES];
    for subscriber in subscribers.iter_mut() {
        subscriber.connection.set_nonblocking(false)?;
        subscriber.connection.set_patience(timeout)?;
        subscriber.connection.send(b"PING\r\n")?;
        subscriber.walker.settle();
        let before = subscriber.walker.messages;
        let mut fenced = false;
        while !fenced {
            let read = subscriber
                .connection
                .read(&mut buffer)
                .map_err(|error| LoadError::io("wait for the last PONG", error))?;
            if read == 0 {
                let problem = "the server closed a subscriber at the end of the run";
                return Err(LoadError::Server(problem.to_owned()));
            }
            subscriber
                .walker
                .take(&buffer[..read], |control| fenced |= control == Control::Pong)?;
        }
        let group = &progress.groups[subscriber.group];
        group.received.fetch_add(subscriber.walker.messages - before, Ordering::Relaxed);
    }
    for (index, group) in progress.groups.iter().enumerate() {
        let (received, target) =
            (group.received.load(Ordering::Relaxed), group.target.load(Ordering::Relaxed));
        if received != target {
            let problem = format!("subscriber {index} received {received} of {target} messages");
            return Err(LoadError::Server(problem));
        }
    }
    Ok(())
}

/// Which connections may be read. One alone blocks in its own read and needs no poller.
struct Ready {
    poller: Option<std::os::fd::OwnedFd>,
    events: Vec<epoll::Event>,
    indices: Vec<usize>,
}

impl Ready {
    fn new(subscribers: &[Subscriber]) -> Result<Self, LoadError> {
        if let [only] = subscribers {
            only.connection.set_patience(QUIET)?;
            return Ok(Self { poller: None, events: Vec::new(), indices: vec![0] });
        }
        let failed = |error: rustix::io::Errno| LoadError::io("epoll", error.into());
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for (index, subscriber) in subscribers.iter().enumerate() {
            subscriber.connection.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&poller, &subscriber.connection.socket, data, epoll::EventFlags::IN)
                .map_err(failed)?;
        }
        let events = Vec::with_capacity(subscribers.len());
        Ok(Self { poller: Some(poller), events, indices: Vec::new() })
    }

    fn wait(&mut self) -> Result<(), LoadError> {
        let Some(poller) = &self.poller else { return Ok(()) };
        self.events.clear();
        let patience =
            rustix::event::Timespec { tv_sec: 0, tv_nsec: i64::from(QUIET.subsec_nanos()) };
        let room = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(poller, room, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LoadError::io("epoll", error.into())),
        }
        self.indices.clear();
        self.indices.extend(self.events.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }
}
