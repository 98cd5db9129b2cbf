//! Queue groups: one member a message, each in its turn as often as the others.

use crate::checks::server::{Peer, Server};

const MESSAGES: usize = 6000;

/// Publishes many and counts what each member got.
fn shares(server: &mut Server, publisher: &mut Peer, members: &[Peer]) -> Vec<usize> {
    for _ in 0..MESSAGES / 100 {
        server.send(publisher, "PUB work.item 1\r\nx\r\n".repeat(100));
    }
    members.iter().map(|peer| peer.read().matches("MSG work.item").count()).collect()
}

#[test]
fn one_member_gets_each_message_and_all_get_about_as_many() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut members: Vec<_> = (0..4).map(|_| server.connect("")).collect();
    for peer in &mut members {
        server.send(peer, "SUB work.* crew 1\r\n");
    }
    let shares = shares(&mut server, &mut publisher, &members);
    assert_eq!(shares.iter().sum::<usize>(), MESSAGES);
    // The generator is seeded, so this repeats; 1,500 with a deviation of 34 are expected.
    assert!(shares.iter().all(|share| (1350..=1650).contains(share)), "{shares:?}");
}

#[test]
fn who_subscribes_twice_gets_twice_as_many() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut members: Vec<_> = (0..3).map(|_| server.connect("")).collect();
    for (number, peer) in members.iter_mut().enumerate() {
        server.send(peer, "SUB work.* crew 1\r\n");
        if number == 0 {
            server.send(peer, "SUB work.item crew 2\r\n");
        }
    }
    let shares = shares(&mut server, &mut publisher, &members);
    assert_eq!(shares.iter().sum::<usize>(), MESSAGES);
    assert!((2800..=3200).contains(&shares[0]), "{shares:?}");
}

#[test]
fn groups_of_different_names_each_get_every_message() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut members: Vec<_> = (0..3).map(|_| server.connect("")).collect();
    for (peer, queue) in members.iter_mut().zip(["one", "one", "two"]) {
        server.send(peer, format!("SUB work.item {queue} 1\r\n"));
    }
    let shares = shares(&mut server, &mut publisher, &members);
    assert_eq!(shares[0] + shares[1], MESSAGES);
    assert_eq!(shares[2], MESSAGES);
}

#[test]
fn another_member_takes_what_one_may_not_have() {
    let mut server = Server::default();
    let mut quiet = server.connect("\"echo\":false");
    let mut other = server.connect("");
    server.send(&mut quiet, "SUB work.item crew 1\r\n");
    server.send(&mut other, "SUB work.item crew 1\r\nUNSUB 1 5\r\n");
    server.send(&mut quiet, "PUB work.item 0\r\n\r\n".repeat(9));
    assert_eq!(quiet.read(), "");
    assert_eq!(other.read().matches("MSG").count(), 5);
}

#[test]
fn a_member_that_is_closing_is_passed_over() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut members: Vec<_> = (0..2).map(|_| server.connect("")).collect();
    for peer in &mut members {
        server.send(peer, "SUB work.item crew 1\r\n");
    }
    let reason = keelback_wire::errors::ClosedReason::ClientClosed;
    assert!(members[0].client.connection.set_closing(reason));
    server.send(&mut publisher, "PUB work.item 0\r\n\r\n".repeat(20));
    assert_eq!(members[1].read().matches("MSG").count(), 20);
}
