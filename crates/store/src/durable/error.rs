//! What a stream in files says when something is not as it should be.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::disk::is_full;
use crate::manifest::{self, ManifestError};
use crate::segment::{self, SegmentError};

/// What a stream cannot do, and why.
#[derive(Debug)]
pub enum DurableError {
    /// A segment cannot be read or written.
    Segment(SegmentError),
    /// The manifest cannot be read or written.
    Manifest(ManifestError),
    /// The disk refused.
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A live map is of a format that this program does not know.
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u8,
    },
    /// There is a stream already.
    Exists {
        /// Where.
        folder: PathBuf,
    },
    /// There is no stream.
    Missing {
        /// Where.
        folder: PathBuf,
    },
    /// A sync failed: nothing is known about what was written since the last checkpoint. The stream
    /// is given up.
    Unsynced(Box<Self>),
    /// The stream was given up: it is to be opened anew, and the log's entries applied again.
    GivenUp,
    /// What must hold does not. The stream is given up.
    Broken(&'static str),
    /// Messages that the entry is about could not be read. The stream is given up.
    Unread(String),
    /// Another one runs.
    Busy,
}

impl DurableError {
    /// Whether the disk has no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Segment(SegmentError::Disk { error, .. }) | Self::Disk { error, .. } => {
                is_full(error)
            }
            Self::Manifest(error) => error.is_full(),
            _ => false,
        }
    }
}

impl fmt::Display for DurableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(error) => error.fmt(formatter),
            Self::Manifest(error) => error.fmt(formatter),
            Self::Disk { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Version { path, version } => {
                crate::header_block::show_version(formatter, path, *version, segment::VERSION)
            }
            Self::Exists { folder } => {
                write!(formatter, "{}: there is a stream already", folder.display())
            }
            Self::Missing { folder } => write!(formatter, "{}: no stream", folder.display()),
            Self::Unsynced(error) => write!(formatter, "a sync failed: {error}"),
            Self::GivenUp => formatter.write_str("the stream was given up: it must be opened anew"),
            Self::Broken(what) => write!(formatter, "the stream is given up: {what}"),
            Self::Unread(why) => write!(formatter, "the stream is given up: {why}"),
            Self::Busy => formatter.write_str("another one runs"),
        }
    }
}

impl std::error::Error for DurableError {}

impl From<SegmentError> for DurableError {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

impl From<ManifestError> for DurableError {
    fn from(error: ManifestError) -> Self {
        Self::Manifest(error)
    }
}

/// What is not as it was written, found when a stream was opened. Nothing is removed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// In which file.
    pub path: PathBuf,
    /// Where it begins (bytes).
    pub offset: u64,
    /// What it is.
    pub kind: DamageKind,
}

/// What is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// One of the two manifests, or a part of one; the other one served.
    Manifest(manifest::Damage),
    /// The segment is not there, or not this one: its messages cannot be read.
    Segment,
    /// A copy of a header; the other one served.
    Header,
    /// A segment's index; the records were read in its place.
    Index,
    /// No record although there should be one: its message cannot be read.
    Record {
        /// The message had one of these sequences.
        sequences: RangeInclusive<u64>,
    },
    /// One of the two copies of a live map; the other one served.
    LiveMapCopy,
    /// A live map: messages of its segment that were removed are there again.
    LiveMap,
    /// Messages could not be read again when they were asked for.
    Unread {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, offset) = (self.path.display(), self.offset);
        match &self.kind {
            DamageKind::Manifest(damage) => damage.fmt(formatter),
            DamageKind::Segment => write!(
                formatter,
                "{path}: it is not there, or not this segment: its messages cannot be read"
            ),
            DamageKind::Header => {
                write!(formatter, "{path}: a copy of its header is damaged; the other one served")
            }
            DamageKind::Index => {
                write!(formatter, "{path}: its index is damaged; the records served")
            }
            DamageKind::Record { sequences } => write!(
                formatter,
                "{path}: the record at {offset} is damaged: of the messages {} to {} one or more \
                 cannot be read",
                sequences.start(),
                sequences.end()
            ),
            DamageKind::Unread { why } => {
                write!(formatter, "messages that were asked for cannot be read: {why}")
            }
            DamageKind::LiveMapCopy => {
                write!(formatter, "{path}: a copy of the live map is damaged; the other one served")
            }
            DamageKind::LiveMap => write!(
                formatter,
                "{path}: the live map is damaged: messages that were removed may be there again"
            ),
        }
    }
}
