//! The INFO line that a server greets its clients with.
//!
//! What is the server's is encoded once ([`ServerInfo::prepare`]); each connection's part is put
//! between the pieces ([`PreparedInfo::write`]). Fields stand in nats-server's order, and are left
//! out when nats-server leaves them out: what it would write as `false`, 0 or empty, for most.

mod check;

use std::io::Write;

pub use self::check::check;

/// What all clients of a listener are told. WebSocket listeners have one of their own, with their
/// host, port and `connect_urls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// The server's public nkey.
    pub server_id: String,
    /// The server's name.
    pub server_name: String,
    /// nats-server's version whose behaviour this is.
    pub version: String,
    /// Version of the client protocol.
    pub proto: u32,
    /// Left out when empty.
    pub git_commit: String,
    /// Version of the run-time; nats-server gives that of Go.
    pub go: String,
    /// Advertised, or listened on.
    pub host: String,
    /// Advertised, or listened on.
    pub port: u16,
    /// Headers are supported.
    pub headers: bool,
    /// Clients must authenticate.
    pub auth_required: bool,
    /// Clients must use TLS.
    pub tls_required: bool,
    /// Clients must show a certificate.
    pub tls_verify: bool,
    /// Clients may use TLS.
    pub tls_available: bool,
    /// Largest payload (bytes); -1 is without limit.
    pub max_payload: i64,
    /// `JetStream` is on.
    pub jetstream: bool,
    /// Name of the cluster; left out when empty.
    pub cluster: String,
    /// `JetStream` domain; left out when empty.
    pub domain: String,
    /// Where else to connect, `host:port`; left out when empty.
    pub connect_urls: Vec<String>,
    /// Lame duck mode.
    pub ldm: bool,
    /// Level of the `JetStream` API; left out when 0.
    pub api_lvl: u32,
    /// The server's public curve key; left out when empty.
    pub xkey: String,
    /// Our own version; left out when empty. nats-server has no such field.
    pub keelback: String,
}

/// What one client is told in addition, and where it is told something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInfo<'a> {
    /// Left out when 0.
    pub client_id: u64,
    /// Left out when empty.
    pub client_ip: &'a str,
    /// To be signed by the client; left out when empty.
    pub nonce: &'a str,
    /// This INFO answers a CONNECT.
    pub connect_info: bool,
    /// The account that the user was bound to; left out when empty.
    pub remote_account: &'a str,
    /// That account is the system account.
    pub acc_is_sys: bool,
    /// In place of the server's.
    pub max_payload: Option<i64>,
    /// In place of the server's.
    pub auth_required: Option<bool>,
    /// In place of the server's.
    pub tls_required: Option<bool>,
    /// In place of the server's.
    pub tls_available: Option<bool>,
    /// In place of the server's.
    pub ldm: Option<bool>,
}

/// A server's INFO, encoded but for the connection's part.
#[derive(Clone, Debug)]
pub struct PreparedInfo {
    /// `INFO {` up to `headers`.
    head: Vec<u8>,
    auth_required: bool,
    tls_required: bool,
    tls_verify: &'static str,
    tls_available: bool,
    max_payload: i64,
    jetstream: &'static str,
    /// `cluster`, `domain` and `connect_urls`.
    middle: Vec<u8>,
    ldm: bool,
    /// `api_lvl` up to the line's end.
    tail: Vec<u8>,
}

impl ServerInfo {
    /// Encodes what does not change from client to client.
    pub fn prepare(&self) -> PreparedInfo {
        let mut head = b"INFO {\"server_id\":".to_vec();
        push_string(&mut head, &self.server_id);
        push_field(&mut head, "server_name", &self.server_name);
        push_field(&mut head, "version", &self.version);
        push(&mut head, format_args!(",\"proto\":{}", self.proto));
        push_field_unless_empty(&mut head, "git_commit", &self.git_commit);
        push_field(&mut head, "go", &self.go);
        push_field(&mut head, "host", &self.host);
        push(&mut head, format_args!(",\"port\":{},\"headers\":{}", self.port, self.headers));

        let mut middle = Vec::new();
        push_field_unless_empty(&mut middle, "cluster", &self.cluster);
        push_field_unless_empty(&mut middle, "domain", &self.domain);
        for (number, url) in self.connect_urls.iter().enumerate() {
            push_str(&mut middle, if number == 0 { ",\"connect_urls\":[" } else { "," });
            push_string(&mut middle, url);
        }
        push_if(&mut middle, !self.connect_urls.is_empty(), "]");

        let mut tail = Vec::new();
        if self.api_lvl > 0 {
            push(&mut tail, format_args!(",\"api_lvl\":{}", self.api_lvl));
        }
        push_field_unless_empty(&mut tail, "xkey", &self.xkey);
        push_field_unless_empty(&mut tail, "keelback", &self.keelback);
        // The blank before the line's end is nats-server's.
        push_str(&mut tail, "} \r\n");

        PreparedInfo {
            head,
            auth_required: self.auth_required,
            tls_required: self.tls_required,
            tls_verify: if self.tls_verify { ",\"tls_verify\":true" } else { "" },
            tls_available: self.tls_available,
            max_payload: self.max_payload,
            jetstream: if self.jetstream { ",\"jetstream\":true" } else { "" },
            middle,
            ldm: self.ldm,
            tail,
        }
    }
}

impl PreparedInfo {
    /// Appends the whole line for one client.
    pub fn write(&self, connection: &ConnectionInfo<'_>, out: &mut Vec<u8>) {
        let own = connection;
        out.extend_from_slice(&self.head);
        push_if(out, own.auth_required.unwrap_or(self.auth_required), ",\"auth_required\":true");
        push_if(out, own.tls_required.unwrap_or(self.tls_required), ",\"tls_required\":true");
        push_str(out, self.tls_verify);
        push_if(out, own.tls_available.unwrap_or(self.tls_available), ",\"tls_available\":true");
        let max_payload = own.max_payload.unwrap_or(self.max_payload);
        push(out, format_args!(",\"max_payload\":{max_payload}"));
        push_str(out, self.jetstream);
        if own.client_id > 0 {
            push(out, format_args!(",\"client_id\":{}", own.client_id));
        }
        push_field_unless_empty(out, "client_ip", own.client_ip);
        push_field_unless_empty(out, "nonce", own.nonce);
        out.extend_from_slice(&self.middle);
        push_if(out, own.ldm.unwrap_or(self.ldm), ",\"ldm\":true");
        push_if(out, own.connect_info, ",\"connect_info\":true");
        push_field_unless_empty(out, "remote_account", own.remote_account);
        push_if(out, own.acc_is_sys, ",\"acc_is_sys\":true");
        out.extend_from_slice(&self.tail);
    }
}

fn push_field_unless_empty(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        push_field(out, name, value);
    }
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    push(out, format_args!(",\"{name}\":"));
    push_string(out, value);
}

/// A JSON string with the escapes that Go writes: those of HTML too, and of the two line ends
/// that JavaScript knows.
fn push_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for character in value.chars() {
        match character {
            '"' => push_str(out, "\\\""),
            '\\' => push_str(out, "\\\\"),
            '\x08' => push_str(out, "\\b"),
            '\x0c' => push_str(out, "\\f"),
            '\n' => push_str(out, "\\n"),
            '\r' => push_str(out, "\\r"),
            '\t' => push_str(out, "\\t"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                push(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => push_str(out, character.encode_utf8(&mut [0; 4])),
        }
    }
    out.push(b'"');
}

fn push_if(out: &mut Vec<u8>, condition: bool, text: &str) {
    if condition {
        push_str(out, text);
    }
}

fn push_str(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::{ConnectionInfo, ServerInfo};

    fn line(server: &ServerInfo, connection: &ConnectionInfo<'_>) -> String {
        let mut out = Vec::new();
        server.prepare().write(connection, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A stand-alone server without options.
    fn plain() -> ServerInfo {
        ServerInfo {
            server_id: "NB4A".into(),
            server_name: "NB4A".into(),
            version: "2.15.1".into(),
            proto: 1,
            git_commit: "b2fd3ef".into(),
            go: "go1.27.2".into(),
            host: "127.0.0.1".into(),
            port: 41873,
            headers: true,
            max_payload: 1_048_576,
            api_lvl: 5,
            xkey: "XCYO".into(),
            ..ServerInfo::default()
        }
    }

    #[test]
    fn a_plain_server_greets_as_nats_server_does() {
        // The genuine line, with its keys cut short.
        let own = ConnectionInfo { client_id: 46, client_ip: "127.0.0.1", ..Default::default() };
        assert_eq!(
            line(&plain(), &own),
            "INFO {\"server_id\":\"NB4A\",\"server_name\":\"NB4A\",\"version\":\"2.15.1\",\
             \"proto\":1,\"git_commit\":\"b2fd3ef\",\"go\":\"go1.27.2\",\"host\":\"127.0.0.1\",\
             \"port\":41873,\"headers\":true,\"max_payload\":1048576,\"client_id\":46,\
             \"client_ip\":\"127.0.0.1\",\"api_lvl\":5,\"xkey\":\"XCYO\"} \r\n"
        );
    }

    #[test]
    fn fields_stand_in_nats_servers_order() {
        let server = ServerInfo {
            server_name: "a<b>&é\"\\\x01\u{2028}".into(),
            auth_required: true,
            tls_required: true,
            tls_verify: true,
            tls_available: true,
            jetstream: true,
            cluster: "c1".into(),
            domain: "hub".into(),
            connect_urls: vec!["h:1".into(), "h:2".into()],
            ldm: true,
            keelback: "0.1.0".into(),
            ..plain()
        };
        let own = ConnectionInfo {
            client_id: 8,
            client_ip: "::1",
            nonce: "BG_-",
            connect_info: true,
            remote_account: "$G",
            acc_is_sys: true,
            ..Default::default()
        };
        assert_eq!(
            line(&server, &own),
            "INFO {\"server_id\":\"NB4A\",\
             \"server_name\":\"a\\u003cb\\u003e\\u0026é\\\"\\\\\\u0001\\u2028\",\
             \"version\":\"2.15.1\",\"proto\":1,\"git_commit\":\"b2fd3ef\",\"go\":\"go1.27.2\",\
             \"host\":\"127.0.0.1\",\"port\":41873,\"headers\":true,\"auth_required\":true,\
             \"tls_required\":true,\"tls_verify\":true,\"tls_available\":true,\
             \"max_payload\":1048576,\"jetstream\":true,\"client_id\":8,\"client_ip\":\"::1\",\
             \"nonce\":\"BG_-\",\"cluster\":\"c1\",\"domain\":\"hub\",\
             \"connect_urls\":[\"h:1\",\"h:2\"],\"ldm\":true,\"connect_info\":true,\
             \"remote_account\":\"$G\",\"acc_is_sys\":true,\"api_lvl\":5,\"xkey\":\"XCYO\",\
             \"keelback\":\"0.1.0\"} \r\n"
        );
    }

    #[test]
    fn a_connection_may_be_told_otherwise() {
        let server = ServerInfo { tls_required: true, ..plain() };
        let own = ConnectionInfo {
            max_payload: Some(-1),
            tls_required: Some(false),
            tls_available: Some(true),
            ldm: Some(true),
            ..Default::default()
        };
        let line = line(&server, &own);
        assert!(!line.contains("tls_required") && line.contains(",\"tls_available\":true"));
        assert!(line.contains(",\"max_payload\":-1,\"ldm\":true,\"api_lvl\""), "{line}");
    }
}
