//! What one reactor thread keeps between turns: its match cache, its staging slots, the run of
//! messages that share a match result.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use keelback_interest::{Matched, Stamp};
use keelback_planted::{self as planted, Bug};
use smallvec::SmallVec;

use crate::account::Account;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::hub::Hub;
use crate::outbound::Flow;
use crate::own::Own;
use crate::proposals::{Proposals, Proposer};
use crate::settings::Settings;
use crate::stage::{Flushed, STAGE_BYTES_MAX, Stage};
use crate::subscription::SubRef;
use crate::targets::Targets;

/// Sets of the match cache; two entries each. 4,096 subjects in use at once hit nearly always.
const CACHE_SETS: usize = 4096;

/// Bytes staged for all destinations together, at which all are written at once: a fan-out to
/// ten thousand must not stage a whole read for each.
const STAGED_BYTES_MAX: usize = 8 << 20;

/// Bytes that wait for a destination when its publisher lets it catch up, if it is quick: what
/// waits is then still in the processor's cache, and what comes next need not be queued.
const LAG_BYTES: usize = 64 << 10;

/// Buffers of stages that are kept for the next ones.
const SPARE_BUFFERS_MAX: usize = 32;

/// A message of the current run, as ranges of the input.
#[derive(Clone, Copy, Debug)]
pub struct RunMessage {
    /// Where `reply size\r\npayload\r\n` starts.
    pub tail_start: u32,
    /// Its length.
    pub tail_bytes: u32,
    /// Payload, headers included, without its CRLF.
    pub payload_bytes: u32,
    /// Header block; `NO_HEADERS` for a PUB.
    pub header_bytes: u32,
    /// The reply at the start of the tail; 0 is none.
    pub reply_bytes: u32,
}

/// [`RunMessage::header_bytes`] of a PUB.
pub const NO_HEADERS: u32 = u32::MAX;

impl RunMessage {
    /// `reply size\r\npayload\r\n`.
    #[inline]
    pub fn tail<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        let start = self.tail_start as usize;
        &input[start..start + self.tail_bytes as usize]
    }

    /// Headers and body.
    pub fn payload<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        let end = (self.tail_start + self.tail_bytes) as usize - 2;
        &input[end - self.payload_bytes as usize..end]
    }

    /// The length of the header block.
    pub fn header_length(&self) -> usize {
        if self.header_bytes == NO_HEADERS { 0 } else { self.header_bytes as usize }
    }

    /// The size of headers and body together, as it was written.
    pub fn size_text<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        let tail = self.tail(input);
        let line = &tail[..tail.len() - self.payload_bytes as usize - 4];
        line.rsplit(|&byte| byte == b' ').next().unwrap_or(line)
    }

    /// The reply subject.
    pub fn reply<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        let start = self.tail_start as usize;
        (self.reply_bytes > 0).then(|| &input[start..start + self.reply_bytes as usize])
    }
}

/// Consecutive messages of one connection with the same match result.
#[derive(Default)]
pub struct Run {
    /// Where they go; none while there is no run.
    pub targets: Option<Arc<Targets>>,
    /// The messages.
    pub messages: Vec<RunMessage>,
    /// Their subject; kept only for clients that want to hear of requests that reach nobody.
    pub subject: Vec<u8>,
    /// The length of what is copied for each, together.
    pub tail_bytes: usize,
}

/// One line of the processor's cache, if the subject is short.
#[repr(align(64))]
struct CacheEntry {
    account: u32,
    hash: u64,
    subject: SmallVec<[u8; 16]>,
    stamp: Stamp,
    /// The account's counter of all changes when the entry was last known to be current: one look
    /// instead of four (1,000 subjects: -3 % processor time).
    any: u64,
    targets: Arc<Targets>,
}

/// What match caches hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct CacheCount {
    /// Match results.
    pub entries: u64,
    /// Subscribers and queue groups in all of them.
    pub fanout_sum: u64,
    /// In the largest.
    pub fanout_max: u64,
}

/// A destination that lags behind a publisher.
#[derive(Clone, Debug)]
pub struct Pressure {
    /// The publisher.
    pub publisher: u64,
    /// The destination.
    pub destination: Arc<Connection>,
    /// Bytes that it ever took.
    pub taken_bytes: u64,
    /// More than three quarters of its limit wait, where nats-server makes a publisher wait.
    pub is_severe: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.id)
    }
}

/// One reactor thread's share of the engine.
pub struct Worker {
    /// Which thread.
    pub thread: usize,
    /// The server.
    pub hub: Arc<Hub>,
    /// This turn's view of the settings.
    pub settings: Settings,
    /// Start of this turn.
    pub now: Instant,
    /// The same (ns since 1970).
    pub now_ns: u64,
    /// By which that is known.
    pub clock: Clock,
    pub(crate) run: Run,
    pub(crate) nobody: Arc<Targets>,
    pub(crate) random: u64,
    stages: Vec<Stage>,
    dirty: Vec<u32>,
    free: Vec<u32>,
    staged_bytes: usize,
    has_borrowed: bool,
    cache: Vec<[Option<CacheEntry>; 2]>,
    hasher: foldhash::fast::RandomState,
    pub(crate) matched: Matched<SubRef>,
    pub(crate) own: Own,
    pub(crate) proposed: Proposals,
    /// What is staged goes out before what was proposed is handed over.
    pub(crate) answers_first: bool,
    pub(crate) proposer: Option<Arc<dyn Proposer>>,
    /// Match results asked for since they were last counted, and those that the cache had.
    lookups: u64,
    hits: u64,
    pub(crate) spare_blocks: VecDeque<Arc<Vec<u8>>>,
    spare_buffers: Vec<Vec<u8>>,
    /// Destinations that lag, seen since the last look.
    pub pressures: Vec<Pressure>,
    /// Connections whose write deadline their owner must watch.
    pub to_watch: Vec<Arc<Connection>>,
    /// Connections that this thread decided to close.
    pub to_close: Vec<Arc<Connection>>,
}

impl Worker {
    /// The share of thread number `thread`.
    pub fn new(thread: usize, hub: Arc<Hub>, clock: Clock, now: Instant) -> Self {
        let settings = hub.settings();
        Self {
            thread,
            hub,
            settings,
            now,
            now_ns: clock.unix_ns(now),
            clock,
            run: Run::default(),
            nobody: Arc::new(Targets::default()),
            random: 0x9E37_79B9_7F4A_7C15 ^ (thread as u64 + 1),
            stages: Vec::new(),
            dirty: Vec::new(),
            free: Vec::new(),
            staged_bytes: 0,
            has_borrowed: false,
            cache: Vec::new(),
            hasher: foldhash::fast::RandomState::default(),
            matched: Matched::default(),
            own: Own::default(),
            proposed: Proposals::default(),
            answers_first: false,
            proposer: None,
            lookups: 0,
            hits: 0,
            spare_blocks: VecDeque::new(),
            spare_buffers: Vec::new(),
            pressures: Vec::new(),
            to_watch: Vec::new(),
            to_close: Vec::new(),
        }
    }

    /// Begins a turn: takes up the time and new settings.
    pub fn begin_turn(&mut self, now: Instant) {
        self.now = now;
        self.now_ns = self.clock.unix_ns(now);
        self.take_settings();
    }

    /// Takes up new settings, in the middle of a turn too.
    pub fn take_settings(&mut self) {
        if self.hub.settings_version() != self.settings.version {
            self.settings = self.hub.settings();
            if !self.settings.limits.sublist_cache {
                self.cache = Vec::new();
            }
        }
    }

    /// A nonce for users to sign: 11 random bytes, base64 without padding, as nats-server's.
    pub fn nonce(&mut self) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bytes = [0_u8; 11];
        let mut text = String::with_capacity(15);
        self.hub.fill_random(&mut bytes);
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for position in 0..=chunk.len() {
                text.push(ALPHABET[(word >> (18 - 6 * position)) as usize & 63] as char);
            }
        }
        text
    }

    /// A random number (xorshift64*: members of queue groups are chosen, nothing secret).
    #[inline]
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// The match result of `subject`, from the cache or made anew, with the stamp to keep. `any` is
    /// the account's counter of all changes, read before.
    pub(crate) fn targets_of(
        &mut self,
        account: &Account,
        subject: &[u8],
        any: u64,
    ) -> (Arc<Targets>, Stamp) {
        if self.cache.is_empty() {
            if !self.settings.limits.sublist_cache {
                return self.match_anew(account, subject);
            }
            self.cache.resize_with(CACHE_SETS, Default::default);
        }
        self.lookups += 1;
        let id = if planted::is(Bug::CacheIgnoresAccount) { 0 } else { account.id };
        let hash = self.hasher.hash_one((id, subject));
        let set = (hash >> 32) as usize % CACHE_SETS;
        for entry in self.cache[set].iter_mut().flatten() {
            if entry.hash == hash
                && entry.account == id
                && *entry.subject == *subject
                && (entry.any == any || account.generations.is_current(&entry.stamp))
            {
                entry.any = any;
                self.hits += 1;
                return (entry.targets.clone(), entry.stamp);
            }
        }
        let (targets, stamp) = self.match_anew(account, subject);
        self.remember(set, hash, id, subject, (stamp, any), &targets);
        (targets, stamp)
    }

    fn match_anew(&mut self, account: &Account, subject: &[u8]) -> (Arc<Targets>, Stamp) {
        // The stamp is taken before the match: what changes in between shows in the next look.
        let stamp = account.generations.stamp(subject);
        account.sublist().matches(subject, &mut self.matched);
        let targets = if self.matched.plain.is_empty() && self.matched.queues.is_empty() {
            self.nobody.clone()
        } else {
            Targets::compile(subject, &mut self.matched)
        };
        (targets, stamp)
    }

    /// Adds to the account what was looked for in it.
    pub(crate) fn count_lookups(&mut self, account: &Account) {
        if self.lookups > 0 {
            account.count_lookups(self.thread, self.lookups, self.hits);
            self.lookups = 0;
            self.hits = 0;
        }
    }

    /// Adds to `count` what `sets` sets of the cache hold from number `first` on, of one account or
    /// of all; false when there are no more.
    pub fn count_cache(
        &self,
        account: Option<u32>,
        first: usize,
        sets: usize,
        count: &mut CacheCount,
    ) -> bool {
        let all = self.cache.iter().skip(first).take(sets).flatten().flatten();
        for entry in all.filter(|entry| account.is_none_or(|id| id == entry.account)) {
            let fanout = entry.targets.fanout();
            count.entries += 1;
            count.fanout_sum += fanout;
            count.fanout_max = count.fanout_max.max(fanout);
        }
        first + sets < self.cache.len()
    }

    fn remember(
        &mut self,
        set: usize,
        hash: u64,
        account: u32,
        subject: &[u8],
        (stamp, any): (Stamp, u64),
        targets: &Arc<Targets>,
    ) {
        let [first, second] = &mut self.cache[set];
        let is_same = |entry: &Option<CacheEntry>| {
            entry.as_ref().is_some_and(|entry| entry.hash == hash && *entry.subject == *subject)
        };
        // The newest stands first; the other gives way, unless the same subject is there.
        if !is_same(first) {
            std::mem::swap(first, second);
        }
        if let Some(entry) = first {
            entry.account = account;
            entry.hash = hash;
            entry.subject.clear();
            entry.subject.extend_from_slice(subject);
            entry.stamp = stamp;
            entry.any = any;
            entry.targets = targets.clone();
        } else {
            let subject = SmallVec::from_slice(subject);
            let targets = targets.clone();
            *first = Some(CacheEntry { account, hash, subject, stamp, any, targets });
        }
    }

    /// The stage of `connection` in this turn.
    #[inline]
    pub fn stage(&mut self, connection: &Arc<Connection>) -> &mut Stage {
        let slot = connection.stage_slot(self.thread).load(Ordering::Relaxed);
        if slot == 0 {
            return self.new_stage(connection);
        }
        let stage = &mut self.stages[slot as usize - 1];
        if !stage.has_buffer() {
            stage.give_buffer(self.spare_buffers.pop().unwrap_or_default());
        }
        stage
    }

    #[cold]
    fn new_stage(&mut self, connection: &Arc<Connection>) -> &mut Stage {
        let index = self.free.pop().unwrap_or_else(|| {
            self.stages.push(Stage::default());
            self.stages.len() as u32 - 1
        });
        connection.stage_slot(self.thread).store(index + 1, Ordering::Relaxed);
        self.dirty.push(index);
        let stage = &mut self.stages[index as usize];
        stage.connection = Some(connection.clone());
        stage.give_buffer(self.spare_buffers.pop().unwrap_or_default());
        stage
    }

    /// Appends an answer (PONG, +OK, -ERR, INFO) for `connection`.
    pub fn reply(&mut self, connection: &Arc<Connection>, bytes: &[u8]) {
        if self.hub.log.is_tracing() {
            self.trace_out(connection, bytes);
        }
        self.stage_answer(connection, bytes);
    }

    pub(crate) fn stage_answer(&mut self, connection: &Arc<Connection>, bytes: &[u8]) {
        let stage = self.stage(connection);
        stage.append(|buffer| buffer.extend_from_slice(bytes));
        stage.has_answers = true;
        // A stage that borrows from the input is written with the input at hand.
        let must_flush = stage.len() >= STAGE_BYTES_MAX && !stage.borrows_input();
        if must_flush {
            self.flush_one(connection, &[]);
        }
    }

    /// Keeps the staged bytes bounded after `added` bytes for `connection`.
    #[inline]
    pub(crate) fn after_append(
        &mut self,
        connection: &Arc<Connection>,
        added: usize,
        is_full: bool,
        input: &[u8],
    ) {
        self.staged_bytes += added;
        if is_full {
            self.flush_one(connection, input);
        }
        if self.staged_bytes >= STAGED_BYTES_MAX {
            self.flush(input);
        }
    }

    /// Notes that a stage points into the input.
    pub(crate) fn note_borrowed(&mut self) {
        self.has_borrowed = true;
    }

    /// Writes what is staged for one connection.
    pub fn flush_one(&mut self, connection: &Arc<Connection>, input: &[u8]) {
        let slot = connection.stage_slot(self.thread).load(Ordering::Relaxed);
        if slot == 0 {
            return;
        }
        let limits = self.settings.limits.clone();
        let stage = &mut self.stages[slot as usize - 1];
        if stage.messages > 0 {
            connection.touch(self.now_ns);
        }
        let from = stage.from;
        let flushed = stage.flush(input, self.now, &limits);
        let buffer = stage.take_buffer();
        self.keep_buffer(buffer);
        self.note(connection, from, flushed);
    }

    /// Writes all that is staged: the end of a turn. Deliveries go first: who reads an answer may
    /// rely on what it said before having been handed on.
    pub fn flush(&mut self, input: &[u8]) {
        self.flush_if(input, |stage| !stage.has_answers);
        self.flush_if(input, |_| true);
        self.staged_bytes = 0;
        self.has_borrowed = false;
    }

    /// Whether an answer to somebody else than `connection` is staged.
    pub(crate) fn answers_others(&self, connection: &Connection) -> bool {
        self.dirty.iter().map(|&index| &self.stages[index as usize]).any(|stage| {
            stage.has_answers
                && stage.connection.as_ref().is_some_and(|other| other.id != connection.id)
        })
    }

    /// In the order in which they first had something: a message that marks the end of others
    /// arrives behind them, also when it goes to somebody else.
    fn flush_if(&mut self, input: &[u8], is_chosen: impl Fn(&Stage) -> bool) {
        let limits = self.settings.limits.clone();
        let mut dirty = std::mem::take(&mut self.dirty);
        let kept = self.spare_buffers.len();
        dirty.retain(|&index| {
            let stage = &mut self.stages[index as usize];
            if !is_chosen(stage) {
                return true;
            }
            let Some(connection) = stage.connection.clone() else { return false };
            if stage.messages > 0 {
                connection.touch(self.now_ns);
            }
            let from = stage.from;
            let flushed = stage.flush(input, self.now, &limits);
            let buffer = stage.take_buffer();
            stage.release();
            self.keep_buffer(buffer);
            connection.stage_slot(self.thread).store(0, Ordering::Relaxed);
            self.free.push(index);
            self.note(&connection, from, flushed);
            false
        });
        // The first gets its own buffer again: going round, each would grow to the largest size.
        self.spare_buffers[kept..].reverse();
        self.dirty = dirty;
    }

    /// Keeps a buffer for the next stage that needs one: the last used first, since that is the
    /// one which the processor's cache holds (fan-out to 100 with sids of their own).
    fn keep_buffer(&mut self, buffer: Vec<u8>) {
        let is_fit = (1..=2 * STAGE_BYTES_MAX).contains(&buffer.capacity());
        if is_fit && self.spare_buffers.len() < SPARE_BUFFERS_MAX {
            self.spare_buffers.push(buffer);
        }
    }

    /// Writes what points into the input, which is about to go.
    pub fn flush_borrowed(&mut self, input: &[u8]) {
        if self.has_borrowed {
            self.flush(input);
        }
    }

    fn note(&mut self, connection: &Arc<Connection>, publisher: u64, flushed: Flushed) {
        if flushed.must_watch {
            self.to_watch.push(connection.clone());
        }
        match flushed.flow {
            Some(Flow::Waiting(waiting)) if flushed.cut_off_at.is_some() => {
                let subject = flushed.cut_off_at.unwrap_or_default();
                self.hub.slow_consumer(connection, waiting, &subject);
                self.to_close.push(connection.clone());
            }
            Some(Flow::Waiting(waiting)) => {
                let limit = self.settings.limits.pending_bytes_max;
                let is_severe = waiting > limit - limit / 4;
                if (is_severe || waiting > LAG_BYTES) && publisher != 0 {
                    self.pressures.push(Pressure {
                        publisher,
                        destination: connection.clone(),
                        taken_bytes: flushed.taken_bytes,
                        is_severe,
                    });
                }
            }
            Some(Flow::Broken) => self.to_close.push(connection.clone()),
            Some(Flow::Clear | Flow::Closed) | None => {}
        }
    }

    /// After a panic in `ingest`: drops what cannot be sent any more, and writes the rest.
    pub fn reset(&mut self) {
        self.run = Run::default();
        self.own = Own::default();
        for stage in self.stages.iter_mut().filter(|stage| stage.borrows_input()) {
            stage.clear();
        }
        self.flush(&[]);
    }

    /// After a panic anywhere else: drops all that is staged.
    pub fn drop_staged(&mut self) {
        self.run = Run::default();
        self.own = Own::default();
        self.staged_bytes = 0;
        self.has_borrowed = false;
        self.dirty.clear();
        self.free.clear();
        for (index, stage) in self.stages.iter_mut().enumerate() {
            stage.clear();
            if let Some(connection) = stage.connection.take() {
                connection.stage_slot(self.thread).store(0, Ordering::Relaxed);
            }
            self.free.push(index as u32);
        }
    }
}
