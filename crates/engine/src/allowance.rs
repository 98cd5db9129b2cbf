//! What one client may have: of the server's limits and its account's, the lower ones.

use keelback_wire::client::Limits as WireLimits;

use crate::account::AccountLimits;
use crate::client::Client;
use crate::settings::Limits;
use crate::worker::Worker;

/// A client's copy of what limits it; good for as long as no setting changes.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Of the settings it was made from; 0 of none.
    version: u64,
    /// The parser's share.
    pub wire: WireLimits,
    /// Most subscriptions; `None` is without limit.
    pub subscriptions_max: Option<usize>,
}

impl Default for Allowance {
    fn default() -> Self {
        let wire = WireLimits { control_line_bytes_max: 0, payload_bytes_max: Some(0) };
        Self { version: 0, wire, subscriptions_max: None }
    }
}

impl Allowance {
    /// The lower ones of the limits of server and account.
    pub fn new(server: &Limits, account: AccountLimits, version: u64) -> Self {
        let mut wire = server.wire();
        wire.payload_bytes_max = lower(wire.payload_bytes_max, account.payload_bytes_max);
        let subscriptions = (server.subscriptions_max > 0).then_some(server.subscriptions_max);
        let subscriptions_max = lower(subscriptions, account.subscriptions_max);
        Self { version, wire, subscriptions_max }
    }

    /// The largest payload as INFO tells it: -1 is without limit.
    pub fn announced_payload(&self) -> i64 {
        let most = self.wire.payload_bytes_max;
        most.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

fn lower(limit: Option<usize>, other: i64) -> Option<usize> {
    let other = usize::try_from(other).ok();
    limit.into_iter().chain(other).min()
}

impl Worker {
    /// The client's limits, made anew if settings changed.
    pub(crate) fn renew_allowance(&self, client: &mut Client) {
        if client.allowance.version != self.settings.version {
            self.set_allowance(client);
        }
    }

    /// The limits of a client whose account changed.
    pub(crate) fn set_allowance(&self, client: &mut Client) {
        let account = client.account.limits();
        let version = self.settings.version;
        // What is remembered was measured by other limits.
        client.forget_last();
        client.allowance = Allowance::new(&self.settings.limits, account, version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_limit_holds_and_negative_is_none() {
        let server = |payload, subscriptions| Limits {
            payload_bytes_max: payload,
            subscriptions_max: subscriptions,
            ..Limits::default()
        };
        let account = |payload, subscriptions| AccountLimits {
            payload_bytes_max: payload,
            subscriptions_max: subscriptions,
            ..AccountLimits::default()
        };
        for (server, account, payload, subscriptions) in [
            (server(100, 0), account(-1, -1), 100, None),
            (server(100, 0), account(10, 3), 10, Some(3)),
            (server(100, 2), account(1000, 3), 100, Some(2)),
            (server(-1, 0), account(-1, -1), -1, None),
            (server(-1, 5), account(7, -1), 7, Some(5)),
            (server(100, 0), account(0, 0), 0, Some(0)),
        ] {
            let allowance = Allowance::new(&server, account, 1);
            assert_eq!(allowance.announced_payload(), payload);
            assert_eq!(allowance.subscriptions_max, subscriptions);
        }
    }
}
