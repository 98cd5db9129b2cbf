//! What every workload is told: where the server is, how long to run, what to check.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::arguments::Arguments;
use crate::error::LoadError;
use crate::meter::ServerProcess;

/// How much to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amount {
    /// Until this much time is over, then whatever was begun is finished.
    Time(Duration),
    /// Exactly so many messages for each publisher.
    Messages(u64),
}

/// The server, and what is common to all workloads.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) user: Option<(String, String)>,
    pub(crate) tls: bool,
    /// The server is our relay: deliveries are the publisher's bytes.
    pub(crate) raw: bool,
    /// Compare every byte of every delivery.
    pub(crate) verify: bool,
    pub(crate) amount: Amount,
    /// Silence after which a run has failed.
    pub(crate) timeout: Duration,
    /// Bytes that may be on the way to one subscriber; `None` takes a default by their number.
    pub(crate) window_bytes: Option<u64>,
    pub(crate) server: Option<ServerProcess>,
}

impl Options {
    /// Takes the common options off the command line.
    pub(crate) fn take(arguments: &mut Arguments) -> Result<Self, LoadError> {
        let server: Option<String> = arguments.option("--server")?;
        let server = server.unwrap_or_else(|| "127.0.0.1:4222".to_owned());
        let address = server
            .to_socket_addrs()
            .map_err(|error| LoadError::io(format!("--server {server}"), error))?
            .next()
            .ok_or_else(|| LoadError::Usage(format!("--server {server}: no address")))?;
        let seconds: f64 = arguments.option("--seconds")?.unwrap_or(1.0);
        let amount = match arguments.option("--messages")? {
            Some(messages) => Amount::Messages(messages),
            None => Amount::Time(duration("--seconds", seconds)?),
        };
        let user: Option<String> = arguments.option("--user")?;
        let password: Option<String> = arguments.option("--pass")?;
        let tls = arguments.switch("--tls");
        if tls && !cfg!(feature = "tls") {
            let problem = "--tls: this keelback-load was built without the feature `tls`";
            return Err(LoadError::Usage(problem.to_owned()));
        }
        Ok(Self {
            address,
            user: user.map(|user| (user, password.unwrap_or_default())),
            tls,
            raw: arguments.switch("--raw"),
            verify: arguments.switch("--verify"),
            amount,
            timeout: duration("--timeout", arguments.option("--timeout")?.unwrap_or(15.0))?,
            window_bytes: arguments.option("--window")?,
            server: arguments.option("--server-pid")?.map(ServerProcess::new).transpose()?,
        })
    }
}

fn duration(name: &str, seconds: f64) -> Result<Duration, LoadError> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| LoadError::Usage(format!("{name}: `{seconds}` seconds cannot be")))
}
