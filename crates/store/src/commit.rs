//! Group commit: one thread syncs what gathered while it synced before.
//!
//! Whoever submits gets an answer for each submission, in the order of the log, from the commit
//! thread. Spare log files are filled by a second thread, so that no commit waits for them.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use keelback_planted::{self as planted, Bug};

use crate::disk::Disk;
use crate::log::{Entries, Log, LogError, Position, Spare};

/// What became of a submission: where its first entry stands, or why the disk refused.
pub type Outcome = Result<Position, Arc<LogError>>;

/// Called once with the outcome and what was submitted, on the commit thread: it must not wait for
/// anything.
pub type Done = Box<dyn FnOnce(&Outcome, &Entries) + Send>;

struct Submission {
    entries: Entries,
    done: Done,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Submission>,
    waiting_bytes: usize,
    trim: Option<Position>,
    must_sync: bool,
    /// The spare file of the last order, and whether it could be filled.
    filled: Option<(Spare, bool)>,
    is_stopping: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
    waiting_bytes_max: usize,
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.trim.is_none() && !self.must_sync && !self.is_stopping
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The commit thread of a store's log.
pub struct Committer<D: Disk> {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Log<D>>>,
    filler: Option<JoinHandle<()>>,
}

impl<D: Disk + Clone> Committer<D> {
    /// Starts it. `waiting_bytes_max` bounds what is submitted and not yet safe.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(log: Log<D>, waiting_bytes_max: usize) -> std::io::Result<Self> {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), woken: Condvar::new(), waiting_bytes_max });
        let (orders, wanted) = mpsc::channel();
        let disk = log.disk().clone();
        let filler = {
            let shared = shared.clone();
            thread::Builder::new()
                .name("kb-log-filler".to_owned())
                .spawn(move || fill(&disk, &wanted, &shared))?
        };
        let thread = {
            let shared = shared.clone();
            thread::Builder::new()
                .name("kb-log-commit".to_owned())
                .spawn(move || run(log, &shared, &orders))?
        };
        Ok(Self { shared, thread: Some(thread), filler: Some(filler) })
    }

    /// Submits entries; `done` is told when they are safe, or are not. Where more waits than may, it
    /// is told so at once, on this thread, and nothing was submitted.
    pub fn submit(&self, entries: Entries, done: Done) {
        let mut queue = self.shared.queue();
        // One submission may always wait, however long it is.
        let is_full = queue.waiting_bytes + entries.bytes() > self.shared.waiting_bytes_max;
        if queue.is_stopping || (is_full && queue.waiting_bytes > 0) {
            drop(queue);
            done(&Err(Arc::new(LogError::Busy)), &entries);
            return;
        }
        queue.waiting_bytes += entries.bytes();
        queue.waiting.push_back(Submission { entries, done });
        drop(queue);
        self.shared.woken.notify_one();
    }

    /// Nothing before `from` is needed any more.
    pub fn trim(&self, from: Position) {
        self.shared.queue().trim = Some(from);
        self.shared.woken.notify_one();
    }

    /// Puts on stable storage what was committed lazily.
    pub fn sync(&self) {
        self.shared.queue().must_sync = true;
        self.shared.woken.notify_one();
    }

    /// Commits what waits, and gives the log back.
    pub fn stop(mut self) -> Option<Log<D>> {
        self.end()
    }
}

impl<D: Disk> Committer<D> {
    fn end(&mut self) -> Option<Log<D>> {
        self.shared.queue().is_stopping = true;
        self.shared.woken.notify_one();
        let log = self.thread.take()?.join().ok();
        if let Some(filler) = self.filler.take() {
            // It ends with the commit thread, which gives it its orders.
            let _ = filler.join();
        }
        log
    }
}

impl<D: Disk> Drop for Committer<D> {
    fn drop(&mut self) {
        self.end();
    }
}

fn run<D: Disk>(mut log: Log<D>, shared: &Shared, orders: &Sender<Spare>) -> Log<D> {
    let mut is_filling = false;
    loop {
        let mut queue = shared.queue();
        while queue.is_idle() {
            queue = shared.woken.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let waiting = mem::take(&mut queue.waiting);
        let trim = queue.trim.take();
        let must_sync = mem::take(&mut queue.must_sync);
        let is_stopping = queue.is_stopping && waiting.is_empty() && trim.is_none();
        if let Some((spare, is_ready)) = queue.filled.take() {
            is_filling = false;
            if is_ready {
                log.add_spare(spare);
            }
        }
        drop(queue);
        if is_stopping {
            return log;
        }
        if !waiting.is_empty() {
            commit(&mut log, shared, waiting);
        }
        if must_sync {
            // What it could not sync is given up by the log, and sealed by the next file.
            let _ = log.sync();
        }
        if let Some(from) = trim {
            // What is left is given up the next time.
            let _ = log.trim(from);
        }
        if !is_filling && let Some(spare) = log.wanted_spare() {
            is_filling = orders.send(spare).is_ok();
        }
    }
}

/// Commits submissions as one batch, and tells each of them.
fn commit<D: Disk>(log: &mut Log<D>, shared: &Shared, waiting: VecDeque<Submission>) {
    let mut bytes = 0;
    let mut appended = Ok(());
    for submission in &waiting {
        bytes += submission.entries.bytes();
        appended = appended.and_then(|()| log.append_all(&submission.entries));
    }
    let outcome = match appended {
        Ok(()) => log.commit().map(|_| log.last_batch()).map_err(Arc::new),
        Err(error) => {
            log.forget_pending();
            Err(Arc::new(error))
        }
    };
    if planted::is(Bug::AnsweredWithEarlierCommit) {
        for late in mem::take(&mut shared.queue().waiting) {
            (late.done)(&outcome, &late.entries);
        }
    }
    shared.queue().waiting_bytes -= bytes;
    let mut at = outcome;
    for Submission { entries, done } in waiting {
        // One that panics must not take the promise from the others.
        let _ = catch_unwind(AssertUnwindSafe(|| done(&at, &entries)));
        at = at.map(|at| at.behind(entries.bytes()));
    }
}

/// Fills spare files, one at a time.
fn fill<D: Disk>(disk: &D, wanted: &Receiver<Spare>, shared: &Shared) {
    while let Ok(spare) = wanted.recv() {
        // Without one the log goes on: it makes files as it needs them.
        let is_ready = spare.fill(disk).is_ok();
        shared.queue().filled = Some((spare, is_ready));
    }
}
