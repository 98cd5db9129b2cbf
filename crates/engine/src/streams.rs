//! The streams of a server: what is published to them is committed, applied, and answered.
//!
//! ```text
//! publish → ingest.rs: a proposal → the log's commit thread → apply.rs: state, then answers
//!                   └ a stream in memory applies at once
//! ```
//!
//! An entry is applied when it is safe, in the order of the log; what it does depends on nothing
//! else. So a commit that fails leaves no trace, and a server that starts again applies the same
//! entries to the same effect.

mod apply;
mod backup;
mod calls;
mod counting;
mod fast;
mod get;
mod ingest;
mod open;
mod outgoing;
mod restore;
mod running;
mod schedules;
mod staging;
mod tend;
mod usage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock, Weak};

use keelback_store::commit::Committer;
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::root::Root;
use keelback_store::store::MetaKeeper;

use crate::Hub;
use crate::worker::Worker;

pub use backup::Backup;
pub use calls::{CallError, FoundMessage, KeptStream, Name, NewStream, Served};

pub use open::OpenError;
use running::Running;
use staging::Staging;
use tend::Tended;
use usage::Usage;

pub use restore::Restoration;
pub use usage::UsageLimits;

/// Has the server's own worker act, and writes what it staged.
pub type Act = Arc<dyn Fn(&mut dyn FnMut(&mut Worker)) + Send + Sync>;

/// By account and name.
type ByName<D> = HashMap<(String, String), Arc<Running<D>>>;

/// By account.
type UsageByAccount = HashMap<String, Arc<Usage>>;

/// Why the log took nothing the last time it was asked.
#[derive(Default)]
struct Failure {
    /// Empty when it did.
    why: String,
    is_full: bool,
}

/// All streams of a server.
pub struct Streams<D: Disk + Clone> {
    me: Weak<Self>,
    hub: Arc<Hub>,
    act: Act,
    disk: D,
    store: u128,
    hash_seed: u64,
    /// None when it has ended.
    committer: RwLock<Option<Committer<D>>>,
    /// Those in files, by their group in the log.
    by_group: RwLock<HashMap<u32, Arc<Running<D>>>>,
    by_name: RwLock<ByName<D>>,
    /// Held while a stream is created, changed or deleted.
    changing: Mutex<()>,
    meta: Mutex<MetaKeeper<D>>,
    /// All before it was applied.
    applied: Mutex<Position>,
    tended: Mutex<Tended>,
    staging: Arc<Staging>,
    /// Of all streams.
    used: Arc<Usage>,
    /// Of each account's streams.
    used_by: Mutex<UsageByAccount>,
    failure: Mutex<Failure>,
    /// What is not as it was written, as far as it was read.
    damage: Mutex<Vec<String>>,
    /// Whether all streams could be opened: the log has what is not in the files of one that could
    /// not.
    may_trim: bool,
    /// The store is ours as long as it is there.
    root: Mutex<Option<Root<D>>>,
}
