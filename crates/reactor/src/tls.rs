//! TLS, all of it: a listener's compiled configuration, and a transport that encrypts.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use keelback_engine::outbound::{Session, Transport};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore, ServerConfig, ServerConnection};

/// The first byte of a record with which a handshake begins.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;

const NOT_TLS: &str = "tls: first record does not look like a TLS handshake";

/// Ciphertext read at once. The thread's buffer has room for its plaintext and for a record
/// whose start came before.
const READ_BYTES: usize = TLS_ROOM_BYTES - (16 << 10);

/// What the thread's buffer has room for behind the longest tail.
pub(crate) const TLS_ROOM_BYTES: usize = 272 << 10;

/// Plaintext encrypted before the records go out.
const WRITE_BYTES: usize = 128 << 10;

/// What a listener's TLS is made of.
#[derive(Default)]
pub struct TlsOptions {
    /// Certificate chains and keys, PEM; the first is the default.
    pub certificates: Vec<(Vec<u8>, Vec<u8>)>,
    /// Roots for client certificates, PEM.
    pub client_roots: Option<Vec<u8>>,
    /// Client certificates are required and verified.
    pub verify: bool,
    /// Client certificates are asked for, and verified when one comes.
    pub request_client_certificate: bool,
    /// TLS 1.3 only.
    pub only_tls13: bool,
    /// Suites of TLS 1.2 by name, in order; empty is the default. Those of 1.3 are always on.
    pub cipher_suites: Vec<String>,
    /// Key exchange groups by name, in order; empty is the default.
    pub curve_preferences: Vec<String>,
    /// How long a handshake may take.
    pub timeout: Duration,
    /// SHA-256 of the public keys allowed, hexadecimal; empty allows all.
    pub pinned: Vec<String>,
}

/// A listener's TLS, compiled.
pub struct TlsConfig {
    config: Arc<ServerConfig>,
    pinned: Vec<String>,
    /// How long a handshake may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConfig")
    }
}

impl TlsConfig {
    /// Compiles options.
    ///
    /// # Errors
    /// What is wrong with a certificate, a key, or a name; for people.
    pub fn new(options: &TlsOptions) -> Result<Self, String> {
        let provider = Arc::new(provider(options)?);
        let versions: &[&rustls::SupportedProtocolVersion] = if options.only_tls13 {
            &[&rustls::version::TLS13]
        } else {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        };
        let keys = options
            .certificates
            .iter()
            .map(|(chain, key)| certified_key(chain, key, &provider))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("TLS needs a certificate and its key".to_owned());
        }
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(client_verifier(options, &provider)?);
        let mut config = builder.with_cert_resolver(Arc::new(Keys(keys)));
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        let pinned = options.pinned.iter().map(|hash| hash.to_ascii_lowercase()).collect();
        Ok(Self { config: Arc::new(config), pinned, timeout: options.timeout })
    }

    /// Whether the peer's key is one of those pinned, or none is.
    pub(crate) fn allows(&self, certificates: &[Vec<u8>]) -> bool {
        self.pinned.is_empty()
            || certificates
                .first()
                .and_then(|leaf| key_hash(leaf))
                .is_some_and(|hash| self.pinned.contains(&hash))
    }

    /// Wraps a socket; the handshake follows.
    ///
    /// # Errors
    /// The session cannot be made.
    pub(crate) fn wrap(
        &self,
        inner: Box<dyn Transport>,
        fd: Arc<OwnedFd>,
    ) -> io::Result<Box<dyn Transport>> {
        let mut session = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        session.set_buffer_limit(Some(WRITE_BYTES));
        Ok(Box::new(TlsTransport { inner, fd, session, has_begun: false, has_ended: false }))
    }
}

fn provider(options: &TlsOptions) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    if !options.cipher_suites.is_empty() {
        let mut chosen: Vec<_> = provider
            .cipher_suites
            .iter()
            .filter(|suite| suite.tls13().is_some())
            .copied()
            .collect();
        for name in &options.cipher_suites {
            let wanted = |suite: &&rustls::SupportedCipherSuite| suite_name(suite) == *name;
            let suite = provider.cipher_suites.iter().find(wanted);
            let suite = suite.ok_or_else(|| format!("cipher suite {name} is not supported"))?;
            if !chosen.contains(suite) {
                chosen.push(*suite);
            }
        }
        provider.cipher_suites = chosen;
    }
    if !options.curve_preferences.is_empty() {
        provider.kx_groups = options
            .curve_preferences
            .iter()
            .map(|name| key_exchange(name))
            .collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

/// A suite under the name that Go gives it.
fn suite_name(suite: &rustls::SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        // Go names the ChaCha suites without the hash they imply too.
        None => name,
    }
}

fn key_exchange(name: &str) -> Result<&'static dyn rustls::crypto::SupportedKxGroup, String> {
    match name {
        "X25519" => Ok(aws_lc_rs::kx_group::X25519),
        "CurveP256" => Ok(aws_lc_rs::kx_group::SECP256R1),
        "CurveP384" => Ok(aws_lc_rs::kx_group::SECP384R1),
        "X25519MLKEM768" => Ok(aws_lc_rs::kx_group::X25519MLKEM768),
        other => Err(format!("curve {other} is not supported")),
    }
}

fn certified_key(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, String> {
    let chain = certificates(chain, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("the private key is not PEM: {error}"))?;
    CertifiedKey::from_der(chain, key, provider)
        .map(Arc::new)
        .map_err(|error| format!("certificate and private key: {error}"))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the {what} is not PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("the {what} file has no certificate"));
    }
    Ok(found)
}

fn client_verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    if !options.verify && !options.request_client_certificate {
        return Ok(Arc::new(NoClientAuth));
    }
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &options.client_roots {
        // One that cannot be read is left out, as Go does: systems come with old ones.
        let (added, _) =
            roots.add_parsable_certificates(certificates(pem, "certificate authority")?);
        if added == 0 {
            return Err("failed to parse root ca certificate".to_owned());
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if options.verify { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| format!("client certificates: {error}"))
}

/// The server's certificates: the first whose name the client asked for, else the first that it
/// can read.
#[derive(Debug)]
struct Keys(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_read = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let is_named = |key: &&Arc<CertifiedKey>| {
            let (Some(name), Some(leaf)) = (&name, key.cert.first()) else { return false };
            webpki::EndEntityCert::try_from(leaf)
                .is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok())
        };
        let named = self.0.iter().filter(can_read).find(is_named);
        named.or_else(|| self.0.iter().find(can_read)).or(self.0.first()).cloned()
    }
}

/// A socket with a session in front of it.
struct TlsTransport {
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
        let mut total = 0;
        for piece in pieces {
            let mut rest: &[u8] = piece;
            while !rest.is_empty() {
                let taken = self.session.writer().write(rest)?;
                total += taken;
                rest = &rest[taken..];
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
        Some(Session {
            is_handshaking: self.session.is_handshaking(),
            certificates,
            protocol: protocol(&self.session),
        })
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

/// What went wrong in a handshake, in the words of nats-server where it has some.
fn problem(error: &rustls::Error) -> String {
    let verification = |what: &str| format!("tls: failed to verify certificate: x509: {what}");
    match error {
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".to_owned(),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            verification("certificate signed by unknown authority")
        }
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => verification("certificate has expired or is not yet valid"),
        Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}

/// `TLS version 1.3, cipher suite TLS_AES_128_GCM_SHA256`; empty during the handshake.
fn protocol(session: &ServerConnection) -> String {
    let Some(suite) = session.negotiated_cipher_suite().filter(|_| !session.is_handshaking())
    else {
        return String::new();
    };
    let version = if suite.tls13().is_some() { "1.3" } else { "1.2" };
    format!("TLS version {version}, cipher suite {}", suite_name(&suite))
}

/// SHA-256 of a certificate's public key information, hexadecimal.
fn key_hash(leaf: &[u8]) -> Option<String> {
    let leaf = CertificateDer::from(leaf);
    let leaf = webpki::EndEntityCert::try_from(&leaf).ok()?;
    let key = leaf.subject_public_key_info();
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &key);
    Some(digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
