//! The client's end of an in-process connection.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use keelback_reactor::pipe::PipeShared;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Pipe(pub(crate) Arc<PipeShared>);

#[pymethods]
impl Pipe {
    fn fileno(&self) -> i32 {
        self.0.waker().fd().as_raw_fd()
    }

    fn send(&self, py: Python<'_>, data: &[u8]) -> PyResult<usize> {
        py.detach(|| self.0.send(data)).map_err(PyErr::from)
    }

    #[pyo3(signature = (at_most=65536))]
    fn recv<'py>(&self, py: Python<'py>, at_most: usize) -> Option<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.recv(at_most))?;
        Some(PyBytes::new(py, &bytes))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.close();
    }
}
