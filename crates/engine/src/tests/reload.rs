//! What a reload does to clients that are in. Each expectation was read from nats-server 2.15.1.

use keelback_interest::{PermissionRules, Permissions, Responses};
use keelback_wire::errors::ClosedReason;

use crate::checks::server::{Peer, Server};
use crate::client::Phase;
use crate::events::Event;
use crate::gate::{Admission, FastUser, Gate};
use crate::ingest::{Next, Outcome};

fn user(name: &str, password: &str, account: &str) -> FastUser {
    FastUser {
        name: name.into(),
        password: password.into(),
        account: account.into(),
        permissions: None,
        connection_types: vec![],
    }
}

fn subscribing(name: &str, rules: PermissionRules) -> FastUser {
    let permissions = Some(Permissions::compile(rules).unwrap().into());
    FastUser { permissions, ..user(name, name, "$G") }
}

fn gate(users: &[FastUser]) -> Gate {
    let users = users.iter().map(|user| (user.name.clone(), user.clone())).collect();
    Gate { required: true, default_account: "$G".into(), users, ..Gate::default() }
}

fn server(gate: Gate) -> Server {
    Server::new(1, |settings| settings.gate = gate.into())
}

fn change(server: &Server, gate: Gate) {
    server.hub.change_settings(|settings| settings.gate = gate.into());
}

fn connect(server: &mut Server, fields: &str) -> Peer {
    let mut peer = server.accept(0);
    let line = format!("CONNECT {{\"verbose\":false,\"pedantic\":false{fields}}}\r\n");
    server.send(&mut peer, line);
    peer
}

fn log_in(server: &mut Server, name: &str) -> Peer {
    let peer = connect(server, &format!(",\"user\":\"{name}\",\"pass\":\"{name}\""));
    assert_eq!((peer.read(), peer.client.phase), (String::new(), Phase::Open));
    peer
}

fn list(subjects: &[&str]) -> Vec<Vec<u8>> {
    subjects.iter().map(|subject| subject.as_bytes().to_vec()).collect()
}

fn only(subjects: &[&str]) -> PermissionRules {
    PermissionRules {
        publish_allow: Some(list(subjects)),
        subscribe_allow: Some(list(subjects).into_iter().map(|subject| (subject, None)).collect()),
        ..PermissionRules::default()
    }
}

#[test]
fn a_user_that_is_gone_or_moved_is_closed_in_silence() {
    let mut server = server(gate(&[user("a", "a", "$G"), user("b", "b", "$G")]));
    server.account("B");
    let (mut gone, mut moved) = (log_in(&mut server, "a"), log_in(&mut server, "b"));
    change(&server, gate(&[user("b", "b", "B")]));
    for peer in [&mut gone, &mut moved] {
        assert_eq!(server.reauthorize(peer), Err(ClosedReason::ClientClosed));
        assert_eq!(peer.read(), "");
    }
}

#[test]
fn who_has_another_password_now_is_told() {
    let mut server = server(gate(&[user("a", "a", "$G")]));
    let mut peer = log_in(&mut server, "a");
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    change(&server, gate(&[user("a", "other", "$G")]));
    assert_eq!(server.reauthorize(&mut peer), Err(ClosedReason::AuthenticationFailure));
    assert_eq!(peer.read(), "-ERR 'Authorization Violation'\r\n");
}

#[test]
fn subscriptions_that_are_no_longer_permitted_go() {
    let mut server = server(gate(&[user("b", "b", "$G"), user("p", "p", "$G")]));
    let mut peer = log_in(&mut server, "b");
    let mut publisher = log_in(&mut server, "p");
    server.send(&mut peer, "SUB x.> 1\r\nSUB y q 2\r\nSUB z 10\r\nPUB z 0\r\n\r\n");
    assert_eq!(peer.read(), "MSG z 10 0\r\n\r\n");
    let narrow = PermissionRules { publish_allow: Some(list(&["q"])), ..only(&["z"]) };
    change(&server, gate(&[subscribing("b", narrow), user("p", "p", "$G")]));
    server.events();
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    assert_eq!(
        peer.read(),
        "-ERR 'Permissions Violation for Subscription to \"x.>\" (sid \"1\")'\r\n\
         -ERR 'Permissions Violation for Subscription to \"y\" using queue \"q\" (sid \"2\")'\r\n"
    );
    let lines = server.log_lines();
    assert_eq!(lines[0], "Removed sub \"x.>\" (sid \"1\") for User \"b\" - not authorized");
    assert_eq!(
        lines[1],
        "Removed sub \"y\" using queue \"q\" (sid \"2\") for User \"b\" - not authorized"
    );
    // What was remembered of publishing is forgotten, and the rest goes on.
    server.send(&mut peer, "PUB z 0\r\n\r\n");
    assert_eq!(peer.read(), "-ERR 'Permissions Violation for Publish to \"z\"'\r\n");
    server.send(&mut publisher, "PUB x.1 0\r\n\r\nPUB y 0\r\n\r\nPUB z 0\r\n\r\n");
    assert_eq!(peer.read(), "MSG z 10 0\r\n\r\n");
    assert_eq!(peer.client.connection.subscriptions.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn what_stays_is_delivered_by_the_new_rules() {
    let mut server = server(gate(&[user("b", "b", "$G"), user("p", "p", "$G")]));
    let mut peer = log_in(&mut server, "b");
    let mut publisher = log_in(&mut server, "p");
    server.send(&mut peer, "SUB a.* 1\r\n");
    let publish = "PUB a.secret in.1 0\r\n\r\nPUB a.open in.2 0\r\n\r\n";
    server.send(&mut publisher, publish);
    assert_eq!(peer.read().matches("MSG").count(), 2);
    let denying = PermissionRules {
        publish_allow: Some(vec![]),
        subscribe_deny: vec![(b"a.secret".to_vec(), None)],
        responses: Some(Responses { max: 1, expires: None }),
        ..PermissionRules::default()
    };
    change(&server, gate(&[subscribing("b", denying), user("p", "p", "$G")]));
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    server.send(&mut publisher, publish);
    assert_eq!(peer.read(), "MSG a.open 1 in.2 0\r\n\r\n");
    server.send(&mut peer, "PUB in.2 0\r\n\r\n");
    assert_eq!(peer.read(), "");
    change(&server, gate(&[user("b", "b", "$G"), user("p", "p", "$G")]));
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    server.send(&mut publisher, publish);
    assert_eq!(peer.read().matches("MSG").count(), 2);
}

#[test]
fn authentication_that_is_switched_on_shuts_out_who_did_not_log_in() {
    let open = Gate { default_account: "$G".into(), ..Gate::default() };
    let mut server = server(open);
    let (mut silent, mut connected) = (server.accept(0), connect(&mut server, ""));
    let mut named = connect(&mut server, ",\"user\":\"a\",\"pass\":\"a\"");
    change(&server, gate(&[user("a", "a", "$G")]));
    for peer in [&mut silent, &mut connected] {
        assert_eq!(server.reauthorize(peer), Err(ClosedReason::AuthenticationFailure));
        assert_eq!(peer.read(), "-ERR 'Authorization Violation'\r\n");
    }
    assert_eq!(server.reauthorize(&mut named), Ok(Next::Continue));
    let mut early = server.accept(0);
    assert_eq!(early.client.phase, Phase::MustConnect);
    assert_eq!(server.reauthorize(&mut early), Err(ClosedReason::AuthenticationFailure));
}

#[test]
fn authentication_that_is_switched_off_keeps_who_was_no_user() {
    let open = || Gate { default_account: "$G".into(), ..Gate::default() };
    let mut server = server(Gate { token: Some("t".into()), ..gate(&[user("a", "a", "$G")]) });
    let mut by_token = connect(&mut server, ",\"auth_token\":\"t\"");
    let (mut user, mut silent) = (log_in(&mut server, "a"), server.accept(0));
    change(&server, open());
    assert_eq!(server.reauthorize(&mut by_token), Ok(Next::Continue));
    assert_eq!(server.reauthorize(&mut user), Err(ClosedReason::ClientClosed));
    assert_eq!(server.reauthorize(&mut silent), Ok(Next::Continue));
    assert_eq!(server.send(&mut silent, "SUB a 1\r\nPUB a 0\r\n\r\n"), Outcome::Continue);
    assert!(silent.read().contains("MSG a 1 0"));
}

#[test]
fn clients_without_credentials_take_the_new_rules_of_who_they_are() {
    let anonymous = |rules| Gate { anonymous: Some(subscribing("n", rules)), ..gate(&[]) };
    let mut server = server(anonymous(PermissionRules::default()));
    let (mut early, mut waiting) = (server.accept(0), server.accept(0));
    server.send(&mut early, "SUB a 1\r\nSUB b 2\r\n");
    early.read();
    change(&server, anonymous(only(&["b"])));
    assert_eq!(server.reauthorize(&mut early), Ok(Next::Continue));
    assert!(early.read().contains("Subscription to \"a\" (sid \"1\")"));
    assert_eq!(server.reauthorize(&mut waiting), Ok(Next::Continue));
    server.send(&mut waiting, "PUB b 0\r\n\r\n");
    assert_eq!(early.read(), "MSG b 2 0\r\n\r\n");
}

#[test]
fn python_is_asked_about_whom_it_let_in() {
    let asking = Gate { ask_all: true, ..gate(&[]) };
    let mut server = server(asking);
    let mut peer = connect(&mut server, ",\"user\":\"a\",\"pass\":\"s3cret\"");
    let admission = |label: &str| Admission {
        account: "$G".into(),
        label: label.into(),
        permissions: Some(Permissions::compile(only(&["z"])).unwrap().into()),
    };
    let answer = |server: &mut Server, peer: &mut Peer, answer| {
        let worker = &mut server.workers[0];
        let next = worker.take_answer(&mut peer.client, answer);
        worker.flush(&[]);
        next
    };
    let question = |server: &Server| {
        let Some(Event::Auth(request)) = server.events().pop() else { panic!("nobody asked") };
        assert_eq!(request.options.pass, "s3cret");
        request.reload
    };
    assert!(!question(&server));
    let yes = admission("user:a");
    assert_eq!(answer(&mut server, &mut peer, Ok(&yes)), Ok(Next::Admitted));
    server.send(&mut peer, "SUB z 1\r\n");
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Ask));
    assert!(question(&server));
    // Nothing is taken in meanwhile, and rules that change meanwhile are asked about again.
    assert_eq!(server.send(&mut peer, "PUB z 0\r\n\r\n"), Outcome::Ask);
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    assert_eq!(answer(&mut server, &mut peer, Ok(&yes)), Ok(Next::Ask));
    assert!(question(&server));
    assert_eq!(answer(&mut server, &mut peer, Ok(&yes)), Ok(Next::Admitted));
    assert_eq!(server.send(&mut peer, ""), Outcome::Continue);
    assert_eq!(peer.read(), "MSG z 1 0\r\n\r\n");
    for (reason, told) in [
        (ClosedReason::ClientClosed, ""),
        (ClosedReason::AuthenticationFailure, "-ERR 'Authorization Violation'\r\n"),
    ] {
        assert_eq!(server.reauthorize(&mut peer), Ok(Next::Ask));
        assert_eq!(answer(&mut server, &mut peer, Err(reason)), Err(reason));
        assert_eq!(peer.read(), told);
        peer.client.phase = Phase::Open;
    }
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Ask));
    let other = admission("user:b");
    assert_eq!(answer(&mut server, &mut peer, Ok(&other)), Err(ClosedReason::ClientClosed));
}
