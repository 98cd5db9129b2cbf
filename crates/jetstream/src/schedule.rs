//! Messages that say when another is to be stored: `Nats-Schedule` and its companions.
//!
//! Source: nats-server 2.15 `server/scheduler.go`; ADR-51.

mod cron;

use std::borrow::Cow;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::errors::{self, Refused};
use crate::headers::{self, find};
use crate::policy::Policy;
use crate::publish;

const NS_PER_S: i64 = 1_000_000_000;

const PATTERN: &[u8] = b"Nats-Schedule";
const ZONE: &[u8] = b"Nats-Schedule-Time-Zone";
const TARGET: &[u8] = b"Nats-Schedule-Target";
const SOURCE: &[u8] = b"Nats-Schedule-Source";
const TTL: &[u8] = b"Nats-Schedule-TTL";
const ROLLUP: &[u8] = b"Nats-Schedule-Rollup";
const NEXT: &[u8] = b"Nats-Schedule-Next";
const SCHEDULER: &[u8] = b"Nats-Scheduler";

/// What `NEXT` says of a schedule that is over.
const PURGE: &[u8] = b"purge";

/// Headers of what is stored that come from neither the schedule nor its source.
const NOT_COPIED: [&[u8]; 5] =
    [PATTERN, b"Nats-Expected-", b"Nats-Msg-Id:", b"Nats-TTL:", b"Nats-Rollup:"];

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Since 1970.
    pub at_ns: u64,
    /// The schedule goes on: the time as it is told.
    pub repeats: Option<String>,
}

/// When the schedule of a header block is due next after `after_ns`; `None` without one. What was
/// missed before `now_ns` comes once.
///
/// # Errors
/// It says nothing that can be meant.
pub fn due(headers: &[u8], after_ns: u64, now_ns: u64) -> Result<Option<Due>, Refused> {
    let zone = zone(headers)?;
    let Some(pattern) = find(headers, PATTERN).filter(|pattern| !pattern.is_empty()) else {
        return Ok(None);
    };
    let pattern = std::str::from_utf8(pattern).map_err(|_| errors::schedule_pattern_invalid())?;
    let due = due_of(pattern, zone, after_ns, now_ns);
    due.map(Some).ok_or_else(errors::schedule_pattern_invalid)
}

/// The zone that a header block names; `None` if it names none.
fn zone(headers: &[u8]) -> Result<Option<TimeZone>, Refused> {
    let Some(name) = find(headers, ZONE) else { return Ok(None) };
    let name = std::str::from_utf8(name).unwrap_or_default();
    let found = match name {
        "" => None,
        "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    };
    found.map(Some).ok_or_else(errors::schedule_zone_invalid)
}

fn due_of(pattern: &str, zone: Option<TimeZone>, after_ns: u64, now_ns: u64) -> Option<Due> {
    if let Some(time) = pattern.strip_prefix("@at ") {
        let at_ns = crate::time::read(time).filter(|_| zone.is_none())?;
        return Some(Due { at_ns, repeats: None });
    }
    if let Some(every) = pattern.strip_prefix("@every ") {
        let every_ns = crate::duration::read(every.as_bytes()).filter(|_| zone.is_none())?;
        let every_ns = u64::try_from(every_ns).ok().filter(|&ns| ns >= NS_PER_S.cast_unsigned())?;
        let mut at_ns = round(after_ns).saturating_add(every_ns);
        if at_ns < now_ns {
            at_ns = round(now_ns).saturating_add(every_ns);
        }
        return Some(Due { at_ns, repeats: Some(crate::time::show(at_ns)) });
    }
    let pattern = match pattern {
        "@yearly" | "@annually" => "0 0 0 1 1 *",
        "@monthly" => "0 0 0 1 * *",
        "@weekly" => "0 0 0 * * 0",
        "@daily" | "@midnight" => "0 0 0 * * *",
        "@hourly" => "0 0 * * * *",
        other => other,
    };
    let cron = cron::Cron::read(pattern)?;
    let zone = zone.unwrap_or(TimeZone::UTC);
    let next = |after_ns: u64| {
        let after = Timestamp::from_nanosecond(i128::from(after_ns)).ok()?;
        cron.next(&after.to_zoned_datetime(zone.clone()))
    };
    let mut found = next(after_ns)?;
    if since_1970(&found) < now_ns {
        found = next(round(now_ns))?;
    }
    Some(Due { at_ns: since_1970(&found), repeats: Some(show(&found)) })
}

/// To the nearest second.
fn round(time_ns: u64) -> u64 {
    let second = NS_PER_S.cast_unsigned();
    time_ns.saturating_add(second / 2) / second * second
}

fn since_1970(time: &ZonedDateTime) -> u64 {
    u64::try_from(time.timestamp().as_nanosecond()).unwrap_or_default()
}

/// As Go writes a time of a zone, in whole seconds.
fn show(time: &ZonedDateTime) -> String {
    let offset = time.offset().seconds();
    let civil = time.datetime().strftime("%Y-%m-%dT%H:%M:%S");
    if offset == 0 {
        return format!("{civil}Z");
    }
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
    format!("{civil}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// What a message that is published says of schedules.
#[derive(Debug)]
pub(crate) enum Asked {
    Nothing,
    /// It is one: it replaces what its subject holds.
    Schedule,
    /// With it the schedule of this subject is over.
    Purge,
}

/// Reads what a message says of schedules.
///
/// # Errors
/// What is answered.
pub(crate) fn check(
    policy: &Policy,
    subject: &[u8],
    headers: &[u8],
    now_ns: u64,
) -> Result<Asked, Refused> {
    let has = |name: &[u8]| find(headers, name).filter(|value| !value.is_empty());
    let subjects = policy.schedules.as_deref();
    let allow = |refused: Refused| {
        if subjects.is_some() { refused } else { errors::schedules_disabled() }
    };
    let is_schedule = due(headers, now_ns, now_ns).map_err(allow)?.is_some();
    if is_schedule {
        let subjects = subjects.ok_or_else(errors::schedules_disabled)?;
        check_schedule(policy, subject, headers, subjects)?;
    }
    let scheduler = has(SCHEDULER);
    let Some(next) = has(NEXT) else {
        // Only beside `NEXT`.
        return match (scheduler, is_schedule) {
            (Some(_), _) => Err(errors::scheduler_invalid()),
            (None, true) => Ok(Asked::Schedule),
            (None, false) => Ok(Asked::Nothing),
        };
    };
    let is_valid = next == PURGE
        && scheduler.is_some_and(|it| it != subject && keelback_subject::is_valid_literal(it));
    match (is_valid, subjects) {
        (false, _) => Err(errors::scheduler_invalid()),
        (true, None) => Err(errors::schedules_disabled()),
        (true, Some(_)) => Ok(Asked::Purge),
    }
}

fn check_schedule(
    policy: &Policy,
    subject: &[u8],
    headers: &[u8],
    subjects: &[Vec<u8>],
) -> Result<(), Refused> {
    let has = |name: &[u8]| find(headers, name).filter(|value| !value.is_empty());
    let ttl = has(TTL);
    if ttl.is_some_and(|ttl| !publish::is_ttl(ttl)) {
        return Err(errors::schedule_ttl_invalid());
    }
    if has(ROLLUP).is_some_and(|rollup| rollup != b"sub") {
        return Err(errors::schedule_rollup_invalid());
    }
    if ttl.is_some() && !policy.allows_ttl {
        return Err(errors::ttl_disabled());
    }
    let is_ours = |it: &[u8]| subjects.iter().any(|own| keelback_subject::matches(own, it));
    let target = has(TARGET);
    let target = target.filter(|it| keelback_subject::is_valid_literal(it) && *it != subject);
    let target = target.ok_or_else(errors::schedule_target_invalid)?;
    let source = has(SOURCE);
    let is_source =
        |it: &&[u8]| *it != target && *it != subject && keelback_subject::is_valid_literal(it);
    if source.is_some_and(|it| !is_source(&it)) {
        return Err(errors::schedule_source_invalid());
    }
    if !is_ours(target) {
        return Err(errors::schedule_target_invalid());
    }
    if source.is_some_and(|it| !is_ours(it)) {
        return Err(errors::schedule_source_invalid());
    }
    let rollup = has(b"Nats-Rollup").map(<[u8]>::to_ascii_lowercase);
    if rollup.is_some_and(|rollup| rollup != b"sub") {
        return Err(errors::schedule_rollup_invalid());
    }
    Ok(())
}

/// The header block of a schedule as it is stored: it replaces what its subject holds.
pub(crate) fn stored(headers: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let has_rollup = find(&headers, b"Nats-Rollup").is_some_and(|rollup| !rollup.is_empty());
    if has_rollup { headers } else { headers::with(&headers, b"Nats-Rollup", b"sub") }
}

/// The subject of the schedule that is over with a message; empty for none.
pub fn purged(headers: &[u8]) -> &[u8] {
    match find(headers, NEXT) {
        Some(PURGE) => find(headers, SCHEDULER).unwrap_or_default(),
        _ => b"",
    }
}

/// The schedule from which a message came, and when it is due again.
pub fn next_of(headers: &[u8]) -> Option<(&[u8], u64)> {
    let next = std::str::from_utf8(find(headers, NEXT)?).ok()?;
    Some((find(headers, SCHEDULER)?, crate::time::read(next)?))
}

/// Where a schedule has its message stored, and the subject that it is copied from.
pub fn places(headers: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let has = |name: &[u8]| find(headers, name).filter(|value| !value.is_empty());
    Some((has(TARGET)?, has(SOURCE)))
}

/// The header block of the message that a schedule on `subject` has stored. `copied` is the block of
/// the message that is copied: the schedule itself, or its source.
pub fn fired(schedule: &[u8], subject: &[u8], copied: &[u8], due: &Due) -> Vec<u8> {
    let has = |name: &[u8]| find(schedule, name).filter(|value| !value.is_empty());
    let mut block = Cow::Owned(headers::without_any(copied, &NOT_COPIED));
    block = headers::with(&block, SCHEDULER, subject);
    let next = due.repeats.as_ref().map_or(PURGE, |next| next.as_bytes());
    block = headers::with(&block, NEXT, next);
    for (name, from) in [(&b"Nats-TTL"[..], TTL), (b"Nats-Rollup", ROLLUP)] {
        if let Some(value) = has(from) {
            block = headers::with(&block, name, value);
        }
    }
    block.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_780_315_200_000_000_000;

    fn next(pattern: &str, zone: &str, after_ns: u64, now_ns: u64) -> Option<String> {
        let zone = if zone.is_empty() {
            String::new()
        } else {
            format!("Nats-Schedule-Time-Zone: {zone}\r\n")
        };
        let headers = format!("NATS/1.0\r\nNats-Schedule: {pattern}\r\n{zone}\r\n");
        let due = due(headers.as_bytes(), after_ns, now_ns).ok()??;
        Some(due.repeats.unwrap_or_else(|| crate::time::show(due.at_ns)))
    }

    #[test]
    fn patterns_say_when_they_are_due() {
        for (pattern, zone, expected) in [
            ("@at 2030-01-02T03:04:05Z", "", "2030-01-02T03:04:05Z"),
            ("@every 90s", "", "2026-06-01T12:01:30Z"),
            ("@hourly", "", "2026-06-01T13:00:00Z"),
            ("@daily", "", "2026-06-02T00:00:00Z"),
            ("@daily", "Europe/Berlin", "2026-06-02T00:00:00+02:00"),
            ("@weekly", "", "2026-06-07T00:00:00Z"),
            ("@monthly", "America/New_York", "2026-07-01T00:00:00-04:00"),
            ("@yearly", "", "2027-01-01T00:00:00Z"),
            ("*/20 * * * * *", "", "2026-06-01T12:00:20Z"),
            ("0 30 9 * * MON-FRI", "", "2026-06-02T09:30:00Z"),
            ("0 0 0 29 feb *", "", "2028-02-29T00:00:00Z"),
            ("0 0 12 13 * 5", "", "2026-06-05T12:00:00Z"),
            ("5-10/5,50 59 23 31 12 ?", "UTC", "2026-12-31T23:59:05Z"),
        ] {
            assert_eq!(next(pattern, zone, NOON, NOON).as_deref(), Some(expected), "{pattern}");
        }
    }

    #[test]
    fn what_was_missed_comes_once() {
        let later = NOON + 3_600_400_000_000;
        assert_eq!(next("@every 10s", "", NOON, later).as_deref(), Some("2026-06-01T13:00:10Z"));
        assert_eq!(next("0 * * * * *", "", NOON, later).as_deref(), Some("2026-06-01T13:01:00Z"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (pattern, zone) in [
            ("@at tomorrow", ""),
            ("@at 2030-01-02T03:04:05Z", "UTC"),
            ("@every 900ms", ""),
            ("@every x", ""),
            ("@every 1h", "UTC"),
            ("@sometimes", ""),
            ("* * * * *", ""),
            ("60 * * * * *", ""),
            ("* * * 0 * *", ""),
            ("*/0 * * * * *", ""),
            ("5-1 * * * * *", ""),
            ("0 0 0 30 2 *", ""),
            ("@daily", "Nowhere/At_All"),
        ] {
            assert_eq!(next(pattern, zone, NOON, NOON), None, "{pattern}");
        }
    }

    #[test]
    fn what_is_stored_has_the_headers_of_its_source() {
        let schedule = b"NATS/1.0\r\nNats-Schedule: @daily\r\nNats-Schedule-TTL: 5m\r\n\r\n";
        let source = b"NATS/1.0\r\nA: b\r\nNats-Msg-Id: x\r\nNats-Expected-Stream: S\r\n\r\n";
        let due = Due { at_ns: 5, repeats: None };
        let expected = "NATS/1.0\r\nA: b\r\nNats-Scheduler: s\r\nNats-Schedule-Next: purge\r\n\
            Nats-TTL: 5m\r\n\r\n";
        let made = fired(schedule, b"s", source, &due);
        assert_eq!(String::from_utf8_lossy(&made), expected);
        assert_eq!(purged(&made), b"s");
    }
}
