//! `PyO3` and nothing else: converts and forwards. The one crate that knows Python; the contract
//! is `src/keelback/_core.pyi`.
//!
//! Every call that takes a lock or may wait releases the GIL; no Rust thread ever takes it.

#![allow(clippy::needless_pass_by_value, reason = "arguments arrive as Python gives them")]

mod check;
mod events;
mod pipe;
mod plane;
mod policy;
mod records;
mod snapshots;
mod store;

use pyo3::prelude::*;

mod error {
    #![allow(missing_docs, reason = "the macro documents nothing")]
    pyo3::create_exception!(
        keelback._core,
        CoreError,
        pyo3::exceptions::PyException,
        "The core refused what Python asked for; the message says why."
    );
    pyo3::create_exception!(
        _core,
        StoreError,
        CoreError,
        "There is no such stream, or the disk refused; the message says which."
    );
}
pub(crate) use error::{CoreError, StoreError};

/// `keelback._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("CoreError", module.py().get_type::<CoreError>())?;
    module.add_class::<records::Limits>()?;
    module.add_class::<records::ServerInfo>()?;
    module.add_class::<records::Permissions>()?;
    module.add_class::<records::FastUser>()?;
    module.add_class::<records::Gate>()?;
    module.add_class::<records::AccountTable>()?;
    module.add_class::<records::TlsConfig>()?;
    module.add_class::<records::Listener>()?;
    module.add_class::<records::Admission>()?;
    module.add_class::<records::Refusal>()?;
    module.add_class::<events::AuthRequest>()?;
    module.add_class::<events::SlowConsumer>()?;
    module.add_class::<events::Request>()?;
    module.add_class::<events::BatchAbandoned>()?;
    module.add_class::<events::DiskTurned>()?;
    module.add_class::<events::LogFull>()?;
    module.add_class::<events::LogLine>()?;
    module.add_class::<snapshots::SubscriptionInfo>()?;
    module.add_class::<snapshots::ConnectionInfo>()?;
    module.add_class::<snapshots::ConnectionQuery>()?;
    module.add_class::<snapshots::AccountInfo>()?;
    module.add_class::<pipe::Pipe>()?;
    module.add_class::<plane::Plane>()?;
    module.add("StoreError", module.py().get_type::<StoreError>())?;
    module.add_class::<policy::StreamTable>()?;
    module.add_class::<store::KeptStream>()?;
    module.add_class::<store::StreamState>()?;
    module.add_class::<store::StoredMessage>()?;
    module.add_class::<store::Store>()?;
    module.add_class::<check::StoredStream>()?;
    module.add_class::<check::StoreReport>()?;
    module.add_function(wrap_pyfunction!(check::look_at_store, module)?)?;
    module.add_class::<store::Backup>()?;
    module.add_class::<store::Restoration>()?;
    Ok(())
}
