//! The log: nats-server's line format, written by whoever has something to say. Where it goes
//! and what is in it is Python's decision.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::events::{Event, Events};
use crate::lock;

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

/// How lines look and where they go.
pub struct Format {
    /// Takes the lines; none hands them to Python as events.
    pub writer: Option<Box<dyn Write + Send>>,
    /// With date and time.
    pub logtime: bool,
    /// Local time's distance from UTC.
    pub utc_offset_s: i64,
    /// ANSI colours in the labels.
    pub colour: bool,
    /// The process id to print.
    pub pid: u32,
}

/// The log of one server.
pub struct Log {
    events: Arc<Events>,
    debug: AtomicBool,
    trace: AtomicBool,
    format: Mutex<Format>,
}

impl Log {
    /// A log that hands its lines to Python, without debug and trace.
    pub fn new(events: Arc<Events>) -> Self {
        let format = Format { writer: None, logtime: true, utc_offset_s: 0, colour: false, pid: 0 };
        Self {
            events,
            debug: AtomicBool::new(false),
            trace: AtomicBool::new(false),
            format: Mutex::new(format),
        }
    }

    /// Replaces format and levels.
    pub fn configure(&self, format: Format, debug: bool, trace: bool) {
        *lock(&self.format) = format;
        self.debug.store(debug, Ordering::Relaxed);
        self.trace.store(trace, Ordering::Relaxed);
    }

    /// Whether protocol lines are wanted.
    pub fn is_tracing(&self) -> bool {
        self.trace.load(Ordering::Relaxed)
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
        let mut format = lock(&self.format);
        if format.writer.is_none() {
            drop(format);
            self.events.push(Event::Log { level, text: text.to_owned() });
            return;
        }
        let line = format.line(level, text, SystemTime::now());
        if let Some(writer) = &mut format.writer {
            // There is nowhere to report a log that cannot be written.
            let _ = writer.write_all(line.as_bytes());
        }
    }
}

impl Format {
    /// `[pid] 2006/01/02 15:04:05.000000 [INF] text`.
    fn line(&self, level: Level, text: &str, now: SystemTime) -> String {
        let label = if self.colour {
            format!("[\x1b[{}m{}\x1b[0m]", level.colour(), level.label())
        } else {
            format!("[{}]", level.label())
        };
        // A peer's bytes must not start a line of their own.
        let text = text.replace('\n', "\\n").replace('\r', "\\r");
        if !self.logtime {
            return format!("[{}] {label} {text}\n", self.pid);
        }
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().cast_signed() + self.utc_offset_s;
        let (year, month, day) = civil_date(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        format!(
            "[{}] {year:04}/{month:02}/{day:02} {:02}:{:02}:{:02}.{:06} {label} {text}\n",
            self.pid,
            second / 3600,
            second / 60 % 60,
            second % 60,
            since.subsec_micros(),
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
fn civil_date(days: i64) -> (i64, i64, i64) {
    // Counted in eras of 400 years that begin on 1 March, so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_look_like_nats_servers() {
        let format =
            Format { writer: None, logtime: true, utc_offset_s: 3600, colour: false, pid: 7 };
        let time = UNIX_EPOCH + Duration::new(951_868_799, 5_000);
        assert_eq!(
            format.line(Level::Info, "Server is ready", time),
            "[7] 2000/03/01 00:59:59.000005 [INF] Server is ready\n"
        );
    }

    #[test]
    fn a_text_stays_one_line() {
        let format = Format { writer: None, logtime: false, utc_offset_s: 0, colour: true, pid: 7 };
        assert_eq!(
            format.line(Level::Error, "a\r\n[7] b", UNIX_EPOCH),
            "[7] [\x1b[31mERR\x1b[0m] a\\r\\n[7] b\n"
        );
    }
}
