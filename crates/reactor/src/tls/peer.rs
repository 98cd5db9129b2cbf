//! What is known of the peer of a session, and what went wrong with it, in words.

use std::fmt::Write as _;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, ServerConnection};

use super::config::suite_name;

/// What went wrong in a handshake, in the words of nats-server where it has some.
pub(super) fn problem(error: &Error) -> String {
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

/// `1.3`, `TLS_AES_128_GCM_SHA256`; empty during the handshake.
pub(super) fn protocol(session: &ServerConnection) -> (&'static str, String) {
    let Some(suite) = session.negotiated_cipher_suite().filter(|_| !session.is_handshaking())
    else {
        return Default::default();
    };
    let version = if suite.tls13().is_some() { "1.3" } else { "1.2" };
    (version, suite_name(&suite))
}

/// SHA-256 of a certificate's public key information, hexadecimal.
pub(super) fn key_hash(leaf: &[u8]) -> Option<String> {
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
