//! The one line of JSON that a workload prints.

use std::fmt::Write as _;

use crate::meter::Measured;

/// Fields in the order they were added.
pub(crate) struct Report {
    fields: Vec<(&'static str, String)>,
}

impl Report {
    pub(crate) fn new(workload: &str) -> Self {
        Self { fields: vec![("workload", format!("\"{workload}\""))] }
    }

    pub(crate) fn count(mut self, name: &'static str, value: u64) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    pub(crate) fn number(mut self, name: &'static str, value: f64) -> Self {
        let value = if value.is_finite() { value } else { 0.0 };
        // Enough digits for a ratio, none for show.
        let text =
            if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.6}") };
        self.fields.push((name, text));
        self
    }

    pub(crate) fn flag(mut self, name: &'static str, value: bool) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// Messages, their rate, and processor time for each.
    pub(crate) fn rate(self, messages: u64, measured: &Measured) -> Self {
        self.count("messages", messages)
            .number("seconds", measured.seconds)
            .number("messages_per_second", messages as f64 / measured.seconds)
            .processor(messages, measured)
    }

    /// Processor time of both sides for each of `messages`.
    pub(crate) fn processor(self, messages: u64, measured: &Measured) -> Self {
        let each_ns = |seconds: f64| seconds * 1e9 / messages.max(1) as f64;
        let report = match measured.server_s {
            None => self,
            Some(server_s) => {
                self.number("server_seconds", server_s).number("server_ns", each_ns(server_s))
            }
        };
        report.number("generator_ns", each_ns(measured.generator_s))
    }

    /// Percentiles of `latencies_ns`, in microseconds.
    pub(crate) fn latencies(self, latencies_ns: &mut [u64]) -> Self {
        latencies_ns.sort_unstable();
        let at_us = |share: f64| percentile(latencies_ns, share) as f64 / 1000.0;
        let (p50, p90, p99, max) = (at_us(0.50), at_us(0.90), at_us(0.99), at_us(1.0));
        self.number("p50_us", p50).number("p90_us", p90).number("p99_us", p99).number("max_us", max)
    }

    pub(crate) fn to_json(&self) -> String {
        let mut line = String::from("{");
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(line, "{comma}\"{name}\": {value}");
        }
        line.push('}');
        line
    }
}

/// The value that `share` of the sorted values do not exceed; 0 when there are none.
fn percentile(sorted: &[u64], share: f64) -> u64 {
    if sorted.is_empty() {
        return 0;
    }
    #[allow(clippy::cast_sign_loss, reason = "a share of a length is not negative")]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 0.5), 50);
        assert_eq!(percentile(&values, 0.99), 99);
        assert_eq!(percentile(&values, 1.0), 100);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn a_report_is_one_object_in_the_order_of_its_fields() {
        let report = Report::new("publish").count("size", 16).flag("raw", false);
        assert_eq!(report.to_json(), r#"{"workload": "publish", "size": 16, "raw": false}"#);
    }
}
