//! The thread that tends a server's streams a few times a second.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keelback_engine::lock;
use keelback_engine::streams::Streams;
use keelback_store::disk::Disk;
use rustix::time::{ClockId, clock_gettime};

use crate::expiry_clock::ExpiryClock;

/// Between two rounds.
const INTERVAL: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Ending {
    is_over: Mutex<bool>,
    told: Condvar,
}

/// Tends streams until it is dropped.
pub(crate) struct Tender {
    ending: Arc<Ending>,
    thread: Option<JoinHandle<()>>,
}

impl Tender {
    pub(crate) fn start<D: Disk + Clone>(streams: Arc<Streams<D>>) -> io::Result<Self> {
        let ending = Arc::new(Ending::default());
        let told = ending.clone();
        let thread =
            std::thread::Builder::new().name("kb-js-tender".to_owned()).spawn(move || {
                let mut clock = ExpiryClock::new(wall_ns(), boot_ns());
                while !told.waits(INTERVAL) {
                    streams.tend(clock.advance(wall_ns(), boot_ns()));
                }
            })?;
        Ok(Self { ending, thread: Some(thread) })
    }
}

impl Ending {
    /// Waits so long, or until it is over; says whether it is.
    fn waits(&self, time: Duration) -> bool {
        let is_over = lock(&self.is_over);
        let waited = self.told.wait_timeout_while(is_over, time, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Tender {
    fn drop(&mut self) {
        *lock(&self.ending.is_over) = true;
        self.ending.told.notify_all();
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}

fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
