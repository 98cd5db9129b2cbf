//! SUB and UNSUB with a maximum, and what is left when a connection goes.

use crate::checks::server::Server;

#[test]
fn a_maximum_counts_from_the_subscription_on() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\nUNSUB 1 3\r\n");
    server.send(&mut peer, "PUB a 0\r\n\r\n".repeat(5));
    assert_eq!(peer.read().matches("MSG").count(), 3);
    assert!(server.account("$G").sublist().is_empty());
    // The sid is free again.
    server.send(&mut peer, "SUB a 1\r\nPUB a 0\r\n\r\nUNSUB 1 1\r\nPUB a 0\r\n\r\n");
    assert_eq!(peer.read().matches("MSG").count(), 1);
}

#[test]
fn overlapping_subscriptions_end_at_their_own_maximum() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a.b one\r\nSUB a.* two\r\nSUB > all\r\n");
    server.send(&mut peer, "UNSUB one 1\r\nUNSUB two 2\r\n");
    server.send(&mut peer, "PUB a.b 0\r\n\r\n".repeat(4));
    let got = peer.read();
    for (sid, count) in [("one", 1), ("two", 2), ("all", 4)] {
        assert_eq!(got.matches(&format!("MSG a.b {sid} 0")).count(), count, "{sid}");
    }
    assert_eq!(server.account("$G").sublist().len(), 1);
}

#[test]
fn the_publisher_of_another_thread_ends_a_subscription_at_its_maximum() {
    let mut server = Server::new(2, |_| {});
    let mut listener = server.connect_on(0, "");
    let mut publisher = server.connect_on(1, "");
    for sid in 0..100 {
        server.send(&mut listener, format!("SUB a {sid}\r\nUNSUB {sid} 2\r\n"));
    }
    server.send(&mut publisher, "PUB a 0\r\n\r\n".repeat(3));
    assert_eq!(listener.read().matches("MSG").count(), 200);
    assert!(server.account("$G").sublist().is_empty());
    // The listener's own table forgets them when it is next touched.
    server.send(&mut listener, "SUB b b\r\n");
    assert_eq!(listener.client.subscription_count(), 1);
}

#[test]
fn a_connection_that_goes_leaves_no_subscription() {
    let mut server = Server::default();
    let mut publisher = server.connect("\"headers\":true,\"no_responders\":true");
    server.send(&mut publisher, "SUB in.* 1\r\n");
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nSUB a.* 2\r\nSUB > q 3\r\nSUB a q 4\r\n");
    assert_eq!(server.account("$G").sublist().len(), 5);
    server.close(&mut peer);
    assert_eq!(server.account("$G").sublist().len(), 1);
    server.send(&mut publisher, "PUB a in.1 0\r\n\r\n");
    assert_eq!(peer.read(), "");
    assert!(publisher.read().contains("503"));
}

#[test]
fn a_second_connect_begins_anew() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nPUB a 0\r\n\r\n");
    assert_eq!(peer.read(), "MSG a 1 0\r\n\r\n");
    server.send(&mut peer, "CONNECT {\"echo\":true}\r\nPUB a 0\r\n\r\n");
    assert_eq!(peer.read(), "");
    assert!(server.account("$G").sublist().is_empty());
}

#[test]
fn limits_of_number_and_tokens_are_answered_and_kept() {
    let mut server = Server::with_limits(|limits| {
        limits.subscriptions_max = 2;
        limits.subscription_tokens_max = 3;
    });
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a.b.c.d 1\r\n");
    assert!(peer.read().starts_with("-ERR 'Permissions Violation for Subscription to"));
    server.send(&mut peer, "SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n");
    assert_eq!(peer.read(), "-ERR 'maximum subscriptions exceeded'\r\n");
    server.send(&mut peer, "UNSUB 1\r\nSUB c 3\r\n");
    assert_eq!(peer.read(), "");
}
