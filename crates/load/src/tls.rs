//! TLS for the generator: encrypts and decrypts, and verifies nobody.
//!
//! The server under test has a certificate made for the run, and what is measured is its work:
//! so the client takes any certificate. Nothing outside the load generator may use this file.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::connection::READ_BYTES;

/// The client's side of one TLS connection.
pub(crate) struct Session {
    connection: ClientConnection,
    /// Ciphertext that was read from the socket, and how much of it rustls has taken.
    wire: Vec<u8>,
    wire_end: usize,
    wire_taken: usize,
}

impl Session {
    pub(crate) fn shake_hands(socket: &mut TcpStream) -> io::Result<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAnybody(provider)))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut connection =
            ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        connection.set_buffer_limit(Some(READ_BYTES));
        while connection.is_handshaking() {
            connection.complete_io(socket)?;
        }
        Ok(Self { connection, wire: vec![0; READ_BYTES], wire_end: 0, wire_taken: 0 })
    }

    pub(crate) fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            filled += self.decrypted(&mut buffer[filled..])?;
            if filled == buffer.len() {
                return Ok(filled);
            }
            if self.wire_taken == self.wire_end {
                if filled > 0 {
                    return Ok(filled);
                }
                // One large read: rustls by itself reads 4 KiB at a time.
                self.wire_end = socket.read(&mut self.wire)?;
                self.wire_taken = 0;
                if self.wire_end == 0 {
                    return Ok(0);
                }
            }
            let mut rest = &self.wire[self.wire_taken..self.wire_end];
            self.wire_taken += self.connection.read_tls(&mut rest)?;
            self.connection.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn decrypted(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut reader = self.connection.reader();
        let mut filled = 0;
        while filled < buffer.len() {
            let bytes = match reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                break;
            }
            let taken = bytes.len().min(buffer.len() - filled);
            buffer[filled..filled + taken].copy_from_slice(&bytes[..taken]);
            reader.consume(taken);
            filled += taken;
        }
        Ok(filled)
    }

    pub(crate) fn write(&mut self, socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.connection.writer().write(bytes)?;
        while self.connection.wants_write() {
            self.connection.write_tls(socket)?;
        }
        Ok(taken)
    }
}

#[derive(Debug)]
struct TrustsAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustsAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
