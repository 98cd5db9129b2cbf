//! The protocol trace. Each line was read from nats-server 2.15.1.

use crate::checks::server::{Peer, Server};
use crate::log::{Format, Levels, Output};
use crate::settings::Limits;

fn server(change: impl FnOnce(&mut Limits)) -> (Server, Peer) {
    let mut server = Server::with_limits(change);
    let peer = server.connect("\"headers\":true");
    let levels = Levels { trace: true, ..Levels::default() };
    server.hub.log.configure(Format::default(), Output::default(), levels);
    (server, peer)
}

/// What the trace shows of these bytes, without the connection.
fn trace(server: &mut Server, peer: &mut Peer, bytes: &[u8]) -> Vec<String> {
    server.log_lines();
    server.send(peer, bytes);
    let prefix = peer.client.connection.log_prefix() + " - ";
    let cut = |line: String| line.strip_prefix(&prefix).unwrap().to_owned();
    server.log_lines().into_iter().map(cut).collect()
}

#[test]
fn operations_stand_there_as_they_were_sent() {
    let (mut server, mut peer) = server(|_| {});
    for (bytes, lines) in [
        (&b"SUB  x\ty  2\r\n"[..], &["<<- [SUB x\ty  2]"][..]),
        (b"sub z 3\n", &["<<- [SUB z 3]"]),
        (
            b"PUB x r.r  005\r\n12345\r\n",
            &[
                "<<- [PUB x r.r  005]",
                "<<- MSG_PAYLOAD: [\"12345\"]",
                "->> [MSG x 2 r.r 005]",
                "->> MSG_PAYLOAD: [\"12345\"]",
            ],
        ),
        (b"PUB q 0\r\n\r\n", &["<<- [PUB q 0]"]),
        (b"UNSUB 2 5\r\n", &["<<- [UNSUB 2 5]"]),
        (b"UNSUB  2\r\n", &["<<- [UNSUB 2]", "<-> [DELSUB 2]"]),
        (b"INFO {}\r\n+OK\r\nPONG\r\n", &["<<- [PONG]"]),
        (b"ping xyz\r\n", &["<<- [PING]", "->> [PONG]"]),
        (b"SUB a..b 9\r\n", &["<<- [SUB a..b 9]", "->> [-ERR Invalid Subject]"]),
        (
            b"CONNECT  {\"verbose\":true,\"pass\":\"x\"} \r\n",
            &[
                "<<- [CONNECT {\"verbose\":true,\"pass\":\"[REDACTED]\"} ]",
                "<-> [DELSUB 3]",
                "->> [OK]",
            ],
        ),
    ] {
        assert_eq!(trace(&mut server, &mut peer, bytes), lines, "{bytes:?}");
    }
}

#[test]
fn payloads_are_quoted_and_cut() {
    let (mut server, mut peer) = server(|limits| limits.traced_bytes_max = 4);
    let payload = |server: &mut Server, peer: &mut Peer, bytes: &[u8]| {
        trace(server, peer, bytes).get(1).cloned().unwrap_or_default()
    };
    let quoted = payload(&mut server, &mut peer, b"PUB x 4\r\n\x00\"\xff\xe9\r\n");
    assert_eq!(quoted, r#"<<- MSG_PAYLOAD: ["\x00\"\xff\xe9"]"#);
    let cut = payload(&mut server, &mut peer, "PUB x 5\r\nééz\r\n".as_bytes());
    assert_eq!(cut, "<<- MSG_PAYLOAD: [\"éé...\"]");
    let cut = payload(&mut server, &mut peer, b"PUB x 6\r\nab\"def\r\n");
    assert_eq!(cut, r#"<<- MSG_PAYLOAD: ["ab\"d..."]"#);
}

#[test]
fn headers_alone_are_shown_without_the_empty_line() {
    let (mut server, mut peer) = server(|limits| limits.trace_headers = true);
    server.send(&mut peer, "SUB x 1\r\n");
    let block = "NATS/1.0\r\nA: b\r\n\r\n";
    let bytes = format!("HPUB x 18 21\r\n{block}abc\r\nPUB x 3\r\nabc\r\nHPUB x 4 6\r\nXXXXhi\r\n");
    assert_eq!(
        trace(&mut server, &mut peer, bytes.as_bytes()),
        [
            "<<- [HPUB x 18 21]",
            "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\"]",
            "->> [HMSG x 1 18 21]",
            "->> MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\"]",
            "<<- [PUB x 3]",
            "->> [MSG x 1 3]",
            "<<- [HPUB x 4 6]",
            "->> [HMSG x 1 4 6]",
        ]
    );
}

#[test]
fn who_reads_no_headers_is_shown_what_it_reads() {
    let (mut server, mut peer) = server(|_| {});
    let mut plain = server.connect("");
    server.send(&mut plain, "SUB x 1\r\n");
    server.log_lines();
    server.send(&mut peer, "HPUB x 12 15\r\nNATS/1.0\r\n\r\nabc\r\n");
    let lines = server.log_lines();
    assert!(lines[2].ends_with("->> [MSG x 1 3]"), "{lines:?}");
    assert!(lines[3].ends_with("->> MSG_PAYLOAD: [\"abc\"]"), "{lines:?}");
}
