//! What monitoring reads: records of one moment.

use keelback_engine::connection::Kind;
use keelback_engine::page::{self, Query, Sort, State};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::CoreError;

/// Connections, or subscriptions, of a page when nothing else is said; the signatures have it too.
const LIMIT_DEFAULT: i64 = 1024;

/// A subscription.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct SubscriptionInfo(pub(crate) page::SubscriptionInfo);

#[pymethods]
impl SubscriptionInfo {
    #[getter]
    fn account(&self) -> &str {
        &self.0.account
    }

    #[getter]
    fn subject(&self) -> &str {
        &self.0.subject
    }

    #[getter]
    fn queue(&self) -> &str {
        &self.0.queue
    }

    #[getter]
    fn sid(&self) -> &str {
        &self.0.sid
    }

    #[getter]
    fn msgs(&self) -> u64 {
        self.0.msgs
    }

    #[getter]
    fn max(&self) -> u64 {
        self.0.max
    }

    #[getter]
    fn connection(&self) -> u64 {
        self.0.connection
    }
}

/// A connection.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct ConnectionInfo(pub(crate) page::ConnectionInfo);

impl ConnectionInfo {
    fn text(&self, part: fn(&keelback_engine::identity::Identity) -> &str) -> &str {
        self.0.identity.as_deref().map_or("", part)
    }
}

#[pymethods]
impl ConnectionInfo {
    #[getter]
    fn cid(&self) -> u64 {
        self.0.cid
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.kind {
            Kind::Tcp => "tcp",
            Kind::InProcess => "in_process",
        }
    }

    #[getter]
    fn ip(&self) -> &str {
        &self.0.ip
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.port
    }

    #[getter]
    fn start_ns(&self) -> u64 {
        self.0.start_ns
    }

    #[getter]
    fn last_activity_ns(&self) -> u64 {
        self.0.last_activity_ns
    }

    #[getter]
    fn stop_ns(&self) -> u64 {
        self.0.stop_ns
    }

    #[getter]
    fn reason(&self) -> &'static str {
        self.0.reason
    }

    #[getter]
    fn rtt_ns(&self) -> u64 {
        self.0.rtt_ns
    }

    #[getter]
    fn pending_bytes(&self) -> u64 {
        self.0.pending_bytes
    }

    #[getter]
    fn in_msgs(&self) -> u64 {
        self.0.figures[0]
    }

    #[getter]
    fn in_bytes(&self) -> u64 {
        self.0.figures[1]
    }

    #[getter]
    fn out_msgs(&self) -> u64 {
        self.0.figures[2]
    }

    #[getter]
    fn out_bytes(&self) -> u64 {
        self.0.figures[3]
    }

    #[getter]
    fn stalls(&self) -> u32 {
        self.0.stalls
    }

    #[getter]
    fn subscriptions(&self) -> u32 {
        self.0.subscriptions
    }

    #[getter]
    fn name(&self) -> &str {
        self.text(|identity| identity.name())
    }

    #[getter]
    fn lang(&self) -> &str {
        self.text(|identity| identity.lang())
    }

    #[getter]
    fn version(&self) -> &str {
        self.text(|identity| identity.version())
    }

    #[getter]
    fn tls_version(&self) -> &'static str {
        self.0.encryption.as_ref().map_or("", |encryption| encryption.version)
    }

    #[getter]
    fn tls_cipher_suite(&self) -> &str {
        self.0.encryption.as_ref().map_or("", |encryption| &encryption.cipher_suite)
    }

    #[getter]
    fn tls_first(&self) -> bool {
        self.0.encryption.as_ref().is_some_and(|encryption| encryption.is_first)
    }

    #[getter]
    fn certificates<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let certificates = self.0.encryption.iter().flat_map(|it| &*it.certificates);
        certificates.map(|der| PyBytes::new(py, der)).collect()
    }

    #[getter]
    fn user(&self) -> &str {
        self.text(|identity| identity.user())
    }

    #[getter]
    fn account(&self) -> &str {
        self.0.account()
    }

    #[getter]
    fn subscription_list(&self) -> Vec<SubscriptionInfo> {
        self.0.subscription_list.iter().cloned().map(SubscriptionInfo).collect()
    }
}

/// An account.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct AccountInfo(pub(crate) page::AccountInfo);

#[pymethods]
impl AccountInfo {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn is_system(&self) -> bool {
        self.0.is_system
    }

    #[getter]
    fn connections(&self) -> u64 {
        self.0.connections
    }

    /// Leaf nodes would count here too.
    #[getter]
    fn total_connections(&self) -> u64 {
        self.0.connections
    }

    #[getter]
    fn subscriptions(&self) -> u64 {
        self.0.subscriptions
    }

    #[getter]
    fn received_msgs(&self) -> u64 {
        self.0.figures[0]
    }

    #[getter]
    fn received_bytes(&self) -> u64 {
        self.0.figures[1]
    }

    #[getter]
    fn sent_msgs(&self) -> u64 {
        self.0.figures[2]
    }

    #[getter]
    fn sent_bytes(&self) -> u64 {
        self.0.figures[3]
    }

    #[getter]
    fn slow_consumers(&self) -> u64 {
        self.0.slow_consumers
    }
}

/// What a page of connections is asked by.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct ConnectionQuery(pub(crate) Query);

#[pymethods]
impl ConnectionQuery {
    #[new]
    #[pyo3(signature = (*, state="open", sort="cid", offset=0, limit=1024, cid=0, user="",
        account="", filter_subject="", subscriptions=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of one record")]
    fn new(
        state: &str,
        sort: &str,
        offset: i64,
        limit: i64,
        cid: u64,
        user: &str,
        account: &str,
        filter_subject: &str,
        subscriptions: bool,
    ) -> PyResult<Self> {
        let state = match state {
            "open" => State::Open,
            "closed" => State::Closed,
            "all" => State::All,
            other => return Err(CoreError::new_err(format!("{other:?} is not a state"))),
        };
        let order = match sort {
            "cid" | "start" => Sort::Cid,
            "subs" => Sort::Subs,
            "pending" => Sort::Pending,
            "msgs_to" => Sort::MsgsTo,
            "msgs_from" => Sort::MsgsFrom,
            "bytes_to" => Sort::BytesTo,
            "bytes_from" => Sort::BytesFrom,
            "last" => Sort::Last,
            "idle" => Sort::Idle,
            "uptime" => Sort::Uptime,
            "rtt" => Sort::Rtt,
            "stop" => Sort::Stop,
            "reason" => Sort::Reason,
            other => {
                return Err(CoreError::new_err(format!("invalid sorting option: {other}")));
            }
        };
        if matches!(order, Sort::Stop | Sort::Reason) && state != State::Closed {
            let problem = format!("sort by {sort} only valid on closed connections");
            return Err(CoreError::new_err(problem));
        }
        if !matches!(filter_subject, "" | ">") && account.is_empty() {
            let problem = "filter by subject only valid with account filtering";
            return Err(CoreError::new_err(problem));
        }
        let (offset, limit) = bounds(offset, limit);
        Ok(Self(Query {
            state,
            sort: order,
            offset,
            limit,
            cid,
            user: user.to_owned(),
            account: account.to_owned(),
            filter_subject: filter_subject.to_owned(),
            subscriptions,
        }))
    }
}

/// As nats-server reads them: no negative offset, and the default for a limit that is none.
pub(crate) fn bounds(offset: i64, limit: i64) -> (usize, usize) {
    let limit = if limit <= 0 { LIMIT_DEFAULT } else { limit };
    (usize::try_from(offset).unwrap_or(0), usize::try_from(limit).unwrap_or(usize::MAX))
}
