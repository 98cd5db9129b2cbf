//! The sublist, by example and against the plain rule.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Found, Sub, matched, pattern, published};
use keelback_interest::{Interest, InvalidSubject, Matched, Sublist};
use proptest::prelude::*;

#[test]
fn literal_and_wildcard_subscriptions_are_found() {
    let mut sublist = Sublist::new(1);
    for (number, pattern) in ["a.b", "a.*", ">", "a.>", "*", "a.b.c", "*.b"].iter().enumerate() {
        sublist.insert(Sub::new(pattern, "", number)).unwrap();
    }
    assert_eq!(matched(&sublist, "a.b").plain, [0, 1, 2, 3, 6]);
    assert_eq!(matched(&sublist, "a").plain, [2, 4]);
    assert_eq!(matched(&sublist, "a.b.c").plain, [2, 3, 5]);
    assert_eq!(sublist.len(), 7);
}

#[test]
fn an_invalid_subject_is_refused_and_reaches_nobody() {
    let mut sublist = Sublist::new(1);
    for subject in ["", "a..b", ".a", "a.", "a.>.b", ">.a"] {
        assert_eq!(sublist.insert(Sub::plain(subject)), Err(InvalidSubject), "{subject:?}");
        assert!(!sublist.remove(&Sub::plain(subject)));
    }
    assert!(sublist.is_empty());
    sublist.insert(Sub::plain(">")).unwrap();
    for subject in ["", "a..b", ".a", "a."] {
        assert_eq!(matched(&sublist, subject), Found::default(), "{subject:?}");
        assert!(!sublist.has_interest(subject.as_bytes()));
    }
}

#[test]
fn a_form_feed_is_part_of_a_subject() {
    // The one white space that nats-server's parser lets through; its sublist takes it.
    let mut sublist = Sublist::new(1);
    sublist.insert(Sub::plain("a.\x0c.b")).unwrap();
    assert!(sublist.has_interest(b"a.\x0c.b"));
}

#[test]
fn published_wildcards_are_plain_tokens() {
    let mut sublist = Sublist::new(1);
    for (number, pattern) in ["a.b", "a.*", "a.>", "a.*.c"].iter().enumerate() {
        sublist.insert(Sub::new(pattern, "", number)).unwrap();
    }
    assert_eq!(matched(&sublist, "a.*").plain, [1, 2]);
    assert_eq!(matched(&sublist, "a.>").plain, [1, 2]);
}

#[test]
fn a_queue_group_gathers_its_members_from_all_patterns() {
    let mut sublist = Sublist::new(1);
    // So many groups that their names are indexed.
    for number in 0..50 {
        sublist.insert(Sub::new("a.b", format!("q{number}"), number)).unwrap();
        sublist.insert(Sub::new("a.*", format!("q{number}"), 100 + number)).unwrap();
    }
    sublist.insert(Sub::new("a.>", "q7", 207)).unwrap();
    let found = matched(&sublist, "a.b");
    assert_eq!(found.queues.len(), 50);
    for (queue, members) in found.queues {
        let number: usize = std::str::from_utf8(&queue[1..]).unwrap().parse().unwrap();
        let mut expected = vec![number, 100 + number];
        expected.extend((number == 7).then_some(207));
        assert_eq!(members, expected);
    }
}

#[test]
fn the_same_subscription_counts_once() {
    let mut sublist = Sublist::new(1);
    for subject in ["a", "a.*"] {
        let sub = Sub::plain(subject);
        let twin = Sub::plain(subject);
        for _ in 0..2 {
            sublist.insert(sub.clone()).unwrap();
        }
        assert_eq!(sublist.len(), 1);
        assert!(!sublist.remove(&twin), "another subscription on the same subject");
        sublist.insert(twin.clone()).unwrap();
        sublist.insert(twin.clone()).unwrap();
        assert_eq!(sublist.len(), 2);
        assert!(sublist.remove(&sub) && !sublist.remove(&sub) && sublist.remove(&twin));
        assert!(sublist.is_empty());
    }
}

#[test]
fn fifty_thousand_members_come_and_go_quickly() {
    // Were removal linear, the half that goes first would be a thousand million comparisons.
    const MEMBERS: usize = 50_000;
    for (subject, queue) in [("a.b", ""), ("a.*", ""), ("a.b", "q")] {
        let mut sublist = Sublist::new(1);
        let subs: Vec<_> = (0..MEMBERS).map(|number| Sub::new(subject, queue, number)).collect();
        for sub in &subs {
            sublist.insert(sub.clone()).unwrap();
        }
        for sub in subs.iter().step_by(2) {
            assert!(sublist.remove(sub));
        }
        let found = matched(&sublist, "a.b");
        let left = if queue.is_empty() { &found.plain } else { &found.queues[0].1 };
        assert_eq!(*left, (1..MEMBERS).step_by(2).collect::<Vec<_>>());
        for sub in subs.iter().skip(1).step_by(2).rev() {
            assert!(sublist.remove(sub));
        }
        assert!(sublist.is_empty() && !sublist.has_interest(b"a.b"));
    }
}

#[test]
fn shards_split_and_merge_without_losing_a_subject() {
    const SUBJECTS: usize = 120_000;
    let mut sublist = Sublist::new(7);
    let subs: Vec<_> = (0..SUBJECTS)
        .map(|number| {
            Sub::new(format!("inbox.{number}"), if number % 3 == 0 { "q" } else { "" }, number)
        })
        .collect();
    let doubles: Vec<_> =
        (0..SUBJECTS).step_by(10).map(|number| Sub::plain(format!("inbox.{number}"))).collect();
    for sub in subs.iter().chain(&doubles) {
        sublist.insert(sub.clone()).unwrap();
    }
    assert_eq!(sublist.len(), SUBJECTS + doubles.len());
    let mut found = Matched::new();
    for (number, sub) in subs.iter().enumerate() {
        sublist.matches(sub.subject(), &mut found);
        let members = found.plain.iter().chain(found.queues.iter().flatten());
        assert!(members.clone().any(|member| member.is_same(sub)));
        assert_eq!(members.count(), 1 + usize::from(number % 10 == 0));
    }
    for (removed, sub) in subs.iter().chain(&doubles).enumerate() {
        assert!(sublist.remove(sub), "{removed}");
    }
    assert!(sublist.is_empty());
    assert!(subs.iter().all(|sub| !sublist.has_interest(sub.subject())));
}

#[test]
fn a_pattern_of_two_thousand_tokens_needs_no_deep_stack() {
    let deep = vec!["*"; 2_000].join(".");
    let literal = vec!["x"; 2_000].join(".");
    let work = move || {
        let mut sublist = Sublist::new(1);
        let subs = [Sub::plain(&deep), Sub::plain(format!("{literal}.>"))];
        for sub in &subs {
            sublist.insert(sub.clone()).unwrap();
        }
        assert_eq!(matched(&sublist, &literal).plain.len(), 1);
        assert_eq!(matched(&sublist, format!("{literal}.y")).plain.len(), 1);
        assert!(subs.iter().all(|sub| sublist.remove(sub)));
        assert!(!sublist.has_interest(literal.as_bytes()));
        sublist.insert(subs[0].clone()).unwrap();
        drop(sublist);
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Insert {
        pattern: String,
        queue: String,
    },
    /// The subscription at this position of those inserted, modulo their number.
    Remove(usize),
    Match(String),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (pattern(), "(|q|r)").prop_map(|(pattern, queue)| Step::Insert { pattern, queue }),
        3 => any::<usize>().prop_map(Step::Remove),
        2 => published().prop_map(Step::Match),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_sublist_matches_what_the_plain_rule_matches(
        seed: u64,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut sublist = Sublist::new(seed);
        let mut subs: Vec<Sub> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert { pattern, queue } => {
                    let sub = Sub::new(pattern, queue, number);
                    sublist.insert(sub.clone()).unwrap();
                    subs.push(sub);
                }
                Step::Remove(_) if subs.is_empty() => {}
                Step::Remove(at) => {
                    let sub = subs.swap_remove(at % subs.len());
                    prop_assert!(sublist.remove(&sub));
                    prop_assert!(!sublist.remove(&sub));
                }
                Step::Match(subject) => {
                    let expected = Found::by_rule(subs.iter(), subject.as_bytes());
                    let interest = expected != Found::default();
                    prop_assert_eq!(matched(&sublist, &subject), expected, "{}", subject);
                    prop_assert_eq!(sublist.has_interest(subject.as_bytes()), interest);
                }
            }
            prop_assert_eq!(sublist.len(), subs.len());
        }
        for sub in &subs {
            prop_assert!(sublist.remove(sub));
        }
        prop_assert!(sublist.is_empty());
    }
}
