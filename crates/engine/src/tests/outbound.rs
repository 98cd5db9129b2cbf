//! Bytes on their way out, against a socket that takes as little as it likes.

use std::time::Duration;

use proptest::prelude::*;

use crate::checks::server::Server;
use crate::lock;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_a_socket_takes_at_once_it_gets_all_in_order(
        steps in prop::collection::vec((1_usize..12_000, 0_usize..30_000, 1_usize..9_000), 1..30),
    ) {
        let mut server = Server::with_limits(|limits| {
            limits.write_deadline = Duration::from_secs(1);
        });
        let mut publisher = server.connect("");
        let mut listeners = [server.connect(""), server.connect("")];
        for peer in &mut listeners {
            server.send(peer, "SUB a 1\r\n");
            lock(&peer.sink).room = 0;
        }
        let mut expected = Vec::new();
        for (number, (size, room, at_once)) in steps.into_iter().enumerate() {
            let body = vec![b'a' + (number % 26) as u8; size];
            let head = format!("PUB a {size}\r\n");
            server.send(&mut publisher, [head.as_bytes(), &body, b"\r\n"].concat());
            let head = format!("MSG a 1 {size}\r\n");
            expected.extend([head.as_bytes(), &body, b"\r\n"].concat());
            for peer in &listeners {
                let mut sink = lock(&peer.sink);
                sink.room = room;
                sink.at_once = at_once;
                drop(sink);
                server.drain(peer);
                let waits = peer.pending_bytes() > 0;
                prop_assert_eq!(lock(&peer.sink).wants_room, waits);
                let deadline = lock(&peer.client.connection.outbound).deadline();
                prop_assert_eq!(deadline.is_some(), waits);
            }
        }
        for peer in &listeners {
            lock(&peer.sink).room = usize::MAX;
            server.drain_all(peer);
            prop_assert!(peer.read_bytes() == expected);
            let mut outbound = lock(&peer.client.connection.outbound);
            prop_assert_eq!(outbound.pending_pieces(), 0);
            prop_assert_eq!(outbound.taken_bytes(), expected.len() as u64);
            prop_assert!(outbound.close().is_some() && outbound.close().is_none());
        }
    }
}
