//! A TCP socket as a transport.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use keelback_engine::outbound::Transport;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};

use crate::command::Mailbox;
use crate::poller::Interest;

/// A socket with its place in its owner's poller. Any thread may change what is polled for.
pub(crate) struct Socket {
    fd: Arc<OwnedFd>,
    mailbox: Arc<Mailbox>,
    key: u64,
    interest: Interest,
}

impl Socket {
    pub(crate) fn new(fd: Arc<OwnedFd>, mailbox: Arc<Mailbox>, key: u64) -> io::Result<Self> {
        let interest = Interest { input: true, room: false };
        mailbox.poller.add(&*fd, key, interest)?;
        Ok(Self { fd, mailbox, key, interest })
    }

    fn set(&mut self, interest: Interest) {
        if interest != self.interest {
            self.interest = interest;
            // The descriptor is registered for as long as this lives.
            let _ = self.mailbox.poller.change(&*self.fd, self.key, interest);
        }
    }
}

impl Transport for Socket {
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let sent = if let [piece] = pieces {
            rustix::net::send(&*self.fd, piece, SendFlags::NOSIGNAL)?
        } else {
            let mut control = SendAncillaryBuffer::default();
            sendmsg(&*self.fd, pieces, &mut control, SendFlags::NOSIGNAL)?
        };
        Ok(sent)
    }

    fn want_room(&mut self, wanted: bool) {
        self.set(Interest { room: wanted, ..self.interest });
    }

    fn want_input(&mut self, wanted: bool) {
        self.set(Interest { input: wanted, ..self.interest });
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(&*self.fd, buffer, RecvFlags::empty())?.0)
    }

    fn finish(&mut self) {
        let _ = shutdown(&*self.fd, Shutdown::Write);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Closing the last descriptor takes it out of the poller by itself.
        if Arc::strong_count(&self.fd) > 1 {
            let _ = self.mailbox.poller.remove(&*self.fd);
        }
    }
}
