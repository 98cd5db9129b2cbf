//! A listener's TLS, compiled: certificates, versions, suites, who is asked for a certificate.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use keelback_engine::outbound::Transport;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use super::peer::key_hash;
use super::transport::TlsTransport;

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
        let session = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        Ok(Box::new(TlsTransport::new(inner, fd, session)))
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
pub(super) fn suite_name(suite: &rustls::SupportedCipherSuite) -> String {
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
