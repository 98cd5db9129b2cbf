//! A stream that is made of an archive, piece by piece as it comes.
//!
//! The stream is there from the beginning, but takes nothing and is not remembered as one until
//! `finish`: what is left after a crash has no configuration, and whoever opens the store deletes it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use keelback_jetstream::policy::Policy;
use keelback_jetstream::restore::{self, State};
use keelback_store::archive::{self, Reader};
use keelback_store::disk::Disk;
use keelback_store::log::{Entries, Position};
use keelback_store::stream::{Effects, Entry, Limits, Outcome, encode};

use super::Streams;
use super::calls::{CallError, Name, NewStream, Served};
use super::running::Running;
use crate::proposals::{Origin, Proposals, Proposer};

/// Pieces that wait to be read: whoever brings them waits for more room.
const PIECES_MAX: usize = 4;

/// Written to the log at once (bytes).
const BATCH_BYTES: usize = 1 << 20;

/// A restoration that is under way. Dropped, it leaves nothing.
pub struct Restoration<D: Disk + Clone + 'static> {
    streams: Arc<Streams<D>>,
    account: String,
    name: String,
    pieces: Option<SyncSender<Vec<u8>>>,
    reader: Option<JoinHandle<Result<(), CallError>>>,
    is_finished: bool,
}

impl<D: Disk + Clone + 'static> Streams<D> {
    /// Makes a stream that is filled by an archive. Messages may be as long as `message_bytes_max`;
    /// the ids of those that are not older than `ids_from_ns` are remembered.
    ///
    /// # Errors
    /// It exists, or the disk refused.
    pub fn restore(
        self: &Arc<Self>,
        name: Name<'_>,
        created_ns: u64,
        policy: &Policy,
        message_bytes_max: u64,
        ids_from_ns: u64,
    ) -> Result<Restoration<D>, CallError> {
        let window = policy.limits.duplicate_window_ns;
        let limits = Limits { duplicate_window_ns: window, ..Limits::default() };
        let served =
            Served { subjects: Vec::new(), policy: Policy::new(name.1, policy.storage, limits) };
        let new = NewStream { created_ns, first_seq: 0, config: Vec::new() };
        self.create(name, new, &served)?;
        let running = self.running(name)?;
        let (pieces, waiting) = sync_channel(PIECES_MAX);
        let filler = Filler { streams: self.clone(), running, ids_from_ns, window };
        let started = thread::Builder::new().name("kb-js-restore".to_owned()).spawn(move || {
            let pieces = Pieces { waiting, piece: Vec::new(), at: 0 };
            filler.fill(pieces, message_bytes_max)
        });
        let mut restoration = Restoration {
            streams: self.clone(),
            account: name.0.to_owned(),
            name: name.1.to_owned(),
            pieces: Some(pieces),
            reader: None,
            is_finished: false,
        };
        restoration.reader = Some(started.map_err(CallError::failed)?);
        Ok(restoration)
    }
}

impl<D: Disk + Clone + 'static> Restoration<D> {
    /// Takes the next piece of the archive; waits for room.
    ///
    /// # Errors
    /// The archive cannot be read, or its messages cannot be stored.
    pub fn write(&mut self, piece: Vec<u8>) -> Result<(), CallError> {
        let sent = self.pieces.as_ref().map(|pieces| pieces.send(piece));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { self.end() }
    }

    /// The archive has ended: the stream begins to be one, with this configuration.
    ///
    /// # Errors
    /// As of `write`; there is no stream then.
    pub fn finish(&mut self, config: Vec<u8>, served: &Served) -> Result<(), CallError> {
        self.end()?;
        self.streams.update((&self.account, &self.name), config, served)?;
        self.is_finished = true;
        Ok(())
    }

    /// No more pieces: what became of those there were.
    fn end(&mut self) -> Result<(), CallError> {
        self.pieces = None;
        match self.reader.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(CallError::Failed("the restoration has ended".to_owned())),
        }
    }
}

impl<D: Disk + Clone + 'static> Drop for Restoration<D> {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.end();
            // What is left is deleted when the store is opened again.
            let _ = self.streams.delete((&self.account, &self.name));
        }
    }
}

/// The pieces as one text.
struct Pieces {
    waiting: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Ok(piece) = self.waiting.recv() else { return Ok(0) };
            (self.piece, self.at) = (piece, 0);
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

struct Filler<D: Disk + Clone> {
    streams: Arc<Streams<D>>,
    running: Arc<Running<D>>,
    ids_from_ns: u64,
    window: u64,
}

/// Entries that wait to be stored, the last sequence among them, and message ids with their times.
#[derive(Default)]
struct Batch {
    entries: Entries,
    count: usize,
    last_seq: u64,
    ids: HashMap<Vec<u8>, u64>,
}

impl<D: Disk + Clone> Filler<D> {
    fn fill(&self, pieces: Pieces, message_bytes_max: u64) -> Result<(), CallError> {
        let mut reader = Reader::new(pieces, message_bytes_max).map_err(CallError::failed)?;
        let failed = |why: &str| CallError::Failed(why.to_owned());
        let first = reader.next_entry().map_err(CallError::failed)?;
        let first = first.filter(|entry| entry.name == restore::STATE);
        let first = first.ok_or_else(|| failed("expected state.json first"))?;
        let state = restore::state(&first.payload).ok_or_else(|| failed("error in state.json"))?;
        if state.consumers > 0 {
            return Err(failed("keelback does not restore consumers yet: back up without them"));
        }
        let mut batch = Batch::default();
        self.skip(&mut batch, state.first_seq.saturating_sub(1), 0)?;
        while let Some(entry) = reader.next_entry().map_err(CallError::failed)? {
            self.store(&mut batch, &entry)?;
        }
        let State { last_seq, .. } = state;
        if last_seq > batch.last_seq {
            self.skip(&mut batch, last_seq, 0)?;
        }
        self.flush(&mut batch)
    }

    fn store(&self, batch: &mut Batch, entry: &archive::Entry) -> Result<(), CallError> {
        let seq = entry.sequence;
        if seq <= batch.last_seq {
            return Err(CallError::Failed("expected message sequence".to_owned()));
        }
        if !keelback_subject::is_valid_literal(&entry.name) {
            return Err(CallError::Failed(format!("message sequence {seq} has no valid subject")));
        }
        let time_ns = u64::try_from(entry.time_ns).unwrap_or_default();
        if seq > batch.last_seq + 1 {
            self.skip(batch, seq - 1, time_ns)?;
        }
        let mut message = restore::message(&entry.name, &entry.headers, &entry.payload, time_ns);
        if !batch.is_new_id(message.msg_id, time_ns, self.ids_from_ns, self.window) {
            message.msg_id = b"";
        }
        batch.last_seq = seq;
        self.push(batch, &Entry::Store(message))
    }

    fn skip(&self, batch: &mut Batch, last_seq: u64, time_ns: u64) -> Result<(), CallError> {
        if last_seq <= batch.last_seq {
            return Ok(());
        }
        batch.last_seq = last_seq;
        self.push(batch, &Entry::Skip { last_seq, time_ns })
    }

    fn push(&self, batch: &mut Batch, entry: &Entry<'_>) -> Result<(), CallError> {
        if self.running.exceeded(0).is_some() {
            let what = if self.running.is_in_memory() { "memory" } else { "storage" };
            return Err(CallError::Failed(format!("insufficient {what} resources available")));
        }
        if self.running.is_in_memory() {
            let effects = self.running.kept().apply(Position::default(), entry);
            return check(&effects);
        }
        batch.count += 1;
        let group = self.running.group;
        batch.entries.push_with(group, |body| encode(body, entry)).map_err(CallError::failed)?;
        if batch.entries.bytes() >= BATCH_BYTES { self.flush(batch) } else { Ok(()) }
    }

    fn flush(&self, batch: &mut Batch) -> Result<(), CallError> {
        if batch.count == 0 {
            return Ok(());
        }
        let entries = std::mem::take(&mut batch.entries);
        let count = std::mem::take(&mut batch.count);
        let (caller, applied) = sync_channel(1);
        let mut origins = Vec::with_capacity(count);
        origins.resize_with(count - 1, || Origin::Publisher { reply_bytes: 0 });
        origins.push(Origin::Caller(caller));
        self.streams.propose(Proposals { entries, origins, ..Proposals::default() });
        match applied.recv() {
            Ok(Ok(effects)) => check(&effects),
            Ok(Err(why)) => Err(CallError::Failed(why)),
            Err(_) => Err(CallError::Failed("the log has ended".to_owned())),
        }
    }
}

impl Batch {
    /// Whether an id is to be remembered: a second one within the window would be a duplicate.
    fn is_new_id(&mut self, id: &[u8], time_ns: u64, from_ns: u64, window: u64) -> bool {
        if id.is_empty() || time_ns < from_ns {
            return false;
        }
        let before = self.ids.insert(id.to_vec(), time_ns);
        before.is_none_or(|before| time_ns.saturating_sub(before) > window)
    }
}

fn check(effects: &Effects) -> Result<(), CallError> {
    match &effects.outcome {
        Outcome::Refused(refusal) => Err(CallError::Failed(format!("{refusal:?}"))),
        Outcome::Done | Outcome::Stored { .. } | Outcome::Duplicate { .. } => Ok(()),
    }
}
