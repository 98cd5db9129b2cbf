//! What was applied becomes safe in the stream's own files, so that the log can be trimmed.

use std::path::PathBuf;

use super::snapshot::Snapshot;
use super::{Durable, Failure, PartRecord, path_of};
use crate::disk::{Disk, File};
use crate::log::Position;
use crate::manifest::Manifest;
use crate::segment::{Extent, Identity, Segment};

/// A checkpoint that is to be written. While it is, the stream goes on.
pub struct Checkpoint<D: Disk> {
    disk: D,
    folder: PathBuf,
    manifest: Manifest<D>,
    identity: Identity,
    /// Segments to seal: numbers, and where their records end.
    to_seal: Vec<(u64, u64)>,
    /// The segment that goes on.
    to_sync: Option<u64>,
    /// Segments of which no message is left.
    to_remove: Vec<u64>,
    content: Vec<u8>,
    applied: Position,
}

/// A checkpoint that was written, or could not be.
pub struct Done<D: Disk> {
    manifest: Manifest<D>,
    sealed: Vec<u64>,
    removed: Vec<u64>,
    /// What it makes safe, or why it does not.
    outcome: Result<Position, String>,
}

impl<D: Disk + Clone> Durable<D> {
    /// Begins a checkpoint: all that was applied so far is written, and will be safe when it is
    /// done. None is begun while another is written.
    ///
    /// # Errors
    /// The disk takes nothing now, or the stream was given up.
    pub fn begin_checkpoint(&mut self) -> Result<Option<Checkpoint<D>>, Failure> {
        if let Some(why) = &self.failure {
            return Err(Failure::GivenUp(why.clone()));
        }
        for part in &mut self.parts {
            part.segment.flush().map_err(Failure::Segment)?;
        }
        let Some(manifest) = self.manifest.take() else { return Ok(None) };
        let (mut parts, mut to_seal, mut to_remove) = (Vec::new(), Vec::new(), Vec::new());
        let last = self.parts.len().saturating_sub(1);
        let ids_from = self.state.ids_from();
        for (index, part) in self.parts.iter().enumerate() {
            let behind = self.parts.get(index + 1).map_or(u64::MAX, |next| next.first_seq);
            let live = self.state.messages_from(part.first_seq).next();
            let is_empty = live.is_none_or(|live| live.seq >= behind);
            // The ids of messages outlive them.
            if index != last && is_empty && part.last_time_ns < ids_from {
                to_remove.push(part.number);
                continue;
            }
            let end = if index == last { part.segment.end() } else { 0 };
            parts.push(PartRecord { number: part.number, first_seq: part.first_seq, end });
            if index != last && !part.is_sealed {
                to_seal.push((part.number, part.segment.end()));
            }
        }
        let snapshot = Snapshot {
            applied: self.applied,
            next_number: self.next_number,
            limits: *self.state.limits(),
            remembered: self.state.remembered(),
            parts,
            deleted: self.state.deleted(usize::MAX),
        };
        Ok(Some(Checkpoint {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
            manifest,
            identity: self.identity(0),
            to_seal,
            to_sync: self.parts.last().map(|part| part.number),
            to_remove,
            content: snapshot.encode(),
            applied: self.applied,
        }))
    }

    /// Takes note of a checkpoint: all before the place that this gives is safe.
    ///
    /// # Errors
    /// It could not be written. A sync that failed is not tried again: the stream takes nothing
    /// until it is opened anew from its last checkpoint and the log.
    pub fn finish_checkpoint(&mut self, done: Done<D>) -> Result<Position, Failure> {
        let Done { manifest, sealed, removed, outcome } = done;
        self.manifest = Some(manifest);
        match outcome {
            Ok(applied) => {
                self.checkpointed = applied;
                for part in &mut self.parts {
                    part.is_sealed |= sealed.contains(&part.number);
                }
                self.parts.retain(|part| !removed.contains(&part.number));
                Ok(applied)
            }
            Err(why) => {
                self.failure = Some(why.clone());
                Err(Failure::GivenUp(why))
            }
        }
    }
}

impl<D: Disk> Checkpoint<D> {
    /// Writes it. Takes as long as the disk does.
    pub fn run(mut self) -> Done<D> {
        let outcome = self.write().map(|()| self.applied).map_err(|error| error.to_string());
        let sealed = self.to_seal.iter().map(|(number, _)| *number).collect();
        let removed = if outcome.is_ok() { self.remove() } else { Vec::new() };
        Done { manifest: self.manifest, sealed, removed, outcome }
    }

    fn write(&mut self) -> Result<(), Failure> {
        for &(number, end) in &self.to_seal {
            let path = path_of(&self.folder, number);
            let identity = Identity { number, ..self.identity };
            let opened = Segment::open(&self.disk, &path, &identity, Extent::Until(end));
            let (mut segment, _) = opened.map_err(Failure::Segment)?;
            segment.seal().map_err(Failure::Segment)?;
        }
        if let Some(number) = self.to_sync {
            let path = path_of(&self.folder, number);
            let synced = self.disk.open(&path).and_then(|mut file| file.sync());
            synced.map_err(|error| Failure::Disk { path, error })?;
        }
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|error| Failure::Disk { path: self.folder.clone(), error })?;
        self.manifest.write(&self.content).map_err(Failure::Manifest)
    }

    /// Removes what the manifest does not name any more; what is left is removed the next time.
    fn remove(&self) -> Vec<u64> {
        let removed = self.to_remove.iter().filter(|&&number| {
            let gone = self.disk.remove(&path_of(&self.folder, number));
            gone.is_ok() || gone.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        });
        removed.copied().collect()
    }
}
