//! The log: nats-server's line format, or JSON, written by whoever has something to say. Where it
//! goes and what is in it is Python's decision.

mod line;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::events::{Event, Events};
use crate::lock;

pub use self::line::Format;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For operators.
    Info,
    /// Odd.
    Warn,
    /// Wrong.
    Error,
    /// The end.
    Fatal,
    /// For developers.
    Debug,
    /// Each protocol line.
    Trace,
}

impl Level {
    /// nats-server's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "INF",
            Self::Warn => "WRN",
            Self::Error => "ERR",
            Self::Fatal => "FTL",
            Self::Debug => "DBG",
            Self::Trace => "TRC",
        }
    }

    /// The word that readers of JSON logs know.
    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Info => "32",
            Self::Warn => "0;93",
            Self::Error | Self::Fatal => "31",
            Self::Debug => "36",
            Self::Trace => "33",
        }
    }
}

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Lines for developers.
    pub debug: bool,
    /// Each protocol line.
    pub trace: bool,
    /// Those of the server's own connections too: in-process ones of the system account.
    pub trace_system: bool,
}

/// Where lines go.
#[derive(Default)]
pub struct Output {
    /// Takes the lines; none hands them to Python as events.
    pub writer: Option<Box<dyn Write + Send>>,
    /// Bytes after which Python is told, once, that the file is full; 0 is never.
    pub bytes_max: u64,
    /// Bytes that are in the file.
    pub bytes: u64,
    /// Python was told.
    is_full: bool,
}

impl Output {
    /// An output to a file that holds `bytes` already.
    pub fn new(writer: Option<Box<dyn Write + Send>>, bytes_max: u64, bytes: u64) -> Self {
        Self { writer, bytes_max, bytes, is_full: false }
    }

    /// Writes a line; true when it is the one that fills the file.
    fn write(&mut self, line: &str) -> bool {
        let Some(writer) = &mut self.writer else { return false };
        // There is nowhere to report a log that cannot be written.
        if writer.write_all(line.as_bytes()).is_err() {
            return false;
        }
        self.bytes += line.len() as u64;
        let fills = self.bytes_max > 0 && self.bytes > self.bytes_max && !self.is_full;
        self.is_full |= fills;
        fills
    }
}

/// The log of one server.
pub struct Log {
    events: Arc<Events>,
    debug: AtomicBool,
    trace: AtomicBool,
    trace_system: AtomicBool,
    /// Held while a line is written.
    output: Mutex<(Format, Output)>,
}

impl Log {
    /// A log that hands its lines to Python, without debug and trace.
    pub fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            debug: AtomicBool::new(false),
            trace: AtomicBool::new(false),
            trace_system: AtomicBool::new(false),
            output: Mutex::default(),
        }
    }

    /// Replaces format, output and levels.
    pub fn configure(&self, format: Format, output: Output, levels: Levels) {
        *lock(&self.output) = (format, output);
        self.debug.store(levels.debug, Ordering::Relaxed);
        self.trace.store(levels.trace, Ordering::Relaxed);
        self.trace_system.store(levels.trace_system, Ordering::Relaxed);
    }

    /// Whether protocol lines are wanted.
    pub fn is_tracing(&self) -> bool {
        self.trace.load(Ordering::Relaxed)
    }

    /// Whether those of the server's own connections are wanted too.
    pub fn is_tracing_system(&self) -> bool {
        self.trace_system.load(Ordering::Relaxed)
    }

    /// A line for developers; made only when wanted.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        if self.debug.load(Ordering::Relaxed) {
            self.write(Level::Debug, &text());
        }
    }

    /// A protocol line; made only when wanted.
    pub fn trace(&self, text: impl FnOnce() -> String) {
        if self.is_tracing() {
            self.write(Level::Trace, &text());
        }
    }

    /// A line about something wrong.
    pub fn error(&self, text: impl FnOnce() -> String) {
        self.write(Level::Error, &text());
    }

    /// Writes a line of any level.
    pub fn write(&self, level: Level, text: &str) {
        let mut output = lock(&self.output);
        let (format, output_now) = &mut *output;
        if output_now.writer.is_none() {
            drop(output);
            self.events.push(Event::Log { level, text: text.to_owned() });
            return;
        }
        let is_full = output_now.write(&format.line(level, text, SystemTime::now()));
        drop(output);
        if is_full {
            self.events.push(Event::LogFull);
        }
    }
}
