//! Records that Python hands down: plain data, converted once.

use std::sync::Arc;
use std::time::Duration;

use keelback_engine::account::AccountLimits;
use keelback_engine::settings::WriteTimeout;
use keelback_engine::{gate, settings};
use keelback_interest::{PermissionRules, Responses};
use keelback_reactor::listener::{First, ListenerOptions, TlsMode};
use keelback_reactor::tls;
use keelback_wire::errors::ClosedReason;
use keelback_wire::info;
use pyo3::prelude::*;

use crate::CoreError;

/// Limits of one client.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Limits(pub(crate) Arc<settings::Limits>);

#[pymethods]
impl Limits {
    #[new]
    #[pyo3(signature = (*, max_connections=65536, max_subscriptions=0, max_subscription_tokens=0,
        max_payload=1_048_576, max_control_line=4096, max_pending=67_108_864, write_deadline=10.0,
        ping_interval=120.0, ping_max=2, auth_timeout=2.0, fast_producer_stall=true,
        max_traced=0, write_timeout="default", sublist_cache=true, trace_headers=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords of one record")]
    fn new(
        max_connections: i64,
        max_subscriptions: usize,
        max_subscription_tokens: usize,
        max_payload: i64,
        max_control_line: usize,
        max_pending: usize,
        write_deadline: f64,
        ping_interval: f64,
        ping_max: u32,
        auth_timeout: f64,
        fast_producer_stall: bool,
        max_traced: usize,
        write_timeout: &str,
        sublist_cache: bool,
        trace_headers: bool,
    ) -> PyResult<Self> {
        let write_timeout = match write_timeout {
            "default" | "close" => WriteTimeout::Close,
            "retry" => WriteTimeout::Retry,
            other => {
                return Err(CoreError::new_err(format!("{other:?} is not a write timeout policy")));
            }
        };
        Ok(Self(Arc::new(settings::Limits {
            connections_max: max_connections,
            subscriptions_max: max_subscriptions,
            subscription_tokens_max: max_subscription_tokens,
            payload_bytes_max: max_payload,
            control_line_bytes_max: max_control_line,
            pending_bytes_max: max_pending,
            write_deadline: seconds(write_deadline)?,
            ping_interval: seconds(ping_interval)?,
            pings_max: ping_max,
            auth_timeout: seconds(auth_timeout)?,
            traced_bytes_max: max_traced,
            fast_producer_stall,
            write_timeout,
            sublist_cache,
            trace_headers,
        })))
    }
}

/// Seconds of Python as a duration of at most a hundred years.
pub(crate) fn seconds(value: f64) -> PyResult<Duration> {
    const MOST: f64 = 100.0 * 365.25 * 86_400.0;
    if !(0.0..=MOST).contains(&value) {
        return Err(CoreError::new_err(format!("{value} s is not a duration of 0 s to 100 years")));
    }
    Ok(Duration::from_secs_f64(value))
}

/// INFO.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct ServerInfo(pub(crate) Arc<settings::Info>);

#[pymethods]
impl ServerInfo {
    #[new]
    #[pyo3(signature = (*, server_id, server_name, version, go, git_commit=String::new(), host,
        port, headers=true, auth_required=false, tls_required=false, tls_verify=false,
        tls_available=false, max_payload=1_048_576, jetstream=false, nonce=false,
        cluster=String::new(), domain=String::new(), connect_urls=Vec::new(), ldm=false,
        api_level=0, xkey=String::new(), keelback=String::new()))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "keywords")]
    fn new(
        server_id: String,
        server_name: String,
        version: String,
        go: String,
        git_commit: String,
        host: String,
        port: u16,
        headers: bool,
        auth_required: bool,
        tls_required: bool,
        tls_verify: bool,
        tls_available: bool,
        max_payload: i64,
        jetstream: bool,
        nonce: bool,
        cluster: String,
        domain: String,
        connect_urls: Vec<String>,
        ldm: bool,
        api_level: u32,
        xkey: String,
        keelback: String,
    ) -> Self {
        let server = info::ServerInfo {
            proto: 1,
            server_id,
            server_name,
            version,
            go,
            git_commit,
            host,
            port,
            headers,
            auth_required,
            tls_required,
            tls_verify,
            tls_available,
            max_payload,
            jetstream,
            cluster,
            domain,
            connect_urls,
            ldm,
            api_lvl: api_level,
            xkey,
            keelback,
        };
        Self(Arc::new(settings::Info::new(&server, nonce)))
    }
}

type Entries = Vec<(String, Option<String>)>;

/// Compiled permissions.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Permissions(pub(crate) Arc<keelback_interest::Permissions>);

#[pymethods]
impl Permissions {
    #[new]
    #[pyo3(signature = (*, publish_allow=None, publish_deny=Vec::new(), subscribe_allow=None,
        subscribe_deny=Vec::new(), responses=None))]
    fn new(
        publish_allow: Option<Vec<String>>,
        publish_deny: Vec<String>,
        subscribe_allow: Option<Entries>,
        subscribe_deny: Entries,
        responses: Option<(i64, f64)>,
    ) -> PyResult<Self> {
        let responses = match responses {
            Some((max, expires)) => {
                let expires = if expires < 0.0 { None } else { Some(seconds(expires)?) };
                Some(Responses { max, expires })
            }
            None => None,
        };
        let rules = PermissionRules {
            publish_allow: publish_allow.map(to_subjects),
            publish_deny: to_subjects(publish_deny),
            subscribe_allow: subscribe_allow.map(to_entries),
            subscribe_deny: to_entries(subscribe_deny),
            responses,
        };
        keelback_interest::Permissions::compile(rules)
            .map(|permissions| Self(Arc::new(permissions)))
            .map_err(|error| CoreError::new_err(error.to_string()))
    }
}

fn to_subjects(subjects: Vec<String>) -> Vec<Vec<u8>> {
    subjects.into_iter().map(String::into_bytes).collect()
}

fn to_entries(entries: Entries) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let bytes = String::into_bytes;
    entries.into_iter().map(|(subject, queue)| (bytes(subject), queue.map(bytes))).collect()
}

/// A user that the core admits by itself.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct FastUser(gate::FastUser);

#[pymethods]
impl FastUser {
    #[new]
    #[pyo3(signature = (*, name, password, account, permissions=None, connection_types=Vec::new()))]
    fn new(
        name: String,
        password: String,
        account: String,
        permissions: Option<&Bound<'_, Permissions>>,
        connection_types: Vec<String>,
    ) -> Self {
        let permissions = permissions.map(|permissions| permissions.get().0.clone());
        Self(gate::FastUser { name, password, account, permissions, connection_types })
    }
}

/// Who may connect.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Gate(pub(crate) Arc<gate::Gate>);

#[pymethods]
impl Gate {
    #[new]
    #[pyo3(signature = (*, required=false, default_account=String::from("$G"), users=Vec::new(),
        ask_users=Vec::new(), ask_nkey=false, ask_all=false, token=None, ask_token=false,
        anonymous=None, anonymous_ask=false))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "keywords")]
    fn new(
        required: bool,
        default_account: String,
        users: Vec<Bound<'_, FastUser>>,
        ask_users: Vec<String>,
        ask_nkey: bool,
        ask_all: bool,
        token: Option<String>,
        ask_token: bool,
        anonymous: Option<&Bound<'_, FastUser>>,
        anonymous_ask: bool,
    ) -> Self {
        Self(Arc::new(gate::Gate {
            required,
            default_account,
            users: users
                .iter()
                .map(|user| (user.get().0.name.clone(), user.get().0.clone()))
                .collect(),
            ask_users: ask_users.into_iter().collect(),
            ask_nkey,
            ask_all,
            token,
            ask_token,
            anonymous: anonymous.map(|user| user.get().0.clone()),
            anonymous_ask,
        }))
    }
}

/// An account with its limits.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct AccountTable {
    pub(crate) name: String,
    pub(crate) limits: AccountLimits,
}

#[pymethods]
impl AccountTable {
    #[new]
    #[pyo3(signature = (*, name, max_connections=-1, max_subscriptions=-1, max_payload=-1))]
    fn new(name: String, max_connections: i64, max_subscriptions: i64, max_payload: i64) -> Self {
        let limits = AccountLimits {
            connections_max: max_connections,
            subscriptions_max: max_subscriptions,
            payload_bytes_max: max_payload,
        };
        Self { name, limits }
    }
}

/// A listener's TLS.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct TlsConfig(pub(crate) Arc<tls::TlsConfig>);

#[pymethods]
impl TlsConfig {
    #[new]
    #[pyo3(signature = (*, certificates, client_roots=None, verify=false,
        request_client_certificate=false, min_version="1.2", cipher_suites=Vec::new(),
        curve_preferences=Vec::new(), timeout=2.0, pinned=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keywords of one record")]
    fn new(
        py: Python<'_>,
        certificates: Vec<(Vec<u8>, Vec<u8>)>,
        client_roots: Option<Vec<u8>>,
        verify: bool,
        request_client_certificate: bool,
        min_version: &str,
        cipher_suites: Vec<String>,
        curve_preferences: Vec<String>,
        timeout: f64,
        pinned: Vec<String>,
    ) -> PyResult<Self> {
        let only_tls13 = match min_version {
            "1.2" => false,
            "1.3" => true,
            other => {
                return Err(CoreError::new_err(format!("TLS version {other} is not supported")));
            }
        };
        let options = tls::TlsOptions {
            certificates,
            client_roots,
            verify,
            request_client_certificate,
            only_tls13,
            cipher_suites,
            curve_preferences,
            timeout: seconds(timeout)?,
            pinned,
        };
        py.detach(|| tls::TlsConfig::new(&options))
            .map(|config| Self(Arc::new(config)))
            .map_err(CoreError::new_err)
    }
}

/// Where clients connect.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Listener {
    pub(crate) options: ListenerOptions,
    pub(crate) tls: Option<Arc<tls::TlsConfig>>,
}

#[pymethods]
impl Listener {
    #[new]
    #[pyo3(signature = (
        *, host, port, tls=None, tls_mode="off", first_fallback=0.0, first_or_plain=false,
        proxy_protocol=false, connection_rate_limit=0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keywords of one record")]
    fn new(
        host: String,
        port: u16,
        tls: Option<&Bound<'_, TlsConfig>>,
        tls_mode: &str,
        first_fallback: f64,
        first_or_plain: bool,
        proxy_protocol: bool,
        connection_rate_limit: u64,
    ) -> PyResult<Self> {
        let mode = match tls_mode {
            "off" => TlsMode::Off,
            "required" => TlsMode::Required,
            "available" => TlsMode::Available,
            "first" => TlsMode::First(First {
                fallback: (first_fallback > 0.0).then(|| seconds(first_fallback)).transpose()?,
                plain_too: first_or_plain,
            }),
            other => return Err(CoreError::new_err(format!("{other:?} is not a TLS mode"))),
        };
        if mode != TlsMode::Off && tls.is_none() {
            return Err(CoreError::new_err("a listener with TLS needs its certificates"));
        }
        let tls = tls.map(|config| config.get().0.clone());
        let options =
            ListenerOptions { host, port, tls: mode, proxy_protocol, connection_rate_limit };
        Ok(Self { options, tls })
    }
}

/// The answer yes.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Admission {
    pub(crate) connection: u64,
    pub(crate) admission: gate::Admission,
}

#[pymethods]
impl Admission {
    #[new]
    #[pyo3(signature = (*, connection, account, label, permissions=None))]
    fn new(
        connection: u64,
        account: String,
        label: String,
        permissions: Option<&Bound<'_, Permissions>>,
    ) -> Self {
        let permissions = permissions.map(|permissions| permissions.get().0.clone());
        Self { connection, admission: gate::Admission { account, label, permissions } }
    }
}

/// The answer no.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Refusal {
    pub(crate) connection: u64,
    pub(crate) reason: ClosedReason,
}

#[pymethods]
impl Refusal {
    #[new]
    #[pyo3(signature = (*, connection, reason="Authentication Failure"))]
    fn new(connection: u64, reason: &str) -> PyResult<Self> {
        Ok(Self { connection, reason: closed_reason(reason)? })
    }
}

/// A closed reason by its text.
pub(crate) fn closed_reason(text: &str) -> PyResult<ClosedReason> {
    ClosedReason::from_str(text)
        .ok_or_else(|| CoreError::new_err(format!("{text:?} is not a closed reason")))
}
