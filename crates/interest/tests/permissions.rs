//! Permissions: nats-server's rules by example, and long lists against short ones.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{pattern, published};
use keelback_interest::{
    BadRule, PermissionRules, Permissions, Responses, RuleKind, Subscribe, SubscribeRule,
};
use proptest::prelude::*;

fn list(subjects: &[&str]) -> Vec<Vec<u8>> {
    subjects.iter().map(|subject| subject.as_bytes().to_vec()).collect()
}

/// Rules as they stand in a configuration: `subject` or `subject queue`.
fn rules(rules: &[&str]) -> Vec<SubscribeRule> {
    rules
        .iter()
        .map(|rule| match rule.split_once(' ') {
            Some((subject, queue)) => (subject.into(), Some(queue.into())),
            None => ((*rule).into(), None),
        })
        .collect()
}

fn publishing(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
    Permissions::compile(PermissionRules {
        publish_allow: allow.map(list),
        publish_deny: list(deny),
        ..Default::default()
    })
    .unwrap()
}

fn subscribing(allow: Option<&[&str]>, deny: &[&str]) -> Permissions {
    Permissions::compile(PermissionRules {
        subscribe_allow: allow.map(rules),
        subscribe_deny: rules(deny),
        ..Default::default()
    })
    .unwrap()
}

/// The answer to `SUB subject` or `SUB subject queue`.
fn sub(permissions: &Permissions, request: &str) -> Subscribe {
    let (subject, queue) = match request.split_once(' ') {
        Some((subject, queue)) => (subject, Some(queue.as_bytes())),
        None => (request, None),
    };
    permissions.may_subscribe(subject.as_bytes(), queue)
}

#[track_caller]
fn assert_subs(permissions: &Permissions, expected: Subscribe, requests: &[&str]) {
    for request in requests {
        assert_eq!(sub(permissions, request), expected, "SUB {request}");
    }
}

#[test]
fn without_lists_all_is_allowed() {
    let open = Permissions::compile(PermissionRules::default()).unwrap();
    assert!(open.may_publish(b"a.b") && open.may_publish(b"a..b"));
    assert_subs(&open, Subscribe::Allowed, &["a", ">", "a.* q"]);
    assert!(!open.denies_delivery(b"a", None));
    assert!(open.responses().is_none());
}

#[test]
fn an_empty_publish_list_allows_nothing() {
    assert!(!publishing(Some(&[]), &[]).may_publish(b"a"));
}

#[test]
fn an_empty_subscribe_list_does_not_restrict() {
    assert_subs(&subscribing(Some(&[]), &[]), Subscribe::Allowed, &["a", ">"]);
}

#[test]
fn publish_deny_wins_over_allow() {
    let user = publishing(Some(&["a.*", "b.>"]), &["a.secret", "b.*.x"]);
    for allowed in ["a.b", "b.c", "b.c.y", "b.c.x.d"] {
        assert!(user.may_publish(allowed.as_bytes()), "{allowed}");
    }
    for denied in ["a", "c", "a.secret", "b.c.x", "a..", "b..c"] {
        assert!(!user.may_publish(denied.as_bytes()), "{denied}");
    }
    let denied_only = publishing(None, &["a.>"]);
    assert!(denied_only.may_publish(b"b") && !denied_only.may_publish(b"a.b"));
}

#[test]
fn an_allow_rule_must_cover_the_whole_request() {
    let user = subscribing(Some(&["foo.*", "bar.>"]), &[]);
    assert_subs(&user, Subscribe::Allowed, &["foo.a", "foo.*", "bar.*", "bar.>", "bar.a.> q"]);
    assert_subs(&user, Subscribe::Denied, &["foo", ">", "*.a", "foo.a.b", "bar", "foo..a"]);
    // nats-server accepts this one, and then delivers `foo.a.b` too.
    assert_subs(&user, Subscribe::Denied, &["foo.>", "foo.> q"]);
}

#[test]
fn queue_rules_limit_the_queue() {
    let any = subscribing(Some(&["foo"]), &[]);
    assert_subs(&any, Subscribe::Allowed, &["foo", "foo q"]);
    let one = subscribing(Some(&["foo v1"]), &[]);
    assert_subs(&one, Subscribe::Allowed, &["foo v1"]);
    assert_subs(&one, Subscribe::Denied, &["foo", "foo v2", "bar v1"]);
    let both = subscribing(Some(&["foo", "foo v1"]), &[]);
    assert_subs(&both, Subscribe::Allowed, &["foo", "foo v1"]);
    assert_subs(&both, Subscribe::Denied, &["foo v2"]);
    let wild = subscribing(Some(&["foo.> v1.*", "foo.> v2.>"]), &[]);
    assert_subs(&wild, Subscribe::Allowed, &["foo.a v1.x", "foo.* v2.x.y", "foo.a v1.*"]);
    assert_subs(&wild, Subscribe::Denied, &["foo.a v1", "foo.a v1.x.y", "foo.a v3.x", "foo.a"]);
}

#[test]
fn being_strict_never_allows_what_nats_server_refuses() {
    // There `w.*` matches the requested `w.>`, so its queue rule shuts out all other queues.
    let user = subscribing(Some(&["w.>", "w.* v1"]), &[]);
    assert_subs(&user, Subscribe::Denied, &["w.> v2", "w.> v1"]);
    assert_subs(&user, Subscribe::Allowed, &["w.>", "w.a v1", "w.* v1"]);
}

#[test]
fn deny_rules_refuse_what_they_cover_and_filter_what_they_touch() {
    let user = subscribing(Some(&["a.>"]), &["a.secret", "a.x.*", "a.q v1"]);
    assert_subs(&user, Subscribe::Denied, &["a.secret", "a.secret q", "a.x.*", "a.x.y", "a.q v1"]);
    // nats-server denies this one too: a requested `>` is a token that `*` matches.
    assert_subs(&user, Subscribe::Denied, &["a.x.>"]);
    assert_subs(&user, Subscribe::Filtered, &["a.>", "a.*", "a.*.y", "a.q v2", "a.> q"]);
    assert_subs(&user, Subscribe::Allowed, &["a.b", "a.b q", "a.q", "a.*.*.*", "a.b.>"]);

    for (subject, queue, denied) in [
        ("a.secret", None, true),
        ("a.secret", Some("q"), true),
        ("a.x.y", None, true),
        ("a.x", None, false),
        ("a.q", None, false),
        ("a.q", Some("v1"), true),
        ("a.q", Some("v2"), false),
        ("a.b", None, false),
    ] {
        let queue = queue.map(str::as_bytes);
        assert_eq!(user.denies_delivery(subject.as_bytes(), queue), denied, "{subject} {queue:?}");
    }
}

#[test]
fn a_permission_to_respond_closes_publishing_unless_there_is_a_list() {
    let responses = Responses { max: 1, expires: Some(Duration::from_mins(2)) };
    let compile = |publish_allow| {
        let responses = Some(responses);
        Permissions::compile(PermissionRules { publish_allow, responses, ..Default::default() })
            .unwrap()
    };
    assert!(!compile(None).may_publish(b"a"));
    assert!(compile(Some(list(&["a"]))).may_publish(b"a"));
    assert_eq!(compile(None).responses(), Some(&responses));
}

#[test]
fn a_bad_rule_is_named() {
    let error = |rules| Permissions::compile(rules).err().unwrap();
    let publish =
        PermissionRules { publish_deny: list(&["a", "b..c"]), ..PermissionRules::default() };
    assert_eq!(
        error(publish.clone()),
        BadRule { kind: RuleKind::Publish, subject: b"b..c".to_vec() }
    );
    assert_eq!(error(publish).to_string(), r#"subject "b..c" is not a valid subject"#);
    let subscribe =
        PermissionRules { subscribe_deny: rules(&["a.>.b"]), ..PermissionRules::default() };
    assert_eq!(error(subscribe).kind, RuleKind::Subscribe);
    let queue =
        PermissionRules { subscribe_allow: Some(rules(&["a q..x"])), ..PermissionRules::default() };
    assert_eq!(error(queue).to_string(), r#"queue "q..x" is not a valid queue"#);
}

proptest! {
    #[test]
    fn long_lists_decide_as_short_ones(
        allow in prop::collection::vec(pattern(), 1..6),
        deny in prop::collection::vec(pattern(), 0..4),
        queue in "(|v1|v2)",
        request in pattern(),
        subject in published(),
    ) {
        let with_queue = |patterns: &[String]| -> Vec<SubscribeRule> {
            let queue = |at: usize| (at % 3 == 1).then(|| b"v1".to_vec());
            patterns.iter().enumerate().map(|(at, p)| (p.clone().into_bytes(), queue(at))).collect()
        };
        let plain = |patterns: &[String]| -> Vec<Vec<u8>> {
            patterns.iter().map(|pattern| pattern.clone().into_bytes()).collect()
        };
        // So many rules that concern nothing here that the list is searched through a sublist.
        let mut filler: Vec<_> = (0..40).map(|n| (format!("filler{n}.*").into_bytes(), None)).collect();
        let mut long = PermissionRules {
            publish_allow: Some(plain(&allow)),
            publish_deny: plain(&deny),
            subscribe_allow: Some(with_queue(&allow)),
            subscribe_deny: with_queue(&deny),
            responses: None,
        };
        let short = Permissions::compile(long.clone()).unwrap();
        long.publish_allow.as_mut().unwrap().extend(filler.iter().map(|(subject, _)| subject.clone()));
        long.publish_deny.extend(filler.iter().map(|(subject, _)| subject.clone()));
        long.subscribe_allow.as_mut().unwrap().extend(filler.iter().cloned());
        long.subscribe_deny.append(&mut filler);
        let long = Permissions::compile(long).unwrap();

        let subject = subject.as_bytes();
        let queue = Some(queue.as_bytes());
        prop_assert_eq!(long.may_publish(subject), short.may_publish(subject));
        prop_assert_eq!(
            short.may_publish(subject),
            allow.iter().any(|pattern| keelback_subject::matches(pattern.as_bytes(), subject))
                && !deny.iter().any(|pattern| keelback_subject::matches(pattern.as_bytes(), subject))
        );
        prop_assert_eq!(long.denies_delivery(subject, queue), short.denies_delivery(subject, queue));
        let answer = short.may_subscribe(request.as_bytes(), queue);
        // A filler is touched by a request that begins with a wildcard.
        if !request.starts_with(['*', '>']) {
            prop_assert_eq!(long.may_subscribe(request.as_bytes(), queue), answer);
        }
        // Nothing forbidden is delivered: what gets through is allowed, filter included.
        if answer != Subscribe::Denied
            && queue == Some(b"")
            && keelback_subject::matches(request.as_bytes(), subject)
        {
            let allowed = with_queue(&allow).iter().any(|(pattern, queue)| {
                queue.is_none() && keelback_subject::matches(pattern, subject)
            });
            prop_assert!(allowed);
            if answer == Subscribe::Allowed {
                prop_assert!(!short.denies_delivery(subject, queue));
            }
        }
    }
}
