//! Listening sockets and what they accept.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::Duration;

use keelback_engine::lock;
use keelback_engine::session::TlsOffer;
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};

use crate::local::expect_no_distance;

/// Connections that may wait to be accepted: a reconnect storm must not be refused.
const BACKLOG: i32 = 4096;

/// What TLS means on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain only.
    #[default]
    Off,
    /// INFO, then a handshake.
    Required,
    /// INFO, then the first byte decides.
    Available,
    /// A handshake before INFO.
    First(First),
}

impl TlsMode {
    /// What INFO says of it, if it comes before a handshake.
    pub(crate) fn offer(self) -> TlsOffer {
        match self {
            Self::Off => TlsOffer::None,
            Self::Available | Self::First(First { plain_too: true, .. }) => TlsOffer::Available,
            Self::Required | Self::First(_) => TlsOffer::Required,
        }
    }
}

/// A handshake that comes before INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct First {
    /// How long to wait for a handshake before INFO is sent in plain; `None` waits for no other.
    pub fallback: Option<Duration>,
    /// After that INFO the first byte decides, as on a listener with `Available`.
    pub plain_too: bool,
}

/// Where and how clients connect. The certificates are the reactor's, for all listeners.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    /// Address or name.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
    /// TLS.
    pub tls: TlsMode,
    /// Balancers say whose connections they hand on.
    pub proxy_protocol: bool,
    /// TLS handshakes that begin in one second at most; 0 is without limit.
    pub connection_rate_limit: u64,
}

/// A bound listener.
pub struct Listening {
    pub(crate) fd: OwnedFd,
    /// As bound: never 0.
    pub(crate) port: u16,
    /// Of what is accepted from now on.
    tls: Mutex<TlsMode>,
    proxy_protocol: bool,
    /// Bound to a loopback address: what is accepted inherits what is set for that.
    is_local: bool,
}

/// A connection that nobody owns yet.
pub struct Accepted {
    pub(crate) fd: OwnedFd,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: TlsMode,
    pub(crate) proxy_protocol: bool,
}

impl Listening {
    /// Binds and listens; the address is the one bound.
    ///
    /// # Errors
    /// The name does not resolve, or the address cannot be bound.
    pub(crate) fn bind(options: &ListenerOptions) -> io::Result<(Self, SocketAddr)> {
        let host = options.host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, options.port).to_socket_addrs()? {
            match Self::bind_one(&address) {
                Ok(fd) => {
                    let bound = SocketAddr::try_from(rustix::net::getsockname(&fd)?)?;
                    let listening = Self {
                        fd,
                        port: bound.port(),
                        tls: Mutex::new(options.tls),
                        proxy_protocol: options.proxy_protocol,
                        is_local: bound.ip().is_loopback(),
                    };
                    return Ok((listening, bound));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_one(address: &SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(family, SocketType::STREAM, flags, None)?;
        set_socket_reuseaddr(&fd, true)?;
        // As Go does: small messages must not wait for an acknowledgement. What is accepted here
        // inherits it.
        set_tcp_nodelay(&fd, true)?;
        if address.ip().is_loopback() {
            expect_no_distance(&fd);
        }
        bind(&fd, address)?;
        listen(&fd, BACKLOG)?;
        Ok(fd)
    }

    /// Sets what TLS means to connections that are accepted from now on.
    pub(crate) fn set_tls(&self, tls: TlsMode) {
        *lock(&self.tls) = tls;
    }

    /// Takes one waiting connection; `None` when there is none.
    ///
    /// # Errors
    /// As `accept(2)`: out of descriptors, for one.
    pub(crate) fn accept(&self) -> io::Result<Option<Accepted>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::acceptfrom_with(&self.fd, flags) {
            Ok((fd, peer)) => {
                let peer = peer.map(SocketAddr::try_from).transpose()?;
                let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
                if peer.ip().to_canonical().is_loopback() && !self.is_local {
                    expect_no_distance(&fd);
                }
                let (tls, proxy_protocol) = (*lock(&self.tls), self.proxy_protocol);
                Ok(Some(Accepted { fd, peer, tls, proxy_protocol }))
            }
            // Nobody waits, or the peer went while it did: the next one, at the next turn.
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
