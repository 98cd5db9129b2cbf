//! The publishers: write prebuilt batches as fast as the server takes them.

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::connection::{Connection, try_later};
use crate::error::LoadError;
use crate::frames::Batch;
use crate::options::Amount;
use crate::receiver::Progress;

/// One publisher's connection and what it writes.
pub(crate) struct Publisher {
    connection: Connection,
    batch: Batch,
    /// The groups that receive all that is published here.
    pub(crate) groups: Range<usize>,
    /// Messages that may be on the way to one subscriber.
    window: u64,
    /// Messages of finished pieces.
    pub(crate) sent: u64,
    /// The messages of the batch that are being written.
    piece: Range<usize>,
    /// What of them is still to be written (bytes of the batch).
    rest: Range<usize>,
}

/// What all publishers of a run are told.
pub(crate) struct Orders<'a> {
    pub(crate) amount: Amount,
    pub(crate) started: Instant,
    /// Number the messages, for subscribers that verify.
    pub(crate) numbered: bool,
    pub(crate) progress: &'a Progress,
    pub(crate) timeout: Duration,
}

#[derive(PartialEq, Eq)]
enum Step {
    Write,
    /// The window is closed: subscribers first have to catch up.
    Wait,
    Done,
}

impl Publisher {
    pub(crate) fn new(
        connection: Connection,
        batch: Batch,
        groups: Range<usize>,
        window: u64,
    ) -> Self {
        Self { connection, batch, groups, window, sent: 0, piece: 0..0, rest: 0..0 }
    }

    /// Says what to do next, and begins a new piece when the last one is written.
    fn step(&mut self, orders: &Orders<'_>) -> Step {
        if !self.rest.is_empty() {
            return Step::Write;
        }
        self.sent += self.piece.len() as u64;
        let next = if self.piece.end == self.batch.messages() { 0 } else { self.piece.end };
        self.piece = next..next;
        let left = match orders.amount {
            Amount::Time(time) if orders.started.elapsed() >= time => 0,
            Amount::Time(_) => u64::MAX,
            Amount::Messages(messages) => messages - self.sent,
        };
        if left == 0 {
            return Step::Done;
        }
        let slowest = orders.progress.slowest(&self.groups);
        // Saturating: without subscribers `slowest` is without end.
        if self.sent.saturating_sub(slowest) > self.window {
            return Step::Wait;
        }
        self.piece = self.batch.piece(next, left);
        if orders.numbered {
            self.batch.number_from(&self.piece, self.sent);
        }
        self.rest = self.batch.bytes_of(&self.piece);
        Step::Write
    }

    fn write(&mut self) -> Result<(), LoadError> {
        match self.connection.write(&self.batch.bytes[self.rest.clone()]) {
            Ok(written) => {
                self.rest.start += written;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(LoadError::io("publish", error)),
        }
    }
}

/// Publishes on all connections until the amount is reached and the server has taken it (a fence
/// on each). Sets the targets of the groups as soon as the last byte is written.
///
/// # Errors
/// The server closed a connection, took nothing for the timeout, or answered with an error.
pub(crate) fn publish(
    publishers: &mut [Publisher],
    orders: &Orders<'_>,
) -> Result<Instant, LoadError> {
    let published = match &mut *publishers {
        [only] => publish_alone(only, orders),
        several => publish_in_turn(several, orders),
    };
    let fenced = published.and_then(|()| {
        let targets = publishers
            .iter()
            .flat_map(|publisher| publisher.groups.clone().map(|group| (group, publisher.sent)));
        orders.progress.set_targets(targets);
        publishers.iter_mut().try_for_each(|publisher| publisher.connection.fence())
    });
    match fenced {
        Ok(()) => Ok(Instant::now()),
        Err(error) => {
            orders.progress.fail();
            Err(error)
        }
    }
}

fn publish_alone(publisher: &mut Publisher, orders: &Orders<'_>) -> Result<(), LoadError> {
    let mut waiting = None;
    loop {
        match publisher.step(orders) {
            Step::Done => return Ok(()),
            Step::Write => {
                waiting = None;
                publisher.write()?;
            }
            Step::Wait => wait(&mut waiting, orders)?,
        }
    }
}

fn publish_in_turn(publishers: &mut [Publisher], orders: &Orders<'_>) -> Result<(), LoadError> {
    let failed = |error: rustix::io::Errno| LoadError::io("epoll", error.into());
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
    for (index, publisher) in publishers.iter().enumerate() {
        publisher.connection.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poller, &publisher.connection.socket, data, epoll::EventFlags::OUT)
            .map_err(failed)?;
    }
    let mut left = publishers.len();
    let mut events: Vec<epoll::Event> = Vec::with_capacity(left);
    let mut waiting = None;
    while left > 0 {
        events.clear();
        let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match epoll::wait(&poller, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error)),
        }
        let mut wrote = false;
        for event in &events {
            let publisher = &mut publishers[event.data.u64() as usize];
            match publisher.step(orders) {
                Step::Write => match publisher.write() {
                    Err(LoadError::Io { source, .. }) if try_later(&source) => {}
                    Err(error) => return Err(error),
                    Ok(()) => wrote = true,
                },
                Step::Wait => {}
                Step::Done => {
                    epoll::delete(&poller, &publisher.connection.socket).map_err(failed)?;
                    publisher.connection.set_nonblocking(false)?;
                    left -= 1;
                    wrote = true;
                }
            }
        }
        if wrote {
            waiting = None;
        } else {
            wait(&mut waiting, orders)?;
        }
    }
    Ok(())
}

/// Waits for the subscribers; fails when they have been silent for too long.
fn wait(since: &mut Option<Instant>, orders: &Orders<'_>) -> Result<(), LoadError> {
    let began = *since.get_or_insert_with(Instant::now);
    if orders.progress.has_failed() {
        return Err(LoadError::Server("the subscribers failed".to_owned()));
    }
    if began.elapsed() > orders.timeout * 2 {
        return Err(LoadError::Server("the server takes no more messages".to_owned()));
    }
    orders.progress.wait_for_receiver();
    Ok(())
}
