//! A client of rustls' own, in memory: it takes any certificate.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_ecdsa_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};

pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

/// A server whose certificate nobody reads.
pub(super) fn server(version: &'static SupportedProtocolVersion) -> ServerConnection {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key = key.to_pkcs8v1().unwrap();
    let key = PrivateKeyDer::try_from(key.as_ref().to_vec()).unwrap();
    let certificate = CertificateDer::from(vec![0x30, 0]);
    let key = CertifiedKey::new(vec![certificate], any_ecdsa_type(&key).unwrap());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(One(Arc::new(key))));
    ServerConnection::new(Arc::new(config)).unwrap()
}

pub(super) struct Client(pub(super) ClientConnection);

impl Client {
    pub(super) fn new(version: &'static SupportedProtocolVersion) -> Self {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustsAnybody))
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        Self(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    /// The ciphertext that is ready.
    pub(super) fn said(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// The ciphertext of `plaintext`.
    pub(super) fn says(&mut self, plaintext: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut rest = plaintext;
        while !rest.is_empty() {
            let taken = self.0.writer().write(rest).unwrap();
            rest = &rest[taken..];
            wire.extend(self.said());
        }
        wire
    }

    /// What the server's ciphertext says.
    pub(super) fn hears(&mut self, mut wire: &[u8]) -> Result<Vec<u8>, Error> {
        let mut heard = Vec::new();
        while !wire.is_empty() {
            if self.0.read_tls(&mut wire).unwrap() == 0 {
                break;
            }
            self.0.process_new_packets()?;
            match self.0.reader().read_to_end(&mut heard) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
        Ok(heard)
    }
}

#[derive(Debug)]
struct One(Arc<CertifiedKey>);

impl ResolvesServerCert for One {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Debug)]
struct TrustsAnybody;

impl ServerCertVerifier for TrustsAnybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
