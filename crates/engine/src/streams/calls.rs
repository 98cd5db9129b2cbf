//! What Python asks of streams: they are made, changed, deleted, read, and cleared.
//!
//! Calls wait for the disk.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};

use keelback_jetstream::direct;
use keelback_jetstream::policy::Policy;
use keelback_store::disk::Disk;
use keelback_store::durable::{Config, Durable, SEGMENT_BYTES};
use keelback_store::log::{Entries, Position};
use keelback_store::meta::{self, Change, StreamRecord};
use keelback_store::store::folder_of;
use keelback_store::stream::{Effects, Entry, Limits, Purge, State, Storage, Stream, encode};

use super::Streams;
use super::get::GetReceiver;
use super::ingest::StreamReceiver;
use super::outgoing::Outgoing;
use super::running::{Files, Kept, Running};
use super::usage::{Counted, Usage, UsageLimits};
use crate::lock;
use crate::log::Level;
use crate::proposals::{Origin, Proposals, Proposer};
use crate::receiver::{Receiver, Subscribed};

/// More damage is told in the log alone, as that which is known (count).
const DAMAGE_MAX: usize = 1000;

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// There is no such stream.
    NotFound,
    /// There is one already.
    Exists,
    /// A subject that cannot be.
    Subject(String),
    /// The disk refused, or the stream has failed.
    Failed(String),
}

impl CallError {
    pub(super) fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("stream not found"),
            Self::Exists => formatter.write_str("the stream exists"),
            Self::Subject(subject) => write!(formatter, "{subject:?} is no subject"),
            Self::Failed(why) => formatter.write_str(why),
        }
    }
}

/// A stream's name: in an account.
pub type Name<'a> = (&'a str, &'a str);

/// What a stream does with messages.
#[derive(Clone, Debug)]
pub struct Served {
    /// What it takes.
    pub subjects: Vec<String>,
    /// How.
    pub policy: Policy,
}

/// A stream to create.
#[derive(Clone, Debug)]
pub struct NewStream {
    /// Since 1970.
    pub created_ns: u64,
    /// Its first message gets this sequence.
    pub first_seq: u64,
    /// What Python remembers of it.
    pub config: Vec<u8>,
}

/// A stream that the store remembers.
#[derive(Clone, Debug)]
pub struct KeptStream {
    /// Whose it is.
    pub account: String,
    /// Its name.
    pub name: String,
    /// What Python remembers of it.
    pub config: Vec<u8>,
    /// Since 1970.
    pub created_ns: u64,
}

/// A message that was read.
#[derive(Clone, Debug)]
pub struct FoundMessage {
    /// Its sequence.
    pub seq: u64,
    /// Its subject.
    pub subject: Vec<u8>,
    /// The header block; empty without one.
    pub headers: Vec<u8>,
    /// The message without its headers.
    pub payload: Vec<u8>,
    /// Since 1970.
    pub time_ns: u64,
}

impl<D: Disk + Clone> Streams<D> {
    /// The streams that the store remembers, in the order in which they were created.
    pub fn kept_streams(&self) -> Vec<KeptStream> {
        let meta = lock(&self.meta);
        let kept = meta.meta.streams().map(|record| KeptStream {
            account: record.account.clone(),
            name: record.name.clone(),
            config: record.config.clone(),
            created_ns: record.created_ns,
        });
        kept.collect()
    }

    /// Makes a stream, which takes messages when this returns.
    ///
    /// # Errors
    /// It exists, a subject cannot be, or the disk refused; then there is none.
    pub fn create(
        self: &Arc<Self>,
        name: Name<'_>,
        new: NewStream,
        served: &Served,
    ) -> Result<(), CallError> {
        let _changing = lock(&self.changing);
        if self.running(name).is_ok() {
            return Err(CallError::Exists);
        }
        let limits = served.policy.limits;
        let (group, kept) = match served.policy.storage {
            Storage::Memory => {
                let stream = Stream::new(Storage::Memory, new.first_seq, limits, self.hash_seed);
                (0, Kept::Memory(Box::new(stream)))
            }
            Storage::File => {
                let group = lock(&self.meta).meta.next_group();
                (group, self.make_durable(group, new.first_seq, limits)?)
            }
        };
        let account = self.hub.add_account(name.0);
        let counted = Counted::new(served.policy.storage, self.used_by(name.0), self.used.clone());
        let shared = (counted, self.staging.clone());
        let running = Running::new(group, (account, name.1), served.policy.clone(), kept, shared);
        let running = Arc::new(running);
        if group != 0 {
            self.by_group
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(group, running.clone());
            let record = StreamRecord {
                group,
                account: name.0.to_owned(),
                name: name.1.to_owned(),
                created_ns: new.created_ns,
                first_seq: new.first_seq,
                limits,
                config: new.config,
            };
            if let Err(error) = self.change(&Change::Put(record)) {
                self.forget_group(group);
                return Err(error);
            }
        }
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((name.0.to_owned(), name.1.to_owned()), running.clone());
        self.subscribe(&running, &served.subjects)
    }

    /// Lets messages into a stream that the store remembers.
    ///
    /// # Errors
    /// There is none, or a subject cannot be.
    pub fn serve(self: &Arc<Self>, name: Name<'_>, served: &Served) -> Result<(), CallError> {
        let running = self.running(name)?;
        running.set_policy(served.policy.clone());
        self.subscribe(&self.in_its_account(running, name), &served.subjects)
    }

    /// The stream in the account that has its name now: another one, if that was taken away since.
    fn in_its_account(&self, running: Arc<Running<D>>, name: Name<'_>) -> Arc<Running<D>> {
        let account = self.hub.add_account(name.0);
        if Arc::ptr_eq(&running.account, &account) {
            return running;
        }
        let policy = (*running.policy()).clone();
        let counted = Counted::new(policy.storage, self.used_by(name.0), self.used.clone());
        let shared = (counted, self.staging.clone());
        // It takes nothing: what may come meanwhile is an expiry, which comes again.
        let kept = running.take();
        let moved = Arc::new(Running::new(running.group, (account, name.1), policy, kept, shared));
        if moved.group != 0 {
            let mut by_group = self.by_group.write().unwrap_or_else(PoisonError::into_inner);
            by_group.insert(moved.group, moved.clone());
        }
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert((name.0.to_owned(), name.1.to_owned()), moved.clone());
        moved
    }

    /// Lets no messages into a stream any more, until `serve`; what it holds stays.
    ///
    /// # Errors
    /// There is none.
    pub fn stop_serving(&self, name: Name<'_>) -> Result<(), CallError> {
        let running = self.running(name)?;
        running.end_subscriptions();
        running.forget_batches();
        running.forget_fast();
        Ok(())
    }

    /// Changes a stream.
    ///
    /// # Errors
    /// There is none, a subject cannot be, or the disk refused; then it is as before.
    pub fn update(
        self: &Arc<Self>,
        name: Name<'_>,
        config: Vec<u8>,
        served: &Served,
    ) -> Result<(), CallError> {
        let _changing = lock(&self.changing);
        let running = self.running(name)?;
        let limits = served.policy.limits;
        if running.group != 0 {
            let found = lock(&self.meta).meta.stream(running.group).cloned();
            let record = found.ok_or(CallError::NotFound)?;
            self.change(&Change::Put(StreamRecord { limits, config, ..record }))?;
        }
        if running.policy().limits != limits {
            self.ask(&running, &Entry::Limit(limits))?;
        }
        running.set_policy(served.policy.clone());
        if !served.policy.allows_atomic {
            running.forget_batches();
        }
        if !served.policy.allows_batched {
            running.forget_fast();
        }
        self.subscribe(&running, &served.subjects)
    }

    /// Deletes a stream. It is gone once the log says so, whatever becomes of its files.
    ///
    /// # Errors
    /// There is none, or the disk refused; then it is as before.
    pub fn delete(&self, name: Name<'_>) -> Result<(), CallError> {
        let _changing = lock(&self.changing);
        let running = self.running(name)?;
        if running.group != 0 {
            self.change(&Change::Drop(running.group))?;
        }
        running.end_subscriptions();
        running.forget_batches();
        running.forget_fast();
        self.by_name
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(name.0.to_owned(), name.1.to_owned()));
        let kept = running.take();
        if let Kept::Files(files) = kept {
            self.forget_group(running.group);
            if let Err(error) = files.durable.delete() {
                let name = name.1;
                let problem =
                    format!("JetStream: files of {name:?}, which is deleted, stay: {error}");
                self.hub.log.write(Level::Warn, &problem);
            }
        }
        Ok(())
    }

    /// Removes messages; says how many.
    ///
    /// # Errors
    /// There is no such stream, or the disk refused.
    pub fn purge(&self, name: Name<'_>, purge: Purge<'_>) -> Result<u64, CallError> {
        let running = self.running(name)?;
        Ok(self.ask(&running, &Entry::Purge(purge))?.removed.messages)
    }

    /// Removes one message, and overwrites its bytes when `erase` says so; false if there is none.
    ///
    /// # Errors
    /// There is no such stream, or the disk refused.
    pub fn remove(&self, name: Name<'_>, seq: u64, erase: bool) -> Result<bool, CallError> {
        let running = self.running(name)?;
        if erase {
            running.kept().erase(seq)?;
        }
        Ok(self.ask(&running, &Entry::Remove { seq })?.removed.messages > 0)
    }

    /// What a stream shows of itself, and why it takes no messages: empty while it does.
    ///
    /// # Errors
    /// There is no such stream.
    pub fn state(&self, name: Name<'_>) -> Result<(State, &'static str), CallError> {
        let running = self.running(name)?;
        let kept = running.kept();
        Ok((kept.stream().state(), kept.failure().unwrap_or_default()))
    }

    /// Sequences between the first and the last without a message: the first ranges of them.
    ///
    /// # Errors
    /// There is no such stream, or what it holds cannot be read.
    pub fn deleted(
        &self,
        name: Name<'_>,
        ranges_max: usize,
    ) -> Result<Vec<RangeInclusive<u64>>, CallError> {
        self.running(name)?.kept().ask(|stream| stream.deleted(ranges_max))
    }

    /// How many subjects match, and some of them with their messages (count), in their order.
    ///
    /// # Errors
    /// There is no such stream.
    #[allow(clippy::type_complexity)] // A count and a page.
    pub fn subjects(
        &self,
        name: Name<'_>,
        filter: &[u8],
        offset: usize,
        limit: usize,
    ) -> Result<(usize, Vec<(Vec<u8>, u64)>), CallError> {
        let running = self.running(name)?;
        let kept = running.kept();
        let (mut total, mut page) = (0, Vec::new());
        for (subject, count) in kept.stream().subjects_matching(filter) {
            if total >= offset && page.len() < limit {
                page.push((subject.to_vec(), count));
            }
            total += 1;
        }
        Ok((total, page))
    }

    /// The message with this sequence.
    ///
    /// # Errors
    /// There is no such stream, or the message cannot be read.
    pub fn message(&self, name: Name<'_>, seq: u64) -> Result<Option<FoundMessage>, CallError> {
        self.running(name)?.kept().read(seq)
    }

    /// The last message that a filter matches.
    ///
    /// # Errors
    /// There is no such stream, or the message cannot be read.
    pub fn last_message(
        &self,
        name: Name<'_>,
        filter: &[u8],
    ) -> Result<Option<FoundMessage>, CallError> {
        let running = self.running(name)?;
        let mut kept = running.kept();
        let found = kept.stream().last_seq_matching(filter);
        found.map_or(Ok(None), |seq| kept.read(seq))
    }

    /// The first message that a filter matches, from a sequence and a time on.
    ///
    /// # Errors
    /// There is no such stream, or the message cannot be read.
    pub fn next_message(
        &self,
        name: Name<'_>,
        filter: &[u8],
        seq: u64,
        time_ns: Option<u64>,
    ) -> Result<Option<FoundMessage>, CallError> {
        let running = self.running(name)?;
        let mut kept = running.kept();
        let found = kept.ask(|stream| {
            let by_time = time_ns.map_or(0, |time_ns| stream.seq_at(time_ns));
            stream.next_matching(filter, seq.max(by_time)).map(|found| found.seq)
        });
        found?.map_or(Ok(None), |seq| kept.read(seq))
    }

    /// Bytes that the streams of an account hold in memory and in files.
    pub fn usage(&self, account: &str) -> (u64, u64) {
        lock(&self.used_by).get(account).map_or((0, 0), |usage| usage.now())
    }

    /// Bytes that all streams hold in memory and in files.
    pub fn usage_of_all(&self) -> (u64, u64) {
        self.used.now()
    }

    /// What all streams may hold together: publishers beyond are refused.
    pub fn set_limits(&self, limits: UsageLimits) {
        self.used.set_limits(limits);
    }

    /// What the streams of an account may hold together.
    pub fn set_account_limits(&self, account: &str, limits: UsageLimits) {
        self.used_by(account).set_limits(limits);
    }

    fn used_by(&self, account: &str) -> Arc<Usage> {
        lock(&self.used_by).entry(account.to_owned()).or_default().clone()
    }

    /// Why the log took nothing the last time; empty when it did.
    pub fn failure(&self) -> String {
        lock(&self.failure).why.clone()
    }

    /// What is not as it was written, as far as it was read.
    pub fn damage(&self) -> Vec<String> {
        lock(&self.damage).clone()
    }

    /// Tells of damage, once.
    pub(super) fn note_damage(&self, what: String) {
        let mut damage = lock(&self.damage);
        if damage.len() < DAMAGE_MAX && !damage.contains(&what) {
            self.hub.log.write(Level::Error, &format!("JetStream: damage in the store: {what}"));
            damage.push(what);
        }
    }

    /// Applies an entry to a stream, when it is safe.
    pub(super) fn ask(
        &self,
        running: &Running<D>,
        entry: &Entry<'_>,
    ) -> Result<Effects, CallError> {
        if running.is_in_memory() {
            return Ok(self.apply_here(running, entry));
        }
        let is_vital = !matches!(entry, Entry::Store(_) | Entry::Batch(_));
        self.commit(running.group, is_vital, |body| encode(body, entry))
    }

    /// Applies an entry to a stream in memory.
    fn apply_here(&self, running: &Running<D>, entry: &Entry<'_>) -> Effects {
        let mut effects = Effects::none();
        (self.act)(&mut |worker| {
            let mut outgoing = Outgoing::default();
            let policy = running.policy();
            let at = Position::default();
            let mut kept = running.kept();
            effects = running.apply(&mut kept, (at, entry), &policy, worker, &mut outgoing);
            drop(kept);
            outgoing.publish(worker, running);
        });
        effects
    }

    fn change(&self, change: &Change) -> Result<(), CallError> {
        self.commit(meta::GROUP, true, |body| body.extend_from_slice(&change.encode())).map(|_| ())
    }

    fn commit(
        &self,
        group: u32,
        is_vital: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Effects, CallError> {
        let failed = |error: String| CallError::Failed(error);
        let (caller, applied) = sync_channel(1);
        let mut entries = Entries::default();
        entries.push_with(group, write).map_err(|error| failed(error.to_string()))?;
        let origins = vec![Origin::Caller(caller)];
        self.propose(Proposals { entries, origins, is_vital, ..Proposals::default() });
        match applied.recv() {
            Ok(applied) => applied.map_err(failed),
            Err(_) => Err(failed("the log has ended".to_owned())),
        }
    }

    fn make_durable(
        &self,
        group: u32,
        first_seq: u64,
        limits: Limits,
    ) -> Result<Kept<D>, CallError> {
        let Self { store, hash_seed, .. } = *self;
        let config = Config { store, group, segment_bytes: SEGMENT_BYTES, hash_seed };
        let folder = folder_of(group);
        // Entries before this place are for no stream of this group.
        let applied = *lock(&self.applied);
        // What an earlier life left, before the stream was safe, belongs to nobody.
        let made = Durable::remove_folder(&self.disk, &folder).and_then(|()| {
            Durable::create(self.disk.clone(), &folder, config, applied, first_seq, limits)
        });
        let durable = made.map_err(CallError::failed)?;
        Ok(Kept::Files(Box::new(Files { durable, checkpointed: applied })))
    }

    fn subscribe(
        self: &Arc<Self>,
        running: &Arc<Running<D>>,
        subjects: &[String],
    ) -> Result<(), CallError> {
        let proposer: Arc<dyn Proposer> = self.clone();
        let receiver: Arc<dyn Receiver> =
            Arc::new(StreamReceiver { running: running.clone(), proposer });
        let get: Arc<dyn Receiver> = Arc::new(GetReceiver(running.clone()));
        let direct = format!("{}{}", direct::PREFIX, running.name);
        let mut subjects = subjects.to_vec();
        if running.policy().allows_direct {
            subjects.extend([direct.clone(), format!("{direct}.>")]);
        }
        running.subscribe(&subjects, |subject| {
            let (account, threads) = (running.account.clone(), self.hub.threads);
            let receiver = if subject.starts_with(&direct) { &get } else { &receiver };
            Subscribed::new(account, &[subject.as_bytes()], receiver.clone(), threads)
                .map_err(|_| CallError::Subject(subject.to_owned()))
        })
    }

    pub(super) fn running(&self, (account, name): Name<'_>) -> Result<Arc<Running<D>>, CallError> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), name.to_owned());
        by_name.get(&key).cloned().ok_or(CallError::NotFound)
    }

    pub(super) fn all(&self) -> Vec<Arc<Running<D>>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn forget_group(&self, group: u32) {
        self.by_group.write().unwrap_or_else(PoisonError::into_inner).remove(&group);
    }
}
