//! Times that six fields describe: second, minute, hour, day of the month, month, day of the week.
//!
//! Source: nats-server 2.15 `server/cron.go`: which fields there are, and what they mean.

use jiff::{ToSpan, ZonedDateTime};

/// Values and names of a field.
struct Bounds {
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const fn bounds(first: u32, last: u32) -> Bounds {
    Bounds { first, last, names: &[] }
}

const SECONDS: Bounds = bounds(0, 59);
const HOURS: Bounds = bounds(0, 23);
const DAYS: Bounds = bounds(1, 31);
const MONTHS: Bounds = Bounds {
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// Nothing that comes later is looked for.
const YEARS_MAX: i16 = 5;

/// The values of a field, one a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Field {
    values: u64,
    /// It says nothing: of two fields for days the other decides.
    is_any: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        self.values & (1 << value) != 0
    }

    /// Reads ranges behind commas.
    fn read(text: &str, bounds: &Bounds) -> Option<Self> {
        let mut field = Self::default();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let Self { values, is_any } = Self::read_range(range, bounds)?;
            field.values |= values;
            field.is_any |= is_any;
        }
        Some(field)
    }

    /// Reads `*`, `5`, `1-5`, `*/2`, `1-5/2` or `5/2`, which goes on to the end.
    fn read_range(text: &str, bounds: &Bounds) -> Option<Self> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|&step| step > 0)?)),
            None => (text, None),
        };
        let is_star = matches!(range.split('-').next(), Some("*" | "?"));
        let (first, last) = match range.split_once('-') {
            _ if is_star => (bounds.first, bounds.last),
            Some((first, last)) => (bounds.value(first)?, bounds.value(last)?),
            None => {
                let first = bounds.value(range)?;
                (first, if step.is_some() { bounds.last } else { first })
            }
        };
        if first < bounds.first || last > bounds.last || first > last {
            return None;
        }
        let step = step.unwrap_or(1);
        let values = (first..=last).step_by(step as usize).fold(0, |all, value| all | 1 << value);
        Some(Self { values, is_any: is_star && step == 1 })
    }
}

impl Bounds {
    fn value(&self, text: &str) -> Option<u32> {
        let name = self.names.iter().position(|name| text.eq_ignore_ascii_case(name));
        name.map_or_else(|| number(text), |at| Some(self.first + at as u32))
    }
}

fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok()
}

/// A description of times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cron {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Cron {
    /// Reads six fields behind blanks.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = fields[..] else { return None };
        Some(Self {
            second: Field::read(second, &SECONDS)?,
            minute: Field::read(minute, &SECONDS)?,
            hour: Field::read(hour, &HOURS)?,
            day: Field::read(day, &DAYS)?,
            month: Field::read(month, &MONTHS)?,
            weekday: Field::read(weekday, &WEEKDAYS)?,
        })
    }

    /// The first of the times behind `after`; `None` if there is none within years.
    pub(super) fn next(&self, after: &ZonedDateTime) -> Option<ZonedDateTime> {
        let mut time =
            after.checked_add(1.second()).ok()?.with().subsec_nanosecond(0).build().ok()?;
        let year_max = time.year() + YEARS_MAX;
        // From the largest field to the smallest: a step begins all smaller ones anew.
        while time.year() <= year_max {
            time = if !self.month.has(time.month()) {
                time.first_of_month().ok()?.start_of_day().ok()?.checked_add(1.month()).ok()?
            } else if !self.is_day(&time) {
                time.start_of_day().ok()?.checked_add(1.day()).ok()?.start_of_day().ok()?
            } else if !self.hour.has(time.hour()) {
                let hour = time.with().minute(0).second(0).build().ok()?;
                hour.checked_add(1.hour()).ok()?
            } else if !self.minute.has(time.minute()) {
                time.with().second(0).build().ok()?.checked_add(1.minute()).ok()?
            } else if !self.second.has(time.second()) {
                time.checked_add(1.second()).ok()?
            } else {
                return Some(time);
            };
        }
        None
    }

    fn is_day(&self, time: &ZonedDateTime) -> bool {
        let of_month = self.day.has(time.day());
        let of_week = self.weekday.has(time.weekday().to_sunday_zero_offset());
        if self.day.is_any || self.weekday.is_any {
            of_month && of_week
        } else {
            of_month || of_week
        }
    }
}
