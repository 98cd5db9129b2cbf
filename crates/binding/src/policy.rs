//! What Python compiled of a stream's configuration.

use keelback_engine::streams::Served;
use keelback_jetstream::policy::{Policy, Republish};
use keelback_store::stream::{Discard, Limits, Storage};
use keelback_subject::transform::Transform;
use pyo3::prelude::*;

use crate::CoreError;

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct StreamTable {
    pub(crate) first_seq: u64,
    subjects: Vec<String>,
    policy: Policy,
}

impl StreamTable {
    /// The table of the stream with this name.
    pub(crate) fn served(&self, name: &str) -> Served {
        let policy = Policy { name: name.to_owned(), ..self.policy.clone() };
        Served { subjects: self.subjects.clone(), policy }
    }
}

#[pymethods]
impl StreamTable {
    #[new]
    #[pyo3(signature = (*, storage, subjects, first_seq=0, max_msgs=0, max_bytes=0,
        max_msgs_per_subject=0, max_age_ns=0, discard="old", duplicate_window_ns=0,
        delete_marker_ttl_ns=0, compress=false, max_msg_size=-1, no_ack=false, sealed=false, allow_rollup=false,
        allow_ttl=false, allow_direct=false, allow_counter=false, allow_schedules=false, allow_atomic=false, allow_batched=false, domain="", transform=None, republish=None))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "keywords")]
    fn new(
        storage: &str,
        subjects: Vec<String>,
        first_seq: u64,
        max_msgs: u64,
        max_bytes: u64,
        max_msgs_per_subject: u64,
        max_age_ns: u64,
        discard: &str,
        duplicate_window_ns: u64,
        delete_marker_ttl_ns: u64,
        compress: bool,
        max_msg_size: i64,
        no_ack: bool,
        sealed: bool,
        allow_rollup: bool,
        allow_ttl: bool,
        allow_direct: bool,
        allow_counter: bool,
        allow_schedules: bool,
        allow_atomic: bool,
        allow_batched: bool,
        domain: &str,
        transform: Option<(String, String)>,
        republish: Option<(String, String, bool)>,
    ) -> PyResult<Self> {
        let storage = match storage {
            "file" => Storage::File,
            "memory" => Storage::Memory,
            other => return Err(CoreError::new_err(format!("{other:?} is no storage"))),
        };
        let discard = match discard {
            "old" => Discard::Old,
            "new" => Discard::New,
            "new_per_subject" => Discard::NewPerSubject,
            other => return Err(CoreError::new_err(format!("{other:?} is no discard policy"))),
        };
        let limits = Limits {
            msgs_max: max_msgs,
            bytes_max: max_bytes,
            msgs_per_subject_max: max_msgs_per_subject,
            age_max_ns: max_age_ns,
            discard,
            duplicate_window_ns,
            marks_expiry: delete_marker_ttl_ns > 0,
            packs: compress && storage == Storage::File,
        };
        let mut policy = Policy::new("", storage, limits);
        policy.message_bytes_max = usize::try_from(max_msg_size).ok();
        policy.no_ack = no_ack;
        policy.is_sealed = sealed;
        policy.allows_rollup = allow_rollup;
        policy.allows_ttl = allow_ttl;
        policy.marker_ttl_s = delete_marker_ttl_ns / 1_000_000_000;
        policy.allows_direct = allow_direct;
        policy.allows_counter = allow_counter;
        policy.schedules = allow_schedules
            .then(|| subjects.iter().map(|subject| subject.as_bytes().to_vec()).collect());
        policy.allows_atomic = allow_atomic;
        policy.allows_batched = allow_batched;
        domain.clone_into(&mut policy.domain);
        policy.transform = transform.map(|(from, to)| compile(&from, &to)).transpose()?;
        policy.republish = republish
            .map(|(from, to, headers_only)| {
                compile(&from, &to).map(|transform| Republish { transform, headers_only })
            })
            .transpose()?;
        Ok(Self { first_seq, subjects, policy })
    }
}

fn compile(from: &str, to: &str) -> PyResult<Transform> {
    let from = if from.is_empty() { ">" } else { from };
    Transform::new(from.as_bytes(), to.as_bytes()).map_err(|error| {
        CoreError::new_err(format!("the subject transform from {from:?} to {to:?}: {error}"))
    })
}
