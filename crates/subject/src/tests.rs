//! The rules by example, then against each other.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn a_valid_subject_is_well_formed_and_without_white_space() {
    for valid in ["a", "a.b", "*", ">", "a.*.>", "foo*", "*foo", "a>b", "a.>x", "\u{1}.é", "a.**"]
    {
        assert!(is_valid(valid.as_bytes()), "{valid:?}");
    }
    for invalid in
        ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b", "a b", "a\t", "a.\r", "\n", "a\x0cb"]
    {
        assert!(!is_valid(invalid.as_bytes()), "{invalid:?}");
        let blank = invalid.contains([' ', '\t', '\r', '\n', '\x0c']);
        let well_formed = blank.then_some(Kind::Literal);
        assert_eq!(kind(invalid.as_bytes()), well_formed, "{invalid:?}");
    }
}

#[test]
fn wildcards_are_whole_tokens() {
    for literal in ["a", "foo*", "*foo.bar", "a>b.>>", "", "a..b"] {
        assert!(is_literal(literal.as_bytes()), "{literal:?}");
    }
    for wildcard in ["*", ">", "a.*", "a.*.b", "a.>"] {
        assert!(!is_literal(wildcard.as_bytes()), "{wildcard:?}");
        assert_eq!(kind(wildcard.as_bytes()), Some(Kind::Wildcard));
    }
    assert_eq!(kind(b"foo*.b"), Some(Kind::Literal));
}

#[test]
fn a_pedantic_publish_wants_a_literal_without_empty_tokens() {
    for good in ["a", "a.b*", "a b"] {
        assert!(is_valid_literal(good.as_bytes()), "{good:?}");
    }
    for bad in ["", "a..b", "a.", "*", "a.>", "a.*.b"] {
        assert!(!is_valid_literal(bad.as_bytes()), "{bad:?}");
    }
}

#[test]
fn tokens_and_their_count_keep_empty_ones() {
    assert_eq!(tokens(b"a..b.").collect::<Vec<_>>(), [&b"a"[..], b"", b"b", b""]);
    for (subject, count) in [("", 1), ("a", 1), ("a.b", 2), ("a..b.", 4)] {
        assert_eq!(token_count(subject.as_bytes()), count);
    }
}

#[test]
fn a_published_subject_reaches_what_the_rule_says() {
    for (pattern, subject) in [
        ("a.b", "a.b"),
        ("*", "a"),
        (">", "a"),
        (">", "a.b.c"),
        ("a.*.c", "a.b.c"),
        ("a.>", "a.b.c"),
        ("*.>", "a.b"),
        ("a.*", "a.*"),
        ("a.*", "a.>"),
    ] {
        assert!(matches(pattern.as_bytes(), subject.as_bytes()), "{pattern} {subject}");
    }
    for (pattern, subject) in [
        ("a.b", "a.c"),
        ("a.b", "a"),
        ("a", "a.b"),
        ("*", "a.b"),
        ("a.>", "a"),
        (">", ""),
        (">", "a..b"),
        (">", "a."),
        ("a.*", "a."),
        ("a.b", "a.*"),
        ("", ""),
        ("a.>.b", "a.c.b"),
    ] {
        assert!(!matches(pattern.as_bytes(), subject.as_bytes()), "{pattern} {subject}");
    }
}

#[test]
fn a_subset_is_covered_whole() {
    for (subject, pattern) in [
        ("foo.*", ">"),
        ("foo.*", "*.*"),
        ("foo.*", "foo.*"),
        ("foo.>", "foo.>"),
        ("foo.*", "foo.>"),
        ("foo.bar", "foo.*"),
        ("foo.*.>", "*.>"),
    ] {
        assert!(is_subset(subject.as_bytes(), pattern.as_bytes()), "{subject} {pattern}");
    }
    for (subject, pattern) in [
        ("foo.*", "foo.bar"),
        ("foo.>", "foo.*"),
        (">", "*"),
        ("foo", "foo.>"),
        ("foo.bar", "foo"),
        ("foo", "foo.bar"),
        ("foo.*", "foo.*.*"),
        ("bar", "*foo"),
    ] {
        assert!(!is_subset(subject.as_bytes(), pattern.as_bytes()), "{subject} {pattern}");
    }
}

fn subject(token: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(token, 1..5).prop_map(|tokens| tokens.join(".").into_bytes())
}

/// All literal subjects of up to five tokens over `a`, `b` and one more, `c`.
fn universe() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut longest: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..5 {
        longest = longest
            .iter()
            .flat_map(|head| {
                [b"a", b"b", b"c"].map(|token| {
                    if head.is_empty() { token.to_vec() } else { [head, &b"."[..], token].concat() }
                })
            })
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn subset_and_overlap_say_what_all_subjects_say(
        left in subject("[ab*>]"), right in subject("[ab*>]"),
    ) {
        prop_assume!(is_valid(&left) && is_valid(&right));
        let universe = universe();
        let covered = universe.iter().all(|s| !matches(&left, s) || matches(&right, s));
        prop_assert_eq!(is_subset(&left, &right), covered);
        let common = universe.iter().any(|s| matches(&left, s) && matches(&right, s));
        prop_assert_eq!(overlaps(&left, &right), common);
    }

    #[test]
    fn the_checks_agree(bytes in "[ab*> .]{0,8}") {
        let bytes = bytes.as_bytes();
        let no_empty = tokens(bytes).all(|token| !token.is_empty());
        prop_assert_eq!(has_no_empty_token(bytes), no_empty);
        prop_assert_eq!(is_valid_literal(bytes), no_empty && is_literal(bytes));
        prop_assert_eq!(matches(b">", bytes), no_empty);
        if let Some(kind) = kind(bytes) {
            prop_assert!(no_empty);
            prop_assert_eq!(is_valid(bytes), !bytes.contains(&b' '));
            prop_assert_eq!(kind == Kind::Literal, is_literal(bytes));
        }
    }
}
