//! Events that Python takes up.

use keelback_engine::connection::Kind;
use keelback_engine::events::{self, Event};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A CONNECT to decide.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct AuthRequest(events::AuthRequest);

#[pymethods]
impl AuthRequest {
    #[getter]
    fn connection(&self) -> u64 {
        self.0.connection
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind {
            Kind::Tcp => "tcp",
            Kind::InProcess => "in_process",
        }
    }

    #[getter]
    fn client_ip(&self) -> &str {
        &self.0.client_ip
    }

    #[getter]
    fn client_port(&self) -> u16 {
        self.0.client_port
    }

    #[getter]
    fn tls(&self) -> bool {
        self.0.tls
    }

    #[getter]
    fn nonce(&self) -> &str {
        &self.0.nonce
    }

    #[getter]
    fn reload(&self) -> bool {
        self.0.reload
    }

    #[getter]
    fn user(&self) -> &str {
        &self.0.options.user
    }

    #[getter]
    fn password(&self) -> &str {
        &self.0.options.pass
    }

    #[getter]
    fn token(&self) -> &str {
        &self.0.options.auth_token
    }

    #[getter]
    fn nkey(&self) -> &str {
        &self.0.options.nkey
    }

    #[getter]
    fn signature(&self) -> &str {
        &self.0.options.sig
    }

    #[getter]
    fn jwt(&self) -> &str {
        &self.0.options.jwt
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.options.name
    }

    #[getter]
    fn lang(&self) -> &str {
        &self.0.options.lang
    }

    #[getter]
    fn version(&self) -> &str {
        &self.0.options.version
    }

    #[getter]
    fn certificates<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.certificates.iter().map(|der| PyBytes::new(py, der)).collect()
    }
}

/// A connection that was cut off.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct SlowConsumer {
    connection: u64,
    client_ip: String,
    client_port: u16,
    account: String,
    name: String,
    subject: String,
    pending_bytes: usize,
    reason: &'static str,
}

/// A batch was given up.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct BatchAbandoned {
    account: String,
    stream: String,
    batch: String,
    reason: &'static str,
}

/// A disk takes nothing any more, or does again.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct DiskTurned {
    account: String,
    stream: String,
    why: String,
}

/// The log file reached its size.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct LogFull;

/// A line of the log.
#[pyclass(frozen, get_all, module = "keelback._core")]
pub(crate) struct LogLine {
    level: &'static str,
    text: String,
}

/// A request to answer.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Request(events::Request);

#[pymethods]
impl Request {
    #[getter]
    fn account(&self) -> &str {
        &self.0.account
    }

    #[getter]
    fn subject(&self) -> String {
        String::from_utf8_lossy(&self.0.subject).into_owned()
    }

    #[getter]
    fn reply(&self) -> String {
        String::from_utf8_lossy(&self.0.reply).into_owned()
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
    fn connection(&self) -> u64 {
        self.0.connection
    }
}

/// An event as Python sees it.
pub(crate) fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    Ok(match event {
        Event::Auth(request) => Py::new(py, AuthRequest(request))?.into_any(),
        Event::SlowConsumer {
            connection,
            client_ip,
            client_port,
            account,
            name,
            subject,
            pending_bytes,
            reason,
        } => {
            let record = SlowConsumer {
                connection,
                client_ip,
                client_port,
                account,
                name,
                subject,
                pending_bytes,
                reason,
            };
            Py::new(py, record)?.into_any()
        }
        Event::Request(request) => Py::new(py, Request(request))?.into_any(),
        Event::BatchAbandoned { account, stream, batch, reason } => {
            let batch = String::from_utf8_lossy(&batch).into_owned();
            Py::new(py, BatchAbandoned { account, stream, batch, reason })?.into_any()
        }
        Event::DiskTurned { account, stream, why } => {
            Py::new(py, DiskTurned { account, stream, why })?.into_any()
        }
        Event::LogFull => Py::new(py, LogFull)?.into_any(),
        Event::Log { level, text } => {
            Py::new(py, LogLine { level: level.label(), text })?.into_any()
        }
    })
}
