//! A socket with a session in front of it.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use keelback_engine::outbound::{SLICES_MAX, Session, Transport};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use rustls::ServerConnection;

use super::HANDSHAKE_RECORD;
use super::peer::{problem, protocol};

const NOT_TLS: &str = "tls: first record does not look like a TLS handshake";

/// Ciphertext read at once. The thread's buffer has room for its plaintext and for a record
/// whose start came before.
const READ_BYTES: usize = TLS_ROOM_BYTES - (16 << 10);

/// What the thread's buffer has room for behind the longest tail.
pub(crate) const TLS_ROOM_BYTES: usize = 272 << 10;

/// Plaintext encrypted before the records go out.
const WRITE_BYTES: usize = 128 << 10;

/// A socket with a session in front of it.
pub(super) struct TlsTransport {
    /// The socket, for the poller's sake.
    inner: Box<dyn Transport>,
    fd: Arc<OwnedFd>,
    session: ServerConnection,
    /// The first record was one of TLS.
    has_begun: bool,
    /// The peer closed its side in order (`close_notify`). The socket need not say so as well.
    has_ended: bool,
}

/// The socket as rustls writes to it.
struct Wire<'a>(&'a OwnedFd);

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, pieces, &mut control, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// Ciphertext on its way into a session: one buffer a thread, none a connection.
    static CIPHERTEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl TlsTransport {
    pub(super) fn new(
        inner: Box<dyn Transport>,
        fd: Arc<OwnedFd>,
        mut session: ServerConnection,
    ) -> Self {
        session.set_buffer_limit(Some(WRITE_BYTES));
        Self { inner, fd, session, has_begun: false, has_ended: false }
    }

    /// Sends the records that are ready; false when the socket is full.
    fn send_records(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire(&self.fd)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Feeds ciphertext and takes plaintext, until all is fed or `buffer` is full.
    fn decrypt(&mut self, mut input: &[u8], buffer: &mut [u8]) -> io::Result<usize> {
        if !self.has_begun {
            // Whoever does not speak TLS would not understand an alert either.
            if input.first() != Some(&HANDSHAKE_RECORD) {
                return Err(io::Error::new(io::ErrorKind::Unsupported, NOT_TLS));
            }
            self.has_begun = true;
        }
        let mut filled = 0;
        loop {
            if !input.is_empty() {
                self.session.read_tls(&mut input)?;
            }
            let state = self.session.process_new_packets().map_err(|error| {
                // The alert tells the peer why.
                let _ = self.session.write_tls(&mut Wire(&self.fd));
                io::Error::new(io::ErrorKind::InvalidData, problem(&error))
            })?;
            self.has_ended = state.peer_has_closed();
            let waiting = state.plaintext_bytes_to_read();
            if waiting > 0 {
                filled += self.take_plaintext(&mut buffer[filled..])?;
            }
            if input.is_empty() {
                return Ok(filled);
            }
        }
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl Transport for TlsTransport {
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.session.is_handshaking() || !self.send_records()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut total = 0;
        for pieces in pieces.chunks(SLICES_MAX) {
            let mut rest = &mut slices[..pieces.len()];
            rest.copy_from_slice(pieces);
            // Leading empty ones go.
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                // All together: a message's line shares a record with its payload and with the
                // messages around it. With a record for each piece, messages of 16 KiB took
                // three each, and 12 % more of the processor time of a write.
                let taken = self.session.writer().write_vectored(rest)?;
                total += taken;
                IoSlice::advance_slices(&mut rest, taken);
                if taken == 0 && !self.send_records()? {
                    return Ok(total);
                }
            }
        }
        self.send_records()?;
        Ok(total)
    }

    fn want_room(&mut self, wanted: bool) {
        self.inner.want_room(wanted);
    }

    fn want_input(&mut self, wanted: bool) {
        self.inner.want_input(wanted);
    }

    fn unsent_bytes(&self) -> usize {
        usize::from(self.session.wants_write())
    }

    fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn session(&self) -> Option<Session> {
        let certificates: Vec<Vec<u8>> = self
            .session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        let (version, cipher_suite) = protocol(&self.session);
        let is_handshaking = self.session.is_handshaking();
        Some(Session { is_handshaking, certificates, version, cipher_suite })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = CIPHERTEXT.with_borrow_mut(|ciphertext| {
            let count = recv(&*self.fd, &mut ciphertext[..], RecvFlags::empty())?.0;
            if count == 0 {
                return Ok(None);
            }
            self.decrypt(&ciphertext[..count], buffer).map(Some)
        })?;
        self.send_records()?;
        match count {
            None => Ok(0),
            Some(0) if self.has_ended => Ok(0),
            // A record that is not whole, or a handshake message.
            Some(0) => Err(io::ErrorKind::WouldBlock.into()),
            Some(count) => Ok(count),
        }
    }

    fn finish(&mut self) {
        // Nothing is said to whoever is still shaking hands, beyond the alert that was sent.
        if !self.session.is_handshaking() {
            self.session.send_close_notify();
            let _ = self.send_records();
        }
        self.inner.finish();
    }
}

#[cfg(test)]
mod tests;
