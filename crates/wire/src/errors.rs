//! What a client is told when something is wrong, and why its connection was closed.
//!
//! Both tables are nats-server's to the letter. Which error closes a connection, and under which
//! reason, is for the connection to know.

use std::borrow::Cow;

use crate::quote::quote;

/// The text of an `-ERR` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError<'a> {
    /// A byte that continues no verb, or something other than CRLF behind a payload.
    UnknownProtocolOperation,
    /// An argument longer than `max_control_line`.
    MaximumControlLineExceeded,
    /// A payload larger than `max_payload`.
    MaximumPayloadViolation,
    /// Bad or missing credentials.
    AuthorizationViolation,
    /// No CONNECT in time.
    AuthenticationTimeout,
    /// The user's credentials ran out.
    UserAuthenticationExpired,
    /// The account's JWT ran out.
    AccountAuthenticationExpired,
    /// The account revoked the user.
    UserAuthenticationRevoked,
    /// The server's limit of connections.
    MaximumConnectionsExceeded,
    /// The account's limit of connections.
    MaximumAccountConnectionsExceeded,
    /// The user could not be bound to its account.
    FailedAccountRegistration,
    /// The limit of subscriptions.
    MaximumSubscriptionsExceeded,
    /// CONNECT asks for a `protocol` other than 0 and 1.
    InvalidClientProtocol,
    /// CONNECT asks for `no_responders` without `headers`.
    NoRespondersRequiresHeaders,
    /// SUB with a subject that is none.
    InvalidSubject,
    /// Pedantic only: PUB to a subject that is none, or holds wildcards.
    InvalidPublishSubject,
    /// Publishing to this subject is denied.
    PublishDenied {
        /// As the client sent it.
        subject: &'a [u8],
    },
    /// The reply subject is one of the server's own.
    ReplyDenied {
        /// As the client sent it.
        reply: &'a [u8],
    },
    /// Subscribing is denied.
    SubscriptionDenied {
        /// As the client sent it.
        subject: &'a [u8],
        /// Queue group, if any.
        queue: Option<&'a [u8]>,
    },
    /// The subscription's subject has more tokens than `max_sub_tokens`.
    TooManySubscriptionTokens {
        /// As the client sent it.
        subject: &'a [u8],
    },
    /// The subscription was removed because permissions changed.
    SubscriptionRevoked {
        /// As the client sent it.
        subject: &'a [u8],
        /// Queue group, if any.
        queue: Option<&'a [u8]>,
        /// The removed subscription's id.
        sid: &'a [u8],
    },
    /// PINGs were not answered.
    StaleConnection,
    /// The TLS handshake did not happen in time.
    SecureConnectionRequired,
    /// `connection_rate_limit` was hit.
    ConnectionThrottled,
    /// A client's CONNECT came to the listener for routes.
    ConnectedToRoutePort,
    /// A client's CONNECT came to the listener for gateways.
    ConnectedToGatewayPort,
    /// A client's CONNECT came to the listener for leaf nodes.
    ConnectedToLeafNodePort,
}

impl ClientError<'_> {
    /// The text between the quotes.
    pub fn text(&self) -> Cow<'static, str> {
        const SUBSCRIPTION: &str = "Permissions Violation for Subscription to";
        let fixed = match *self {
            Self::PublishDenied { subject } => {
                return format!("Permissions Violation for Publish to {}", quote(subject)).into();
            }
            Self::ReplyDenied { reply } => {
                return format!("Permissions Violation for Publish with Reply of {}", quote(reply))
                    .into();
            }
            Self::SubscriptionDenied { subject, queue } => {
                return format!("{SUBSCRIPTION} {}{}", quote(subject), using_queue(queue)).into();
            }
            Self::TooManySubscriptionTokens { subject } => {
                return format!("{SUBSCRIPTION} {}, too many tokens", quote(subject)).into();
            }
            Self::SubscriptionRevoked { subject, queue, sid } => {
                let (subject, queue, sid) = (quote(subject), using_queue(queue), quote(sid));
                return format!("{SUBSCRIPTION} {subject}{queue} (sid {sid})").into();
            }
            Self::UnknownProtocolOperation => "Unknown Protocol Operation",
            Self::MaximumControlLineExceeded => "maximum control line exceeded",
            Self::MaximumPayloadViolation => "Maximum Payload Violation",
            Self::AuthorizationViolation => "Authorization Violation",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::UserAuthenticationExpired => "User Authentication Expired",
            Self::AccountAuthenticationExpired => "Account Authentication Expired",
            Self::UserAuthenticationRevoked => "User Authentication Revoked",
            Self::MaximumConnectionsExceeded => "maximum connections exceeded",
            Self::MaximumAccountConnectionsExceeded => {
                "maximum account active connections exceeded"
            }
            Self::FailedAccountRegistration => "Failed Account Registration",
            Self::MaximumSubscriptionsExceeded => "maximum subscriptions exceeded",
            Self::InvalidClientProtocol => "invalid client protocol",
            Self::NoRespondersRequiresHeaders => "no responders requires headers support",
            Self::InvalidSubject => "Invalid Subject",
            Self::InvalidPublishSubject => "Invalid Publish Subject",
            Self::StaleConnection => "Stale Connection",
            Self::SecureConnectionRequired => "Secure Connection - TLS Required",
            Self::ConnectionThrottled => "Connection throttling is active. Please try again later.",
            Self::ConnectedToRoutePort => "attempted to connect to route port",
            Self::ConnectedToGatewayPort => "attempted to connect to gateway port",
            Self::ConnectedToLeafNodePort => "attempted to connect to leaf node port",
        };
        Cow::Borrowed(fixed)
    }

    /// Appends the whole line, `-ERR '<text>'` with its CRLF.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR '");
        out.extend_from_slice(self.text().as_bytes());
        out.extend_from_slice(b"'\r\n");
    }
}

fn using_queue(queue: Option<&[u8]>) -> String {
    queue.map(|queue| format!(" using queue {}", quote(queue))).unwrap_or_default()
}

/// Declares the reasons with their texts once, in nats-server's order.
macro_rules! closed_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a connection was closed, as `/connz`, disconnect events and WebSocket close
        /// messages show it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ClosedReason {
            $($(#[$doc])* $name,)*
        }

        impl ClosedReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason's text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

closed_reasons! {
    /// The peer ended the connection.
    ClientClosed = "Client Closed",
    /// No CONNECT in time.
    AuthenticationTimeout = "Authentication Timeout",
    /// Bad or missing credentials.
    AuthenticationFailure = "Authentication Failure",
    /// The TLS handshake failed or took too long.
    TlsHandshakeFailure = "TLS Handshake Failure",
    /// More was queued for the peer than `max_pending`.
    SlowConsumerPendingBytes = "Slow Consumer (Pending Bytes)",
    /// A write took longer than `write_deadline`.
    SlowConsumerWriteDeadline = "Slow Consumer (Write Deadline)",
    /// The socket could not be written.
    WriteError = "Write Error",
    /// The socket could not be read.
    ReadError = "Read Error",
    /// The peer sent an -ERR.
    ParseError = "Parse Error",
    /// PINGs were not answered.
    StaleConnection = "Stale Connection",
    /// What the peer sent is not the protocol.
    ProtocolViolation = "Protocol Violation",
    /// CONNECT asks for an unknown protocol version.
    BadClientProtocolVersion = "Bad Client Protocol Version",
    /// The wrong kind of peer for this listener.
    IncorrectPort = "Incorrect Port",
    /// The account's limit of connections.
    MaximumAccountConnectionsExceeded = "Maximum Account Connections Exceeded",
    /// The server's limit of connections.
    MaximumConnectionsExceeded = "Maximum Connections Exceeded",
    /// A payload larger than allowed.
    MaximumPayloadExceeded = "Maximum Message Payload Exceeded",
    /// A control line longer than allowed.
    MaximumControlLineExceeded = "Maximum Control Line Exceeded",
    /// More subscriptions than allowed.
    MaximumSubscriptionsExceeded = "Maximum Subscriptions Exceeded",
    /// A route to that server exists already.
    DuplicateRoute = "Duplicate Route",
    /// The route was taken out of the configuration.
    RouteRemoved = "Route Removed",
    /// The server stops.
    ServerShutdown = "Server Shutdown",
    /// The credentials ran out.
    AuthenticationExpired = "Authentication Expired",
    /// The gateway answered under another name.
    WrongGateway = "Wrong Gateway",
    /// The account is gone.
    MissingAccount = "Missing Account",
    /// The credentials were revoked.
    CredentialsRevoked = "Credentials Revoked",
    /// One of the server's own clients.
    InternalClient = "Internal Client",
    /// Headers that are none.
    MessageHeaderViolation = "Message Header Violation",
    /// CONNECT asks for `no_responders` without `headers`.
    NoRespondersRequiresHeaders = "No Responders Requires Headers",
    /// Servers of one cluster disagree about its name.
    ClusterNameConflict = "Cluster Name Conflict",
    /// The leaf node is connected already.
    DuplicateRemoteLeafNodeConnection = "Duplicate Remote LeafNode Connection",
    /// An MQTT client with this id is connected already.
    DuplicateClientId = "Duplicate Client ID",
    /// Two servers have one name.
    DuplicateServerName = "Duplicate Server Name",
    /// The peer is too old.
    MinimumVersionRequired = "Minimum Version Required",
    /// A leaf node's cluster has the hub's name.
    ClusterNamesIdentical = "Cluster Names Identical",
    /// An operator ended the connection.
    Kicked = "Kicked",
    /// The proxy's key is not trusted.
    ProxyNotTrusted = "Proxy Not Trusted",
    /// The user may connect through a proxy only.
    ProxyRequired = "Proxy Required",
    /// None of the others.
    Unknown = "Unknown State",
}

impl ClosedReason {
    /// The reason with this text.
    #[expect(clippy::should_implement_trait, reason = "an unknown text is no error here")]
    pub fn from_str(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }

    /// The status code under which a WebSocket is closed for this reason.
    pub const fn websocket_status(self) -> u16 {
        match self {
            Self::ClientClosed => 1000,
            Self::WriteError | Self::ReadError | Self::StaleConnection | Self::ServerShutdown => {
                1001
            }
            Self::ParseError | Self::ProtocolViolation | Self::BadClientProtocolVersion => 1002,
            Self::AuthenticationTimeout
            | Self::AuthenticationFailure
            | Self::SlowConsumerPendingBytes
            | Self::SlowConsumerWriteDeadline
            | Self::MaximumAccountConnectionsExceeded
            | Self::MaximumConnectionsExceeded
            | Self::MaximumControlLineExceeded
            | Self::MaximumSubscriptionsExceeded
            | Self::MissingAccount
            | Self::AuthenticationExpired
            | Self::CredentialsRevoked => 1008,
            Self::MaximumPayloadExceeded => 1009,
            Self::TlsHandshakeFailure => 1015,
            _ => 1011,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientError, ClosedReason};

    fn line(error: ClientError<'_>) -> String {
        let mut out = Vec::new();
        error.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn errors_are_written_as_nats_server_writes_them() {
        assert_eq!(line(ClientError::StaleConnection), "-ERR 'Stale Connection'\r\n");
        let subject = &b"a\"b\xff"[..];
        let queue = Some(&b"q"[..]);
        for (error, text) in [
            (ClientError::PublishDenied { subject }, r#"Publish to "a\"b\xff""#),
            (ClientError::ReplyDenied { reply: b"_R_.x" }, r#"Publish with Reply of "_R_.x""#),
            (
                ClientError::SubscriptionDenied { subject: b"s", queue: None },
                r#"Subscription to "s""#,
            ),
            (
                ClientError::SubscriptionDenied { subject: b"s", queue },
                r#"Subscription to "s" using queue "q""#,
            ),
            (
                ClientError::TooManySubscriptionTokens { subject: b"a.b" },
                r#"Subscription to "a.b", too many tokens"#,
            ),
            (
                ClientError::SubscriptionRevoked { subject: b"s", queue, sid: b"1" },
                r#"Subscription to "s" using queue "q" (sid "1")"#,
            ),
        ] {
            assert_eq!(line(error), format!("-ERR 'Permissions Violation for {text}'\r\n"));
        }
    }

    #[test]
    fn each_reason_is_found_by_its_text() {
        for &reason in ClosedReason::ALL {
            assert_eq!(ClosedReason::from_str(reason.as_str()), Some(reason));
        }
        assert_eq!(ClosedReason::ALL.len(), 38);
        assert_eq!(ClosedReason::from_str("client closed"), None);
    }

    #[test]
    fn websockets_close_with_the_reasons_status() {
        assert_eq!(ClosedReason::ClientClosed.websocket_status(), 1000);
        assert_eq!(ClosedReason::MaximumPayloadExceeded.websocket_status(), 1009);
        assert_eq!(ClosedReason::Kicked.websocket_status(), 1011);
    }
}
