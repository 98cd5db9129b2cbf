//! What sockets of peers on this machine get, where there is no distance to bridge.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::getpeername;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_tcp_congestion};

/// Nothing can congest. BBR, the default of some systems, paces what it sends by timers, which costs
/// processor time and fills our queues (with it: one-to-one +45 % processor time at 1 KiB, +30 % at
/// 16 KiB). Reno is in every kernel.
const CONGESTION_CONTROL: &str = "reno";

/// Receive buffer of a connection that floods us with small messages. What the kernel holds beyond
/// this has left the processor's cache when it is read: publishing 128 B takes 31 ns a message
/// instead of 66, one-to-one 128 B 15 % less. Large messages would pay for it with wake-ups
/// (+20 % at 1 KiB): for them the kernel finds the size.
const RECEIVE_BYTES: usize = 256 << 10;

/// Payloads up to this are small (bytes).
const SMALL_BYTES: u64 = 512;

/// A new connection, or the listener from which it inherits.
pub(crate) fn expect_no_distance(fd: &OwnedFd) {
    // A kernel that does not let us keeps its own, which serves as well.
    let _ = set_tcp_congestion(fd, CONGESTION_CONTROL);
}

/// A connection that has filled a whole read for the first time, with what it has published so far.
pub(crate) fn fit_receive_buffer(fd: &OwnedFd, messages: u64, payload_bytes: u64) {
    if messages > 0 && payload_bytes / messages <= SMALL_BYTES && is_local(fd) {
        let _ = set_socket_recv_buffer_size(fd, RECEIVE_BYTES);
    }
}

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
    fn small_messages_fix_the_receive_buffer_and_large_ones_leave_it_to_the_kernel()
    -> std::io::Result<()> {
        let (before, after) = size_after(1000, 1000 * SMALL_BYTES)?;
        assert_ne!(before, after);
        let (before, after) = size_after(1000, 1000 * (SMALL_BYTES + 1))?;
        assert_eq!(before, after);
        let (before, after) = size_after(0, 0)?;
        assert_eq!(before, after);
        Ok(())
    }
}
