//! A stream as an archive: what it held when the backup began, one message after the other.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use keelback_store::archive::{Entry, Writer};
use keelback_store::disk::Disk;

use super::Streams;
use super::calls::{CallError, FoundMessage, Name};
use super::running::Running;
use crate::lock;

/// Messages that are read while the stream's lock is held once.
const MESSAGES_AT_ONCE: usize = 64;

/// What was written and not yet taken.
#[derive(Clone, Default)]
struct Chunks(Arc<Mutex<Vec<u8>>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A backup that is under way. Messages that are removed meanwhile may be missing.
pub struct Backup<D: Disk + Clone> {
    running: Arc<Running<D>>,
    /// None at the end.
    writer: Option<Writer<Chunks>>,
    chunks: Chunks,
    next_seq: u64,
    last_seq: u64,
}

impl<D: Disk + Clone> Streams<D> {
    /// Begins a backup of the messages up to `last_seq`. `state` is what the archive says of the
    /// stream; the time is that of the backup.
    ///
    /// # Errors
    /// There is no such stream.
    pub fn backup(
        &self,
        name: Name<'_>,
        state: Vec<u8>,
        last_seq: u64,
        time_ns: u64,
    ) -> Result<Backup<D>, CallError> {
        let running = self.running(name)?;
        let chunks = Chunks::default();
        let mut writer = Writer::new(chunks.clone()).map_err(CallError::failed)?;
        let head = Entry {
            name: b"state.json".to_vec(),
            time_ns: time_ns.cast_signed(),
            payload: state,
            ..Entry::default()
        };
        writer.add(&head).map_err(CallError::failed)?;
        Ok(Backup { running, writer: Some(writer), chunks, next_seq: 0, last_seq })
    }
}

impl<D: Disk + Clone> Backup<D> {
    /// The next `bytes` of the archive; fewer at its end.
    ///
    /// # Errors
    /// A message cannot be read.
    pub fn read(&mut self, bytes: usize) -> Result<Vec<u8>, CallError> {
        while lock(&self.chunks.0).len() < bytes
            && let Some(writer) = &mut self.writer
        {
            let found = messages(&self.running, self.next_seq, self.last_seq)?;
            let Some(last) = found.last() else {
                let writer = self.writer.take();
                writer.map_or(Ok(()), Writer::finish).map_err(CallError::failed)?;
                break;
            };
            self.next_seq = last.seq + 1;
            for message in found {
                let FoundMessage { seq, subject, headers, payload, time_ns } = message;
                let time_ns = time_ns.cast_signed();
                let entry = Entry { name: subject, time_ns, sequence: seq, headers, payload };
                writer.add(&entry).map_err(CallError::failed)?;
            }
        }
        let mut chunks = lock(&self.chunks.0);
        let count = bytes.min(chunks.len());
        let rest = chunks.split_off(count);
        Ok(std::mem::replace(&mut *chunks, rest))
    }
}

fn messages<D: Disk + Clone>(
    running: &Running<D>,
    from: u64,
    last: u64,
) -> Result<Vec<FoundMessage>, CallError> {
    let mut kept = running.kept();
    let seqs = kept.ask(|stream| stream.sequences(from..=last, MESSAGES_AT_ONCE))?;
    let mut found = Vec::new();
    for seq in seqs {
        let message = kept.read(seq)?;
        found.extend(message);
    }
    Ok(found)
}
