//! Log lines that nobody takes are bounded; other events are not lost to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::checks::server::Server;
use crate::events::{Event, Events};
use crate::log::{Format, Level, Levels, Log, Output};

fn line() -> Event {
    Event::Log { level: Level::Error, text: "x".into() }
}

#[test]
fn lines_beyond_the_limit_are_counted_and_dropped() {
    let events = Arc::new(Events::new(Box::new(|| {})));
    let log = Log::new(events.clone());
    for _ in 0..10_100 {
        log.write(Level::Error, "again");
    }
    assert_eq!(events.dropped(), 100);
    let slow = Event::SlowConsumer {
        connection: 1,
        account: String::new(),
        name: String::new(),
        pending_bytes: 0,
        reason: "",
    };
    events.push(slow);
    let (taken, is_more) = events.take(usize::MAX);
    assert_eq!((taken.len(), is_more), (10_001, false));
    assert!(matches!(taken.last(), Some(Event::SlowConsumer { .. })));
}

#[test]
fn python_is_woken_once_for_a_batch() {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let wake = Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let events = Events::new(wake);
    for _ in 0..5 {
        events.push(line());
    }
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert!(events.take(2).1);
    assert!(!events.take(10).1);
    events.push(line());
    assert_eq!(woken.load(Ordering::Relaxed), 2);
}

#[test]
fn a_stranger_cannot_fill_the_log_without_bound() {
    let mut server = Server::default();
    let rules =
        keelback_interest::PermissionRules { publish_allow: Some(vec![]), ..Default::default() };
    let mut user = server.admit("$G", rules);
    for _ in 0..30 {
        server.send(&mut user, "PUB a 0\r\n\r\n".repeat(500));
    }
    assert_eq!(server.hub.events.dropped(), 5000);
    assert_eq!(server.events().len(), 10_000);
}

/// A file, as far as a log needs one.
#[derive(Clone, Default)]
struct Written(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        crate::lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn python_is_told_once_that_a_file_is_full() {
    let events = Arc::new(Events::new(Box::new(|| {})));
    let log = Log::new(events.clone());
    let file = Written::default();
    let point = |bytes_max, bytes| {
        let output = Output::new(Some(Box::new(file.clone())), bytes_max, bytes);
        let format = Format { logtime: false, ..Format::default() };
        log.configure(format, output, Levels::default());
    };
    let line = "[0] [INF] x\n";
    let limit = line.len() as u64 * 2;
    point(limit, 0);
    log.write(Level::Info, "x");
    log.write(Level::Info, "x");
    assert_eq!(events.take(9).0.len(), 0, "as many bytes as the limit are not above it");
    log.write(Level::Info, "x");
    log.write(Level::Info, "x");
    assert!(matches!(events.take(9).0[..], [Event::LogFull]));
    assert_eq!(crate::lock(&file.0).len(), line.len() * 4, "lines are written on");
    // What is in the file counts, and a file without a limit is never full.
    point(limit, limit);
    log.write(Level::Info, "x");
    assert!(matches!(events.take(9).0[..], [Event::LogFull]));
    point(0, u64::MAX / 2);
    log.write(Level::Info, "x");
    assert_eq!(events.take(9).0.len(), 0);
}
