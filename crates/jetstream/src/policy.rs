//! What a stream does with messages, compiled from its configuration.

use keelback_store::stream::{Limits, Storage};
use keelback_subject::transform::Transform;

/// A stream's rules for messages.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its domain, which acknowledgements name; empty without one.
    pub domain: String,
    /// Where messages are.
    pub storage: Storage,
    /// How much it holds.
    pub limits: Limits,
    /// The longest message, headers included (bytes).
    pub message_bytes_max: Option<usize>,
    /// Nobody is answered.
    pub no_ack: bool,
    /// It takes nothing any more.
    pub is_sealed: bool,
    /// Messages may replace others.
    pub allows_rollup: bool,
    /// Messages may have a lifetime of their own.
    pub allows_ttl: bool,
    /// How long a marker stays that tells of an expiry (seconds); 0 if there are none.
    pub marker_ttl_s: u64,
    /// Messages add to their subject's total, and nothing else is taken.
    pub allows_counter: bool,
    /// Messages may say when others are to be stored, on these subjects; `None` if they may not.
    pub schedules: Option<Vec<Vec<u8>>>,
    /// Messages may come in batches that are stored whole or not at all.
    pub allows_atomic: bool,
    /// Messages may come in batches that are acknowledged now and then.
    pub allows_batched: bool,
    /// Messages may be asked for past the API.
    pub allows_direct: bool,
    /// Under which subjects messages are stored.
    pub transform: Option<Transform>,
    /// As what messages are published again once they are stored.
    pub republish: Option<Republish>,
}

/// As what stored messages are published again.
#[derive(Clone, Debug)]
pub struct Republish {
    /// Under which subjects.
    pub transform: Transform,
    /// Without what they say.
    pub headers_only: bool,
}

impl Policy {
    /// The rules of a stream that nothing more is known of.
    pub fn new(name: &str, storage: Storage, limits: Limits) -> Self {
        Self {
            name: name.to_owned(),
            domain: String::new(),
            storage,
            limits,
            message_bytes_max: None,
            no_ack: false,
            is_sealed: false,
            allows_rollup: false,
            allows_ttl: false,
            marker_ttl_s: 0,
            allows_counter: false,
            schedules: None,
            allows_atomic: false,
            allows_batched: false,
            allows_direct: false,
            transform: None,
            republish: None,
        }
    }
}
