//! Destinations that do not take what is sent to them.

use std::time::Duration;

use keelback_wire::errors::ClosedReason;

use crate::checks::server::{Peer, Server};
use crate::events::Event;
use crate::lock;
use crate::outbound::Flow;

const PENDING_MAX: usize = 10_000;

fn server() -> Server {
    Server::with_limits(|limits| {
        limits.pending_bytes_max = PENDING_MAX;
        limits.write_deadline = Duration::from_secs(2);
    })
}

/// A subscriber to `a` whose socket takes nothing.
fn stuck(server: &mut Server) -> Peer {
    let mut peer = server.connect("\"name\":\"slow one\"");
    server.send(&mut peer, "SUB a 1\r\n");
    lock(&peer.sink).room = 0;
    peer
}

fn message(bytes: usize) -> String {
    format!("PUB a {bytes}\r\n{}\r\n", "x".repeat(bytes))
}

#[test]
fn who_lets_more_than_its_limit_wait_is_cut_off_and_reported_once() {
    let mut server = server();
    let peer = stuck(&mut server);
    let mut publisher = server.connect("");
    server.send(&mut publisher, message(PENDING_MAX - 100));
    assert!(!peer.client.connection.is_closing());
    server.events();
    for _ in 0..3 {
        server.send(&mut publisher, message(100));
    }
    let reason = ClosedReason::SlowConsumerPendingBytes;
    assert_eq!(peer.client.connection.closing_reason(), Some(reason));
    let told: Vec<_> = server
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SlowConsumer {
                connection,
                name,
                subject,
                pending_bytes,
                reason,
                client_ip,
                ..
            } => {
                assert!(pending_bytes > PENDING_MAX);
                assert_eq!((&*subject, &*client_ip), ("a", "127.0.0.1"));
                Some((connection, name, reason))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [(peer.client.connection.id, "slow one".into(), reason.as_str())]);
    assert_eq!(server.workers[0].to_close.len(), 1);
    // Nothing more is queued for it: what waits stays bounded.
    let pending = peer.pending_bytes();
    server.send(&mut publisher, message(500).repeat(100));
    assert_eq!(peer.pending_bytes(), pending);
}

#[test]
fn what_waits_is_counted_down_as_it_is_taken() {
    let mut server = server();
    let peer = stuck(&mut server);
    let mut publisher = server.connect("");
    // Ten times the limit passes, never more than it at once.
    for _ in 0..20 {
        server.send(&mut publisher, message(5000));
        assert!(peer.pending_bytes() >= 5000);
        assert!(lock(&peer.sink).wants_room);
        lock(&peer.sink).room = usize::MAX;
        assert_eq!(server.drain(&peer), Flow::Clear);
        assert_eq!(peer.pending_bytes(), 0);
        assert!(!lock(&peer.sink).wants_room);
        lock(&peer.sink).room = 0;
    }
    assert!(!peer.client.connection.is_closing());
    assert_eq!(peer.read().len(), 20 * "MSG a 1 5000\r\n\r\n".len() + 100_000);
}

#[test]
fn the_deadline_stands_until_what_waited_first_is_out() {
    let mut server = server();
    let peer = stuck(&mut server);
    let mut publisher = server.connect("");
    let start = server.now;
    server.send(&mut publisher, message(1000));
    let deadline = |peer: &Peer| lock(&peer.client.connection.outbound).deadline();
    let first = deadline(&peer);
    assert_eq!(first, Some(start + Duration::from_secs(2)));
    assert_eq!(server.workers[0].to_watch.len(), 1, "the owner must set a timer");
    server.pass(Duration::from_secs(1));
    server.send(&mut publisher, message(1000));
    assert_eq!(deadline(&peer), first, "more bytes give no more time");
    // All that waited at the start is out, something newer waits: a deadline of its own.
    lock(&peer.sink).room = 1500;
    assert!(matches!(server.drain(&peer), Flow::Waiting(_)));
    assert_eq!(deadline(&peer), Some(server.now + Duration::from_secs(2)));
    lock(&peer.sink).room = usize::MAX;
    assert_eq!(server.drain(&peer), Flow::Clear);
    assert_eq!(deadline(&peer), None);
}

#[test]
fn a_publisher_is_told_of_pressure_above_three_quarters() {
    let mut server = server();
    let peer = stuck(&mut server);
    let mut publisher = server.connect("");
    server.send(&mut publisher, message(7000));
    assert!(server.workers[0].pressures.is_empty());
    server.send(&mut publisher, message(1000));
    let [pressure] = &server.workers[0].pressures[..] else { panic!("no pressure") };
    assert_eq!(pressure.publisher, publisher.client.connection.id);
    assert_eq!(pressure.destination.id, peer.client.connection.id);
    assert!(pressure.is_severe);
}

#[test]
fn a_publisher_is_told_of_a_destination_that_lags_and_when_it_has_caught_up() {
    let mut server = Server::with_limits(|limits| limits.pending_bytes_max = 1 << 20);
    let peer = stuck(&mut server);
    let mut publisher = server.connect("");
    let id = publisher.client.connection.id;
    server.send(&mut publisher, message(60_000));
    assert!(server.workers[0].pressures.is_empty());
    server.send(&mut publisher, message(6_000));
    let [pressure] = &server.workers[0].pressures[..] else { panic!("no pressure") };
    assert!(!pressure.is_severe);
    let outbound = &peer.client.connection.outbound;
    assert!(lock(outbound).add_waiter(id) && lock(outbound).add_waiter(id));
    lock(&peer.sink).room = 1000;
    server.drain(&peer);
    assert!(lock(outbound).take_waiters().is_empty());
    lock(&peer.sink).room = usize::MAX;
    server.drain_all(&peer);
    assert_eq!(lock(outbound).take_waiters(), [id]);
    assert!(lock(outbound).take_waiters().is_empty() && !lock(outbound).add_waiter(id));
}

#[test]
fn one_stuck_subscriber_takes_nothing_from_the_others() {
    let mut server = server();
    let peer = stuck(&mut server);
    let mut other = server.connect("");
    let mut publisher = server.connect("");
    server.send(&mut other, "SUB a 1\r\n");
    server.send(&mut publisher, message(3000).repeat(50));
    assert!(peer.client.connection.is_closing());
    assert_eq!(other.read().matches("MSG a 1 3000").count(), 50);
}

#[test]
fn a_broken_socket_closes_its_connection_only() {
    let mut server = server();
    let peer = stuck(&mut server);
    lock(&peer.sink).is_broken = true;
    let mut publisher = server.connect("");
    server.send(&mut publisher, message(10));
    assert_eq!(peer.client.connection.closing_reason(), Some(ClosedReason::WriteError));
    assert!(!publisher.client.connection.is_closing());
}

/// Of the delivery that waits first.
fn subject(peer: &Peer) -> String {
    let subject = lock(&peer.client.connection.outbound).first_subject();
    String::from_utf8(subject.into()).unwrap()
}

/// A peer takes what waits piece by piece; at each point its next byte belongs to the delivery
/// that is told.
fn told_while_taking(server: &mut Server, peer: &Peer, at_once: usize) {
    let mut taken = peer.read_bytes();
    lock(&peer.sink).room = usize::MAX;
    lock(&peer.sink).at_once = at_once;
    let mut told = vec![(taken.len(), subject(peer))];
    while peer.pending_bytes() > 0 {
        lock(&peer.sink).room = at_once;
        server.drain(peer);
        taken.extend(peer.read_bytes());
        told.push((taken.len(), subject(peer)));
    }
    assert!(told.len() > 10, "the peer took too much at once");
    let text = String::from_utf8(taken).unwrap();
    assert_eq!(told.pop(), Some((text.len(), String::new())));
    for (place, subject) in told {
        let starts = text.match_indices("MSG ").map(|(start, _)| start);
        let start = starts.take_while(|&start| start <= place).last().unwrap();
        let expected = text[start..].split(' ').nth(1).unwrap();
        assert_eq!(subject, expected, "at {place} of {}", text.len());
    }
}

#[test]
fn the_subject_of_a_large_message_is_known_until_its_end() {
    for other in ["", "SUB > 7\r\n"] {
        let mut server = Server::with_limits(|limits| limits.pending_bytes_max = 1 << 20);
        let mut peer = server.connect("");
        server.send(&mut peer, "SUB > 7\r\n");
        let mut publisher = server.connect("");
        // With another subscriber of the same prefix what is sent is shared.
        let mut beside = server.connect("");
        server.send(&mut beside, other);
        lock(&peer.sink).room = 50_000;
        for name in ["large.one", "large.two"] {
            let payload = "xMSG\r\n".repeat(20_000);
            let message = format!("PUB {name} {}\r\n{payload}\r\n", payload.len());
            server.send(&mut publisher, message);
        }
        assert_eq!(subject(&peer), "large.one");
        told_while_taking(&mut server, &peer, 7_000);
    }
}

#[test]
fn of_messages_large_and_small_the_first_that_waits_is_told() {
    let mut server = Server::with_limits(|limits| limits.pending_bytes_max = 1 << 20);
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB > 7\r\n");
    let mut publisher = server.connect("");
    lock(&peer.sink).room = 0;
    let sizes = [10, 9_000, 500, 8_500, 40_000, 7];
    let messages: Vec<_> = sizes
        .iter()
        .map(|&size| format!("PUB of.{size} {size}\r\n{}\r\n", "x".repeat(size)))
        .collect();
    server.send(&mut publisher, messages.concat());
    assert_eq!(subject(&peer), "of.10");
    lock(&peer.sink).room = "MSG of.10 7 10\r\n\r\n".len() + 10;
    server.drain(&peer);
    assert_eq!(subject(&peer), "of.9000");
    told_while_taking(&mut server, &peer, 1_000);
}
