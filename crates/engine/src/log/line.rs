//! One line of the log, as text or as JSON.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Level;

/// How lines look.
#[derive(Clone, Debug)]
pub struct Format {
    /// JSON, one object a line.
    pub json: bool,
    /// With date and time.
    pub logtime: bool,
    /// Local time's distance from UTC.
    pub utc_offset_s: i64,
    /// ANSI colours in the labels.
    pub colour: bool,
    /// The process id to print.
    pub pid: u32,
}

impl Default for Format {
    fn default() -> Self {
        Self { json: false, logtime: true, utc_offset_s: 0, colour: false, pid: 0 }
    }
}

impl Format {
    /// A line with its end; whatever `text` is, it stays one line.
    pub fn line(&self, level: Level, text: &str, now: SystemTime) -> String {
        if self.json { self.json(level, text, now) } else { self.text(level, text, now) }
    }

    /// `[pid] 2006/01/02 15:04:05.000000 [INF] text`.
    fn text(&self, level: Level, text: &str, now: SystemTime) -> String {
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
        let Clock { year, month, day, hour, minute, second, micros } = self.clock(now);
        format!(
            "[{}] {year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} \
             {label} {text}\n",
            self.pid,
        )
    }

    /// `{"time":"2006-01-02T15:04:05.000000Z","level":"info","pid":7,"message":"text"}`.
    fn json(&self, level: Level, text: &str, now: SystemTime) -> String {
        let mut line = String::with_capacity(text.len() + 96);
        line.push('{');
        if self.logtime {
            let Clock { year, month, day, hour, minute, second, micros } = self.clock(now);
            push(
                &mut line,
                format_args!(
                    "\"time\":\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.\
                     {micros:06}"
                ),
            );
            self.push_offset(&mut line);
            line.push_str("\",");
        }
        push(&mut line, format_args!("\"level\":\"{}\",\"pid\":{}", level.word(), self.pid));
        line.push_str(",\"message\":");
        push_quoted(&mut line, text);
        line.push_str("}\n");
        line
    }

    /// `Z`, `+02:00`.
    fn push_offset(&self, line: &mut String) {
        let minutes = self.utc_offset_s.abs() / 60;
        match self.utc_offset_s {
            0 => line.push('Z'),
            offset => {
                line.push(if offset < 0 { '-' } else { '+' });
                push(line, format_args!("{:02}:{:02}", minutes / 60, minutes % 60));
            }
        }
    }

    fn clock(&self, now: SystemTime) -> Clock {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().cast_signed() + self.utc_offset_s;
        let (year, month, day) = civil_date(seconds.div_euclid(86_400));
        let second = seconds.rem_euclid(86_400);
        Clock {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: since.subsec_micros(),
        }
    }
}

/// A point in time as people read it.
struct Clock {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: u32,
}

/// A JSON string.
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // The line and paragraph separators end a line for some readers.
            '\0'..' ' | '\x7f' | '\u{2028}' | '\u{2029}' => {
                push(line, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => line.push(character),
        }
    }
    line.push('"');
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = line.write_fmt(text);
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
        let format = Format { utc_offset_s: 3600, pid: 7, ..Format::default() };
        let time = UNIX_EPOCH + Duration::new(951_868_799, 5_000);
        assert_eq!(
            format.line(Level::Info, "Server is ready", time),
            "[7] 2000/03/01 00:59:59.000005 [INF] Server is ready\n"
        );
    }

    #[test]
    fn a_text_stays_one_line() {
        let format = Format { logtime: false, colour: true, pid: 7, ..Format::default() };
        assert_eq!(
            format.line(Level::Error, "a\r\n[7] b", UNIX_EPOCH),
            "[7] [\x1b[31mERR\x1b[0m] a\\r\\n[7] b\n"
        );
    }

    #[test]
    fn json_lines_are_objects_with_the_time_as_rfc_3339_has_it() {
        let time = UNIX_EPOCH + Duration::new(951_868_799, 5_000);
        let line = |utc_offset_s, logtime, text| {
            let format = Format { json: true, utc_offset_s, logtime, pid: 7, ..Format::default() };
            format.line(Level::Warn, text, time)
        };
        assert_eq!(
            line(0, true, "a"),
            "{\"time\":\"2000-02-29T23:59:59.000005Z\",\"level\":\"warn\",\"pid\":7,\
             \"message\":\"a\"}\n"
        );
        assert!(line(-12_600, true, "").contains("\"2000-02-29T20:29:59.000005-03:30\""));
        assert!(line(7200, true, "").contains("T01:59:59.000005+02:00\""));
        assert_eq!(
            line(0, false, "\"\\\r\n\t\x00\x1b\x7f\u{2028}é"),
            "{\"level\":\"warn\",\"pid\":7,\"message\":\
             \"\\\"\\\\\\r\\n\\t\\u0000\\u001b\\u007f\\u2028é\"}\n"
        );
    }
}
