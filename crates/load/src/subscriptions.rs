//! Many subscriptions: what they cost to add, to keep, and to search.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::connection::Connection;
use crate::error::LoadError;
use crate::frames::{Batch, Expected, Message};
use crate::meter::{Measured, Meter, ServerProcess};
use crate::options::Options;
use crate::publisher::Publisher;
use crate::receiver::Subscriber;
use crate::report::Report;
use crate::stage::{measure, window_messages};
use crate::walker::Walker;

/// Different subjects that are published in turn: far more than a server's match cache holds.
const SUBJECTS: u64 = 400_000;

/// A fixed sequence of numbers that look random: runs are comparable.
struct Scatter(u64);

impl Scatter {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX multiplier; the high bits are the good ones.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// `random-subjects`: publishes what nobody listens to, beside many wildcard subscriptions.
pub(crate) fn random_subjects(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(16);
    let wildcards: u64 = arguments.option("--wildcards")?.unwrap_or(100_000);
    arguments.finish()?;
    let mut listener = Connection::open(&options)?;
    let lines: String = (0..wildcards).map(wildcard_line).collect();
    let inserted = insert(&options, &mut [(&mut listener, lines)])?;
    let mut scatter = Scatter(1);
    let messages: Vec<Message> = (0..SUBJECTS)
        .map(|_| {
            let (area, place, item) =
                (scatter.below(WILDCARD_AREAS), scatter.below(1000), scatter.below(1 << 20));
            Message::plain(format!("area{area}.p{place}.i{item}"), size)
        })
        .collect();
    let batch = Batch::new(&messages, false);
    let publisher = Publisher::new(Connection::open(&options)?, batch, 0..0, u64::MAX);
    let outcome = measure(&options, &mut [publisher], &mut [], 0)?;
    // A delivery before the PONG would be an error: nothing may have matched.
    listener.fence()?;
    let report = Report::new("random-subjects")
        .count("size", size as u64)
        .count("wildcards", wildcards)
        .number("inserts_per_second", wildcards as f64 / inserted.seconds);
    Ok(report.rate(outcome.published, &outcome.measured))
}

/// First tokens that wildcard subscriptions share.
const WILDCARD_AREAS: u64 = 100;

/// Three shapes that share their first tokens with what is published and match none of it: each
/// search walks literal and wildcard branches down to the last token.
fn wildcard_line(index: u64) -> String {
    let (area, place) = (index % WILDCARD_AREAS, index / WILDCARD_AREAS % 1000);
    let subject = match index % 3 {
        0 => format!("area{area}.*.x{index}"),
        1 => format!("area{area}.p{place}.x{index}.>"),
        _ => format!("*.p{place}.x{index}"),
    };
    format!("SUB {subject} {index}\r\n")
}

/// `subscriptions`: as many distinct subjects, spread over a few connections.
pub(crate) fn subscriptions(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size: usize = arguments.option("--size")?.unwrap_or(16);
    let connections: u64 = arguments.option("--connections")?.unwrap_or(10);
    let count: u64 = arguments.word("the number of subscriptions")?.unwrap_or(1_000_000);
    arguments.finish()?;
    if !(1..=10_000_000).contains(&count) || !(1..=1000).contains(&connections) {
        let problem = "from 1 to 10,000,000 subscriptions on 1 to 1,000 connections";
        return Err(LoadError::Usage(problem.to_owned()));
    }
    let mut members: Vec<(Connection, String)> = (0..connections)
        .map(|member| {
            let mine = (member..count).step_by(connections as usize);
            Ok((Connection::open(&options)?, mine.map(subscription_line).collect()))
        })
        .collect::<Result<_, LoadError>>()?;
    let before = options.server.map(ServerProcess::memory_bytes).transpose()?;
    let mut work: Vec<(&mut Connection, String)> =
        members.iter_mut().map(|(connection, lines)| (connection, std::mem::take(lines))).collect();
    let inserted = insert(&options, &mut work)?;
    let after = options.server.map(ServerProcess::memory_bytes).transpose()?;

    let mut scatter = Scatter(2);
    let messages: Vec<Message> =
        (0..SUBJECTS).map(|_| Message::plain(subject(scatter.below(count)), size)).collect();
    let expected = Expected::new(&messages[..1], false, |_| sid(0).to_string());
    let window = window_messages(&options, 1, expected.frame_bytes_max());
    let mut subscribers: Vec<Subscriber> = members
        .into_iter()
        .map(|(connection, _)| Subscriber {
            connection,
            walker: Walker::new(expected.clone(), None),
            group: 0,
        })
        .collect();
    let batch = Batch::new(&messages, false);
    let publisher = Publisher::new(Connection::open(&options)?, batch, 0..1, window);
    let outcome = measure(&options, &mut [publisher], &mut subscribers, 1)?;

    let mut report = Report::new("subscriptions")
        .count("subscriptions", count)
        .count("connections", connections)
        .number("inserts_per_second", count as f64 / inserted.seconds);
    if let Some(server_s) = inserted.server_s {
        report = report.number("insert_server_ns", server_s * 1e9 / count as f64);
    }
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.saturating_sub(before);
        report = report
            .count("memory_before_bytes", before)
            .count("memory_after_bytes", after)
            .number("bytes_per_subscription", grown as f64 / count as f64);
    }
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

// Subjects and sids of one width: every delivery has the same length.

fn subject(index: u64) -> String {
    format!("fleet.{:04}.truck.{:03}", index / 1000, index % 1000)
}

fn sid(index: u64) -> u64 {
    10_000_000 + index
}

fn subscription_line(index: u64) -> String {
    format!("SUB {} {}\r\n", subject(index), sid(index))
}

/// Sends SUB lines on each connection, then fences each: all of them are in.
fn insert(
    options: &Options,
    work: &mut [(&mut Connection, String)],
) -> Result<Measured, LoadError> {
    let meter = Meter::start(options.server)?;
    for (connection, lines) in work.iter_mut() {
        connection.send(lines.as_bytes())?;
    }
    for (connection, _) in work.iter_mut() {
        connection.fence()?;
    }
    meter.stop(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subscription_is_delivered_with_the_same_length() {
        let lengths = [0, 999, 123_456, 9_999_999].map(|index| subscription_line(index).len());
        assert!(lengths.iter().all(|&length| length == lengths[0]), "{lengths:?}");
    }
}
