//! What connections and the server count.

use std::sync::atomic::Ordering;

use crate::checks::server::{Peer, Server};
use crate::connection::Counters;

fn figures(counters: &Counters) -> [u64; 4] {
    [&counters.in_msgs, &counters.in_bytes, &counters.out_msgs, &counters.out_bytes]
        .map(|counter| counter.load(Ordering::Relaxed))
}

fn of(peer: &Peer) -> [u64; 4] {
    figures(&peer.client.connection.counters)
}

#[test]
fn messages_and_payload_bytes_are_counted_on_both_sides() {
    let mut server = Server::default();
    let mut publisher = server.connect("\"headers\":true");
    let (mut one, mut two) = (server.connect(""), server.connect(""));
    server.send(&mut one, "SUB a 1\r\n");
    server.send(&mut two, "SUB a 1\r\nSUB * 2\r\n");
    // The first by the parser, the others by what is remembered.
    server.send(&mut publisher, "PUB a 5\r\nhello\r\n".repeat(10));
    assert_eq!(of(&publisher), [10, 50, 0, 0]);
    assert_eq!(of(&one), [0, 0, 10, 50]);
    assert_eq!(of(&two), [0, 0, 20, 100]);
    server.send(&mut publisher, "PUB nobody 5\r\nhello\r\n".repeat(10));
    assert_eq!(of(&publisher), [20, 100, 0, 0]);
    server.send(&mut publisher, "HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    assert_eq!(of(&publisher), [21, 114, 0, 0]);
}

#[test]
fn large_fan_outs_are_counted_message_by_message() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut listeners: Vec<_> = (0..20).map(|_| server.connect("")).collect();
    for peer in &mut listeners {
        server.send(peer, "SUB a 1\r\n");
    }
    let message = format!("PUB a 3000\r\n{}\r\n", "x".repeat(3000));
    server.send(&mut publisher, message.repeat(100));
    for peer in &listeners {
        assert_eq!(of(peer), [0, 0, 100, 300_000]);
    }
}

#[test]
fn refused_messages_count_as_received() {
    let mut server = Server::default();
    let rules =
        keelback_interest::PermissionRules { publish_allow: Some(vec![]), ..Default::default() };
    let mut user = server.admit("$G", rules);
    server.send(&mut user, "PUB a 5\r\nhello\r\n".repeat(3));
    assert_eq!(of(&user), [3, 15, 0, 0]);
}

#[test]
fn traffic_of_connections_that_are_gone_is_kept_once() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nPUB a 5\r\nhello\r\n");
    for _ in 0..2 {
        server.close(&mut peer);
        assert_eq!(figures(&server.hub.totals.gone), [1, 5, 1, 5]);
    }
    assert_eq!(server.hub.connection_count(), 0);
}

#[test]
fn no_more_connections_are_entered_than_allowed() {
    let mut server = Server::default();
    let peers: Vec<_> = (0..3).map(|_| server.accept(0)).collect();
    let refused = server.accept(0);
    server.hub.forget(&refused.client.connection);
    assert!(!server.hub.register(&refused.client.connection, 3));
    server.hub.forget(&peers[0].client.connection);
    assert!(server.hub.register(&refused.client.connection, 3));
    assert!(!server.hub.register(&peers[0].client.connection, -1));
}
