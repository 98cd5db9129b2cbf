//! Making a stream, and opening it as of its last checkpoint.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use keelback_planted::{self as planted, Bug};

use super::content::{Content, Listed};
use super::ids::UnreadIds;
use super::live::{self, Runs};
use super::part::{Part, map_path};
use super::shelf::{Notes, Shelf, kept_of, living};
use super::{Config, Damage, DamageKind, Durable, DurableError};
use crate::disk::Disk;
use crate::log::Position;
use crate::manifest::{self, Manifest, ManifestError};
use crate::segment::{
    self, Contents, Extent, Hole, Identity, Index, Segment, SegmentError, Summary,
};
use crate::stream::{Cold, Limits, Rebuild, Storage, Stream};

impl<D: Disk + Clone> Durable<D> {
    /// Makes a stream, which is safe when this returns. Entries of the log before `applied` are not
    /// for it. `first_seq` is as in [`Stream::new`].
    ///
    /// # Errors
    /// There is one, or the disk refused.
    pub fn create(
        disk: D,
        folder: &Path,
        config: Config,
        applied: Position,
        first_seq: u64,
        limits: Limits,
    ) -> Result<Self, DurableError> {
        let (manifest, content, _) = Manifest::open(disk.clone(), folder, config.store)?;
        if content.is_some() {
            return Err(DurableError::Exists { folder: folder.to_owned() });
        }
        let above = folder.parent().unwrap_or(Path::new(""));
        let synced = disk.sync_folder(above);
        synced.map_err(|error| DurableError::Disk { path: above.to_owned(), error })?;
        let stream = Self {
            disk,
            folder: folder.to_owned(),
            config,
            state: Stream::new(Storage::File, first_seq, limits, config.hash_seed),
            applied,
            parts: Vec::new(),
            next_number: 1,
            unrecorded: BTreeSet::new(),
            unread_ids: None,
            notes: Notes::default(),
            obsolete: Vec::new(),
            manifest: Arc::new(Mutex::new(manifest)),
            checkpoint: None,
            compaction: None,
            map_generation: 0,
            is_given_up: false,
        };
        stream.write_manifest(&stream.content().encode())?;
        Ok(stream)
    }

    /// Opens a stream as of its last checkpoint, and says what is damaged.
    ///
    /// A segment that is not there, or not as it was written, keeps no other from being served.
    ///
    /// # Errors
    /// There is no stream, both manifests are damaged, a file is of another version, or the disk
    /// refused.
    pub fn open(
        disk: D,
        folder: &Path,
        config: Config,
    ) -> Result<(Self, Vec<Damage>), DurableError> {
        let (manifest, content, damage) = Manifest::open(disk.clone(), folder, config.store)?;
        let missing = || DurableError::Missing { folder: folder.to_owned() };
        let content = content.ok_or_else(missing)?;
        let lost = || ManifestError::Lost { folder: folder.to_owned() };
        let content = Content::decode(&content).ok_or_else(lost)?;
        let mut opening = Opening {
            disk: &disk,
            folder,
            config: &config,
            content: &content,
            rebuild: Rebuild::new(content.limits, config.hash_seed),
            unread_ids: UnreadIds::new(&content),
            notes: Notes::default(),
            damage: damage.into_iter().map(of_manifest).collect(),
        };
        let parts = content.segments.iter().map(|listed| opening.part(listed));
        let parts = parts.collect::<Result<_, _>>()?;
        let (state, unread_ids, notes, damage) = opening.finish();
        let maps = content.segments.iter().map(|listed| listed.map);
        let maps = maps.chain(content.obsolete.iter().map(|file| file.map));
        let map_generation = maps.chain([manifest.generation()]).max().unwrap_or(0);
        let stream = Self {
            folder: folder.to_owned(),
            config,
            state,
            applied: content.applied,
            parts,
            next_number: content.next_number,
            unrecorded: content.ids.iter().map(|(seq, ..)| *seq).collect(),
            unread_ids: Some(unread_ids),
            notes,
            obsolete: content.obsolete,
            manifest: Arc::new(Mutex::new(manifest)),
            checkpoint: None,
            compaction: None,
            map_generation,
            is_given_up: false,
            disk,
        };
        Ok((stream, damage))
    }
}

fn of_manifest(damage: manifest::Damage) -> Damage {
    let path = match &damage {
        manifest::Damage::Header(path)
        | manifest::Damage::File(path)
        | manifest::Damage::Missing(path)
        | manifest::Damage::Earlier(path) => path.clone(),
    };
    Damage { path, offset: 0, kind: DamageKind::Manifest(damage) }
}

/// A stream that is being put together, segment by segment.
struct Opening<'a, D: Disk> {
    disk: &'a D,
    folder: &'a Path,
    config: &'a Config,
    content: &'a Content,
    rebuild: Rebuild,
    unread_ids: UnreadIds<D::File>,
    notes: Notes,
    damage: Vec<Damage>,
}

impl<D: Disk + Clone> Opening<'_, D> {
    fn part(&mut self, listed: &Listed) -> Result<Part<D::File>, DurableError> {
        let (store, stream) = (self.config.store, u64::from(self.config.group));
        let identity = Identity { store, stream, number: listed.number };
        let mut part = Part::new(identity, listed.first_seq);
        (part.last_seq, part.map) = (listed.last_seq, listed.map);
        part.floor_seq = listed.floor_seq;
        part.is_sealed = listed.extent == Extent::Sealed;
        part.holes.clone_from(&listed.holes);
        if let Extent::Until(end) = listed.extent {
            part.written = end;
        }
        let path = part.path(self.folder);
        let (segment, header) = match Segment::open(self.disk, &path, &identity) {
            Ok(opened) => opened,
            Err(error) if is_absence(&error) => {
                part.is_absent = true;
                self.note(&path, 0, DamageKind::Segment);
                return Ok(part);
            }
            Err(error) => return Err(error.into()),
        };
        if header.is_some() {
            self.note(&path, 0, DamageKind::Header);
        }
        if listed.extent == Extent::Sealed
            && let Some(contents) = segment.contents()?
            && may_be_cold(listed, &contents)
        {
            self.keep_cold(&mut part, &contents, segment);
            return Ok(part);
        }
        let sequences = listed.first_seq..=listed.last_seq;
        let (index, end, damage) = segment.records(listed.extent, sequences)?;
        (part.written, part.synced) = (end, end);
        let runs = self.live_map(&part)?;
        let holes = damage.into_iter().filter_map(|damage| match damage {
            segment::Damage::Hole(hole) => Some(hole),
            segment::Damage::Header | segment::Damage::Index => {
                self.note(&path, end, DamageKind::Index);
                None
            }
        });
        let found: Vec<_> = holes.collect();
        part.holes.retain(|known| !found.iter().any(|hole| hole.offset == known.offset));
        part.holes.extend(found);
        for hole in &mut part.holes {
            narrow(hole, part.floor_seq, runs.as_ref());
            let kind = DamageKind::Record { sequences: hole.sequences.clone() };
            self.note(&path, hole.offset, kind);
        }
        self.keep(&mut part, &index, runs.as_ref())?;
        self.unread_ids.look_at(&segment, &index);
        part.segment = Some(segment);
        Ok(part)
    }

    /// Takes a segment's word for what it holds; it is read when somebody asks for it.
    fn keep_cold(
        &mut self,
        part: &mut Part<D::File>,
        contents: &Contents,
        segment: Segment<D::File>,
    ) {
        let summary = contents.summary;
        (part.written, part.synced) = (contents.end, contents.end);
        part.bytes = summary.size;
        let source = Box::new(Shelf::new(self.disk, self.folder, part, &segment, &self.notes));
        let cold = Cold {
            first_seq: summary.first_seq,
            first_time_ns: summary.first_time_ns,
            last_seq: summary.last_seq,
            time_ns_max: summary.time_ns_max,
            mortal_ns: summary.mortal_ns,
            source,
        };
        let subjects = contents.subjects();
        let subjects = subjects.map(|(text, subject)| {
            (text, u64::from(subject.records), subject.first_seq, subject.last_seq)
        });
        let live = (u64::from(contents.records), summary.size);
        self.rebuild.keep_cold(part.first_seq, live, cold, subjects);
        self.unread_ids.look_in(&segment, part.first_seq..=part.last_seq);
        part.segment = Some(segment);
    }

    fn live_map(&mut self, part: &Part<D::File>) -> Result<Option<Runs>, DurableError> {
        if part.map == 0 || planted::is(Bug::RemovedComesBack) {
            return Ok(None);
        }
        let path = map_path(self.folder, part.number, part.map);
        let found = live::read(self.disk, &path, &part.identity, part.map, part.first_seq)?;
        if let Some((runs, is_damaged)) = found {
            if is_damaged {
                self.note(&path, 0, DamageKind::LiveMapCopy);
            }
            return Ok(Some(runs));
        }
        self.note(&path, 0, DamageKind::LiveMap);
        Ok(None)
    }

    /// Puts the messages of a segment back that live.
    fn keep(
        &mut self,
        part: &mut Part<D::File>,
        index: &Index,
        runs: Option<&Runs>,
    ) -> Result<(), DurableError> {
        self.rebuild.begin_span(part.first_seq);
        // A subject is looked for once a segment.
        let mut subjects = vec![None; index.subjects().len()];
        part.bytes = index.places().iter().map(|record| record.size).sum();
        for record in living(index, runs, part.floor_seq) {
            let rebuild = &mut self.rebuild;
            let subject = subjects[record.subject as usize]
                .get_or_insert_with(|| rebuild.subject(index.text(record.subject)));
            let kept = kept_of(part.number, record);
            let kept = kept.ok_or(DurableError::Broken("a segment's number is too large"))?;
            rebuild.keep(&kept, *subject);
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, offset: u64, kind: DamageKind) {
        self.damage.push(Damage { path: path.to_owned(), offset, kind });
    }

    fn finish(self) -> (Stream, UnreadIds<D::File>, Notes, Vec<Damage>) {
        let Self { rebuild, unread_ids, notes, content, damage, .. } = self;
        let Content { first_seq, last_seq, last_time_ns, ref last_msg_id, .. } = *content;
        let state = rebuild.finish(first_seq, last_seq, last_time_ns, last_msg_id);
        (state, unread_ids, notes, damage)
    }
}

/// All messages of a segment live, and their ends need not be known one by one.
fn may_be_cold(listed: &Listed, contents: &Contents) -> bool {
    let Summary { first_seq, last_seq, .. } = contents.summary;
    listed.map == 0
        && listed.holes.is_empty()
        && contents.records > 0
        && contents.ttls == 0
        && first_seq >= listed.floor_seq.max(listed.first_seq)
        && last_seq <= listed.last_seq
}

/// Leaves of a hole's sequences the first and last that lived, or none.
fn narrow(hole: &mut Hole, floor_seq: u64, runs: Option<&Runs>) {
    let first = (*hole.sequences.start()).max(floor_seq);
    let last = *hole.sequences.end();
    let whole = [(first, last)];
    let runs = runs.map_or(&whole[..], |runs| &runs[..]);
    let within = runs.iter().map(|run| (run.0.max(first), run.1.min(last)));
    let within = within.filter(|(first, last)| first <= last);
    let (first, last) = within.reduce(|one, next| (one.0, next.1)).unwrap_or((1, 0));
    hole.sequences = first..=last;
}

/// The file is not there, or another one stands in its place.
fn is_absence(error: &SegmentError) -> bool {
    match error {
        SegmentError::Disk { error, .. } => error.kind() == io::ErrorKind::NotFound,
        SegmentError::NotThis { .. } => true,
        SegmentError::Version { .. }
        | SegmentError::Damaged { .. }
        | SegmentError::Unread { .. } => false,
    }
}
