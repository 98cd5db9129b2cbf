use proptest::prelude::*;

use super::*;

/// Pattern, destination, subject, what it becomes: as nats-server 2.15.1 answered.
const CASES: &[(&str, &str, &str, &str)] = &[
    ("foo", "bar", "foo", "bar"),
    ("foo.*", "bar.$1", "foo.a", "bar.a"),
    ("foo.*.*", "bar.$2.$1", "foo.a.b", "bar.b.a"),
    ("foo.*.*", "bar.{{wildcard(2)}}.{{ Wildcard (1) }}", "foo.a.b", "bar.b.a"),
    ("foo.*", "bar.{{wildcard(0)}}", "foo.a", "bar.foo"),
    ("foo.*", "bar.$x.$1", "foo.a", "bar.$x.a"),
    ("foo.>", "bar.>", "foo.a.b", "bar.a.b"),
    ("foo.*.>", "bar.$1.x.>", "foo.a.b.c", "bar.a.x.b.c"),
    ("foo.>", ">", "foo.a.b", "a.b"),
    ("foo.*.*", "p.{{partition(10,1,2)}}.$1", "foo.a.b", "p.6.a"),
    ("foo.*.*", "p.{{partition(10)}}", "foo.a.b", "p.4"),
    ("foo.*", "p.{{partition(0,1)}}", "foo.a", "p.0"),
    ("foo.*", "p.{{Partition( 5 , 1 )}}", "foo.keelback", "p.4"),
    ("foo.*", "{{splitfromleft(1,3)}}", "foo.12345", "123.45"),
    ("foo.*", "{{SplitFromRight(1,3)}}", "foo.12345", "12.345"),
    ("foo.*", "{{splitfromleft(1,5)}}", "foo.12345", "12345"),
    ("foo.*", "{{splitfromleft(1,-1)}}", "foo.12345", "12345"),
    ("foo.*", "{{slicefromleft(1,2)}}", "foo.12345", "12.34.5"),
    ("foo.*", "{{slicefromright(1,2)}}", "foo.12345", "1.23.45"),
    ("foo.*", "{{slicefromleft(1,2)}}", "foo.1234", "12.34"),
    ("foo.*", "{{SliceFromRight(1,2)}}", "foo.1234", "12.34"),
    ("foo.*", "{{left(1,2)}}.{{right(1,2)}}", "foo.12345", "12.45"),
    ("foo.*", "{{left(1,9)}}.{{right(1,0)}}", "foo.12345", "12345.12345"),
    ("foo.*", "x.{{split(1,-)}}", "foo.a-b--c-", "x.a.b.c"),
    ("foo.*", "x.{{split(1,-)}}", "foo.-a-b", "x.a.b"),
    ("foo.*", "x.{{split(1,ab)}}", "foo.1ab2ab3", "x.1.2.3"),
    ("foo.*", "x.{{split(1,)}}", "foo.abc", "x.a.b.c"),
    ("foo.*", "x.{{random(1)}}", "foo.a", "x.0"),
    ("foo.*", "x.{{random(0)}}", "foo.a", "x.0"),
    ("foo.*", "x.{{wildcard(1)}", "foo.a", "x.{{wildcard(1)}"),
];

/// Pattern, destination, the error: as nats-server 2.15.1 said.
const REFUSED: &[(&str, &str, &str)] = &[
    ("foo.*", "bar.*", "invalid subject"),
    ("foo.>", "bar", "invalid subject"),
    ("foo", "bar.>", "invalid subject"),
    ("foo.*", "bar.$2", "invalid mapping destination: wildcard index out of range in $2: [2]"),
    ("foo", "bar.$1", "invalid mapping destination: wildcard index out of range in $1"),
    (
        "foo.*",
        "bar.{{wildcard(3)}}",
        "invalid mapping destination: wildcard index out of range in {{wildcard(3)}}: [3]",
    ),
    (
        "foo.*",
        "bar.{{wildcard()}}",
        "invalid mapping destination: not enough arguments passed to the function in {{wildcard()}}",
    ),
    (
        "foo.*",
        "bar.{{wildcard(1,2)}}",
        "invalid mapping destination: too many arguments passed to the function in {{wildcard(1,2)}}",
    ),
    (
        "foo.*",
        "bar.{{wildcard(x)}}",
        "invalid mapping destination: function argument is invalid or in the wrong format in \
         {{wildcard(x)}}",
    ),
    (
        "foo.*",
        "bar.{{unknown(1)}}",
        "invalid mapping destination: unknown function in {{unknown(1)}}",
    ),
    (
        "foo.*",
        "bar.{{left(1)}}",
        "invalid mapping destination: not enough arguments passed to the function in {{left(1)}}",
    ),
    (
        "foo.*",
        "bar.{{split(1, -,x)}}",
        "invalid mapping destination: too many arguments passed to the function in {{split(1, -,x)}}",
    ),
    (
        "foo.*",
        "bar.{{partition(9999999999,1)}}",
        "invalid mapping destination: function argument is invalid or in the wrong format in \
         {{partition(9999999999,1)}}",
    ),
    (
        "foo.*",
        "bar.{{partition(2,2)}}",
        "invalid mapping destination: wildcard index out of range in {{partition(2,2)}}: [2]",
    ),
];

fn transform(source: &str, destination: &str) -> Transform {
    Transform::new(source.as_bytes(), destination.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn zero() -> u32 {
    0
}

#[test]
fn subjects_become_what_nats_server_makes_of_them() {
    for (source, destination, subject, expected) in CASES {
        let made = transform(source, destination).transform(subject.as_bytes(), &mut zero);
        let made = made.map(|made| String::from_utf8_lossy(&made).into_owned());
        assert_eq!(made.as_deref(), Some(*expected), "{source} -> {destination}: {subject}");
    }
}

#[test]
fn what_cannot_be_is_refused_in_the_words_of_nats_server() {
    for (source, destination, expected) in REFUSED {
        let refused = Transform::new(source.as_bytes(), destination.as_bytes()).map(|_| ());
        let text = refused.map_err(|error| error.to_string());
        assert_eq!(text, Err((*expected).to_owned()), "{source} -> {destination}");
    }
}

#[test]
fn strict_ones_can_be_reversed() {
    for (source, destination, subject) in [
        ("foo.*.*", "bar.$2.x.{{wildcard(1)}}", "foo.a.b"),
        ("foo.>", "bar.>", "foo.a.b"),
        ("foo", "bar", "foo"),
    ] {
        let there = Transform::new_strict(source.as_bytes(), destination.as_bytes()).ok();
        let made = there.as_ref().and_then(|it| it.transform(subject.as_bytes(), &mut zero));
        let reversed = there.as_ref().and_then(Transform::reversed);
        let back = reversed.zip(made).and_then(|(it, made)| it.transform(&made, &mut zero));
        assert_eq!(back.as_deref(), Some(subject.as_bytes()), "{source} -> {destination}");
    }
    let wrong = |source: &str, destination: &str| {
        let refused = Transform::new_strict(source.as_bytes(), destination.as_bytes());
        refused.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(
        wrong("foo.*.*", "bar.$1"),
        Err("invalid mapping destination: not using all of the token wildcard(s) in bar.$1"
            .to_owned())
    );
    assert_eq!(
        wrong("foo.*", "bar.{{left(1,2)}}"),
        Err(
            "invalid mapping destination: the only mapping function allowed for import transforms \
             is {{Wildcard()}} in {{left(1,2)}}"
                .to_owned()
        )
    );
}

#[test]
fn what_the_pattern_does_not_match_becomes_nothing() {
    let it = transform("foo.*", "bar.$1");
    for subject in ["foo", "foo.a.b", "bar.a", "foo.", "foo.*", ""] {
        assert_eq!(it.transform(subject.as_bytes(), &mut zero), None, "{subject}");
    }
}

proptest! {
    #[test]
    fn any_transform_is_refused_or_works(
        source in r"[a*>.]{0,6}",
        destination in r"(\{\{ ?(wildcard|split|left|slicefromright|partition|random)\([0-9,-]{0,5}\)\}\}|[a$1>.]){0,4}",
        subject in r"[a-c.é-]{1,12}",
    ) {
        if let Ok(it) = Transform::new(source.as_bytes(), destination.as_bytes()) {
            let _ = it.transform(subject.as_bytes(), &mut zero);
            let _ = it.reversed();
        }
    }
}
