//! One stream as it runs: its policy, its state, what it is subscribed to.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use keelback_jetstream::atomic::Batches;
use keelback_jetstream::fast::FastBatches;
use keelback_jetstream::policy::Policy;
use keelback_store::disk::Disk;
use keelback_store::durable::{Durable, DurableError};
use keelback_store::log::Position;
use keelback_store::stream::{Content, Effects, Entry, Limits, Outcome, Refusal, Storage, Stream};

use super::calls::{CallError, FoundMessage};
use super::counting::Counting;
use super::schedules::Schedules;
use super::staging::Staging;
use super::usage::{Counted, Exceeded};
use crate::account::Account;
use crate::lock;
use crate::receiver::Subscribed;

/// Where a stream's messages are.
pub(super) enum Kept<D: Disk + Clone> {
    /// In memory: gone when the server ends.
    Memory(Box<Stream>),
    /// In files.
    Files(Box<Files<D>>),
}

/// A stream in files.
pub(super) struct Files<D: Disk + Clone> {
    pub(super) durable: Durable<D>,
    /// The log is not needed for what it had before.
    pub(super) checkpointed: Position,
}

/// What may wait when the disk takes nothing (bytes); more is refused.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// What waits is written when it is so much (bytes): large writes are sequential ones.
const FLUSH_BYTES: usize = 512 << 10;

impl<D: Disk + Clone> Files<D> {
    /// Whether the log has entries that no checkpoint has.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable.applied() > self.checkpointed || self.durable.is_given_up()
    }

    /// Why it takes no messages; `None` while it does.
    fn failure(&self) -> Option<&'static str> {
        if self.durable.is_given_up() {
            return Some("a sync failed; the log has what it holds, and a restart brings it back");
        }
        let is_full = self.durable.waiting_bytes() > WAITING_BYTES_MAX;
        is_full.then_some("its disk takes nothing")
    }
}

impl<D: Disk + Clone> Kept<D> {
    /// Which messages there are.
    pub(super) fn stream(&self) -> &Stream {
        match self {
            Self::Memory(stream) => stream,
            Self::Files(files) => files.durable.state(),
        }
    }

    /// Which messages there are, to be asked what may have to be read.
    pub(super) fn stream_mut(&mut self) -> &mut Stream {
        match self {
            Self::Memory(stream) => stream,
            Self::Files(files) => files.durable.state_mut(),
        }
    }

    /// Asks which messages there are.
    ///
    /// # Errors
    /// What the answer needs cannot be read.
    pub(super) fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Stream) -> T,
    ) -> Result<T, CallError> {
        match self {
            Self::Memory(stream) => Ok(question(stream)),
            Self::Files(files) => files.durable.ask(question).map_err(CallError::failed),
        }
    }

    /// Why it takes no messages; `None` while it does.
    pub(super) fn failure(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => None,
            Self::Files(files) => files.failure(),
        }
    }

    /// Reads a message.
    pub(super) fn read(&mut self, seq: u64) -> Result<Option<FoundMessage>, CallError> {
        match self {
            Self::Memory(stream) => Ok(stream.get(seq).map(|stored| {
                let (headers, payload) = match stored.content {
                    Content::Held { headers, payload } => (headers, payload),
                    Content::Placed(_) => (&b""[..], &b""[..]),
                };
                let (subject, time_ns) = (stored.subject.to_vec(), stored.time_ns);
                let (headers, payload) = (headers.to_vec(), payload.to_vec());
                FoundMessage { seq, subject, headers, payload, time_ns }
            })),
            Self::Files(files) => {
                let stored = files.durable.read(seq).map_err(CallError::failed)?;
                Ok(stored.map(|stored| {
                    let record = stored.record();
                    FoundMessage {
                        seq,
                        subject: record.subject.to_vec(),
                        headers: record.headers.to_vec(),
                        payload: record.payload.to_vec(),
                        time_ns: record.time_ns,
                    }
                }))
            }
        }
    }

    /// Writes what waits, if it is much; what the disk does not take now goes on waiting.
    ///
    /// # Errors
    /// The disk refused.
    pub(super) fn flush(&mut self) -> Result<(), DurableError> {
        match self {
            Self::Files(files) if files.durable.waiting_bytes() >= FLUSH_BYTES => {
                files.durable.flush()
            }
            _ => Ok(()),
        }
    }

    /// Overwrites a message's bytes, where they are in files.
    pub(super) fn erase(&mut self, seq: u64) -> Result<(), CallError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Files(files) => files.durable.erase(seq).map(|_| ()).map_err(CallError::failed),
        }
    }

    /// Applies an entry; `behind` is where the log has the next one.
    pub(super) fn apply(&mut self, behind: Position, entry: &Entry<'_>) -> Effects {
        match self {
            Self::Memory(stream) => stream.apply(entry),
            Self::Files(files) => match files.durable.apply(behind, entry) {
                Ok(effects) => effects,
                // It finds the entry in the log when it is opened anew.
                Err(_) => Effects { outcome: Outcome::Refused(Refusal::Failed), ..Effects::none() },
            },
        }
    }
}

/// A stream.
pub(super) struct Running<D: Disk + Clone> {
    /// Its group in the log; 0 for a stream in memory.
    pub(super) group: u32,
    pub(super) account: Arc<Account>,
    pub(super) name: String,
    policy: RwLock<Arc<Policy>>,
    kept: Mutex<Kept<D>>,
    /// Held while its files are written without its lock.
    pub(super) writing: Mutex<()>,
    counted: Counted,
    /// What the batches of all streams take.
    pub(super) staging: Arc<Staging>,
    /// Those that are not complete.
    pub(super) batches: Mutex<Batches>,
    pub(super) schedules: Mutex<Schedules>,
    /// Held while messages that count are computed and proposed.
    pub(super) counting_order: Mutex<()>,
    pub(super) counting: Mutex<Counting>,
    /// Those that are acknowledged now and then.
    pub(super) fast: Mutex<FastBatches>,
    /// Its disk takes nothing: it refuses messages.
    is_failing: AtomicBool,
    /// What it takes, by subject.
    served: Mutex<HashMap<String, Subscribed>>,
}

impl<D: Disk + Clone> Running<D> {
    pub(super) fn new(
        group: u32,
        (account, name): (Arc<Account>, &str),
        policy: Policy,
        kept: Kept<D>,
        (counted, staging): (Counted, Arc<Staging>),
    ) -> Self {
        counted.set(kept.stream().bytes());
        Self {
            group,
            account,
            name: name.to_owned(),
            counted,
            staging,
            batches: Mutex::default(),
            schedules: Mutex::default(),
            counting_order: Mutex::default(),
            counting: Mutex::default(),
            fast: Mutex::default(),
            policy: RwLock::new(Arc::new(policy)),
            kept: Mutex::new(kept),
            writing: Mutex::default(),
            is_failing: AtomicBool::new(false),
            served: Mutex::default(),
        }
    }

    /// Its state; whoever holds it keeps the stream's messages waiting.
    pub(super) fn kept(&self) -> Held<'_, D> {
        Held { kept: lock(&self.kept), counted: &self.counted }
    }

    /// The limit of the account or the server that a message of so many bytes would exceed.
    pub(super) fn exceeded(&self, bytes: u64) -> Option<Exceeded> {
        self.counted.exceeded(bytes)
    }

    /// Whether it refuses messages, because its disk takes none.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Takes note of whether its disk takes messages; if that is new, why not, or "" when it does.
    pub(super) fn note_failure(&self, kept: &Kept<D>) -> Option<&'static str> {
        let failure = kept.failure();
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        (failure.is_some() != was_failing).then(|| failure.unwrap_or_default())
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// Whether its messages are in memory alone.
    pub(super) fn is_in_memory(&self) -> bool {
        self.group == 0
    }

    /// Takes what is published to these subjects, and no others, from now on. What it takes already
    /// it goes on to take: no message comes twice, and none is missed.
    ///
    /// # Errors
    /// What `make` says.
    pub(super) fn subscribe<E>(
        &self,
        subjects: &[String],
        make: impl Fn(&str) -> Result<Subscribed, E>,
    ) -> Result<(), E> {
        let mut served = lock(&self.served);
        served.retain(|subject, _| subjects.contains(subject));
        for subject in subjects {
            if !served.contains_key(subject) {
                served.insert(subject.clone(), make(subject)?);
            }
        }
        Ok(())
    }

    /// Takes nothing any more.
    pub(super) fn end_subscriptions(&self) {
        lock(&self.served).clear();
    }

    /// Takes its messages away, when it is gone; nobody writes its files then.
    pub(super) fn take(&self) -> Kept<D> {
        let _writing = lock(&self.writing);
        let nothing = Stream::new(Storage::Memory, 0, Limits::default(), 0);
        std::mem::replace(&mut *self.kept(), Kept::Memory(Box::new(nothing)))
    }
}

/// A stream's state, held by one who may change it: then what it holds is counted.
pub(super) struct Held<'a, D: Disk + Clone> {
    kept: MutexGuard<'a, Kept<D>>,
    counted: &'a Counted,
}

impl<D: Disk + Clone> Deref for Held<'_, D> {
    type Target = Kept<D>;

    fn deref(&self) -> &Kept<D> {
        &self.kept
    }
}

impl<D: Disk + Clone> DerefMut for Held<'_, D> {
    fn deref_mut(&mut self) -> &mut Kept<D> {
        &mut self.kept
    }
}

impl<D: Disk + Clone> Drop for Held<'_, D> {
    fn drop(&mut self) {
        self.counted.set(self.kept.stream().bytes());
    }
}
