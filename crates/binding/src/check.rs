//! A store that is looked at, as Python sees it.

use keelback_store::check::{self, Report, StreamReport};
use keelback_store::disk::real::RealDisk;
use pyo3::prelude::*;

use crate::StoreError;

/// Documented in `_core.pyi`.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct StoredStream {
    account: String,
    name: String,
    created_ns: u64,
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    subjects: u64,
    deleted: u64,
    folder: String,
    files: u64,
    file_bytes: u64,
}

impl From<StreamReport> for StoredStream {
    fn from(stream: StreamReport) -> Self {
        let state = stream.state;
        Self {
            account: stream.account,
            name: stream.name,
            created_ns: stream.created_ns,
            messages: state.messages,
            bytes: state.bytes,
            first_seq: state.first_seq,
            last_seq: state.last_seq,
            subjects: state.subjects,
            deleted: state.deleted,
            folder: stream.folder.display().to_string(),
            files: stream.files.0,
            file_bytes: stream.files.1,
        }
    }
}

/// Documented in `_core.pyi`.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct StoreReport {
    store: String,
    version: u8,
    streams: Vec<Py<StoredStream>>,
    log_files: u64,
    log_bytes: u64,
    bytes: u64,
    records: u64,
    damage: Vec<String>,
}

/// Documented in `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (directory, *, verify=false, progress=None))]
pub(crate) fn look_at_store(
    py: Python<'_>,
    directory: String,
    verify: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<StoreReport> {
    let mut interrupted = None;
    let looked = py.detach(|| {
        let disk = RealDisk::new(directory).map_err(|error| error.to_string())?;
        let mut tell = |done: u64, whole: u64| {
            let Some(progress) = &progress else { return };
            // What it raises is raised when all was read.
            let told = Python::attach(|py| progress.call1(py, (done, whole)).map(drop));
            interrupted = interrupted.take().or(told.err());
        };
        check::look(&disk, verify, &mut tell).map_err(|error| error.to_string())
    });
    if let Some(raised) = interrupted {
        return Err(raised);
    }
    let Report { store, streams, log, bytes, records, damage } =
        looked.map_err(StoreError::new_err)?;
    let streams = streams.into_iter().map(|stream| Py::new(py, StoredStream::from(stream)));
    Ok(StoreReport {
        store: format!("{store:032x}"),
        version: keelback_store::root::VERSION,
        streams: streams.collect::<PyResult<_>>()?,
        log_files: log.0,
        log_bytes: log.1,
        bytes,
        records,
        damage,
    })
}
