//! Requests that reach nobody.

use crate::checks::server::Server;

const ASKER: &str = "\"headers\":true,\"no_responders\":true,\"echo\":false";
const NOBODY: &str = "HMSG in.1 1 38 38\r\nNATS/1.0 503\r\nNats-Subject: no.one\r\n\r\n\r\n";

#[test]
fn a_request_that_reaches_nobody_is_answered_with_503() {
    let mut server = Server::default();
    let mut asker = server.connect(ASKER);
    server.send(&mut asker, "SUB in.* 1\r\nPUB no.one in.1 1\r\nx\r\n");
    assert_eq!(asker.read(), NOBODY);
    // Again from what is remembered, and without a reply not at all.
    server.send(&mut asker, "PUB no.one in.1 1\r\nx\r\nPUB no.one 1\r\nx\r\n");
    assert_eq!(asker.read(), NOBODY);
}

#[test]
fn a_request_that_somebody_takes_is_not() {
    let mut server = Server::default();
    let mut asker = server.connect(ASKER);
    let mut responder = server.connect("");
    server.send(&mut asker, "SUB in.* 1\r\nSUB some.one 2\r\n");
    server.send(&mut responder, "SUB some.one crew 1\r\nSUB other.one 2\r\n");
    server.send(&mut asker, "PUB some.one in.1 0\r\n\r\nPUB other.one in.1 0\r\n\r\n");
    assert_eq!(asker.read(), "");
    assert_eq!(responder.read().matches("MSG").count(), 2);
    // The last responder goes: from now on there is none.
    server.send(&mut responder, "UNSUB 1\r\n");
    server.send(&mut asker, "PUB some.one in.1 0\r\n\r\n");
    assert!(asker.read().contains("503"));
}

#[test]
fn each_request_of_a_burst_beyond_a_maximum_is_answered() {
    let mut server = Server::default();
    let mut asker = server.connect(ASKER);
    let mut responder = server.connect("");
    server.send(&mut asker, "SUB in.* 1\r\n");
    server.send(&mut responder, "SUB some.one 1\r\nUNSUB 1 2\r\n");
    server.send(&mut asker, "PUB some.one in.1 0\r\n\r\n".repeat(5));
    assert_eq!(responder.read().matches("MSG").count(), 2);
    assert_eq!(asker.read().matches("503").count(), 3);
}
