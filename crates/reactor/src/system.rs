//! The worker by which the server publishes for itself, on whichever thread that is: one that
//! commits to the log, one of Python's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use keelback_engine::clock::Clock;
use keelback_engine::log::Level;
use keelback_engine::{Hub, Worker, lock};
use keelback_wire::errors::ClosedReason;

use crate::command::{Command, Mailbox};

pub(crate) struct System {
    worker: Mutex<Worker>,
    mailboxes: Arc<[Arc<Mailbox>]>,
}

impl System {
    pub(crate) fn new(hub: Arc<Hub>, mailboxes: Arc<[Arc<Mailbox>]>) -> Self {
        let now = Instant::now();
        // Its number is the one behind those of the reactor threads.
        let worker = Worker::new(mailboxes.len(), hub, Clock::new(now, SystemTime::now()), now);
        Self { worker: Mutex::new(worker), mailboxes }
    }

    /// Has the worker act, and writes what it staged.
    pub(crate) fn act(&self, act: &mut dyn FnMut(&mut Worker)) {
        let mut worker = lock(&self.worker);
        let now = Instant::now();
        if worker.clock.is_old(now) {
            worker.clock = Clock::new(now, SystemTime::now());
        }
        worker.begin_turn(now);
        let acted = catch_unwind(AssertUnwindSafe(|| {
            act(&mut worker);
            worker.end_turn();
        }));
        if acted.is_err() {
            worker.hub.totals.panics.fetch_add(1, Ordering::Relaxed);
            worker.hub.log.write(Level::Error, "Publishing for the server failed: a panic");
            worker.drop_staged();
        }
        self.tell_owners(&mut worker);
    }

    /// What the owners of connections must do about those that did not take what was written.
    fn tell_owners(&self, worker: &mut Worker) {
        // It waits for nobody.
        worker.pressures.clear();
        let watched = std::mem::take(&mut worker.to_watch).into_iter();
        let watched = watched.map(|connection| {
            let id = connection.id;
            (connection, Command::Watch(id))
        });
        let closed = std::mem::take(&mut worker.to_close).into_iter().map(|connection| {
            let reason = connection.closing_reason().unwrap_or(ClosedReason::WriteError);
            let id = connection.id;
            (connection, Command::Close(id, reason))
        });
        for (connection, command) in watched.chain(closed) {
            let owner = connection.owner.load(Ordering::Acquire);
            self.mailboxes[owner].send(command);
        }
    }
}
