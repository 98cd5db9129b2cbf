//! The poller: level-triggered readiness. epoll, since that is what servers run on; another
//! platform needs another file with these few functions.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

/// What is wanted of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) input: bool,
    pub(crate) room: bool,
}

/// What happened to the descriptor registered under `key`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) key: u64,
    pub(crate) input: bool,
    pub(crate) room: bool,
    /// Hang-up or error: reported even when nothing was asked for.
    pub(crate) gone: bool,
}

/// Events taken in one turn at most: the answers to the first wait for the last.
const EVENTS_MAX: usize = 128;

pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    pub(crate) fn add(&self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(key), flags(interest))?)
    }

    /// Adds a listener that several pollers share: one of them wakes for a connection.
    pub(crate) fn add_shared(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(key), flags)?)
    }

    pub(crate) fn change(&self, fd: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, EventData::new_u64(key), flags(interest))?)
    }

    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready, and fills `ready`.
    pub(crate) fn wait(&self, ready: &mut Vec<Readiness>) -> io::Result<()> {
        ready.clear();
        let mut events =
            [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS_MAX];
        let count = match epoll::wait(&self.epoll, &mut events[..], None) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        ready.extend(events[..count].iter().map(|event| {
            let flags = event.flags;
            Readiness {
                key: event.data.u64(),
                input: flags.contains(EventFlags::IN),
                room: flags.contains(EventFlags::OUT),
                gone: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        }));
        Ok(())
    }
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.input);
    flags.set(EventFlags::OUT, interest.room);
    flags
}

/// Wakes a poller, or an event loop of Python, from another thread.
pub struct Waker {
    eventfd: OwnedFd,
}

impl Waker {
    /// A waker that was not used yet.
    ///
    /// # Errors
    /// No descriptor could be had.
    pub fn new() -> io::Result<Self> {
        Ok(Self { eventfd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the descriptor readable.
    pub fn wake(&self) {
        // Only a full counter can refuse, and then it is readable already.
        let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable again.
    pub fn reset(&self) {
        let _ = rustix::io::read(&self.eventfd, &mut [0_u8; 8]);
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> &OwnedFd {
        &self.eventfd
    }
}
