//! The streams of a server, as Python calls them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keelback_engine::streams::{self, CallError, FoundMessage, NewStream, UsageLimits};
use keelback_store::disk::real::RealDisk;
use keelback_store::stream::Purge;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::StoreError;
use keelback_jetstream::atomic::BatchLimits;

use crate::policy::StreamTable;

/// The streams of a server whose store is a directory.
pub(crate) type Streams = streams::Streams<RealDisk>;

/// What a store remembers of a stream.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct KeptStream(streams::KeptStream);

#[pymethods]
impl KeptStream {
    #[getter]
    fn account(&self) -> &str {
        &self.0.account
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.config)
    }

    #[getter]
    fn created_ns(&self) -> u64 {
        self.0.created_ns
    }
}

/// What a stream shows of itself.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct StreamState {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    first_time_ns: Option<u64>,
    last_seq: u64,
    last_time_ns: Option<u64>,
    subjects: u64,
    deleted: u64,
    lost_messages: u64,
    lost_bytes: u64,
    failure: String,
}

/// A message that was read.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct StoredMessage(FoundMessage);

#[pymethods]
impl StoredMessage {
    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    #[getter]
    fn subject(&self) -> String {
        String::from_utf8_lossy(&self.0.subject).into_owned()
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.headers)
    }

    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.payload)
    }

    #[getter]
    fn time_ns(&self) -> u64 {
        self.0.time_ns
    }
}

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Store(pub(crate) Arc<Streams>);

#[pymethods]
impl Store {
    fn streams(&self, py: Python<'_>) -> Vec<KeptStream> {
        py.detach(|| self.0.kept_streams()).into_iter().map(KeptStream).collect()
    }

    fn create(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        config: Vec<u8>,
        created_ns: u64,
        table: &Bound<'_, StreamTable>,
    ) -> PyResult<()> {
        let table = table.get();
        let new = NewStream { created_ns, first_seq: table.first_seq, config };
        let served = table.served(name);
        done(py.detach(|| self.0.create((account, name), new, &served)))
    }

    fn serve(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        table: &Bound<'_, StreamTable>,
    ) -> PyResult<()> {
        let served = table.get().served(name);
        done(py.detach(|| self.0.serve((account, name), &served)))
    }

    fn stop_serving(&self, py: Python<'_>, account: &str, name: &str) -> PyResult<()> {
        done(py.detach(|| self.0.stop_serving((account, name))))
    }

    fn update(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        config: Vec<u8>,
        table: &Bound<'_, StreamTable>,
    ) -> PyResult<()> {
        let served = table.get().served(name);
        done(py.detach(|| self.0.update((account, name), config, &served)))
    }

    fn delete(&self, py: Python<'_>, account: &str, name: &str) -> PyResult<()> {
        done(py.detach(|| self.0.delete((account, name))))
    }

    #[pyo3(signature = (account, name, *, subject="", below_seq=0, keep=0))]
    fn purge(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        subject: &str,
        below_seq: u64,
        keep: u64,
    ) -> PyResult<u64> {
        let purge = Purge { filter: subject.as_bytes(), below_seq, keep };
        done(py.detach(|| self.0.purge((account, name), purge)))
    }

    #[pyo3(signature = (account, name, seq, *, erase))]
    fn remove(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        seq: u64,
        erase: bool,
    ) -> PyResult<bool> {
        done(py.detach(|| self.0.remove((account, name), seq, erase)))
    }

    fn state(&self, py: Python<'_>, account: &str, name: &str) -> PyResult<StreamState> {
        let (state, failure) = done(py.detach(|| self.0.state((account, name))))?;
        Ok(StreamState {
            messages: state.messages,
            bytes: state.bytes,
            first_seq: state.first_seq,
            first_time_ns: state.first_time_ns,
            last_seq: state.last_seq,
            last_time_ns: state.last_time_ns,
            subjects: state.subjects,
            deleted: state.deleted,
            lost_messages: 0,
            lost_bytes: 0,
            failure: failure.to_owned(),
        })
    }

    fn deleted(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        at_most: usize,
    ) -> PyResult<Vec<(u64, u64)>> {
        let gaps = done(py.detach(|| self.0.deleted((account, name), at_most)))?;
        Ok(gaps.into_iter().map(|gap| (*gap.start(), *gap.end())).collect())
    }

    fn subjects(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        subject: &str,
        offset: usize,
        limit: usize,
    ) -> PyResult<(usize, Vec<(String, u64)>)> {
        let filter = subject.as_bytes();
        let found = py.detach(|| self.0.subjects((account, name), filter, offset, limit));
        let (total, page) = done(found)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((total, page.into_iter().map(|(subject, count)| (text(subject), count)).collect()))
    }

    fn message(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        seq: u64,
    ) -> PyResult<Option<StoredMessage>> {
        let found = done(py.detach(|| self.0.message((account, name), seq)))?;
        Ok(found.map(StoredMessage))
    }

    fn last_message(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        subject: &str,
    ) -> PyResult<Option<StoredMessage>> {
        let filter = subject.as_bytes();
        let found = done(py.detach(|| self.0.last_message((account, name), filter)))?;
        Ok(found.map(StoredMessage))
    }

    fn next_message(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        subject: &str,
        seq: u64,
        time_ns: Option<u64>,
    ) -> PyResult<Option<StoredMessage>> {
        let filter = subject.as_bytes();
        let found = py.detach(|| self.0.next_message((account, name), filter, seq, time_ns));
        Ok(done(found)?.map(StoredMessage))
    }

    fn backup(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        state: Vec<u8>,
        last_seq: u64,
        time_ns: u64,
    ) -> PyResult<Backup> {
        let begun = py.detach(|| self.0.backup((account, name), state, last_seq, time_ns));
        Ok(Backup(Mutex::new(done(begun)?)))
    }

    #[pyo3(signature = (account, name, table, *, created_ns, message_bytes_max, ids_from_ns))]
    #[expect(clippy::too_many_arguments, reason = "keywords")]
    fn restore(
        &self,
        py: Python<'_>,
        account: &str,
        name: &str,
        table: &Bound<'_, StreamTable>,
        created_ns: u64,
        message_bytes_max: u64,
        ids_from_ns: u64,
    ) -> PyResult<Restoration> {
        let policy = table.get().served(name).policy;
        let begun = py.detach(|| {
            let name = (account, name);
            self.0.restore(name, created_ns, &policy, message_bytes_max, ids_from_ns)
        });
        Ok(Restoration { inner: Mutex::new(Some(done(begun)?)), name: name.to_owned() })
    }

    fn usage(&self, py: Python<'_>, account: &str) -> (u64, u64) {
        py.detach(|| self.0.usage(account))
    }

    fn usage_of_all(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| self.0.usage_of_all())
    }

    fn set_limits(&self, memory: i64, file: i64) {
        self.0.set_limits(UsageLimits { memory, file });
    }

    fn set_account_limits(&self, account: &str, memory: i64, file: i64) {
        self.0.set_account_limits(account, UsageLimits { memory, file });
    }

    #[pyo3(signature = (*, open_of_stream=None, open_of_all=None, messages, timeout_ns))]
    fn set_batch_limits(
        &self,
        open_of_stream: Option<usize>,
        open_of_all: Option<usize>,
        messages: u64,
        timeout_ns: u64,
    ) {
        let limits = BatchLimits { open_of_stream, open_of_all, messages, timeout_ns };
        self.0.set_batch_limits(limits);
    }

    fn failure(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.failure())
    }

    fn damage(&self) -> Vec<String> {
        self.0.damage()
    }
}

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Backup(Mutex<streams::Backup<RealDisk>>);

#[pymethods]
impl Backup {
    fn read<'py>(&self, py: Python<'py>, bytes: usize) -> PyResult<Bound<'py, PyBytes>> {
        let read = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).read(bytes));
        Ok(PyBytes::new(py, &done(read)?))
    }
}

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Restoration {
    inner: Mutex<Option<streams::Restoration<RealDisk>>>,
    name: String,
}

impl Restoration {
    fn inner(&self) -> MutexGuard<'_, Option<streams::Restoration<RealDisk>>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Restoration {
    fn write(&self, py: Python<'_>, piece: Vec<u8>) -> PyResult<()> {
        done(py.detach(|| match &mut *self.inner() {
            Some(inner) => inner.write(piece),
            None => Err(ended()),
        }))
    }

    fn finish(
        &self,
        py: Python<'_>,
        config: Vec<u8>,
        table: &Bound<'_, StreamTable>,
    ) -> PyResult<()> {
        let served = table.get().served(&self.name);
        done(py.detach(|| match self.inner().take() {
            Some(mut inner) => inner.finish(config, &served),
            None => Err(ended()),
        }))
    }

    fn cancel(&self, py: Python<'_>) {
        py.detach(|| drop(self.inner().take()));
    }
}

fn ended() -> CallError {
    CallError::Failed("the restoration has ended".to_owned())
}

fn done<T>(result: Result<T, CallError>) -> PyResult<T> {
    result.map_err(|error| StoreError::new_err(error.to_string()))
}
