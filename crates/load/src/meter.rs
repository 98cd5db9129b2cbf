//! Time and memory: the clock, the server's processor time, its memory.

use std::fs;
use std::time::Instant;

use crate::error::LoadError;

/// The server's process, read through `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerProcess {
    pid: u32,
    ticks_per_second: u64,
}

impl ServerProcess {
    pub(crate) fn new(pid: u32) -> Result<Self, LoadError> {
        let process = Self { pid, ticks_per_second: rustix::param::clock_ticks_per_second() };
        process.processor_s().map(|_| process)
    }

    /// Processor time of all threads, user and system (seconds).
    pub(crate) fn processor_s(self) -> Result<f64, LoadError> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).map_err(|error| LoadError::io(&path, error))?;
        processor_ticks(&text)
            .map(|ticks| ticks as f64 / self.ticks_per_second as f64)
            .ok_or_else(|| LoadError::Server(format!("{path}: cannot be read")))
    }

    /// Proportional share of memory (bytes).
    pub(crate) fn memory_bytes(self) -> Result<u64, LoadError> {
        let path = format!("/proc/{}/smaps_rollup", self.pid);
        let text = fs::read_to_string(&path).map_err(|error| LoadError::io(&path, error))?;
        text.lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| LoadError::Server(format!("{path}: no Pss")))
    }
}

/// `utime + stime` of a line of `/proc/PID/stat`.
fn processor_ticks(stat: &str) -> Option<u64> {
    // The name, in parentheses, may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A stopwatch that also reads processor times.
pub(crate) struct Meter {
    server: Option<ServerProcess>,
    started: Instant,
    server_s: f64,
    generator_s: f64,
}

/// What a stretch of a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// The server's processor time (seconds), if its process is known.
    pub(crate) server_s: Option<f64>,
    /// Our own processor time (seconds).
    pub(crate) generator_s: f64,
}

impl Meter {
    pub(crate) fn start(server: Option<ServerProcess>) -> Result<Self, LoadError> {
        let server_s = server.map_or(Ok(0.0), ServerProcess::processor_s)?;
        Ok(Self { server, server_s, generator_s: own_processor_s(), started: Instant::now() })
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Reads everything; the wall clock counts until `ended`.
    pub(crate) fn stop(&self, ended: Instant) -> Result<Measured, LoadError> {
        let server_s = self.server.map(ServerProcess::processor_s).transpose()?;
        Ok(Measured {
            // A clock that did not move must not make a rate infinite.
            seconds: ended.saturating_duration_since(self.started).as_secs_f64().max(1e-9),
            server_s: server_s.map(|now| now - self.server_s),
            generator_s: own_processor_s() - self.generator_s,
        })
    }
}

fn own_processor_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_process_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 5 0 100 0";
        assert_eq!(processor_ticks(stat), Some(42));
        assert_eq!(processor_ticks("7 (a"), None);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let process = ServerProcess::new(std::process::id()).unwrap();
        assert!(process.memory_bytes().unwrap() > 0);
    }
}
