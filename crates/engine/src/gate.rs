//! Who may connect, as far as that needs no thought: a table that Python compiled. What needs
//! thought is asked of Python, off the message path.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use keelback_interest::Permissions;
use keelback_wire::connect::ConnectOptions;

use crate::connection::Kind;

/// A user with a plain password, or one that needs none.
#[derive(Clone)]
pub struct FastUser {
    /// Name.
    pub name: String,
    /// Plain password; empty for a user that others stand in for.
    pub password: String,
    /// The account it belongs to.
    pub account: String,
    /// What it may do; `None` is everything.
    pub permissions: Option<Arc<Permissions>>,
    /// Kinds of connection it may use; empty is all.
    pub connection_types: Vec<String>,
}

/// The table. The order of its rules is nats-server's (`auth.go`).
#[derive(Clone, Default)]
pub struct Gate {
    /// Authentication is required.
    pub required: bool,
    /// Where everybody goes when it is not.
    pub default_account: String,
    /// Users that are decided here.
    pub users: HashMap<String, FastUser>,
    /// Users that Python decides.
    pub ask_users: HashSet<String>,
    /// Python decides about nkeys.
    pub ask_nkey: bool,
    /// Python decides about everybody.
    pub ask_all: bool,
    /// Plain token.
    pub token: Option<String>,
    /// Python compares the token.
    pub ask_token: bool,
    /// Who a client without credentials is.
    pub anonymous: Option<FastUser>,
    /// Python decides who a client without credentials is.
    pub anonymous_ask: bool,
}

/// Who was admitted.
#[derive(Clone)]
pub struct Admission {
    /// Account's name.
    pub account: String,
    /// `user:bob`, `nkey:U…`, `token`; empty without authentication.
    pub label: String,
    /// What the user may do.
    pub permissions: Option<Arc<Permissions>>,
}

/// The gate's answer.
pub enum Verdict {
    /// Come in.
    Admit(Admission),
    /// Python decides.
    Ask,
    /// No.
    Refuse,
}

impl Gate {
    /// Whether a client must send CONNECT before anything else.
    pub fn must_connect(&self) -> bool {
        self.required || self.ask_all
    }

    /// Whether a client that sends something else first is taken as one without credentials.
    pub fn admits_anonymous(&self) -> bool {
        self.anonymous.is_some() || self.anonymous_ask
    }

    /// Whether there is a user of this name.
    pub fn has_user(&self, name: &str) -> bool {
        self.users.contains_key(name) || self.ask_users.contains(name) || self.ask_all
    }

    /// Decides about a CONNECT.
    pub fn decide(&self, options: &ConnectOptions, kind: Kind) -> Verdict {
        if self.ask_all {
            return Verdict::Ask;
        }
        if !self.required {
            return Verdict::Admit(Admission {
                account: self.default_account.clone(),
                label: String::new(),
                permissions: None,
            });
        }
        if !options.nkey.is_empty() && self.ask_nkey {
            return Verdict::Ask;
        }
        // An nkey says nothing where there are none, as in nats-server.
        let is_bare =
            options.user.is_empty() && options.pass.is_empty() && options.auth_token.is_empty();
        if is_bare && self.anonymous_ask {
            return Verdict::Ask;
        }
        if is_bare && let Some(user) = &self.anonymous {
            return user.admit(kind);
        }
        let has_users = !self.users.is_empty() || !self.ask_users.is_empty();
        if has_users && !options.user.is_empty() {
            if self.ask_users.contains(&options.user) {
                return Verdict::Ask;
            }
            return match self.users.get(&options.user) {
                Some(user) if is_equal(&user.password, &options.pass) => user.admit(kind),
                _ => Verdict::Refuse,
            };
        }
        if self.ask_token {
            return Verdict::Ask;
        }
        match &self.token {
            Some(token) if is_equal(token, &options.auth_token) => Verdict::Admit(Admission {
                account: self.default_account.clone(),
                label: "token".to_owned(),
                permissions: None,
            }),
            _ => Verdict::Refuse,
        }
    }
}

impl FastUser {
    fn admit(&self, kind: Kind) -> Verdict {
        let name = match kind {
            Kind::Tcp => "STANDARD",
            Kind::InProcess => "IN_PROCESS",
        };
        if !self.connection_types.is_empty()
            && !self.connection_types.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return Verdict::Refuse;
        }
        Verdict::Admit(Admission {
            account: self.account.clone(),
            label: format!("user:{}", self.name),
            permissions: self.permissions.clone(),
        })
    }
}

/// Compares without telling by the time taken where the first difference is.
fn is_equal(expected: &str, given: &str) -> bool {
    let (expected, given) = (expected.as_bytes(), given.as_bytes());
    if expected.len() != given.len() {
        return false;
    }
    let difference =
        expected.iter().zip(given).fold(0_u8, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    difference == 0
}
