//! Durations as Go writes them: `1h30m`, `-1.5s`, `0`.

const UNITS: [(&[u8], u64); 8] = [
    (b"ns", 1),
    (b"us", 1_000),
    ("µs".as_bytes(), 1_000),
    ("μs".as_bytes(), 1_000),
    (b"ms", 1_000_000),
    (b"s", 1_000_000_000),
    (b"m", 60_000_000_000),
    (b"h", 3_600_000_000_000),
];

/// Nanoseconds; `None` for what is no duration, or does not fit.
///
/// Source: Go's `time.ParseDuration`.
pub(crate) fn read(text: &[u8]) -> Option<i64> {
    let is_negative = text.starts_with(b"-");
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if unsigned == b"0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let (mut rest, mut total) = (unsigned, 0_u64);
    while !rest.is_empty() {
        let (part, later) = read_part(rest)?;
        total = total.checked_add(part)?;
        rest = later;
    }
    match (i64::try_from(total), is_negative) {
        (Ok(total), false) => Some(total),
        (Ok(total), true) => Some(-total),
        (Err(_), true) if total == 1 << 63 => Some(i64::MIN),
        (Err(_), _) => None,
    }
}

/// A number with its unit, and what follows.
fn read_part(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole_digits = digits(text);
    let (whole, mut rest) = text.split_at(whole_digits);
    let mut fraction: &[u8] = b"";
    if let Some(behind) = rest.strip_prefix(b".") {
        (fraction, rest) = behind.split_at(digits(behind));
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_bytes =
        rest.iter().take_while(|&&byte| byte != b'.' && !byte.is_ascii_digit()).count();
    let (unit, rest) = rest.split_at(unit_bytes);
    let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let mut number = 0_u64;
    for digit in whole {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    let mut nanoseconds = number.checked_mul(*unit_ns).filter(|&ns| ns <= 1 << 63)?;
    // What is finer than a nanosecond is cut off.
    let (mut scale, mut finer) = (*unit_ns as f64, 0.0);
    for digit in fraction {
        scale /= 10.0;
        finer += f64::from(digit - b'0') * scale;
    }
    #[expect(clippy::cast_sign_loss, reason = "a sum of digits")]
    let finer = finer as u64;
    nanoseconds = nanoseconds.checked_add(finer).filter(|&ns| ns <= 1 << 63)?;
    Some((nanoseconds, rest))
}

/// Whole seconds as Go shows a duration: `1m30s`.
pub(crate) fn show_seconds(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, show_seconds};

    #[test]
    fn seconds_are_shown_as_go_shows_them() {
        let shown = [0, 59, 60, 3600, 86_461].map(show_seconds);
        assert_eq!(shown, ["0s", "59s", "1m0s", "1h0m0s", "24h1m1s"]);
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1s", Some(1_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("3µs", Some(3_000)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("2562047h47m16.854775808s", None),
            ("-2562047h47m16.854775808s", Some(i64::MIN)),
            ("1", None),
            ("", None),
            ("-", None),
            (".s", None),
            ("1d", None),
            ("1 s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }
}
