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
    /// It makes room, or is small: a full disk is no reason to refuse it.
    is_vital: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Submission>,
    waiting_bytes: usize,
    trim: Option<Position>,
    must_sync: bool,
    /// The spare file of the last order, or why it could not be filled.
    filled: Option<Result<Spare, LogError>>,
    /// See [`Committer::note_full`].
    is_full: bool,
    must_make_room: bool,
    may_fill: bool,
    is_stopping: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
    waiting_bytes_max: usize,
}

impl Queue {
    fn is_idle(&self) -> bool {
        let is_asked = self.must_sync || self.must_make_room || self.may_fill;
        let is_told = self.trim.is_some() || self.filled.is_some();
        self.waiting.is_empty() && !is_told && !is_asked && !self.is_stopping
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
    pub fn start(mut log: Log<D>, waiting_bytes_max: usize) -> std::io::Result<Self> {
        // What is taken before there is a spare file has room all the same.
        let is_full = !log.has_spare() && log.look_for_room().is_err_and(|error| error.is_full());
        let queue = Mutex::new(Queue { is_full, ..Queue::default() });
        let shared = Arc::new(Shared { queue, woken: Condvar::new(), waiting_bytes_max });
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
        self.add(Submission { entries, done, is_vital: false });
    }

    /// As `submit`, also while the disk is full: what makes room, and what is small.
    pub fn submit_vital(&self, entries: Entries, done: Done) {
        self.add(Submission { entries, done, is_vital: true });
    }

    fn add(&self, submission: Submission) {
        let Submission { entries, done, is_vital } = submission;
        let mut queue = self.shared.queue();
        // One submission may always wait, however long it is.
        let is_full = queue.waiting_bytes + entries.bytes() > self.shared.waiting_bytes_max;
        if queue.is_stopping || (is_full && queue.waiting_bytes > 0) {
            drop(queue);
            done(&Err(Arc::new(LogError::Busy)), &entries);
            return;
        }
        queue.waiting_bytes += entries.bytes();
        queue.waiting.push_back(Submission { entries, done, is_vital });
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

    /// The disk has no room for something that must be written: it gets that of the spare file, and
    /// until there is a spare file again only vital submissions are taken.
    pub fn note_full(&self) {
        let mut queue = self.shared.queue();
        queue.is_full = true;
        queue.must_make_room = true;
        drop(queue);
        self.shared.woken.notify_one();
    }

    /// Whether only vital submissions are taken.
    pub fn is_full(&self) -> bool {
        self.shared.queue().is_full
    }

    /// What had to be written is: the log looks for the room for a spare file again.
    pub fn look_for_room(&self) {
        self.shared.queue().may_fill = true;
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
        // One that failed is tried again the next time that there is something to do.
        let mut may_fill = true;
        if let Some(filled) = queue.filled.take() {
            is_filling = false;
            may_fill = filled.is_ok();
            match filled {
                Ok(spare) => log.add_spare(spare),
                Err(error) => queue.is_full |= error.is_full(),
            }
        }
        if mem::take(&mut queue.must_make_room) {
            log.remove_spares();
        }
        queue.is_full &= !log.has_spare();
        let is_full = queue.is_full;
        may_fill &= !is_full;
        may_fill |= mem::take(&mut queue.may_fill);
        drop(queue);
        if is_stopping {
            return log;
        }
        if !waiting.is_empty() {
            commit(&mut log, shared, waiting, is_full);
        }
        if must_sync {
            // What it could not sync is given up by the log, and sealed by the next file.
            let _ = log.sync();
        }
        if let Some(from) = trim {
            // What is left is given up the next time.
            let _ = log.trim(from);
        }
        if !is_filling
            && may_fill
            && let Some(spare) = log.wanted_spare()
        {
            is_filling = orders.send(spare).is_ok();
        }
    }
}

/// Commits submissions as one batch, and tells each of them. On a full disk only vital ones are.
fn commit<D: Disk>(
    log: &mut Log<D>,
    shared: &Shared,
    waiting: VecDeque<Submission>,
    is_full: bool,
) {
    let mut bytes = 0;
    let mut appended = Ok(());
    for submission in &waiting {
        bytes += submission.entries.bytes();
        if submission.is_vital || !is_full {
            appended = appended.and_then(|()| log.append_all(&submission.entries));
        }
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
    let mut queue = shared.queue();
    queue.waiting_bytes -= bytes;
    queue.is_full |= outcome.as_ref().is_err_and(|error| error.is_full());
    drop(queue);
    let mut at = outcome;
    let refused = Err(Arc::new(LogError::Full));
    for Submission { entries, done, is_vital } in waiting {
        let is_taken = is_vital || !is_full;
        let outcome = if is_taken { &at } else { &refused };
        // One that panics must not take the promise from the others.
        let _ = catch_unwind(AssertUnwindSafe(|| done(outcome, &entries)));
        if is_taken {
            at = at.map(|at| at.behind(entries.bytes()));
        }
    }
}

/// Fills spare files, one at a time.
fn fill<D: Disk>(disk: &D, wanted: &Receiver<Spare>, shared: &Shared) {
    while let Ok(spare) = wanted.recv() {
        // Without one the log goes on, unless the disk is full: it makes files as it needs them.
        let filled = spare.fill(disk).map(|()| spare);
        shared.queue().filled = Some(filled);
        shared.woken.notify_one();
    }
}
