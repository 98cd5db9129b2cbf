//! Who is behind a connection, as far as it said, and how its transport is encrypted.

use std::sync::Arc;

use keelback_wire::connect::ConnectOptions;

use crate::account::Account;

/// What CONNECT said, and what was made of it. The texts share one allocation.
pub struct Identity {
    text: Box<str>,
    /// Where name, lang and version end; the user follows.
    ends: [u32; 3],
    /// Where it publishes and subscribes.
    pub account: Arc<Account>,
    is_admitted: bool,
    /// What it had sent and received (as [`crate::connection::Counters::figures`]) while it was in
    /// another account, to which that was added.
    pub(crate) before: Option<Box<[u64; 4]>>,
}

impl Identity {
    /// Of a client that was let in as `label`.
    pub fn admitted(options: &ConnectOptions, account: Arc<Account>, label: &str) -> Self {
        Self { is_admitted: true, ..Self::claimed(options, account, label) }
    }

    /// Of a client that nobody let in yet; without a `label`, who it says it is.
    pub fn claimed(options: &ConnectOptions, account: Arc<Account>, label: &str) -> Self {
        let claim = match () {
            () if !label.is_empty() => label.to_owned(),
            () if !options.nkey.is_empty() => format!("nkey:{}", options.nkey),
            () if !options.user.is_empty() => format!("user:{}", options.user),
            () if !options.auth_token.is_empty() => "token".to_owned(),
            () => String::new(),
        };
        let mut text = String::new();
        let ends = [&options.name, &options.lang, &options.version].map(|part| {
            text.push_str(part);
            text.len() as u32
        });
        text.push_str(&claim);
        let text = text.into_boxed_str();
        Self { text, ends, account, is_admitted: false, before: None }
    }

    /// CONNECT `name`.
    pub fn name(&self) -> &str {
        self.part(0, self.ends[0])
    }

    /// CONNECT `lang`.
    pub fn lang(&self) -> &str {
        self.part(self.ends[0], self.ends[1])
    }

    /// CONNECT `version`.
    pub fn version(&self) -> &str {
        self.part(self.ends[1], self.ends[2])
    }

    /// `user:bob`, `nkey:U…`, `token`, or empty.
    pub fn user(&self) -> &str {
        &self.text[self.ends[2] as usize..]
    }

    /// The user as `/connz` names it: without the kind, and no token.
    pub fn raw_user(&self) -> &str {
        match self.user() {
            "token" => "[REDACTED]",
            user => user.split_once(':').map_or(user, |(_, name)| name),
        }
    }

    fn part(&self, start: u32, end: u32) -> &str {
        &self.text[start as usize..end as usize]
    }

    /// ` - "v1.2:go:name" - "$G/user:bob"`, as far as it is known.
    pub(crate) fn log_suffix(&self) -> String {
        if !self.is_admitted {
            return String::new();
        }
        let version = match self.version() {
            "" => String::new(),
            version => format!("v{version}"),
        };
        let parts = [&version, self.lang(), self.name()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let client =
            if parts.is_empty() { String::new() } else { format!(" - {:?}", parts.join(":")) };
        let user = match self.user() {
            "" => String::new(),
            label => format!(" - \"{}/{label}\"", self.account.name),
        };
        client + &user
    }
}

/// An encrypted transport.
#[derive(Clone, Default)]
pub struct Encryption {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The suite's name as Go spells it.
    pub cipher_suite: String,
    /// The handshake came before INFO.
    pub is_first: bool,
    /// The peer's certificates, DER, leaf first.
    pub certificates: Arc<[Vec<u8>]>,
}
