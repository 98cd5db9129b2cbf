//! Who gets a message, and how it reads.

use crate::checks::server::Server;
use crate::gate::Admission;

fn admission(account: &str) -> Admission {
    Admission { account: account.into(), label: String::new(), permissions: None }
}

#[test]
fn accounts_hear_nothing_of_each_other() {
    let mut server = Server::default();
    for name in ["A", "B"] {
        server.account(name);
    }
    let mut peers = Vec::new();
    for name in ["A", "B", "$G"] {
        let mut peer = server.connect("");
        server.workers[0].admit(&mut peer.client, &admission(name)).unwrap();
        server.send(&mut peer, "SUB same.subject 1\r\nSUB same.> 2\r\n");
        peers.push(peer);
    }
    // Over and over, so that caches answer: each time only the own account's.
    for _ in 0..3 {
        for publisher in 0..peers.len() {
            server.send(&mut peers[publisher], "PUB same.subject 1\r\nx\r\n");
            for (number, peer) in peers.iter().enumerate() {
                let count = peer.read().matches("MSG same.subject").count();
                assert_eq!(count, if number == publisher { 2 } else { 0 });
            }
        }
    }
}

#[test]
fn an_account_without_subscribers_is_not_given_anothers_match() {
    let mut server = Server::default();
    let mut listener = server.connect("");
    server.workers[0].admit(&mut listener.client, &admission("$G")).unwrap();
    server.send(&mut listener, "SUB a.b 1\r\nPUB a.b 0\r\n\r\n");
    assert_eq!(listener.read(), "MSG a.b 1 0\r\n\r\n");
    server.account("B");
    let mut stranger = server.connect("");
    server.workers[0].admit(&mut stranger.client, &admission("B")).unwrap();
    // As many changes there as here, so that counters alone do not tell the accounts apart.
    server.send(&mut stranger, "SUB a.b 7\r\nPUB a.b 0\r\n\r\n");
    assert_eq!(listener.read(), "");
    assert_eq!(stranger.read(), "MSG a.b 7 0\r\n\r\n");
}

#[test]
fn overlapping_subscriptions_of_one_client_each_get_the_message() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a.b 1\r\nSUB a.* 2\r\nSUB > 3\r\nSUB a.> 4\r\nSUB *.* 5\r\n");
    server.send(&mut peer, "PUB a.b 1\r\nx\r\nPUB a.b 1\r\ny\r\n");
    let got = peer.read();
    for sid in 1..=5 {
        let of_sid = format!("MSG a.b {sid} 1\r\n");
        assert_eq!(got.matches(&of_sid).count(), 2, "sid {sid}");
    }
    // One message after the other, although both were taken in together.
    assert!(got.rfind("\r\nx\r\n") < got.find("\r\ny\r\n"));
}

#[test]
fn wildcards_match_whole_tokens_and_no_fewer() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a.> tail\r\nSUB a.* star\r\n");
    for (subject, sids) in
        [("a", vec![]), ("a.b", vec!["star", "tail"]), ("a.b.c", vec!["tail"]), ("b.a", vec![])]
    {
        server.send(&mut peer, format!("PUB {subject} 0\r\n\r\n"));
        let got = peer.read();
        let mut found: Vec<_> = got.lines().filter_map(|line| line.split(' ').nth(2)).collect();
        found.sort_unstable();
        assert_eq!(found, sids, "{subject}");
    }
}

#[test]
fn a_new_subscription_is_heard_at_once_by_whoever_published_before() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut listener = server.connect("");
    let publish = "PUB a.b.c 0\r\n\r\n";
    server.send(&mut publisher, publish);
    for (number, pattern) in ["a.b.c", "a.b.*", "a.>", "*.b.c", ">"].iter().enumerate() {
        server.send(&mut listener, format!("SUB {pattern} {number}\r\n"));
        server.send(&mut publisher, publish);
        assert_eq!(listener.read().matches("MSG").count(), number + 1, "after SUB {pattern}");
    }
    for left in (0..5).rev() {
        server.send(&mut listener, format!("UNSUB {left}\r\n"));
        server.send(&mut publisher, publish);
        assert_eq!(listener.read().matches("MSG").count(), left, "after UNSUB {left}");
    }
}

#[test]
fn a_client_without_echo_hears_others_but_not_itself() {
    let mut server = Server::default();
    let mut quiet = server.connect("\"echo\":false");
    let mut other = server.connect("");
    server.send(&mut quiet, "SUB a 1\r\nSUB a q 2\r\n");
    server.send(&mut other, "SUB a 1\r\n");
    server.send(&mut quiet, "PUB a 1\r\nx\r\nPUB a 1\r\ny\r\n");
    assert_eq!(quiet.read(), "");
    assert_eq!(other.read(), "MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n");
    server.send(&mut other, "PUB a 1\r\nz\r\n");
    assert_eq!(quiet.read(), "MSG a 1 1\r\nz\r\nMSG a 2 1\r\nz\r\n");
}

#[test]
fn headers_are_taken_off_for_who_does_not_read_them() {
    let mut server = Server::default();
    let mut publisher = server.connect("\"headers\":true");
    let (mut with, mut without) = (server.connect("\"headers\":true"), server.connect(""));
    for peer in [&mut with, &mut without] {
        server.send(peer, "SUB a 1\r\n");
    }
    server.send(&mut publisher, "HPUB a re.ply 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    assert_eq!(with.read(), "HMSG a 1 re.ply 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    assert_eq!(without.read(), "MSG a 1 re.ply 2\r\nhi\r\n");
}

#[test]
fn many_subscribers_get_the_same_bytes_in_order() {
    let mut server = Server::default();
    let mut publisher = server.connect("");
    let mut listeners: Vec<_> = (0..50).map(|_| server.connect("")).collect();
    for peer in &mut listeners {
        server.send(peer, "SUB a.* 1\r\n");
    }
    let body = "b".repeat(700);
    let mut expected = String::new();
    for round in 0..40 {
        let mut input = String::new();
        for message in 0..20 {
            input += &format!("PUB a.b 704\r\n{round:02}{message:02}{body}\r\n");
            expected += &format!("MSG a.b 1 704\r\n{round:02}{message:02}{body}\r\n");
        }
        server.send(&mut publisher, input);
    }
    for peer in &listeners {
        assert!(peer.read() == expected, "not all, or not in order");
    }
}

#[test]
fn large_payloads_and_small_ones_keep_their_order() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\n");
    let mut input = String::new();
    let mut expected = String::new();
    for size in [1, 20_000, 2, 9000, 3, 150_000, 4] {
        let body = "z".repeat(size);
        input += &format!("PUB a {size}\r\n{body}\r\n");
        expected += &format!("MSG a 1 {size}\r\n{body}\r\n");
    }
    server.send(&mut peer, input);
    assert!(peer.read() == expected);
}

#[test]
fn each_of_two_threads_reaches_the_clients_of_the_other() {
    let mut server = Server::new(2, |_| {});
    let mut left = server.connect_on(0, "");
    let mut right = server.connect_on(1, "");
    server.send(&mut left, "SUB to.left 1\r\n");
    server.send(&mut right, "SUB to.right 1\r\nPUB to.left 2\r\nhi\r\n");
    server.send(&mut left, "PUB to.right 2\r\nho\r\n");
    assert_eq!(left.read(), "MSG to.left 1 2\r\nhi\r\n");
    assert_eq!(right.read(), "MSG to.right 1 2\r\nho\r\n");
    server.send(&mut left, "UNSUB 1\r\n");
    server.send(&mut right, "PUB to.left 2\r\nhi\r\n");
    assert_eq!(left.read(), "");
}

#[test]
fn whoever_reads_an_answer_may_rely_on_what_it_said_before() {
    let mut server = Server::default();
    let mut peers = [server.connect(""), server.connect("")];
    server.send(&mut peers[0], "SUB to.first 1\r\n");
    server.send(&mut peers[1], "SUB to.second 1\r\n");
    let worker = &mut server.workers[0];
    // One turn; each answer has its deliveries before it, whichever connection comes first.
    worker.ingest(&mut peers[0].client, b"PUB to.second 3\r\none\r\nPING\r\n");
    worker.ingest(&mut peers[1].client, b"PUB to.first 3\r\ntwo\r\nPING\r\n");
    worker.flush(&[]);
    let [first, second] = &peers;
    assert!(second.place_of("one") < first.place_of("PONG"));
    assert!(first.place_of("two") < second.place_of("PONG"));
    for publisher in [0, 1] {
        let mut peers = [server.connect(""), server.connect("")];
        server.send(&mut peers[1 - publisher], "SUB heard 1\r\n");
        server.send(&mut peers[publisher], "CONNECT {\"verbose\":true}\r\n");
        peers[publisher].forget();
        server.send(&mut peers[publisher], "PUB heard 1\r\nx\r\n");
        assert!(peers[1 - publisher].place_of("MSG heard") < peers[publisher].place_of("+OK"));
    }
}

#[test]
fn a_message_that_marks_the_end_of_others_comes_behind_them() {
    let mut server = Server::default();
    let mut listeners: Vec<_> = (0..3).map(|_| server.connect("")).collect();
    for (number, listener) in listeners.iter_mut().enumerate() {
        server.send(listener, format!("SUB to.{number} 1\r\n"));
    }
    let mut publisher = server.connect("");
    server.send(&mut publisher, "SUB marker 1\r\n");
    let mut input = String::new();
    for number in [2, 0, 1] {
        input += &format!("PUB to.{number} 2\r\nit\r\n");
    }
    server.send(&mut publisher, input + "PUB marker 3\r\nend\r\n");
    let places: Vec<_> = [2, 0, 1].map(|number| listeners[number].place_of("it")).to_vec();
    assert!(places.is_sorted(), "{places:?}");
    assert!(places[2] < publisher.place_of("end"));
}
