//! Two threads that deliver to each other's connections at once, as reactor threads do. Sanitizers
//! and Miri run these too.

use std::sync::Barrier;

use crate::checks::server::{Peer, Server};
use crate::{Worker, lock};

const ROUNDS: usize = if cfg!(miri) { 4 } else { 300 };
const BURST: usize = 5;

/// One thread's turns: its publisher sends a burst, its other client comes and goes.
fn turns(worker: &mut Worker, thread: usize, publisher: &mut Peer, visitor: &mut Peer) {
    for round in 0..ROUNDS {
        let mut input = String::new();
        for number in round * BURST..(round + 1) * BURST {
            input += &format!("PUB to.{thread} 6\r\n{number:06}\r\n");
        }
        worker.ingest(&mut publisher.client, input.as_bytes());
        let visit = match round % 3 {
            0 => "SUB to.* come\r\n",
            1 => "SUB to.0 and\r\nUNSUB and 2\r\n",
            _ => "UNSUB come\r\nUNSUB and\r\n",
        };
        worker.ingest(&mut visitor.client, visit.as_bytes());
        worker.flush(&[]);
    }
}

#[test]
fn each_listener_gets_all_of_each_publisher_in_order() {
    let mut server = Server::new(2, |_| {});
    let mut listeners = [server.connect_on(0, ""), server.connect_on(1, "")];
    for peer in &mut listeners {
        server.send(peer, "SUB to.* 1\r\n");
    }
    let mut publishers = [server.connect_on(0, ""), server.connect_on(1, "")];
    let mut visitors = [server.connect_on(0, ""), server.connect_on(1, "")];
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let peers = publishers.iter_mut().zip(&mut visitors);
        for (thread, (worker, (publisher, visitor))) in
            server.workers.iter_mut().zip(peers).enumerate()
        {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                turns(worker, thread, publisher, visitor);
            });
        }
    });
    for peer in &listeners {
        let got = peer.read();
        for thread in 0..2 {
            let head = format!("MSG to.{thread} 1 6\r\n");
            let numbers: Vec<usize> =
                got.split(&head).skip(1).map(|rest| rest[..6].parse().unwrap()).collect();
            assert_eq!(numbers, (0..ROUNDS * BURST).collect::<Vec<_>>());
        }
    }
    for peer in &mut visitors {
        server.close(peer);
    }
    assert_eq!(server.account("$G").sublist().len(), 2);
}

#[test]
fn a_maximum_holds_however_many_threads_publish() {
    let mut server = Server::new(2, |_| {});
    let mut listener = server.connect_on(0, "");
    let most = ROUNDS;
    server.send(&mut listener, format!("SUB to.* 1\r\nUNSUB 1 {most}\r\n"));
    let mut publishers = [server.connect_on(0, ""), server.connect_on(1, "")];
    std::thread::scope(|scope| {
        for (thread, (worker, peer)) in server.workers.iter_mut().zip(&mut publishers).enumerate() {
            scope.spawn(move || {
                let input = format!("PUB to.{thread} 0\r\n\r\n").repeat(2);
                for _ in 0..ROUNDS {
                    worker.ingest(&mut peer.client, input.as_bytes());
                    worker.flush(&[]);
                }
            });
        }
    });
    assert_eq!(listener.read().matches("MSG").count(), most);
    assert!(server.account("$G").sublist().is_empty());
}

#[test]
fn a_socket_that_takes_little_gets_all_while_two_threads_fill_its_queue() {
    let mut server = Server::new(2, |_| {});
    let mut listener = server.connect_on(0, "");
    server.send(&mut listener, "SUB to.* 1\r\n");
    lock(&listener.sink).at_once = 50;
    let mut publishers = [server.connect_on(0, ""), server.connect_on(1, "")];
    std::thread::scope(|scope| {
        for (thread, (worker, peer)) in server.workers.iter_mut().zip(&mut publishers).enumerate() {
            let connection = listener.client.connection.clone();
            scope.spawn(move || {
                let input = format!("PUB to.{thread} 9\r\nsomething\r\n").repeat(BURST);
                for _ in 0..ROUNDS {
                    worker.ingest(&mut peer.client, input.as_bytes());
                    worker.flush(&[]);
                    let deadline = worker.settings.limits.write_deadline;
                    lock(&connection.outbound).drain(worker.now, deadline);
                }
            });
        }
    });
    server.drain_all(&listener);
    let got = listener.read();
    assert_eq!(got.len(), 2 * ROUNDS * BURST * "MSG to.0 1 9\r\nsomething\r\n".len());
    assert_eq!(got.matches("1 9\r\nsomething\r\n").count(), 2 * ROUNDS * BURST);
}
