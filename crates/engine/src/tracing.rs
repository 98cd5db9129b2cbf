//! Protocol trace lines, in nats-server's form: `<<- [PUB foo 2]`, `->> [PONG]`. Secrets are
//! left out, payloads cut.

use keelback_wire::client::Op;
use keelback_wire::quote::quote;

use crate::Connection;
use crate::client::Client;
use crate::connection::Kind;
use crate::subscription::SubRef;
use crate::worker::Worker;

impl Worker {
    /// An operation that came in; `bytes` are its own.
    pub(crate) fn trace_in(&self, client: &Client, op: &Op<'_>, bytes: &[u8]) {
        if !self.is_traced(&client.connection) {
            return;
        }
        let Some(line) = describe(op, bytes) else { return };
        let prefix = client.connection.log_prefix();
        self.hub.log.trace(|| format!("{prefix} - <<- [{line}]"));
        if let Op::Publish(message) = op {
            let header_bytes = message.header_bytes.unwrap_or(0);
            self.trace_payload(&prefix, "<<-", message.payload, header_bytes);
        }
    }

    /// An answer that goes out.
    pub(crate) fn trace_out(&self, connection: &Connection, line: &[u8]) {
        // nats-server does not show what it says of itself.
        if line.starts_with(b"INFO ") || !self.is_traced(connection) {
            return;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let shown = match text.strip_prefix("-ERR '").and_then(|rest| rest.strip_suffix('\'')) {
            Some(error) => format!("-ERR {error}"),
            None => text.trim_start_matches('+').to_owned(),
        };
        self.hub.log.trace(|| format!("{} - ->> [{shown}]", connection.log_prefix()));
    }

    /// A message that goes out, as its receiver reads it.
    pub(crate) fn trace_message(
        &self,
        connection: &Connection,
        message: &[u8],
        header_bytes: usize,
    ) {
        if !self.is_traced(connection) {
            return;
        }
        let line_bytes = message.iter().position(|&byte| byte == b'\r').unwrap_or(message.len());
        let prefix = connection.log_prefix();
        self.hub.log.trace(|| {
            format!("{prefix} - ->> [{}]", String::from_utf8_lossy(&message[..line_bytes]))
        });
        let payload = message.get(line_bytes + 2..message.len() - 2).unwrap_or_default();
        self.trace_payload(&prefix, "->>", payload, header_bytes);
    }

    /// A subscription that ended.
    pub(crate) fn trace_end(&self, sub: &SubRef) {
        if self.hub.log.is_tracing() && self.is_traced(&sub.connection) {
            let sid = String::from_utf8_lossy(sub.sid());
            self.hub.log.trace(|| format!("{} - <-> [DELSUB {sid}]", sub.connection.log_prefix()));
        }
    }

    fn trace_payload(&self, prefix: &str, way: &str, payload: &[u8], header_bytes: usize) {
        let limits = &self.settings.limits;
        let shown = if limits.trace_headers {
            // Without the empty line that ends a block.
            &payload[..header_bytes.saturating_sub(4)]
        } else {
            payload
        };
        if shown.is_empty() {
            return;
        }
        let most = limits.traced_bytes_max;
        let text = if most > 0 && shown.len() > most {
            let cut = quote(&shown[..most]);
            format!("{}...\"", cut.strip_suffix('"').unwrap_or(&cut))
        } else {
            quote(shown)
        };
        self.hub.log.trace(|| format!("{prefix} - {way} MSG_PAYLOAD: [{text}]"));
    }

    /// Whether the trace shows this connection. The server's own ones are those of its process in
    /// the system account.
    fn is_traced(&self, connection: &Connection) -> bool {
        if connection.kind != Kind::InProcess || self.hub.log.is_tracing_system() {
            return true;
        }
        let account = self.hub.account(&connection.identity().account);
        !account.is_some_and(|account| account.is_system())
    }
}

/// The control line as the log shows it: the verb, and the arguments as they were sent. Nothing of
/// what nats-server does not show.
fn describe(op: &Op<'_>, bytes: &[u8]) -> Option<String> {
    let verb = match op {
        Op::Ping => return Some("PING".to_owned()),
        Op::Pong => return Some("PONG".to_owned()),
        Op::Connect(json) => {
            let json = keelback_wire::trace::redact(json);
            return Some(format!("CONNECT {}", String::from_utf8_lossy(&json)));
        }
        Op::Info(_) | Op::Ok | Op::Err(_) => return None,
        Op::Publish(message) if message.header_bytes.is_some() => "HPUB",
        Op::Publish(_) => "PUB",
        Op::Subscribe { .. } => "SUB",
        Op::Unsubscribe { .. } => "UNSUB",
    };
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let arguments = line.get(verb.len()..).unwrap_or_default();
    let blanks = arguments.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    Some(format!("{verb} {}", String::from_utf8_lossy(&arguments[blanks..])))
}
