//! What the clients of one account may have, and what becomes of them when that changes.

use crate::account::AccountLimits;
use crate::checks::server::{Peer, Server};
use crate::gate::{FastUser, Gate};
use crate::ingest::{Next, Outcome};
use keelback_wire::errors::ClosedReason;

fn limited(connections_max: i64, subscriptions_max: i64, payload_bytes_max: i64) -> AccountLimits {
    AccountLimits { connections_max, subscriptions_max, payload_bytes_max }
}

/// A server with one user, `a`, in account A with these limits.
fn server(limits: AccountLimits) -> Server {
    let server = Server::new(1, |settings| {
        let user = FastUser {
            name: "a".into(),
            password: "a".into(),
            account: "A".into(),
            permissions: None,
            connection_types: vec![],
        };
        let gate = Gate {
            required: true,
            default_account: "$G".into(),
            users: std::iter::once(("a".to_owned(), user)).collect(),
            ..Gate::default()
        };
        settings.gate = gate.into();
    });
    server.hub.set_account("A", limits);
    server
}

fn log_in(server: &mut Server) -> (Peer, Outcome) {
    let mut peer = server.accept(0);
    let connect = "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"a\",\"pass\":\"a\",\
                   \"protocol\":1}\r\n";
    let outcome = server.send(&mut peer, connect);
    (peer, outcome)
}

#[test]
fn an_account_takes_as_many_clients_as_it_may() {
    let mut server = server(limited(2, -1, -1));
    let (mut first, outcome) = log_in(&mut server);
    assert_eq!(outcome, Outcome::Continue);
    assert_eq!(log_in(&mut server).1, Outcome::Continue);
    let (mut third, outcome) = log_in(&mut server);
    assert_eq!(outcome, Outcome::Close(ClosedReason::MaximumAccountConnectionsExceeded));
    assert_eq!(third.read(), "-ERR 'maximum account active connections exceeded'\r\n");
    server.close(&mut third);
    assert_eq!(log_in(&mut server).1.clone(), outcome);
    // A second CONNECT does not count twice, and who goes makes room.
    let again = "CONNECT {\"verbose\":false}\r\n";
    assert_eq!(server.send(&mut first, again), Outcome::Continue);
    server.close(&mut first);
    assert_eq!(log_in(&mut server).1, Outcome::Continue);
    assert_eq!(server.hub.account("A").unwrap().clients(), 2);
}

#[test]
fn the_lower_limits_of_server_and_account_hold() {
    let mut server = server(limited(-1, 1, 3));
    let (mut peer, _) = log_in(&mut server);
    server.send(&mut peer, "SUB a 1\r\nSUB b 2\r\nPING\r\n");
    let got = peer.read();
    assert!(got.starts_with("-ERR 'maximum subscriptions exceeded'\r\nPONG\r\nINFO "), "{got}");
    assert!(got.contains("\"max_payload\":3,"), "{got}");
    server.send(&mut peer, "PUB a 3\r\nabc\r\n");
    assert_eq!(peer.read(), "MSG a 1 3\r\nabc\r\n");
    let outcome = server.send(&mut peer, "PUB a 4\r\n");
    assert_eq!(outcome, Outcome::Close(ClosedReason::MaximumPayloadExceeded));
    assert_eq!(peer.read(), "-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn limits_hold_from_the_connect_on_also_within_one_chunk() {
    let mut server = server(limited(-1, -1, 3));
    let mut peer = server.accept(0);
    let chunk = "CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"a\"}\r\nPUB a 4\r\nabcd\r\n";
    let outcome = server.send(&mut peer, chunk);
    assert_eq!(outcome, Outcome::Close(ClosedReason::MaximumPayloadExceeded));
}

#[test]
fn a_changed_limit_holds_for_what_is_remembered_too() {
    let mut server = server(limited(-1, -1, -1));
    let (mut peer, _) = log_in(&mut server);
    server.send(&mut peer, "SUB a 1\r\nPUB a 4\r\nabcd\r\nPUB a 4\r\nabcd\r\n");
    assert_eq!(peer.read().matches("MSG").count(), 2);
    server.hub.set_account("A", limited(-1, -1, 3));
    let outcome = server.send(&mut peer, "PUB a 4\r\nabcd\r\n");
    assert_eq!(outcome, Outcome::Close(ClosedReason::MaximumPayloadExceeded));
}

#[test]
fn who_has_more_subscriptions_than_allowed_goes_at_the_reload() {
    let mut server = server(limited(-1, -1, -1));
    let (mut peer, _) = log_in(&mut server);
    server.send(&mut peer, "SUB a 1\r\nSUB b 2\r\n");
    server.hub.set_account("A", limited(-1, 2, -1));
    assert_eq!(server.reauthorize(&mut peer), Ok(Next::Continue));
    server.hub.set_account("A", limited(-1, 1, -1));
    assert_eq!(server.reauthorize(&mut peer), Err(ClosedReason::MaximumSubscriptionsExceeded));
    assert_eq!(peer.read(), "-ERR 'maximum subscriptions exceeded'\r\n");
}

#[test]
fn an_account_that_was_removed_shares_nothing_with_a_new_one_of_its_name() {
    let mut server = server(limited(-1, -1, -1));
    let (mut old, _) = log_in(&mut server);
    server.send(&mut old, "SUB a 1\r\n");
    assert!(server.hub.remove_account("A"));
    server.hub.set_account("A", AccountLimits::default());
    let (mut new, _) = log_in(&mut server);
    server.send(&mut new, "PUB a 0\r\n\r\n");
    assert_eq!(old.read(), "");
    assert_eq!(server.reauthorize(&mut old), Err(ClosedReason::ClientClosed));
    assert_eq!(server.reauthorize(&mut new), Ok(Next::Continue));
    assert!(!server.hub.remove_account("$G") && !server.hub.remove_account("$SYS"));
}
