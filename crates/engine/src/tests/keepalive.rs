//! The first ping comes early; the modes verbose and pedantic.

use std::time::Duration;

use crate::checks::server::Server;
use crate::ingest::Outcome;
use crate::keepalive::Look;

const INTERVAL: Duration = Duration::from_mins(2);

#[test]
fn connect_brings_the_first_ping_nearer_and_measures_a_round_trip() {
    let mut server = Server::default();
    let mut peer = server.accept(0);
    peer.client.keepalive.begin(server.now, INTERVAL);
    server.pass(Duration::from_millis(30));
    server.send(&mut peer, "CONNECT {}\r\n");
    let keepalive = &peer.client.keepalive;
    assert_eq!(keepalive.rtt, Some(Duration::from_millis(30)));
    let soon = keepalive.next_look - server.now;
    assert!((Duration::from_secs(2)..Duration::from_millis(2401)).contains(&soon), "{soon:?}");
}

#[test]
fn a_peer_that_answers_each_ping_is_never_stale() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    for _ in 0..10 {
        server.pass(INTERVAL);
        let now = server.now;
        assert_eq!(peer.client.keepalive.look(now, INTERVAL, 2), Look::Ping);
        server.pass(Duration::from_millis(5));
        // Sent alone, PONG is no sign of activity beyond itself.
        server.send(&mut peer, "PONG\r\n");
        assert_eq!(peer.client.keepalive.rtt, Some(Duration::from_millis(5)));
    }
}

#[test]
fn verbose_confirms_each_operation_in_its_place() {
    let mut server = Server::default();
    let mut peer = server.accept(0);
    server.send(&mut peer, "CONNECT {\"verbose\":true,\"protocol\":1}\r\n");
    assert_eq!(peer.read(), "+OK\r\n");
    server.send(&mut peer, "SUB a 1\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nUNSUB 1\r\nUNSUB 9\r\n");
    assert_eq!(
        peer.read(),
        "+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\nMSG a 1 1\r\ny\r\n+OK\r\n+OK\r\n"
    );
}

#[test]
fn pedantic_refuses_subjects_that_cannot_be_published_to_and_publishes_anyway() {
    let mut server = Server::default();
    let mut listener = server.connect("");
    server.send(&mut listener, "SUB a.* 1\r\n");
    let mut peer = server.accept(0);
    server.send(&mut peer, "CONNECT {\"verbose\":false,\"pedantic\":true}\r\n");
    server.send(&mut peer, "PUB a.* 0\r\n\r\n");
    assert_eq!(peer.read(), "-ERR 'Invalid Publish Subject'\r\n");
    assert_eq!(listener.read(), "MSG a.* 1 0\r\n\r\n");
}

#[test]
fn who_asks_for_protocol_one_gets_info_after_its_first_pong_only() {
    let mut server = Server::default();
    let mut peer = server.connect("\"protocol\":1");
    server.send(&mut peer, "PING\r\nPING\r\n");
    let got = peer.read();
    assert_eq!(got.matches("INFO {").count(), 1);
    assert!(got.starts_with("PONG\r\nINFO {") && got.ends_with("\r\nPONG\r\n"));
    let mut old = server.connect("");
    server.send(&mut old, "PING\r\n");
    assert_eq!(old.read(), "PONG\r\n");
}

#[test]
fn an_unknown_protocol_closes() {
    let mut server = Server::default();
    let mut peer = server.accept(0);
    let outcome = server.send(&mut peer, "CONNECT {\"protocol\":7}\r\nPING\r\n");
    assert!(matches!(outcome, Outcome::Close(_)));
    assert_eq!(peer.read(), "-ERR 'invalid client protocol'\r\n");
}
