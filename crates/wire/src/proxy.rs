//! The PROXY protocol, versions 1 and 2: the header in which a load balancer says whose connection
//! it hands on. Bytes in, an address out.
//!
//! Source: the specification of `HAProxy`; what is accepted, and the texts of what is not, are
//! nats-server's. A connection without a header is accepted too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// Starts a header of version 1.
const TEXT_PREFIX: &[u8] = b"PROXY ";

/// The longest header of version 1, line end included (bytes).
pub const TEXT_BYTES_MAX: usize = 107;

/// Starts a header of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and protocol, length of what follows.
const FIXED_BYTES: usize = 16;

/// The longest header of version 2 (bytes).
pub const HEADER_BYTES_MAX: usize = FIXED_BYTES + u16::MAX as usize;

/// Tells one version from the other and both from anything else (bytes).
const VERSION_BYTES: usize = 6;

/// What the start of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not whole yet: none of it belongs to what follows the header.
    More,
    /// No header; all of it belongs to the protocol.
    Absent,
    /// A header of so many bytes.
    Header {
        /// Its length.
        used_bytes: usize,
        /// Whose connection it is; `None` is the balancer's own (a health check).
        source: Option<(IpAddr, u16)>,
    },
}

/// A header that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// It is not what the specification says.
    Invalid(&'static str),
    /// A version other than 2, behind the signature of version 2.
    Version(u8),
    /// A protocol that is not TCP, in version 1.
    Protocol(String),
    /// A port that is none.
    Port {
        /// Whose.
        whose: &'static str,
        /// As it was written.
        text: String,
        /// It is a number, but too large.
        is_too_large: bool,
    },
    /// What nats-server does not support, nor do we.
    NotStream,
    /// Neither IPv4 nor IPv6.
    Family(u8),
    /// Neither LOCAL nor PROXY.
    Command(u8),
    /// Less than the family's addresses need.
    TooShort {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// What was announced.
        bytes: usize,
    },
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INVALID: &str = "invalid PROXY protocol header";
        const UNSUPPORTED: &str = "unsupported PROXY protocol feature";
        match self {
            Self::Invalid(why) => write!(f, "{INVALID}: {why}"),
            Self::Version(version) => write!(f, "{INVALID}: invalid version 0x{version:02x}"),
            Self::Protocol(protocol) => write!(f, "{INVALID}: invalid protocol {protocol}"),
            Self::Port { whose, text, is_too_large } => {
                let text = crate::quote::quote(text.as_bytes());
                let why = if *is_too_large { "value out of range" } else { "invalid syntax" };
                write!(f, "invalid {whose} port: strconv.ParseUint: parsing {text}: {why}")
            }
            Self::NotStream => write!(f, "{UNSUPPORTED}: only STREAM protocol supported"),
            Self::Family(family) => {
                write!(f, "{UNSUPPORTED}: unsupported address family 0x{family:02x}")
            }
            Self::Command(command) => {
                write!(f, "unknown PROXY protocol command: 0x{command:02x}")
            }
            Self::TooShort { family, bytes } => {
                write!(f, "{family} address data too short: {bytes} bytes")
            }
        }
    }
}

/// Reads the header at the start of `input`.
///
/// # Errors
/// There is one, and it is refused; the connection closes.
pub fn next_header(input: &[u8]) -> Result<Step, ProxyError> {
    if TEXT_PREFIX.starts_with(&input[..input.len().min(VERSION_BYTES)]) {
        return text_header(input);
    }
    if SIGNATURE[..VERSION_BYTES].starts_with(&input[..input.len().min(VERSION_BYTES)]) {
        return binary_header(input);
    }
    Ok(Step::Absent)
}

/// What nats-server says of a header that did not become whole: `end` is `EOF`, or the time is up.
pub fn unfinished(input: &[u8], end: Unfinished) -> String {
    let (part, is_started) = match input.len() {
        have @ 0..VERSION_BYTES => ("read protocol version", have > 0),
        _ if input.starts_with(TEXT_PREFIX) => ("read v1 line", false),
        have @ VERSION_BYTES..12 => ("read v2 signature", have > VERSION_BYTES),
        have @ 12..FIXED_BYTES => ("read v2 header", have > 12),
        have => {
            let is_local = input[12] & 0x0F == LOCAL;
            match (is_local, input[13] & 0xF0) {
                (true, _) => ("discard LOCAL command address data", false),
                (false, 0x10) => ("read IPv4 address data", have > FIXED_BYTES),
                (false, 0x20) => ("read IPv6 address data", have > FIXED_BYTES),
                (false, _) => ("discard UNSPEC address address data", false),
            }
        }
    };
    let why = match end {
        Unfinished::Late => "i/o timeout",
        Unfinished::Ended if is_started => "unexpected EOF",
        Unfinished::Ended => "EOF",
    };
    format!("failed to {part}: {why}")
}

/// Why a header did not become whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The peer ended the connection.
    Ended,
    /// It took too long.
    Late,
}

/// `PROXY TCP4 10.0.0.1 10.0.0.2 1111 4222\r\n`.
fn text_header(input: &[u8]) -> Result<Step, ProxyError> {
    let window = &input[..input.len().min(TEXT_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        if window.len() == TEXT_BYTES_MAX {
            return Err(ProxyError::Invalid("v1 line too long"));
        }
        return Ok(Step::More);
    };
    let line = String::from_utf8_lossy(&window[TEXT_PREFIX.len()..end]);
    let parts: Vec<&str> = line.split_whitespace().collect();
    let used_bytes = end + 2;
    if parts.first() == Some(&"UNKNOWN") {
        return Ok(Step::Header { used_bytes, source: None });
    }
    let [protocol, source, destination, source_port, destination_port] = parts[..] else {
        return Err(ProxyError::Invalid("invalid v1 format"));
    };
    let (Ok(source_ip), Ok(_)) = (source.parse(), destination.parse::<IpAddr>()) else {
        return Err(ProxyError::Invalid("invalid address"));
    };
    let port = port(source_port, "source")?;
    self::port(destination_port, "dest")?;
    let is_long = |address: &str| address.contains(':');
    match protocol {
        "TCP4" if is_long(source) || is_long(destination) => {
            Err(ProxyError::Invalid("TCP4 with IPv6 address"))
        }
        "TCP6" if !is_long(source) || !is_long(destination) => {
            Err(ProxyError::Invalid("TCP6 with IPv4 address"))
        }
        "TCP4" | "TCP6" => {
            Ok(Step::Header { used_bytes, source: Some((canonical(source_ip), port)) })
        }
        other => Err(ProxyError::Protocol(other.to_owned())),
    }
}

/// Digits alone, as Go reads an unsigned number.
fn port(text: &str, whose: &'static str) -> Result<u16, ProxyError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if is_number { text.parse().ok() } else { None };
    parsed.ok_or_else(|| ProxyError::Port { whose, text: text.to_owned(), is_too_large: is_number })
}

/// The command of a balancer's own connection.
const LOCAL: u8 = 0x00;
const PROXY: u8 = 0x01;

fn binary_header(input: &[u8]) -> Result<Step, ProxyError> {
    let known = input.len().min(SIGNATURE.len());
    if known == SIGNATURE.len() && input[..known] != SIGNATURE[..] {
        return Err(ProxyError::Invalid("invalid signature"));
    }
    let Some(fixed) = input.get(..FIXED_BYTES) else { return Ok(Step::More) };
    let (version, command) = (fixed[12] & 0xF0, fixed[12] & 0x0F);
    let (family, protocol) = (fixed[13] & 0xF0, fixed[13] & 0x0F);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version != 0x20 {
        return Err(ProxyError::Version(version));
    }
    if command != LOCAL {
        check_proxied(command, family, protocol, length)?;
    }
    let used_bytes = FIXED_BYTES + length;
    let Some(addresses) = input.get(FIXED_BYTES..used_bytes) else { return Ok(Step::More) };
    let source = match family {
        _ if command == LOCAL => None,
        0x10 => {
            let ip: [u8; 4] = array(addresses);
            Some((IpAddr::V4(Ipv4Addr::from(ip)), u16::from_be_bytes(array(&addresses[8..]))))
        }
        0x20 => {
            let ip: [u8; 16] = array(addresses);
            let ip = canonical(IpAddr::V6(Ipv6Addr::from(ip)));
            Some((ip, u16::from_be_bytes(array(&addresses[32..]))))
        }
        _ => None,
    };
    Ok(Step::Header { used_bytes, source })
}

/// Refused before what it announces is awaited.
fn check_proxied(command: u8, family: u8, protocol: u8, length: usize) -> Result<(), ProxyError> {
    if command != PROXY {
        return Err(ProxyError::Command(command));
    }
    if protocol != 0x01 {
        return Err(ProxyError::NotStream);
    }
    match family {
        0x10 if length < 12 => Err(ProxyError::TooShort { family: "IPv4", bytes: length }),
        0x20 if length < 36 => Err(ProxyError::TooShort { family: "IPv6", bytes: length }),
        0x00 | 0x10 | 0x20 => Ok(()),
        other => Err(ProxyError::Family(other)),
    }
}

/// The first bytes, of which there are enough.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

/// An IPv4 address in the clothes of IPv6 is shown as what it is, as Go does.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}
