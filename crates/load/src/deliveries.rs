//! Workloads that publish and deliver: who publishes what to whom.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::connection::Connection;
use crate::error::LoadError;
use crate::frames::{Expected, Message};
use crate::options::Options;
use crate::report::Report;
use crate::stage::{Plan, PublisherPlan, SubscriberPlan, run};
use crate::walker::Order;

/// `publish`: nobody listens.
pub(crate) fn publish(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(16);
    arguments.finish()?;
    let messages = vec![Message::plain("b", size)];
    let publishers = vec![PublisherPlan { messages, groups: 0..0 }];
    let plan = Plan { publishers, subscribers: Vec::new(), groups: 0, order: Order::Gapless };
    let outcome = run(&options, plan)?;
    let report = Report::new("publish").count("size", size as u64);
    Ok(report.rate(outcome.published, &outcome.measured))
}

/// `one-to-one`.
pub(crate) fn one_to_one(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    arguments.finish()?;
    let outcome = run(&options, fan(&options, 1, size, |_| "1".to_owned()))?;
    let report = Report::new("one-to-one").count("size", size as u64).flag("tls", options.tls);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

/// `fanout`: every subscriber hears everything.
pub(crate) fn fanout(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    let subs: usize = arguments.option("--subs")?.unwrap_or(10);
    let own_sids = arguments.switch("--own-sids");
    arguments.finish()?;
    let sid = |index: usize| if own_sids { (index + 1).to_string() } else { "1".to_owned() };
    let outcome = run(&options, fan(&options, subs, size, sid))?;
    let report = Report::new("fanout")
        .count("size", size as u64)
        .count("subs", subs as u64)
        .flag("own_sids", own_sids)
        .count("published", outcome.published);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

/// `pairs`: each publisher has a subject and a subscriber of its own.
pub(crate) fn pairs(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    let count: usize = arguments.word("the number of pairs")?.unwrap_or(4);
    arguments.finish()?;
    let mut plan =
        Plan { publishers: vec![], subscribers: vec![], groups: count, order: Order::Gapless };
    for pair in 0..count {
        let messages = vec![Message::plain(format!("pair{pair}"), size)];
        plan.subscribers.push(SubscriberPlan {
            subscriptions: format!("SUB pair{pair} 1\r\n"),
            expected: Expected::new(&messages, options.raw, |_| "1".to_owned()),
            group: pair,
        });
        plan.publishers.push(PublisherPlan { messages, groups: pair..pair + 1 });
    }
    let outcome = run(&options, plan)?;
    let report = Report::new("pairs").count("size", size as u64).count("pairs", count as u64);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

/// `queue`: one queue group shares the messages.
pub(crate) fn queue(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    let members: usize = arguments.option("--members")?.unwrap_or(4);
    arguments.finish()?;
    let messages = vec![Message::plain("b", size)];
    let member = |_| SubscriberPlan {
        subscriptions: "SUB b workers 1\r\n".to_owned(),
        expected: Expected::new(&messages, options.raw, |_| "1".to_owned()),
        group: 0,
    };
    let plan = Plan {
        subscribers: (0..members).map(member).collect(),
        publishers: vec![PublisherPlan { messages: messages.clone(), groups: 0..1 }],
        groups: 1,
        order: Order::Rising,
    };
    let outcome = run(&options, plan)?;
    let report = Report::new("queue").count("size", size as u64).count("members", members as u64);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

/// Subjects of `mixed-subjects`, each with a subscription of its own.
const MIXED_SUBJECTS: usize = 1000;

/// `mixed-subjects`: one to one, and no two messages in a row alike.
pub(crate) fn mixed_subjects(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    arguments.finish()?;
    let messages = mixed_messages();
    let subscriptions =
        messages.iter().enumerate().fold(String::new(), |mut lines, (at, message)| {
            // Writing to a String cannot fail.
            let _ = write!(lines, "SUB {} {}\r\n", message.subject, at + 1);
            lines
        });
    let expected = Expected::new(&messages, options.raw, |index| (index + 1).to_string());
    let plan = Plan {
        subscribers: vec![SubscriberPlan { subscriptions, expected, group: 0 }],
        publishers: vec![PublisherPlan { messages, groups: 0..1 }],
        groups: 1,
        order: Order::Gapless,
    };
    let outcome = run(&options, plan)?;
    let report = Report::new("mixed-subjects").count("subjects", MIXED_SUBJECTS as u64);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

fn mixed_messages() -> Vec<Message> {
    let message = |index: usize| {
        // A stride coprime to the range scatters sizes from 16 B to 1 KiB and subjects alike.
        let payload_bytes = 16 + index * 613 % 1009;
        let number = index * 387 % MIXED_SUBJECTS;
        // Half have replies, half have headers, a quarter has both.
        let reply = (index % 4 < 2).then(|| format!("_INBOX.mixed.{number}"));
        let headers = (index % 4 == 1 || index % 4 == 2)
            .then_some("NATS/1.0\r\nNats-Msg-Id: 4711\r\nTrace: on\r\n\r\n");
        Message { subject: format!("mixed.{number}.event"), reply, headers, payload_bytes }
    };
    (0..MIXED_SUBJECTS).map(message).collect()
}

/// `churn`: one to one, while another connection subscribes and unsubscribes.
pub(crate) fn churn(mut arguments: Arguments) -> Result<Report, LoadError> {
    let options = Options::take(&mut arguments)?;
    let size = arguments.option("--size")?.unwrap_or(128);
    let rate: u64 = arguments.option("--rate")?.unwrap_or(10_000);
    arguments.finish()?;
    let mut connection = Connection::open(&options)?;
    let over = AtomicBool::new(false);
    let (outcome, changes) = std::thread::scope(|scope| {
        let churner = scope.spawn(|| come_and_go(&mut connection, rate, &over));
        let outcome = run(&options, fan(&options, 1, size, |_| "1".to_owned()));
        over.store(true, Ordering::Release);
        let changes = churner.join().unwrap_or_else(|_| {
            Err(LoadError::Server("the thread that subscribes panicked".to_owned()))
        });
        (outcome, changes)
    });
    let (outcome, (changes, seconds)) = (outcome?, changes?);
    let report = Report::new("churn")
        .count("size", size as u64)
        .number("changes_per_second", changes as f64 / seconds);
    Ok(report.rate(outcome.delivered, &outcome.measured))
}

/// How many subscriptions stand while they come and go.
const CHURN_STANDING: u64 = 100;

/// Adds one subscription and removes an older one, `rate` times a second, until `over`.
fn come_and_go(
    connection: &mut Connection,
    rate: u64,
    over: &AtomicBool,
) -> Result<(u64, f64), LoadError> {
    let started = Instant::now();
    let mut changes: u64 = 0;
    while !over.load(Ordering::Acquire) {
        let due = started.elapsed().as_secs_f64() * rate as f64;
        let mut lines = String::new();
        while (changes as f64) < due {
            // Writing to a String cannot fail.
            let _ = write!(lines, "SUB churn.{changes}.reply {changes}\r\n");
            if let Some(oldest) = changes.checked_sub(CHURN_STANDING) {
                let _ = write!(lines, "UNSUB {oldest}\r\n");
            }
            changes += 1;
        }
        connection.send(lines.as_bytes())?;
        std::thread::sleep(Duration::from_millis(1));
    }
    connection.fence()?;
    Ok((changes, started.elapsed().as_secs_f64()))
}

/// One publisher to `subs` subscribers of one subject.
fn fan(options: &Options, subs: usize, size: usize, sid: impl Fn(usize) -> String) -> Plan {
    let messages = vec![Message::plain("b", size)];
    let subscriber = |index| SubscriberPlan {
        subscriptions: format!("SUB b {}\r\n", sid(index)),
        expected: Expected::new(&messages, options.raw, |_| sid(index)),
        group: index,
    };
    Plan {
        subscribers: (0..subs).map(subscriber).collect(),
        publishers: vec![PublisherPlan { messages: messages.clone(), groups: 0..subs }],
        groups: subs,
        order: Order::Gapless,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn mixed_messages_are_as_described() {
        let messages = mixed_messages();
        let subjects: HashSet<_> = messages.iter().map(|message| &message.subject).collect();
        assert_eq!(subjects.len(), MIXED_SUBJECTS);
        assert!(messages.iter().all(|message| (16..=1024).contains(&message.payload_bytes)));
        let with_reply = messages.iter().filter(|message| message.reply.is_some()).count();
        let with_headers = messages.iter().filter(|message| message.headers.is_some()).count();
        assert_eq!((with_reply, with_headers), (MIXED_SUBJECTS / 2, MIXED_SUBJECTS / 2));
    }
}
