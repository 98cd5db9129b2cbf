//! Streams begin with what the store has, and end with all of it safe.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keelback_jetstream::policy::Policy;
use keelback_store::commit::Committer;
use keelback_store::disk::Disk;
use keelback_store::store::{Options, Store, StoreError};
use keelback_store::stream::Storage;

use super::running::{Files, Kept, Running};
use super::usage::Counted;
use super::{Act, Streams, UsageByAccount};
use crate::Hub;
use crate::lock;
use crate::log::Level;

/// What keeps streams from being opened.
#[derive(Debug)]
pub enum OpenError {
    /// The store.
    Store(StoreError),
    /// The system gives no thread.
    Thread(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(formatter),
            Self::Thread(error) => write!(formatter, "no thread: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

impl<D: Disk + Clone> Streams<D> {
    /// Opens the store. Its streams take messages when `serve` says so.
    ///
    /// # Errors
    /// It cannot be used as it is.
    pub fn open(
        hub: Arc<Hub>,
        act: Act,
        disk: D,
        options: &Options,
    ) -> Result<Arc<Self>, OpenError> {
        let mut options = *options;
        let mut drawn = [0; 16];
        hub.fill_random(&mut drawn);
        options.drawn = u128::from_ne_bytes(drawn);
        let store = Store::open(&disk, &options).map_err(OpenError::Store)?;
        for damage in &store.damage {
            hub.log.write(Level::Error, &format!("JetStream: damage in the store: {damage}"));
        }
        let Store { root, meta, mut streams, checkpointed, log, applied, damage, may_trim } = store;
        let (used, mut used_by) = (Arc::default(), UsageByAccount::new());
        let staging = Arc::default();
        let mut by_group = HashMap::new();
        let mut by_name = HashMap::new();
        for record in meta.meta.streams() {
            let Some(durable) = streams.remove(&record.group) else { continue };
            let account = hub.add_account(&record.account);
            let policy = Policy::new(&record.name, Storage::File, record.limits);
            let checkpointed = checkpointed.get(&record.group).copied().unwrap_or_default();
            let kept = Kept::Files(Box::new(Files { durable, checkpointed }));
            let of_account = used_by.entry(record.account.clone()).or_default().clone();
            let counted = Counted::new(Storage::File, of_account, Arc::clone(&used));
            let name = (account, &*record.name);
            let staging = Arc::clone(&staging);
            let running =
                Arc::new(Running::new(record.group, name, policy, kept, (counted, staging)));
            by_group.insert(record.group, running.clone());
            by_name.insert((record.account.clone(), record.name.clone()), running);
        }
        let committer =
            Committer::start(log, options.waiting_bytes_max).map_err(OpenError::Thread)?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            hub,
            act,
            disk,
            store: root.store,
            hash_seed: options.drawn as u64,
            committer: RwLock::new(Some(committer)),
            by_group: RwLock::new(by_group),
            by_name: RwLock::new(by_name),
            changing: Mutex::default(),
            meta: Mutex::new(meta),
            applied: Mutex::new(applied),
            tended: Mutex::default(),
            staging,
            used,
            used_by: Mutex::new(used_by),
            failure: Mutex::default(),
            damage: Mutex::new(damage),
            may_trim,
            root: Mutex::new(Some(root)),
        }))
    }

    /// Ends it: what waits is committed, and all of it written. Streams take nothing any more.
    pub fn close(&self) {
        for running in self.all() {
            running.end_subscriptions();
        }
        let committer = self.committer.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(log) = committer.and_then(Committer::stop) else { return };
        self.trim(true);
        // Without it the next start reads the last of the log as after a power cut.
        if let Err(error) = log.close() {
            self.hub.log.write(Level::Error, &format!("JetStream: closing the log: {error}"));
        }
        // Another server may open it, although somebody may still hold this one, or its streams.
        for running in self.all() {
            drop(running.take());
        }
        lock(&self.root).take();
    }
}
