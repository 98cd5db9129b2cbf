//! A client that is in, when who may be in changed: it is decided again by what its CONNECT said.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keelback_interest::Subscribe;
use keelback_wire::errors::{ClientError, ClosedReason};
use keelback_wire::quote::quote;

use crate::client::{Client, Phase, Question};
use crate::connection::Policy;
use crate::gate::{Admission, Gate, Verdict};
use crate::ingest::Next;
use crate::log::Level;
use crate::subscription::SubRef;
use crate::worker::Worker;

impl Worker {
    /// Decides again about a connection, whose handshakes are done or not.
    ///
    /// # Errors
    /// It may stay no longer; the connection closes.
    pub fn reauthorize(&mut self, client: &mut Client) -> Result<Next, ClosedReason> {
        let gate = self.settings.gate.clone();
        match client.phase {
            Phase::Asked => {
                // The answer that is on its way was thought of by the old rules.
                client.must_ask_again = true;
                Ok(Next::Continue)
            }
            Phase::MustConnect if !gate.must_connect() => {
                client.phase = Phase::Open;
                Ok(Next::Continue)
            }
            Phase::MustConnect if gate.admits_anonymous() => Ok(Next::Continue),
            Phase::MustConnect => Err(self.violate_authorization(client)),
            Phase::Open if !client.has_connected && !client.came_early => {
                self.stop_being_nobody(client, &gate)
            }
            Phase::Open => self.decide_again(client, &gate),
        }
    }

    /// As [`Self::reauthorize`], for a connection that was not greeted yet: nothing is said to it.
    pub fn reauthorize_silent(&self, client: &mut Client) {
        let must_connect = self.settings.gate.must_connect();
        client.phase = if must_connect { Phase::MustConnect } else { Phase::Open };
    }

    /// A client that said no CONNECT, on a server that asked for none.
    fn stop_being_nobody(
        &mut self,
        client: &mut Client,
        gate: &Gate,
    ) -> Result<Next, ClosedReason> {
        if !gate.must_connect() {
            return self.check_subscriptions(client).map(|()| Next::Continue);
        }
        if !gate.admits_anonymous() {
            return Err(self.violate_authorization(client));
        }
        client.came_early = true;
        self.decide_again(client, gate)
    }

    fn decide_again(&mut self, client: &mut Client, gate: &Gate) -> Result<Next, ClosedReason> {
        let options = client.options.get_or_insert_default();
        match gate.decide(options, client.connection.kind) {
            Verdict::Admit(admission) => self.readmit(client, &admission).map(|()| Next::Continue),
            Verdict::Ask => {
                self.ask(client, Question::Reload);
                Ok(Next::Ask)
            }
            Verdict::Refuse if is_gone(client, gate) => Err(ClosedReason::ClientClosed),
            Verdict::Refuse => Err(self.violate_authorization(client)),
        }
    }

    /// Takes up what a client that is in may do from now on.
    ///
    /// # Errors
    /// It is somebody else now, or has more than it may; the connection closes.
    pub fn readmit(
        &mut self,
        client: &mut Client,
        admission: &Admission,
    ) -> Result<(), ClosedReason> {
        client.phase = Phase::Open;
        let mut identity = client.connection.identity();
        // Who is bound elsewhere than before logs in anew, and finds everything right.
        let is_same_account = self
            .hub
            .account(&admission.account)
            .is_some_and(|account| Arc::ptr_eq(&account, &client.account));
        let is_same_user = identity.label == admission.label
            || !(identity.label.starts_with("user:") || identity.label.starts_with("nkey:"));
        if !is_same_account || !is_same_user {
            return Err(ClosedReason::ClientClosed);
        }
        identity.label.clone_from(&admission.label);
        let permissions = admission.permissions.clone();
        let policy = permissions.map(|permissions| Arc::new(Policy::new(permissions, self.now)));
        client.connection.set_identity(identity);
        client.connection.set_policy(policy.clone());
        client.policy = policy;
        client.forget_last();
        self.revoke_subscriptions(client);
        self.check_subscriptions(client)
    }

    /// Subscriptions that are no longer permitted go; the others are looked at as they now must be.
    fn revoke_subscriptions(&mut self, client: &mut Client) {
        let policy = client.policy.clone();
        let grants = policy.as_ref().is_some_and(|policy| policy.permissions.responses().is_some());
        let mut live: Vec<SubRef> =
            client.subscriptions().filter(|sub| !sub.is_ended()).cloned().collect();
        live.sort_by(|a, b| natural(a.sid()).cmp(&natural(b.sid())));
        for sub in live {
            let queue = (!sub.queue().is_empty()).then(|| sub.queue());
            let allowed = policy.as_ref().map_or(Subscribe::Allowed, |policy| {
                policy.permissions.may_subscribe(sub.subject(), queue)
            });
            if allowed == Subscribe::Denied {
                self.revoke(client, &sub, queue);
            } else if sub.set_checks(allowed == Subscribe::Filtered, grants) {
                // Match results know which subscriptions are looked at.
                client.account.generations.bump(sub.subject());
            }
        }
    }

    fn revoke(&mut self, client: &mut Client, sub: &SubRef, queue: Option<&[u8]>) {
        self.end_own(client, sub);
        let (subject, sid) = (sub.subject(), sub.sid());
        self.say(client, &ClientError::SubscriptionRevoked { subject, queue, sid });
        let queue = queue.map(|queue| format!(" using queue {}", quote(queue))).unwrap_or_default();
        let who = who(client);
        self.hub.log.write(
            Level::Info,
            &format!(
                "Removed sub {}{queue} (sid {}) for {who} - not authorized",
                quote(subject),
                quote(sid)
            ),
        );
    }

    /// Takes one subscription of this client away.
    pub(crate) fn end_own(&mut self, client: &mut Client, sub: &SubRef) {
        client.take(sub.sid());
        if sub.end() && client.account.remove(sub) {
            client.connection.subscriptions.fetch_sub(1, Ordering::Relaxed);
            self.trace_end(sub);
        }
    }

    /// A client with more subscriptions than it may have now.
    fn check_subscriptions(&mut self, client: &mut Client) -> Result<(), ClosedReason> {
        self.renew_allowance(client);
        let Some(most) = client.allowance.subscriptions_max else { return Ok(()) };
        if client.connection.subscriptions.load(Ordering::Relaxed) as usize <= most {
            return Ok(());
        }
        self.tell_subscription_limit(client);
        self.say(client, &ClientError::MaximumSubscriptionsExceeded);
        Err(ClosedReason::MaximumSubscriptionsExceeded)
    }
}

/// Whether the user that the client logged in as, or names, is not there any more. Of those that
/// are asked about, Python knows.
fn is_gone(client: &Client, gate: &Gate) -> bool {
    let identity = client.connection.identity();
    let options = client.options.as_deref();
    let named = options.map(|options| (options.user.as_str(), options.nkey.as_str()));
    match (identity.label.split_once(':'), named) {
        (Some(("user", user)), _) => !gate.has_user(user),
        (Some(("nkey", _)), _) => !gate.ask_nkey,
        (None, Some((_, nkey))) if !nkey.is_empty() => !gate.ask_nkey,
        (None, Some((user, _))) if !user.is_empty() => !gate.has_user(user),
        _ => false,
    }
}

/// `User "b"`, for the log.
fn who(client: &Client) -> String {
    let label = client.connection.identity().label;
    match label.split_once(':') {
        Some(("nkey", nkey)) => format!("Nkey {nkey:?}"),
        Some((_, user)) => format!("User {user:?}"),
        None if label == "token" => "Token \"[REDACTED]\"".to_owned(),
        None => "User \"N/A\"".to_owned(),
    }
}

/// Numbers in their order, as most clients count; what is no number comes last.
fn natural(sid: &[u8]) -> (usize, &[u8]) {
    let is_number = !sid.is_empty() && sid.iter().all(u8::is_ascii_digit);
    (if is_number { sid.len() } else { usize::MAX }, sid)
}
