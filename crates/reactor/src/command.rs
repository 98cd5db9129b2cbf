//! What is asked of a thread from outside: a list under a lock, and a waker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keelback_engine::gate::Admission;
use keelback_engine::lock;
use keelback_wire::errors::ClosedReason;

use crate::listener::{Accepted, Listening};
use crate::pipe::PipeShared;
use crate::poller::{Poller, Waker};

/// One request to a thread.
pub enum Command {
    /// Take over a connection that another thread accepted.
    Adopt(Accepted),
    /// Take over an in-process connection.
    AdoptPipe(Arc<PipeShared>),
    /// Python said yes.
    Admit(u64, Admission),
    /// Python said no.
    Refuse(u64, ClosedReason),
    /// Close a connection of this thread.
    Close(u64, ClosedReason),
    /// Close one after it was told why.
    Dismiss(u64, ClosedReason, String),
    /// Decide again about all connections.
    Reauthorize,
    /// Watch a connection's write deadline.
    Watch(u64),
    /// A destination that this publisher waits for has caught up.
    CaughtUp(u64),
    /// A pipe has input for the server, or room.
    PipeReady(u64),
    /// Send INFO to all clients that take it at any time.
    Announce,
    /// Accept from this listener too.
    Listen(Arc<Listening>),
    /// Stop to accept.
    StopListening,
    /// Close all connections and end.
    Shutdown,
}

/// A thread as others see it.
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    waker: Waker,
    pub(crate) poller: Poller,
    /// Connections that it owns: new ones go where there are fewest.
    pub(crate) connections: AtomicUsize,
}

impl Mailbox {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            commands: Mutex::default(),
            waker: Waker::new()?,
            poller: Poller::new()?,
            connections: AtomicUsize::new(0),
        })
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    pub(crate) fn send(&self, command: Command) {
        let mut commands = lock(&self.commands);
        let was_empty = commands.is_empty();
        commands.push(command);
        drop(commands);
        if was_empty {
            self.waker.wake();
        }
    }

    pub(crate) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.commands))
    }

    pub(crate) fn load(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
