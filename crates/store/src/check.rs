//! Looking at a store that nobody has open: what is in it, and whether all of it is as it was written.
//!
//! It is opened as a server opens it, on an [`Overlay`]: nothing of it changes. Then every record of
//! every segment is read.

use std::path::{Path, PathBuf};

use crate::disk::overlay::Overlay;
use crate::disk::{Disk, File};
use crate::store::{Options, Store, StoreError, folder_of};
use crate::stream::State;

/// What is in a store.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its number.
    pub store: u128,
    /// Its streams, in the order in which they were created.
    pub streams: Vec<StreamReport>,
    /// Files of the log, those for later use among them (count, bytes).
    pub log: (u64, u64),
    /// Of all files (bytes).
    pub bytes: u64,
    /// That were read and checked (count); 0 if they were not to be.
    pub records: u64,
    /// What is not as it was written.
    pub damage: Vec<String>,
}

/// A stream of a store.
#[derive(Clone, Debug)]
pub struct StreamReport {
    /// Whose it is.
    pub account: String,
    /// Its name.
    pub name: String,
    /// Since 1970.
    pub created_ns: u64,
    /// What it holds.
    pub state: State,
    /// Its folder.
    pub folder: PathBuf,
    /// Its files (count, bytes).
    pub files: (u64, u64),
}

/// Looks at a store; where `verifies`, it reads all of it. `progress` gets the bytes that were read,
/// of all that are to be.
///
/// # Errors
/// There is none, another process has it open, or it cannot be used as it is.
pub fn look<D: Disk + Clone>(
    disk: &D,
    verifies: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let options = Options { log_spares: 0, ..Options::default() };
    let store = match Store::open(&Overlay::new(disk.clone()), &options) {
        Ok(store) => store,
        Err(error) if error.is_damage() => {
            return Ok(Report { damage: vec![error.to_string()], ..Report::default() });
        }
        Err(error) => return Err(error),
    };
    let mut report = Report {
        store: store.root.store,
        damage: store.damage.clone(),
        log: files(disk, Path::new("log")),
        bytes: files(disk, Path::new("")).1,
        ..Report::default()
    };
    report.bytes += report.log.1;
    for record in store.meta.meta.streams() {
        let folder = folder_of(record.group);
        let files = files(disk, &folder);
        report.bytes += files.1;
        let state = store.streams.get(&record.group).map(|stream| stream.state().state());
        report.streams.push(StreamReport {
            account: record.account.clone(),
            name: record.name.clone(),
            created_ns: record.created_ns,
            state: state.unwrap_or_default(),
            folder,
            files,
        });
    }
    if verifies {
        let mut done = 0;
        let whole = report.streams.iter().map(|stream| stream.files.1).sum();
        for stream in store.streams.values() {
            let (records, damage) = stream.verify(&mut |bytes| {
                done += bytes;
                progress(done, whole);
            });
            report.records += records;
            report.damage.extend(damage);
        }
    }
    Ok(report)
}

/// How many files a folder has, and how long they are together.
fn files<D: Disk>(disk: &D, folder: &Path) -> (u64, u64) {
    let names = disk.list(folder).unwrap_or_default();
    let lengths = names.iter().filter_map(|name| disk.open(&folder.join(name)).ok()?.bytes().ok());
    lengths.fold((0, 0), |(count, bytes), more| (count + 1, bytes + more))
}
