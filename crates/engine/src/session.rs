//! CONNECT, PING, SUB and UNSUB: what is decided for one client at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keelback_interest::Subscribe;
use keelback_wire::errors::{ClientError, ClosedReason};
use keelback_wire::info::ConnectionInfo;

use crate::client::{Client, Flags, Phase, Question};
use crate::connection::{Kind, Policy};
use crate::events::{AuthRequest, Event};
use crate::gate::{Admission, Verdict};
use crate::hub::GLOBAL_ACCOUNT;
use crate::identity::Identity;
use crate::ingest::Next;
use crate::subscription::SubRef;
use crate::worker::Worker;

/// The queue group that only the server itself may join.
const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// What INFO says of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsOffer {
    /// Nothing.
    None,
    /// A client may begin it.
    Available,
    /// A client must begin it.
    Required,
}

impl Worker {
    /// An INFO by the settings in force.
    pub fn greet(&mut self, client: &Client) {
        let line = self.info_line(client, false);
        let connection = client.connection.clone();
        self.reply(&connection, &line);
    }

    /// The INFO that greets a client. Of TLS it says what holds where the client came in: the
    /// settings may have changed since, or just before.
    pub fn greet_first(&mut self, client: &Client, offer: TlsOffer) {
        let mut own = self.own_info(client, false);
        if client.connection.kind != Kind::InProcess {
            own.tls_required = Some(offer == TlsOffer::Required);
            own.tls_available = Some(offer == TlsOffer::Available);
        }
        let line = self.encode_info(&own);
        let connection = client.connection.clone();
        self.reply(&connection, &line);
    }

    /// The INFO that greets a client whose handshake came first: to it TLS was not optional.
    pub fn greet_after_handshake(&mut self, client: &Client) {
        let own = ConnectionInfo { tls_required: Some(true), ..self.own_info(client, false) };
        let line = self.encode_info(&own);
        let connection = client.connection.clone();
        self.reply(&connection, &line);
    }

    /// An INFO line for this connection. `with_account` marks the answer to CONNECT.
    pub fn info_line(&self, client: &Client, with_account: bool) -> Vec<u8> {
        self.encode_info(&self.own_info(client, with_account))
    }

    fn own_info<'a>(&self, client: &'a Client, with_account: bool) -> ConnectionInfo<'a> {
        let is_first = !with_account && !client.has_connected;
        // A pipe needs no encryption.
        let is_pipe = client.connection.kind == Kind::InProcess && self.settings.info.tls_required;
        ConnectionInfo {
            client_id: client.connection.id,
            client_ip: &client.peer_ip,
            nonce: &client.nonce,
            connect_info: with_account,
            remote_account: if with_account { &client.account.name } else { "" },
            // A client without credentials must not be put off before it tried.
            auth_required: (is_first && self.settings.gate.admits_anonymous()).then_some(false),
            max_payload: with_account.then(|| client.allowance.announced_payload()),
            acc_is_sys: with_account && client.account.is_system(),
            tls_required: is_pipe.then_some(false),
            tls_available: is_pipe.then_some(true),
            ..ConnectionInfo::default()
        }
    }

    fn encode_info(&self, own: &ConnectionInfo<'_>) -> Vec<u8> {
        let mut line = Vec::with_capacity(512);
        self.settings.info.line.write(own, &mut line);
        line
    }

    pub(crate) fn connect(
        &mut self,
        client: &mut Client,
        json: &[u8],
    ) -> Result<Next, ClosedReason> {
        let interval = self.settings.limits.ping_interval;
        let jitter = self.next_random() as u8;
        self.count_lookups(&client.account);
        client.keepalive.connected(self.now, interval, jitter);
        client.tell_rtt();
        let options = client.options.get_or_insert_default();
        if let Err(error) = options.merge(json) {
            self.hub.log.error(|| format!("{} - CONNECT: {error}", client.connection.log_prefix()));
            return Err(ClosedReason::ProtocolViolation);
        }
        if client.has_connected || client.came_early {
            self.leave_account(client);
            client.forget_last();
            if let Some(account) = self.hub.account(GLOBAL_ACCOUNT) {
                client.account = account;
            }
            client.policy = None;
            client.connection.set_policy(None);
        }
        client.has_connected = true;
        self.decide(client)
    }

    /// Asks the gate, and Python where the gate says so.
    pub(crate) fn decide(&mut self, client: &mut Client) -> Result<Next, ClosedReason> {
        let options = client.options.get_or_insert_default();
        match self.settings.gate.decide(options, client.connection.kind) {
            Verdict::Admit(admission) => self.admit(client, &admission).map(|()| Next::Admitted),
            Verdict::Refuse => {
                introduce(client);
                Err(self.violate_authorization(client))
            }
            Verdict::Ask => {
                introduce(client);
                self.ask(client, Question::Login);
                Ok(Next::Ask)
            }
        }
    }

    /// Asks Python; nothing is read from the client until it answers.
    pub(crate) fn ask(&self, client: &mut Client, question: Question) {
        client.phase = Phase::Asked;
        client.question = question;
        self.hub.events.push(Event::Auth(AuthRequest {
            connection: client.connection.id,
            kind: client.connection.kind,
            client_ip: client.peer_ip.clone(),
            client_port: client.peer_port,
            tls: client.is_tls,
            nonce: client.nonce.clone(),
            options: client.options.get_or_insert_default().clone(),
            certificates: client.certificates.clone(),
            reload: question == Question::Reload,
        }));
    }

    /// Takes up Python's answer, unless the rules changed after it was asked: then it is asked
    /// again.
    ///
    /// # Errors
    /// The connection closes.
    pub fn take_answer(
        &mut self,
        client: &mut Client,
        answer: Result<&Admission, ClosedReason>,
    ) -> Result<Next, ClosedReason> {
        if std::mem::take(&mut client.must_ask_again) {
            return match client.question {
                Question::Login => self.decide(client),
                Question::Reload => {
                    client.phase = Phase::Open;
                    self.reauthorize(client)
                }
            };
        }
        match (answer, client.question) {
            (Ok(admission), Question::Login) => self.admit(client, admission)?,
            (Ok(admission), Question::Reload) => self.readmit(client, admission)?,
            // A user that is gone is not told so, as in nats-server.
            (Err(ClosedReason::ClientClosed), _) => return Err(ClosedReason::ClientClosed),
            (Err(reason), _) => {
                self.violate_authorization(client);
                return Err(reason);
            }
        }
        Ok(Next::Admitted)
    }

    /// Lets a client in, as the gate or Python decided.
    ///
    /// # Errors
    /// What CONNECT asked for cannot be; the connection closes.
    pub fn admit(
        &mut self,
        client: &mut Client,
        admission: &Admission,
    ) -> Result<(), ClosedReason> {
        let options = client.options.get_or_insert_default();
        if options.new_account || !options.account.is_empty() {
            return Err(self.violate_authorization(client));
        }
        let Some(account) = self.hub.account(&admission.account) else {
            return Err(self.violate_authorization(client));
        };
        if !client.is_counted {
            if !account.enter() {
                let error = ClientError::MaximumAccountConnectionsExceeded;
                self.say(client, &error);
                let prefix = client.connection.log_prefix();
                self.hub.log.error(|| format!("{prefix} - {}", error.text()));
                return Err(ClosedReason::MaximumAccountConnectionsExceeded);
            }
            client.is_counted = true;
        }
        let server_has_headers = self.settings.info.headers;
        let has_connected = client.has_connected;
        let options = client.options.get_or_insert_default();
        let protocol = options.protocol;
        client.flags = Flags {
            verbose: options.verbose,
            pedantic: options.pedantic,
            echo: options.echo,
            headers: server_has_headers && options.headers,
            no_responders: options.no_responders,
            takes_async_info: has_connected && protocol >= 1,
        };
        let identity = Identity::admitted(options, account.clone(), &admission.label);
        let policy = admission
            .permissions
            .clone()
            .map(|permissions| Arc::new(Policy::new(permissions, self.now)));
        let connection = client.connection.clone();
        connection.set_identity(identity, &client.account);
        connection.set_policy(policy.clone());
        connection.has_headers.store(client.flags.headers, Ordering::Relaxed);
        client.policy = policy;
        client.account = account;
        self.set_allowance(client);
        client.phase = Phase::Open;
        client.forget_last();
        if !(0..=1).contains(&protocol) {
            self.say(client, &ClientError::InvalidClientProtocol);
            return Err(ClosedReason::BadClientProtocolVersion);
        }
        if client.flags.no_responders && !client.flags.headers {
            self.say(client, &ClientError::NoRespondersRequiresHeaders);
            return Err(ClosedReason::NoRespondersRequiresHeaders);
        }
        if has_connected && client.flags.verbose {
            self.reply(&connection, b"+OK\r\n");
        }
        Ok(())
    }

    /// `-ERR 'Authorization Violation'`, with its log line.
    pub fn violate_authorization(&mut self, client: &mut Client) -> ClosedReason {
        let user = client.options.as_ref().map(|options| match () {
            () if !options.nkey.is_empty() => format!(" - Nkey {:?}", options.nkey),
            () if !options.user.is_empty() => format!(" - User {:?}", options.user),
            () if !options.auth_token.is_empty() => " - Token \"[REDACTED]\"".to_owned(),
            () => String::new(),
        });
        let user = user.unwrap_or_default();
        self.hub
            .log
            .error(|| format!("{} - authentication error{user}", client.connection.log_prefix()));
        self.say(client, &ClientError::AuthorizationViolation);
        ClosedReason::AuthenticationFailure
    }

    /// `-ERR` with a text of Python's, and its log line.
    pub fn say_text(&mut self, client: &Client, text: &str) {
        let prefix = client.connection.log_prefix();
        self.hub.log.error(|| format!("{prefix} - {text}"));
        let connection = client.connection.clone();
        self.reply(&connection, format!("-ERR '{text}'\r\n").as_bytes());
    }

    /// `-ERR` to this client.
    pub fn say(&mut self, client: &Client, error: &ClientError<'_>) {
        let mut line = Vec::new();
        error.write(&mut line);
        let connection = client.connection.clone();
        self.reply(&connection, &line);
    }

    /// PONG also means that what was published before is on its way. Two that publish to each other
    /// in one turn could not both be told last: the first is told before the second.
    pub(crate) fn ping(&mut self, client: &mut Client, input: &[u8]) {
        let connection = client.connection.clone();
        if self.answers_others(&connection) {
            self.flush(input);
        }
        self.reply(&connection, b"PONG\r\n");
        if (client.has_connected || client.came_early) && !client.is_greeted {
            client.is_greeted = true;
            if client.flags.takes_async_info {
                let line = self.info_line(client, true);
                self.reply(&connection, &line);
            }
        }
    }

    pub(crate) fn subscribe(
        &mut self,
        client: &mut Client,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        input: &[u8],
    ) {
        let mut is_filtered = false;
        let mut grants_responses = false;
        let allowed = match &client.policy {
            Some(policy) => {
                grants_responses = policy.permissions.responses().is_some();
                policy.permissions.may_subscribe(subject, queue)
            }
            None => Subscribe::Allowed,
        };
        match allowed {
            Subscribe::Allowed => {}
            Subscribe::Filtered => is_filtered = true,
            Subscribe::Denied => return self.deny_subscription(client, subject, queue, sid, input),
        }
        if queue == Some(SYSTEM_QUEUE) {
            return self.deny_subscription(client, subject, queue, sid, input);
        }
        let limits = self.settings.limits.clone();
        if limits.subscription_tokens_max > 0
            && keelback_subject::token_count(subject) > limits.subscription_tokens_max
        {
            let error = ClientError::TooManySubscriptionTokens { subject };
            self.answer(client, &error, input);
            self.hub.log.error(|| {
                format!(
                    "{} - Subscription Violation Too Many Tokens - Subject {:?}, SID {}",
                    client.connection.log_prefix(),
                    String::from_utf8_lossy(subject),
                    String::from_utf8_lossy(sid)
                )
            });
            return;
        }
        let most = client.allowance.subscriptions_max.unwrap_or(usize::MAX);
        sweep_if_due(client, most);
        if client.subscription_count() >= most {
            self.tell_subscription_limit(client);
            self.answer(client, &ClientError::MaximumSubscriptionsExceeded, input);
            return;
        }
        if client.find(sid).is_none() {
            let connection = client.connection.clone();
            let texts = (subject, queue.unwrap_or_default(), sid);
            let sub = SubRef::new(connection, texts, is_filtered, grants_responses);
            if !client.account.insert(&sub) {
                self.answer(client, &ClientError::InvalidSubject, input);
                return;
            }
            client.connection.subscriptions.fetch_add(1, Ordering::Relaxed);
            client.add(sub);
        }
        self.confirm(client);
    }

    fn deny_subscription(
        &mut self,
        client: &mut Client,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        input: &[u8],
    ) {
        let error = ClientError::SubscriptionDenied { subject, queue };
        self.answer(client, &error, input);
        self.hub.log.error(|| {
            let queue = queue
                .map(|queue| format!(", Queue: {:?}", String::from_utf8_lossy(queue)))
                .unwrap_or_default();
            format!(
                "{} - Subscription Violation - Subject {:?}{queue}, SID {}",
                client.connection.log_prefix(),
                String::from_utf8_lossy(subject),
                String::from_utf8_lossy(sid)
            )
        });
    }

    pub(crate) fn unsubscribe(&mut self, client: &mut Client, sid: &[u8], max: Option<u64>) {
        let found = client.find(sid).cloned();
        if let Some(sub) = found {
            let ends = match max {
                Some(max) if max > 0 => {
                    let is_reached = sub.set_max(max);
                    // Match results that took it for unlimited must be made anew.
                    client.account.generations.bump(sub.subject());
                    is_reached
                }
                _ => true,
            };
            if ends {
                self.end_own(client, &sub);
            }
        }
        self.confirm(client);
        sweep_if_due(client, usize::MAX);
    }

    fn confirm(&mut self, client: &Client) {
        if client.flags.verbose {
            let connection = client.connection.clone();
            self.reply(&connection, b"+OK\r\n");
        }
    }

    /// Tells the log of a client that has all the subscriptions it may have.
    pub(crate) fn tell_subscription_limit(&self, client: &Client) {
        if client.account.may_tell_limit(self.now) {
            let error = ClientError::MaximumSubscriptionsExceeded;
            let prefix = client.connection.log_prefix();
            self.hub.log.error(|| format!("{prefix} - {}", error.text()));
        }
    }

    /// Takes a client and all its subscriptions out of its account.
    pub fn leave_account(&mut self, client: &mut Client) {
        if std::mem::take(&mut client.is_counted) {
            client.account.leave();
        }
        let live: Vec<&SubRef> = client.subscriptions().filter(|sub| sub.end()).collect();
        if self.hub.log.is_tracing() {
            for sub in &live {
                self.trace_end(sub);
            }
        }
        client.account.remove_all(live.into_iter());
        client.connection.subscriptions.store(0, Ordering::Relaxed);
        client.connection.ended_subscriptions.store(0, Ordering::Relaxed);
        client.clear_subscriptions();
    }
}

/// Subscriptions that ended by their max on other threads are forgotten when they are many,
/// or when the limit is near.
fn sweep_if_due(client: &mut Client, limit: usize) {
    const ENDED_MIN: usize = 64;
    let ended = client.connection.ended_subscriptions.load(Ordering::Relaxed) as usize;
    if ended == 0 {
        return;
    }
    let count = client.subscription_count();
    let is_many = ended >= ENDED_MIN && ended * 2 >= count;
    if is_many || count >= limit {
        client.sweep();
    }
}

/// Lets others see who a client says it is, before somebody lets it in.
fn introduce(client: &mut Client) {
    let options = client.options.get_or_insert_default();
    let identity = Identity::claimed(options, client.account.clone(), "");
    client.connection.set_identity(identity, &client.account);
}
