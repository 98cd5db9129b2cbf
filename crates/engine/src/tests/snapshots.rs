//! What monitoring sees of connections, accounts and subscriptions.

use std::time::Duration;

use keelback_interest::PermissionRules;
use keelback_wire::errors::ClosedReason;

use crate::checks::server::{Peer, Server};
use crate::closed::CLOSED_SUBSCRIPTIONS_MAX;
use crate::page::{ConnectionInfo, Query, Sort, State};

const SECOND_NS: u64 = 1_000_000_000;

fn query(sort: Sort) -> Query {
    Query {
        state: State::Open,
        sort,
        offset: 0,
        limit: 1024,
        cid: 0,
        user: String::new(),
        account: String::new(),
        filter_subject: String::new(),
        subscriptions: false,
    }
}

fn page(server: &Server, query: &Query) -> (usize, Vec<u64>) {
    let page = server.hub.connection_page(query, server.now_ns());
    (page.total, page.connections.iter().map(|info| info.cid).collect())
}

fn first(server: &Server, query: &Query) -> ConnectionInfo {
    server.hub.connection_page(query, server.now_ns()).connections.remove(0)
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}

fn id(peer: &Peer) -> u64 {
    peer.client.connection.id
}

#[test]
fn each_order_is_nats_servers_and_equal_ones_follow_their_numbers() {
    let mut server = Server::default();
    let mut peers: Vec<Peer> = (0..4)
        .map(|_| {
            server.pass(Duration::from_secs(1));
            server.connect("")
        })
        .collect();
    let ids: Vec<u64> = peers.iter().map(id).collect();
    let [a, b, c, d] = ids[..] else { panic!("four") };
    server.pass(Duration::from_secs(1));
    server.send(&mut peers[1], "SUB s 1\r\nSUB t 2\r\n");
    server.pass(Duration::from_secs(1));
    server.send(&mut peers[2], "SUB u 1\r\nPUB s 3\r\nabc\r\nPUB u 1\r\na\r\n");
    for (sort, expected) in [
        (Sort::Cid, [a, b, c, d]),
        (Sort::Subs, [b, c, a, d]),
        (Sort::MsgsFrom, [c, a, b, d]),
        (Sort::BytesTo, [b, c, a, d]),
        // Deliveries are activity too.
        (Sort::Last, [b, c, d, a]),
        (Sort::Idle, [a, d, b, c]),
        (Sort::Uptime, [d, c, b, a]),
        (Sort::Pending, [a, b, c, d]),
    ] {
        assert_eq!(page(&server, &query(sort)), (4, expected.to_vec()), "{sort:?}");
    }
    let mut middle = query(Sort::Cid);
    (middle.offset, middle.limit) = (1, 2);
    assert_eq!(page(&server, &middle), (4, vec![b, c]));
    middle.offset = 9;
    assert_eq!(page(&server, &middle), (4, vec![]));
}

#[test]
fn a_connection_is_described_by_what_it_said_and_did() {
    let mut server = Server::default();
    server.pass(Duration::from_secs(1));
    let mut peer =
        server.connect(r#""name":"n","lang":"l","version":"v","user":"bob","pass":"secret""#);
    server.pass(Duration::from_secs(2));
    server.send(&mut peer, "PING\r\n");
    let info = first(&server, &query(Sort::Cid));
    assert_eq!((info.ip.as_str(), info.port), ("127.0.0.1", 1));
    assert_eq!((info.start_ns, info.last_activity_ns), (2 * SECOND_NS, 2 * SECOND_NS));
    assert_eq!((info.stop_ns, info.reason, info.account()), (0, "", "$G"));
    let identity = info.identity.expect("it has said who it is");
    assert_eq!([identity.name(), identity.lang(), identity.version()], ["n", "l", "v"]);
    assert_eq!((identity.user(), identity.raw_user()), ("user:bob", "bob"));
    server.send(&mut peer, "PUB a 0\r\n\r\n");
    assert_eq!(first(&server, &query(Sort::Cid)).last_activity_ns, 4 * SECOND_NS);
    assert!(first(&server, &query(Sort::Cid)).rtt_ns > 0);
}

#[test]
fn pages_are_of_one_account_user_or_number() {
    let mut server = Server::default();
    server.account("A");
    let mut one = server.admit("A", PermissionRules::default());
    let two = server.connect(r#""user":"bob""#);
    let of = |server: &Server, change: &dyn Fn(&mut Query)| {
        let mut query = query(Sort::Cid);
        change(&mut query);
        page(server, &query)
    };
    assert_eq!(of(&server, &|it| it.account = "A".into()), (1, vec![id(&one)]));
    assert_eq!(of(&server, &|it| it.account = "none".into()), (0, vec![]));
    // The total is counted before users are.
    assert_eq!(of(&server, &|it| it.user = "bob".into()), (2, vec![id(&two)]));
    assert_eq!(of(&server, &|it| it.cid = id(&two)), (2, vec![id(&two)]));
    server.send(&mut one, "SUB orders.*.new 1\r\n");
    for (filter, is_there) in
        [("orders.a.new", true), ("orders.>", true), ("*.b.*", true), ("*.b", false), ("x", false)]
    {
        let (_, found) = of(&server, &|it| {
            (it.account, it.filter_subject) = ("A".into(), filter.into());
        });
        assert_eq!(!found.is_empty(), is_there, "{filter}");
    }
}

#[test]
fn closed_connections_are_remembered_up_to_a_number() {
    let mut server = Server::default();
    let mut gone = Vec::new();
    for number in 0..5 {
        let mut peer = server.connect("");
        server.send(&mut peer, "SUB a q 7\r\nSUB b 8\r\nPUB b 2\r\nhi\r\n");
        server.pass(Duration::from_secs(1));
        let reason =
            if number == 3 { ClosedReason::ParseError } else { ClosedReason::ClientClosed };
        peer.client.connection.set_closing(reason);
        server.close(&mut peer);
        gone.push(id(&peer));
    }
    let mut query = query(Sort::Cid);
    assert_eq!(page(&server, &query), (0, vec![]));
    query.state = State::Closed;
    query.subscriptions = true;
    assert_eq!(page(&server, &query), (5, gone.clone()));
    let info = first(&server, &query);
    assert_eq!((info.stop_ns, info.reason), (2 * SECOND_NS, "Client Closed"));
    assert_eq!((info.figures, info.subscriptions), ([1, 2, 1, 2], 2));
    let mut listed: Vec<_> = info
        .subscription_list
        .iter()
        .map(|sub| (&*sub.subject, &*sub.queue, &*sub.sid, sub.msgs, &*sub.account))
        .collect();
    listed.sort_unstable();
    assert_eq!(listed, [("a", "q", "7", 0, "$G"), ("b", "", "8", 1, "$G")]);
    query.sort = Sort::Stop;
    assert_eq!(page(&server, &query).1, gone.iter().rev().copied().collect::<Vec<_>>());
    query.sort = Sort::Reason;
    assert_eq!(page(&server, &query).1, [gone[0], gone[1], gone[2], gone[4], gone[3]]);
    server.hub.set_closed_max(2);
    query.sort = Sort::Cid;
    assert_eq!(page(&server, &query), (2, gone[3..].to_vec()));
    query.state = State::All;
    query.cid = gone[4];
    assert_eq!(page(&server, &query), (2, vec![gone[4]]));
}

#[test]
fn of_many_subscriptions_of_a_closed_connection_a_few_are_kept() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    let lines = lines(100, |sid| format!("SUB s.{sid} {sid}\r\n"));
    server.send(&mut peer, lines);
    server.close(&mut peer);
    let mut query = query(Sort::Cid);
    (query.state, query.subscriptions) = (State::Closed, true);
    let info = first(&server, &query);
    assert_eq!(info.subscriptions, 100);
    assert_eq!(info.subscription_list.len(), CLOSED_SUBSCRIPTIONS_MAX);
}

#[test]
fn who_was_refused_is_remembered_by_what_it_claimed() {
    let mut server = Server::new(1, |settings| {
        let gate = crate::gate::Gate { required: true, ..crate::gate::Gate::default() };
        settings.gate = std::sync::Arc::new(gate);
    });
    let mut peer = server.accept(0);
    server.send(&mut peer, "CONNECT {\"user\":\"eve\",\"pass\":\"x\",\"name\":\"n\"}\r\n");
    peer.client.connection.set_closing(ClosedReason::AuthenticationFailure);
    server.close(&mut peer);
    let mut query = query(Sort::Cid);
    query.state = State::Closed;
    let info = first(&server, &query);
    assert_eq!(info.reason, "Authentication Failure");
    assert_eq!(info.identity.map(|it| (it.name().into(), it.user().into())), {
        Some((String::from("n"), String::from("user:eve")))
    });
}

#[test]
fn accounts_have_the_traffic_of_their_connections_also_when_those_are_gone_or_moved() {
    let mut server = Server::default();
    server.account("A");
    let mut peer = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nPUB a 5\r\nhello\r\n");
    let admission =
        crate::gate::Admission { account: "A".into(), label: "user:x".into(), permissions: None };
    let figures = |server: &Server, name: &str| {
        let accounts = server.hub.account_page();
        let info = accounts.into_iter().find(|info| info.name == name).unwrap();
        (info.connections, info.figures)
    };
    assert_eq!(figures(&server, "$G"), (1, [1, 5, 1, 5]));
    server.workers[0].admit(&mut peer.client, &admission).unwrap();
    server.send(&mut peer, "PUB a 3\r\nabc\r\n");
    for is_closed in [false, true] {
        assert_eq!(figures(&server, "$G"), (0, [1, 5, 1, 5]));
        assert_eq!(figures(&server, "A"), (u64::from(!is_closed), [1, 3, 0, 0]));
        if !is_closed {
            server.close(&mut peer);
        }
    }
    let names: Vec<_> = server.hub.account_page().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["$G", "$SYS", "A"]);
}

#[test]
fn subscriptions_are_paged_without_loss() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    let lines = lines(300, |sid| format!("SUB s.{} q{} {sid}\r\n", sid % 100, sid % 3));
    server.send(&mut peer, lines + "SUB w.* 300\r\nSUB w.* 301\r\nSUB > 302\r\n");
    let mut found = Vec::new();
    for offset in (0..=400).step_by(7) {
        let (total, page) = server.hub.subscription_page("", "", offset, 7);
        assert_eq!(total, 303);
        found.extend(page.into_iter().map(|sub| sub.sid.parse::<usize>().unwrap()));
    }
    found.sort_unstable();
    assert_eq!(found, (0..303).collect::<Vec<_>>());
    let (total, page) = server.hub.subscription_page("$G", "w.x", 1, 1);
    assert_eq!((total, page.len()), (3, 1));
    assert_eq!(server.hub.subscription_page("none", "", 0, 9).0, 0);
}

#[test]
fn match_results_are_counted_in_their_account() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    let mut publisher = server.connect("");
    server.send(&mut peer, "SUB a 1\r\nSUB a 2\r\nSUB a q 3\r\nSUB b 4\r\nUNSUB 4\r\n");
    server.send(&mut publisher, "PUB a 0\r\n\r\nPUB b 0\r\n\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\n");
    let account = server.account("$G");
    assert_eq!(account.sublist().changes(), (4, 1));
    // The fourth repeats the third.
    assert_eq!(account.lookups(), (3, 1));
    let mut count = crate::worker::CacheCount::default();
    let (mut first, worker) = (0, &server.workers[0]);
    while worker.count_cache(Some(account.id), first, 100, &mut count) {
        first += 100;
    }
    assert_eq!((count.entries, count.fanout_max, count.fanout_sum), (2, 3, 3));
}

#[test]
fn a_clients_subscriptions_are_read_in_pieces() {
    let mut server = Server::default();
    let mut peer = server.connect("");
    let lines = lines(500, |sid| format!("SUB s {sid}\r\n"));
    server.send(&mut peer, lines + "UNSUB 0\r\n");
    let (mut place, mut sids) = (0, Vec::new());
    let read = |sub: &crate::subscription::SubRef, sids: &mut Vec<Vec<u8>>| {
        sids.push(sub.sid().to_vec());
    };
    while peer.client.scan(&mut place, 10, |sub| read(sub, &mut sids)) {}
    sids.sort_unstable();
    sids.dedup();
    assert_eq!(sids.len(), 499);
}
