//! What a user may do, as connections meet it.

use std::time::Duration;

use keelback_interest::{PermissionRules, Responses};

use crate::checks::server::Server;
use crate::connection::Policy;

fn list(subjects: &[&str]) -> Vec<Vec<u8>> {
    subjects.iter().map(|subject| subject.as_bytes().to_vec()).collect()
}

fn responding(max: i64, expires: Duration) -> PermissionRules {
    let responses = Some(Responses { max, expires: Some(expires) });
    PermissionRules { responses, ..PermissionRules::default() }
}

#[test]
fn a_denied_publish_reaches_nobody_however_often_it_is_tried() {
    let mut server = Server::default();
    let mut listener = server.connect("");
    server.send(&mut listener, "SUB > 1\r\n");
    let rules = PermissionRules { publish_deny: list(&["a.*", "b"]), ..Default::default() };
    let mut user = server.admit("$G", rules);
    for subject in ["a.x", "b"] {
        server.send(&mut user, format!("PUB {subject} 0\r\n\r\n").repeat(3));
        let error = format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n");
        assert_eq!(user.read(), error.repeat(3));
    }
    assert_eq!(listener.read(), "");
    server.send(&mut user, "PUB c 0\r\n\r\n".repeat(3));
    assert_eq!(user.read(), "");
    assert_eq!(listener.read().matches("MSG c").count(), 3);
}

#[test]
fn what_was_allowed_to_one_user_is_not_remembered_for_the_next() {
    let mut server = Server::default();
    let mut listener = server.connect("");
    server.send(&mut listener, "SUB > 1\r\n");
    let mut peer = server.connect("");
    server.send(&mut peer, "PUB a 0\r\n\r\nPUB a 0\r\n\r\n");
    assert_eq!(listener.read().matches("MSG").count(), 2);
    let rules = PermissionRules { publish_allow: Some(list(&["b"])), ..Default::default() };
    let permissions = keelback_interest::Permissions::compile(rules).unwrap();
    let admission = crate::gate::Admission {
        account: "$G".into(),
        label: String::new(),
        permissions: Some(permissions.into()),
    };
    server.workers[0].admit(&mut peer.client, &admission).unwrap();
    server.send(&mut peer, "PUB a 0\r\n\r\n");
    assert!(peer.read().starts_with("-ERR 'Permissions Violation for Publish"));
    assert_eq!(listener.read(), "");
}

#[test]
fn a_wide_subscription_is_not_sent_what_is_denied() {
    let mut server = Server::default();
    let rules = PermissionRules {
        subscribe_deny: vec![(b"a.secret".to_vec(), None)],
        ..Default::default()
    };
    let mut user = server.admit("$G", rules);
    let mut publisher = server.connect("");
    server.send(&mut user, "SUB a.* 1\r\nSUB > q 2\r\nSUB a.secret 3\r\n");
    assert!(user.read().starts_with("-ERR 'Permissions Violation for Subscription"));
    server.send(&mut publisher, "PUB a.secret 0\r\n\r\nPUB a.open 0\r\n\r\n");
    assert_eq!(user.read(), "MSG a.open 1 0\r\n\r\nMSG a.open 2 0\r\n\r\n");
}

#[test]
fn an_answer_is_allowed_once_and_in_time() {
    let mut server = Server::default();
    let mut asker = server.connect("");
    let mut user = server.admit("$G", responding(1, Duration::from_secs(10)));
    server.send(&mut asker, "SUB in.> 1\r\n");
    server.send(&mut user, "SUB ask 1\r\n");
    server.send(&mut asker, "PUB ask in.1 0\r\n\r\nPUB ask in.2 0\r\n\r\nPUB ask in.3 0\r\n\r\n");
    user.read();
    server.send(&mut user, "PUB in.1 0\r\n\r\nPUB in.1 0\r\n\r\nPUB in.9 0\r\n\r\n");
    assert_eq!(asker.read(), "MSG in.1 1 0\r\n\r\n");
    assert_eq!(user.read().matches("-ERR").count(), 2);
    server.pass(Duration::from_secs(10));
    server.send(&mut user, "PUB in.2 0\r\n\r\n");
    assert_eq!(asker.read(), "MSG in.2 1 0\r\n\r\n");
    server.pass(Duration::from_millis(1));
    server.send(&mut user, "PUB in.3 0\r\n\r\n");
    assert_eq!(asker.read(), "");
    assert_eq!(user.read().matches("-ERR").count(), 1);
}

#[test]
fn grants_that_expired_are_forgotten() {
    let server = Server::default();
    let permissions =
        keelback_interest::Permissions::compile(responding(1, Duration::from_secs(1))).unwrap();
    let policy = Policy::new(permissions.into(), server.now);
    for number in 0..20_000_u32 {
        let now = server.now + Duration::from_millis(u64::from(number));
        policy.grant(format!("in.{number}").as_bytes(), now);
    }
    let now = server.now + Duration::from_secs(20);
    assert!(policy.may_respond(b"in.19999", now));
    assert!(!policy.may_respond(b"in.18999", now));
    // One second of grants, and at most one more since they were last pruned.
    assert!(policy.granted_count() <= 2100, "{} are kept", policy.granted_count());
}
