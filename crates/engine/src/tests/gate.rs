//! Who is let in without asking Python.

use foldhash::{HashMap, HashSet};
use keelback_wire::connect::ConnectOptions;

use crate::connection::Kind;
use crate::gate::{FastUser, Gate, Verdict};

fn user(name: &str, password: &str, account: &str) -> FastUser {
    FastUser {
        name: name.into(),
        password: password.into(),
        account: account.into(),
        permissions: None,
        connection_types: vec![],
    }
}

fn gate(users: &[FastUser]) -> Gate {
    let users: HashMap<_, _> = users.iter().map(|user| (user.name.clone(), user.clone())).collect();
    Gate { required: true, default_account: "$G".into(), users, ..Gate::default() }
}

fn login(user: &str, pass: &str) -> ConnectOptions {
    ConnectOptions { user: user.into(), pass: pass.into(), ..ConnectOptions::default() }
}

/// `account label`, `ask` or `refuse`.
fn decide(gate: &Gate, options: &ConnectOptions) -> String {
    match gate.decide(options, Kind::Tcp) {
        Verdict::Admit(admission) => format!("{} {}", admission.account, admission.label),
        Verdict::Ask => "ask".into(),
        Verdict::Refuse => "refuse".into(),
    }
}

#[test]
fn without_authentication_everybody_is_let_in() {
    let gate = Gate { default_account: "$G".into(), ..Gate::default() };
    assert_eq!(decide(&gate, &login("", "")), "$G ");
    assert_eq!(decide(&gate, &login("any", "thing")), "$G ");
    assert!(!gate.must_connect());
}

#[test]
fn a_user_needs_its_whole_password() {
    let gate = gate(&[user("bob", "secret", "A"), user("eve", "", "B")]);
    assert!(gate.must_connect());
    assert_eq!(decide(&gate, &login("bob", "secret")), "A user:bob");
    for (name, password) in
        [("bob", "secre"), ("bob", "secret1"), ("bob", ""), ("eve", "x"), ("BOB", "secret")]
    {
        assert_eq!(decide(&gate, &login(name, password)), "refuse", "{name} {password}");
    }
    assert_eq!(decide(&gate, &login("", "")), "refuse");
}

#[test]
fn who_names_no_user_is_the_anonymous_one_if_there_is_one() {
    let mut gate = gate(&[user("bob", "secret", "A")]);
    assert!(!gate.admits_anonymous());
    gate.anonymous = Some(user("bob", "secret", "A"));
    assert!(gate.admits_anonymous());
    assert_eq!(decide(&gate, &login("", "")), "A user:bob");
    assert_eq!(decide(&gate, &login("bob", "wrong")), "refuse");
    assert_eq!(decide(&gate, &login("", "secret")), "refuse");
}

#[test]
fn what_needs_thought_is_asked() {
    let mut gate = gate(&[user("bob", "secret", "A")]);
    gate.ask_users = HashSet::from_iter(["kim".to_owned()]);
    gate.ask_nkey = true;
    assert_eq!(decide(&gate, &login("kim", "any")), "ask");
    let nkey = ConnectOptions { nkey: "UABC".into(), ..login("", "") };
    assert_eq!(decide(&gate, &nkey), "ask");
    assert_eq!(decide(&gate, &login("bob", "secret")), "A user:bob");
    gate.ask_all = true;
    assert_eq!(decide(&gate, &login("bob", "secret")), "ask");
}

#[test]
fn a_token_is_compared_whole() {
    let mut gate = gate(&[]);
    gate.token = Some("t0ken".into());
    let with = |token: &str| ConnectOptions { auth_token: token.into(), ..login("", "") };
    assert_eq!(decide(&gate, &with("t0ken")), "$G token");
    for wrong in ["", "t0ke", "t0ken ", "T0ken"] {
        assert_eq!(decide(&gate, &with(wrong)), "refuse", "{wrong}");
    }
    gate.ask_token = true;
    assert_eq!(decide(&gate, &with("t0ken")), "ask");
}

#[test]
fn a_user_may_be_kept_to_kinds_of_connection() {
    let mut bob = user("bob", "secret", "A");
    bob.connection_types = vec!["in_process".into()];
    let gate = gate(&[bob]);
    assert_eq!(decide(&gate, &login("bob", "secret")), "refuse");
    let verdict = gate.decide(&login("bob", "secret"), Kind::InProcess);
    assert!(matches!(verdict, Verdict::Admit(_)));
}
