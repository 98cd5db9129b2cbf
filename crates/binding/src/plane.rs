//! The running data plane of one server.

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use keelback_engine::events::Events;
use keelback_engine::lock;
use keelback_engine::log::{Format, Level, Levels, Output};
use keelback_engine::receiver::{Message, PythonReceiver, Subscribed};
use keelback_engine::settings::Settings;
use keelback_reactor::{Reactor, Waker};
use keelback_store::disk::real::RealDisk;
use keelback_store::store::Options as StoreOptions;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::events::to_python;
use crate::pipe::Pipe;
use crate::records::{
    AccountTable, Admission, Gate, Limits, Listener, Refusal, ServerInfo, TlsConfig, closed_reason,
};
use crate::snapshots::{AccountInfo, ConnectionInfo, ConnectionQuery, SubscriptionInfo, bounds};
use crate::store::{Store, Streams};
use crate::{CoreError, StoreError};

/// Documented in `_core.pyi`.
#[pyclass(frozen, module = "keelback._core")]
pub(crate) struct Plane {
    reactor: Reactor,
    events: Arc<Events>,
    waker: Arc<Waker>,
    /// What Python serves.
    served: Mutex<Vec<Subscribed>>,
    streams: Mutex<Option<Arc<Streams>>>,
}

#[pymethods]
impl Plane {
    #[new]
    #[pyo3(signature = (*, threads=0, limits, info, gate))]
    fn new(
        py: Python<'_>,
        threads: usize,
        limits: &Bound<'_, Limits>,
        info: &Bound<'_, ServerInfo>,
        gate: &Bound<'_, Gate>,
    ) -> PyResult<Self> {
        let settings = Settings {
            limits: limits.get().0.clone(),
            info: info.get().0.clone(),
            gate: gate.get().0.clone(),
            version: 1,
        };
        py.detach(|| {
            let waker = Arc::new(Waker::new()?);
            let wake = waker.clone();
            let events = Arc::new(Events::new(Box::new(move || wake.wake())));
            let reactor = Reactor::start(threads, settings, events.clone())?;
            Ok(Self { reactor, events, waker, served: Mutex::default(), streams: Mutex::default() })
        })
    }

    #[getter]
    fn wake_fd(&self) -> i32 {
        self.waker.fd().as_raw_fd()
    }

    fn listen(&self, py: Python<'_>, listener: &Bound<'_, Listener>) -> PyResult<(String, u16)> {
        let record = listener.get();
        let address = py.detach(|| {
            if let Some(tls) = &record.tls {
                self.reactor.set_tls(tls.clone());
            }
            self.reactor.listen(&record.options)
        })?;
        Ok((address.ip().to_string(), address.port()))
    }

    fn set_listener_tls(&self, py: Python<'_>, listener: &Bound<'_, Listener>) -> bool {
        let record = listener.get();
        py.detach(|| {
            if let Some(tls) = &record.tls {
                self.reactor.set_tls(tls.clone());
            }
            self.reactor.set_tls_mode(record.options.port, record.options.tls)
        })
    }

    fn stop_listening(&self, py: Python<'_>) {
        py.detach(|| self.reactor.stop_listening());
    }

    fn set_limits(&self, py: Python<'_>, limits: &Bound<'_, Limits>) {
        let limits = limits.get().0.clone();
        py.detach(|| self.reactor.hub().change_settings(|settings| settings.limits = limits));
    }

    #[pyo3(signature = (info, *, announce=false))]
    fn set_info(&self, py: Python<'_>, info: &Bound<'_, ServerInfo>, announce: bool) {
        let info = info.get().0.clone();
        py.detach(|| {
            self.reactor.hub().change_settings(|settings| settings.info = info);
            if announce {
                self.reactor.announce();
            }
        });
    }

    fn set_gate(&self, py: Python<'_>, gate: &Bound<'_, Gate>) {
        let gate = gate.get().0.clone();
        py.detach(|| self.reactor.hub().change_settings(|settings| settings.gate = gate));
    }

    fn set_tls(&self, py: Python<'_>, tls: &Bound<'_, TlsConfig>) {
        let tls = tls.get().0.clone();
        py.detach(|| self.reactor.set_tls(tls));
    }

    fn drop_unpinned(&self, py: Python<'_>) -> usize {
        py.detach(|| self.reactor.drop_unpinned())
    }

    fn set_account(&self, py: Python<'_>, table: &Bound<'_, AccountTable>) {
        let table = table.get();
        py.detach(|| self.reactor.hub().set_account(&table.name, table.limits));
    }

    fn remove_account(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let is_gone = py.detach(|| {
            let is_gone = self.reactor.hub().remove_account(name);
            if is_gone {
                lock(&self.served).retain(|served| served.account().name != name);
            }
            is_gone
        });
        if is_gone {
            return Ok(());
        }
        Err(CoreError::new_err(format!("the account {name:?} cannot be removed")))
    }

    fn reauthorize(&self, py: Python<'_>) {
        py.detach(|| self.reactor.reauthorize());
    }

    fn set_system_account(&self, py: Python<'_>, name: &str) {
        py.detach(|| self.reactor.hub().set_system_account(name));
    }

    fn serve_requests(&self, py: Python<'_>, account: &str, subject: &str) -> PyResult<()> {
        let served = py.detach(|| {
            let hub = self.reactor.hub();
            let receiver = Arc::new(PythonReceiver(self.events.clone()));
            let account = hub.add_account(account);
            Subscribed::new(account, &[subject.as_bytes()], receiver, hub.threads)
        });
        let Ok(served) = served else {
            return Err(CoreError::new_err(format!("{subject:?} is no subject to subscribe to")));
        };
        lock(&self.served).push(served);
        Ok(())
    }

    fn has_interest(&self, py: Python<'_>, account: &str, subject: &str) -> bool {
        py.detach(|| {
            let account = self.reactor.hub().account(account);
            account.is_some_and(|account| account.sublist().has_interest(subject.as_bytes()))
        })
    }

    fn has_literal_interest(&self, py: Python<'_>, account: &str, subject: &str) -> bool {
        py.detach(|| {
            let account = self.reactor.hub().account(account);
            account.is_some_and(|account| account.sublist().has_literal(subject.as_bytes()))
        })
    }

    #[pyo3(signature = (account, subject, payload, *, reply="", headers=b"".as_slice()))]
    fn publish(
        &self,
        py: Python<'_>,
        account: &str,
        subject: &str,
        payload: &[u8],
        reply: &str,
        headers: &[u8],
    ) -> PyResult<()> {
        if !keelback_subject::is_valid_literal(subject.as_bytes()) {
            return Err(CoreError::new_err(format!("{subject:?} is no subject to publish to")));
        }
        py.detach(|| {
            let account = self.reactor.hub().account(account);
            let message = Message { reply: reply.as_bytes(), headers, payload };
            if let Some(account) = account {
                self.reactor.publish(&account, subject.as_bytes(), &message);
            }
        });
        Ok(())
    }

    #[pyo3(signature = (directory, *, durable=true, waiting_bytes_max=134_217_728, log_file_bytes=67_108_864))]
    fn open_store(
        &self,
        py: Python<'_>,
        directory: &str,
        durable: bool,
        waiting_bytes_max: usize,
        log_file_bytes: u32,
    ) -> PyResult<Store> {
        let opened = py.detach(|| {
            let disk = RealDisk::new(directory).map_err(|error| error.to_string())?;
            let options = StoreOptions {
                is_lazy: !durable,
                waiting_bytes_max,
                log_file_bytes,
                ..StoreOptions::default()
            };
            self.reactor.open_streams(disk, &options).map_err(|error| error.to_string())
        });
        let streams = opened.map_err(StoreError::new_err)?;
        *lock(&self.streams) = Some(streams.clone());
        Ok(Store(streams))
    }

    fn close_store(&self, py: Python<'_>) {
        py.detach(|| {
            let streams = lock(&self.streams).take();
            if let Some(streams) = streams {
                self.reactor.close_streams(&streams);
            }
        });
    }

    fn open_pipe(&self, py: Python<'_>) -> PyResult<Pipe> {
        Ok(Pipe(py.detach(|| self.reactor.open_pipe())?))
    }

    #[pyo3(signature = (at_most=1024))]
    fn take_events(&self, py: Python<'_>, at_most: usize) -> PyResult<Vec<Py<PyAny>>> {
        let events = py.detach(|| {
            self.waker.reset();
            let (events, has_more) = self.events.take(at_most);
            if has_more {
                self.waker.wake();
            }
            events
        });
        events.into_iter().map(|event| to_python(py, event)).collect()
    }

    fn admit(&self, py: Python<'_>, admissions: Vec<Bound<'_, Admission>>) {
        let admissions: Vec<_> = admissions
            .iter()
            .map(|record| (record.get().connection, record.get().admission.clone()))
            .collect();
        py.detach(|| {
            for (connection, admission) in admissions {
                self.reactor.admit(connection, admission);
            }
        });
    }

    fn refuse(&self, py: Python<'_>, refusals: Vec<Bound<'_, Refusal>>) {
        let refusals: Vec<_> =
            refusals.iter().map(|record| (record.get().connection, record.get().reason)).collect();
        py.detach(|| {
            for (connection, reason) in refusals {
                self.reactor.refuse(connection, reason);
            }
        });
    }

    #[pyo3(signature = (connection, reason, *, error=String::new()))]
    fn close(&self, py: Python<'_>, connection: u64, reason: &str, error: String) -> PyResult<()> {
        let reason = closed_reason(reason)?;
        if error.contains(['\r', '\n']) {
            return Err(CoreError::new_err(format!("{error:?} is not one line")));
        }
        py.detach(|| {
            if error.is_empty() {
                self.reactor.close(connection, reason);
            } else {
                self.reactor.dismiss(connection, reason, error);
            }
        });
        Ok(())
    }

    fn connections(&self, py: Python<'_>) -> Vec<u64> {
        py.detach(|| self.reactor.hub().connections().iter().map(|each| each.id).collect())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counters, closed) = py.detach(|| (self.counters(), self.reactor.hub().closed()));
        let stats = PyDict::new(py);
        for (name, value) in counters {
            stats.set_item(name, value)?;
        }
        for (reason, count) in closed {
            stats.set_item(format!("closed:{reason}"), count)?;
        }
        Ok(stats)
    }

    fn connection_page(
        &self,
        py: Python<'_>,
        query: &Bound<'_, ConnectionQuery>,
    ) -> (usize, Vec<ConnectionInfo>) {
        let query = &query.get().0;
        let page = py.detach(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            self.reactor.connection_page(query, u64::try_from(now).unwrap_or(u64::MAX))
        });
        (page.total, page.connections.into_iter().map(ConnectionInfo).collect())
    }

    fn accounts(&self, py: Python<'_>) -> Vec<AccountInfo> {
        let accounts = py.detach(|| self.reactor.hub().account_page());
        accounts.into_iter().map(AccountInfo).collect()
    }

    #[pyo3(signature = (account=""))]
    fn sublist_stats<'py>(&self, py: Python<'py>, account: &str) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.reactor.sublist_stats(account));
        let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let found = PyDict::new(py);
        for (name, count) in [
            ("num_subscriptions", stats.subscriptions),
            ("num_cache", stats.cache.entries),
            ("num_inserts", stats.inserts),
            ("num_removes", stats.removes),
            ("num_matches", stats.lookups),
            ("max_fanout", stats.cache.fanout_max),
        ] {
            found.set_item(name, count)?;
        }
        found.set_item("cache_hit_rate", ratio(stats.hits, stats.lookups))?;
        found.set_item("avg_fanout", ratio(stats.cache.fanout_sum, stats.cache.entries))?;
        Ok(found)
    }

    #[pyo3(signature = (*, account="", test="", offset=0, limit=1024))]
    fn subscriptions(
        &self,
        py: Python<'_>,
        account: &str,
        test: &str,
        offset: i64,
        limit: i64,
    ) -> PyResult<(usize, Vec<SubscriptionInfo>)> {
        if !test.is_empty() && !keelback_subject::is_valid_literal(test.as_bytes()) {
            return Err(CoreError::new_err(format!(
                "invalid test subject, must be valid publish subject: {test}"
            )));
        }
        let (offset, limit) = bounds(offset, limit);
        let hub = self.reactor.hub();
        let (total, page) = py.detach(|| hub.subscription_page(account, test, offset, limit));
        Ok((total, page.into_iter().map(SubscriptionInfo).collect()))
    }

    fn ping_unmeasured(&self, py: Python<'_>) {
        py.detach(|| self.reactor.measure());
    }

    fn set_closed_limit(&self, py: Python<'_>, max_closed: i64) {
        let most = usize::try_from(max_closed).unwrap_or(0);
        py.detach(|| self.reactor.hub().set_closed_max(most));
    }

    #[pyo3(signature = (*, fd=-1, debug=false, trace=false, trace_system=false, logtime=true,
        utc_offset=0, colour=false, pid=0, json=false, size_limit=0, written=0))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "keywords")]
    fn set_log(
        &self,
        fd: i32,
        debug: bool,
        trace: bool,
        trace_system: bool,
        logtime: bool,
        utc_offset: i64,
        colour: bool,
        pid: u32,
        json: bool,
        size_limit: u64,
        written: u64,
    ) -> PyResult<()> {
        let writer: Option<Box<dyn std::io::Write + Send>> = if fd < 0 {
            None
        } else {
            // SAFETY: Python's caller owns `fd` and keeps it open during this call, which only
            // duplicates it.
            let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
            Some(Box::new(File::from(borrowed.try_clone_to_owned()?)))
        };
        let format = Format { json, logtime, utc_offset_s: utc_offset, colour, pid };
        let output = Output::new(writer, size_limit, written);
        let levels = Levels { debug, trace, trace_system };
        self.reactor.hub().log.configure(format, output, levels);
        Ok(())
    }

    fn log(&self, py: Python<'_>, level: &str, text: &str) -> PyResult<()> {
        let level = match level {
            "INF" => Level::Info,
            "WRN" => Level::Warn,
            "ERR" => Level::Error,
            "FTL" => Level::Fatal,
            "DBG" => Level::Debug,
            "TRC" => Level::Trace,
            other => return Err(CoreError::new_err(format!("{other:?} is not a log level"))),
        };
        py.detach(|| match level {
            Level::Debug => self.reactor.hub().log.debug(|| text.to_owned()),
            Level::Trace => self.reactor.hub().log.trace(|| text.to_owned()),
            level => self.reactor.hub().log.write(level, text),
        });
        Ok(())
    }

    fn shutdown(&self, py: Python<'_>) {
        py.detach(|| {
            self.reactor.shutdown();
            let streams = lock(&self.streams).take();
            if let Some(streams) = streams {
                self.reactor.close_streams(&streams);
            }
        });
    }
}

impl Plane {
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let hub = self.reactor.hub();
        let totals = &hub.totals;
        let gone = &totals.gone;
        let connections = hub.connections();
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let sum =
            |pick: fn(&keelback_engine::connection::Counters) -> &std::sync::atomic::AtomicU64| {
                load(pick(gone))
                    + connections.iter().map(|each| load(pick(&each.counters))).sum::<u64>()
            };
        let pending: usize = connections
            .iter()
            .map(|each| keelback_engine::lock(&each.outbound).pending_bytes())
            .sum();
        let subscriptions: usize =
            hub.accounts().iter().map(|account| account.sublist().len()).sum();
        vec![
            ("connections", connections.len() as u64),
            ("total_connections", load(&totals.connections)),
            ("subscriptions", subscriptions as u64),
            ("in_msgs", sum(|counters| &counters.in_msgs)),
            ("out_msgs", sum(|counters| &counters.out_msgs)),
            ("in_bytes", sum(|counters| &counters.in_bytes)),
            ("out_bytes", sum(|counters| &counters.out_bytes)),
            ("slow_consumers", load(&totals.slow_consumers)),
            ("stalls", load(&totals.stalls)),
            ("stalled_clients", load(&totals.stalls)),
            ("stale_connections", load(&totals.stale_connections)),
            ("panics", load(&totals.panics)),
            ("pending_bytes", pending as u64),
            ("events_dropped", self.events.dropped()),
        ]
    }
}
