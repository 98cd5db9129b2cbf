//! A run: connects publishers and subscribers, lets them loose, and measures until all has come.

use std::ops::Range;
use std::time::Instant;

use crate::connection::Connection;
use crate::error::LoadError;
use crate::frames::{Batch, Expected, Message};
use crate::meter::{Measured, Meter};
use crate::options::Options;
use crate::publisher::{self, Orders, Publisher};
use crate::receiver::{self, Progress, Subscriber};
use crate::walker::{Order, Walker};

/// A workload's cast.
pub(crate) struct Plan {
    pub(crate) publishers: Vec<PublisherPlan>,
    pub(crate) subscribers: Vec<SubscriberPlan>,
    pub(crate) groups: usize,
    pub(crate) order: Order,
}

pub(crate) struct PublisherPlan {
    pub(crate) messages: Vec<Message>,
    /// The groups that receive all of it.
    pub(crate) groups: Range<usize>,
}

pub(crate) struct SubscriberPlan {
    /// SUB lines.
    pub(crate) subscriptions: String,
    pub(crate) expected: Expected,
    pub(crate) group: usize,
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) measured: Measured,
}

/// Connects a plan's cast and runs it.
pub(crate) fn run(options: &Options, plan: Plan) -> Result<Outcome, LoadError> {
    let verify = options.verify.then_some(plan.order);
    let subs = plan.subscribers.len();
    let frame_bytes_max =
        plan.subscribers.iter().map(|sub| sub.expected.frame_bytes_max()).max().unwrap_or(1);
    let mut subscribers = Vec::with_capacity(subs);
    for sub in plan.subscribers {
        let mut connection = Connection::open(options)?;
        connection.send(sub.subscriptions.as_bytes())?;
        connection.fence()?;
        let walker = Walker::new(sub.expected, verify);
        subscribers.push(Subscriber { connection, walker, group: sub.group });
    }
    let window = window_messages(options, subs, frame_bytes_max);
    let mut publishers = Vec::with_capacity(plan.publishers.len());
    for publisher in plan.publishers {
        let connection = Connection::open(options)?;
        let batch = Batch::new(&publisher.messages, options.raw);
        publishers.push(Publisher::new(connection, batch, publisher.groups, window));
    }
    measure(options, &mut publishers, &mut subscribers, plan.groups)
}

/// Publishes, receives all of it, and says what it took.
pub(crate) fn measure(
    options: &Options,
    publishers: &mut [Publisher],
    subscribers: &mut [Subscriber],
    groups: usize,
) -> Result<Outcome, LoadError> {
    let progress = Progress::new(groups);
    let meter = Meter::start(options.server)?;
    let orders = Orders {
        amount: options.amount,
        started: meter.started(),
        numbered: options.verify,
        progress: &progress,
        timeout: options.timeout,
    };
    let ended = if subscribers.is_empty() {
        publisher::publish(publishers, &orders)?
    } else {
        let (published, received) = std::thread::scope(|scope| {
            let receive = || receiver::receive(subscribers, &progress, options.timeout);
            let reading = scope.spawn(receive);
            let published = publisher::publish(publishers, &orders);
            let received = reading.join().unwrap_or_else(|_| {
                Err(LoadError::Server("the subscribers' thread panicked".to_owned()))
            });
            (published, received)
        });
        both(published, received)?
    };
    Ok(Outcome {
        published: publishers.iter().map(|publisher| publisher.sent).sum(),
        delivered: subscribers.iter().map(|subscriber| subscriber.walker.messages).sum(),
        measured: meter.stop(ended)?,
    })
}

/// The later end of both sides; of two errors the subscribers', which says more.
fn both(
    published: Result<Instant, LoadError>,
    received: Result<Instant, LoadError>,
) -> Result<Instant, LoadError> {
    match (published, received) {
        (Ok(published), Ok(received)) => Ok(published.max(received)),
        (Err(error), Err(LoadError::Server(said))) if said == "the publisher failed" => Err(error),
        (_, Err(error)) | (Err(error), _) => Err(error),
    }
}

/// Messages that may be on the way to one subscriber: far fewer than a server's `max_pending`
/// (64 MiB) holds, so that no subscriber is cut off because the generator's own threads were not
/// scheduled, and far more than the way needs to be full.
pub(crate) fn window_messages(options: &Options, subs: usize, frame_bytes: usize) -> u64 {
    const MIB: u64 = 1024 * 1024;
    let spread = (64 * MIB / subs.max(1) as u64).clamp(2 * MIB, 16 * MIB);
    options.window_bytes.unwrap_or(spread) / frame_bytes as u64
}
