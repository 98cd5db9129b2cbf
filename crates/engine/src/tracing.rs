//! Protocol trace lines, in nats-server's form: `<<- [PUB foo 2]`, `->> [PONG]`. Secrets are
//! left out, payloads cut.

use keelback_wire::client::Op;
use keelback_wire::quote::quote;

use crate::client::Client;
use crate::subscription::SubRef;
use crate::worker::Worker;

impl Worker {
    /// An operation that came in.
    pub(crate) fn trace_in(&self, client: &Client, op: &Op<'_>) {
        let prefix = client.connection.log_prefix();
        self.hub.log.trace(|| format!("{prefix} - <<- [{}]", describe(op)));
        if let Op::Publish(message) = op {
            let most = self.settings.limits.traced_bytes_max;
            self.hub.log.trace(|| {
                let payload = message.payload;
                let is_cut = most > 0 && payload.len() > most;
                let shown = if is_cut { &payload[..most] } else { payload };
                let text = quote(shown);
                let dots = if is_cut { "..." } else { "" };
                format!("{prefix} - <<- MSG_PAYLOAD: [{text}{dots}]")
            });
        }
    }

    /// A subscription that ended.
    pub(crate) fn trace_end(&self, client: &Client, sub: &SubRef) {
        let sid = || String::from_utf8_lossy(sub.sid());
        self.hub
            .log
            .trace(|| format!("{} - <-> [DELSUB {}]", client.connection.log_prefix(), sid()));
    }

    /// A line that goes out; its end and a payload after it are not shown.
    pub(crate) fn trace_out(&self, connection: &crate::Connection, line: &[u8]) {
        self.hub.log.trace(|| {
            let end = line.iter().position(|&byte| byte == b'\r').unwrap_or(line.len());
            let text = String::from_utf8_lossy(&line[..end]);
            format!("{} - ->> [{}]", connection.log_prefix(), text.trim_end())
        });
    }
}

/// The control line as the log shows it.
fn describe(op: &Op<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match op {
        Op::Connect(json) => format!("CONNECT {}", text(&keelback_wire::trace::redact(json))),
        Op::Info(json) => format!("INFO {}", text(json)),
        Op::Ping => "PING".to_owned(),
        Op::Pong => "PONG".to_owned(),
        Op::Ok => "OK".to_owned(),
        Op::Err(error) => format!("-ERR {}", text(error)),
        Op::Publish(message) => text(message.line.trim_ascii_end()),
        Op::Subscribe { subject, queue, sid } => {
            let queue = queue.map(|queue| format!(" {}", text(queue))).unwrap_or_default();
            format!("SUB {}{queue} {}", text(subject), text(sid))
        }
        Op::Unsubscribe { sid, max } => {
            let max = max.map(|max| format!(" {max}")).unwrap_or_default();
            format!("UNSUB {}{max}", text(sid))
        }
    }
}
