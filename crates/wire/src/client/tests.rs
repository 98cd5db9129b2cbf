//! One test for each rule of the grammar, then the rules that hold for any bytes. What is said of
//! nats-server was tried on 2.15.1 with a bare socket.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Limits, Op, Publish, Step, Violation, next_op, next_op_without_headers};
use crate::checks;

const LIMITS: Limits = Limits { control_line_bytes_max: 4096, payload_bytes_max: Some(1 << 20) };

/// The one operation that `input` is.
fn op(input: &[u8]) -> Op<'_> {
    match next_op(input, &LIMITS) {
        Ok(Step::Op { op, used_bytes }) => {
            assert_eq!(used_bytes, input.len(), "left over: {}", input.escape_ascii());
            op
        }
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

fn publish(input: &[u8]) -> Publish<'_> {
    match op(input) {
        Op::Publish(publish) => publish,
        other => panic!("{other:?}"),
    }
}

fn violation(input: &[u8]) -> Violation {
    next_op(input, &LIMITS).unwrap_err()
}

fn log_line(input: impl AsRef<[u8]>) -> String {
    violation(input.as_ref()).log_line(&LIMITS)
}

fn wanted(input: &[u8]) -> usize {
    match next_op(input, &LIMITS) {
        Ok(Step::More { wanted_bytes }) => wanted_bytes,
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[test]
fn verbs_are_read_in_any_case() {
    assert_eq!(op(b"pInG\r\n"), Op::Ping);
    assert_eq!(op(b"pong\n"), Op::Pong);
    assert_eq!(op(b"+oK\r\n"), Op::Ok);
    assert_eq!(op(b"-eRr 'x'\r\n"), Op::Err(b"'x'"));
    assert_eq!(op(b"cOnnEcT {}\r\n"), Op::Connect(b"{}"));
    assert_eq!(op(b"iNFo {}\n"), Op::Info(b"{}"));
    assert_eq!(publish(b"pUb a 0\r\n\r\n").subject, b"a");
    assert_eq!(publish(b"hPuB a 0 0\r\n\r\n").subject, b"a");
    assert_eq!(op(b"sUB a 1\r\n"), Op::Subscribe { subject: b"a", queue: None, sid: b"1" });
    assert_eq!(op(b"unSub 1\r\n"), Op::Unsubscribe { sid: b"1", max: None });
}

#[test]
fn connect_and_info_need_no_separator() {
    assert_eq!(op(b"CONNECT{}\r\n"), Op::Connect(b"{}"));
    assert_eq!(op(b"INFO{}\r\n"), Op::Info(b"{}"));
    assert_eq!(op(b"CONNECT \t {}\r\n"), Op::Connect(b"{}"));
}

#[test]
fn what_follows_ping_pong_and_ok_is_ignored() {
    assert_eq!(op(b"PING xyz\r\n"), Op::Ping);
    assert_eq!(op(b"PONGxyz\n"), Op::Pong);
    assert_eq!(op(b"+OK zz\r\r\n"), Op::Ok);
}

#[test]
fn arguments_stand_between_any_blanks() {
    let sub = Op::Subscribe { subject: b"foo", queue: Some(b"q"), sid: b"s1" };
    assert_eq!(op(b"SUB foo q s1\r\n"), sub);
    assert_eq!(op(b"SUB \t foo\t q  s1 \t\n"), sub);
    let spread = publish(b"PUB\t foo\tre  2 \r\nhi\r\n");
    assert_eq!((spread.subject, spread.reply), (&b"foo"[..], Some(&b"re"[..])));
}

#[test]
fn a_publish_has_all_its_parts() {
    assert_eq!(
        publish(b"PUB foo.bar re.ply 002\r\nhi\r\n"),
        Publish {
            subject: b"foo.bar",
            reply: Some(b"re.ply"),
            header_bytes: None,
            header_text: b"",
            size_text: b"002",
            payload: b"hi",
            verbatim: Some(b"re.ply 002\r\nhi\r\n"),
            line: b"PUB foo.bar re.ply 002\r\n",
        }
    );
    assert_eq!(
        publish(b"HPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
        Publish {
            subject: b"a",
            reply: None,
            header_bytes: Some(12),
            header_text: b"12",
            size_text: b"14",
            payload: b"NATS/1.0\r\n\r\nhi",
            verbatim: Some(b"12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
            line: b"HPUB a 12 14\r\n",
        }
    );
    assert_eq!(publish(b"HPUB a r 0 0\r\n\r\n").reply, Some(&b"r"[..]));
}

#[test]
fn only_a_line_as_msg_writes_it_is_verbatim() {
    assert_eq!(publish(b"PUB  a 1\r\nx\r\n").verbatim, Some(&b"1\r\nx\r\n"[..]));
    for line in ["PUB a  1\r\n", "PUB a\t1\r\n", "PUB a 1 \r\n", "PUB a 1\n", "PUB a r\t1\r\n"] {
        assert_eq!(publish(format!("{line}x\r\n").as_bytes()).verbatim, None, "{line}");
    }
}

#[test]
fn a_size_has_one_to_nine_digits() {
    let large = Limits { payload_bytes_max: None, ..LIMITS };
    let step = next_op(b"PUB a 999999999\r\n", &large).unwrap();
    assert_eq!(step, Step::More { wanted_bytes: 17 + 999_999_999 + 1 });
    for size in ["1234567890", "0000000001", "-1", "+1", "1x", "x"] {
        assert_eq!(
            log_line(format!("PUB foo {size}\r\n")),
            format!("processPub Bad or Missing Size: \"foo {size}\"")
        );
    }
}

#[test]
fn unsub_takes_a_maximum_that_may_be_nonsense() {
    for (text, max) in [("5", 5), ("0", 0), ("-1", 0), ("x", 0), ("1234567890", 0), ("007", 7)] {
        let input = format!("UNSUB s {text}\r\n");
        assert_eq!(op(input.as_bytes()), Op::Unsubscribe { sid: b"s", max: Some(max) });
    }
}

#[test]
fn wrong_arguments_are_logged_in_the_servers_words() {
    for (input, expected) in [
        ("PUB a\r\n", r#"processPub Parse Error: "a""#),
        ("PUB a b c d\r\n", r#"processPub Parse Error: "a b c d""#),
        ("PUB \r\n", r#"processPub Parse Error: "\r""#),
        ("HPUB a 1\r\n", r#"processHeaderPub Parse Error: "a 1""#),
        ("HPUB a b 1 2 3\r\n", r#"processHeaderPub Parse Error: "a b 1 2 3""#),
        ("HPUB a x 2\r\n", r#"processHeaderPub Bad or Missing Header Size: "a x 2""#),
        ("HPUB a 2 x\r\n", r#"processHeaderPub Bad or Missing Total Size: "a 2 x""#),
        ("HPUB a 3 2\r\n", r#"processHeaderPub Header Size larger then TotalSize: "a 3 2""#),
        ("SUB a\r\n", r#"processSub Parse Error: "a""#),
        ("SUB a b c d\r\n", r#"processSub Parse Error: "a b c d""#),
        ("UNSUB \r\n", r#"processUnsub Parse Error: "\r""#),
        ("UNSUB a b c\r\n", r#"processUnsub Parse Error: "a b c""#),
    ] {
        assert_eq!(log_line(input), expected, "{input}");
    }
}

#[test]
fn a_byte_that_no_verb_continues_is_an_error_at_once() {
    // States, offsets and snippets are those of the genuine server's log.
    for (input, state, offset, snippet) in [
        (&b"X"[..], 0, 0, r#""""#),
        (b"X\r\n", 0, 0, r#""X\r""#),
        (b"\r\n", 0, 0, r#""\r""#),
        (b"-ERR\r\n", 7, 4, r#""\r""#),
        (b"UNSUB\r\n", 63, 5, r#""\r""#),
        (b"HMSG foo\r\nPING\r\n", 41, 10, r#""PING\r""#),
        (b"PUB foo 2\r\nhiX", 41, 13, r#""""#),
        (b"PUB foo 2\r\nhi\rX", 42, 14, r#""""#),
        (b"PUB foo 2\r\nhi\nPING\r\n", 41, 13, r#""\nPING\r""#),
        (b"PX", 29, 1, r#""""#),
        (b"Hx", 18, 1, r#""""#),
        (b"PUBLISH", 31, 3, r#""LIS""#),
        (b"CONNEX", 14, 5, r#""""#),
        (b"MSG a 1 1\r\n", 0, 0, r#""MSG a 1 1\r""#),
        (b"RS+ a\r\n", 0, 0, r#""RS+ a\r""#),
        (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:4222\r\n",
            0,
            0,
            r#""GET / HTTP/1.1\r\nHost: 127.0.0.1:""#,
        ),
    ] {
        let expected =
            format!("Client parser ERROR, state={state}, i={offset}: proto='{snippet}...'");
        assert_eq!(log_line(input), expected, "{}", input.escape_ascii());
    }
}

#[test]
fn each_place_in_a_verb_has_its_state() {
    // The states in which the genuine server's log names a `!` in place of each byte.
    let verbs: [(&str, &[u8]); 11] = [
        ("CONNECT", &[0, 10, 11, 12, 13, 14, 15]),
        ("INFO", &[0, 71, 72, 73]),
        ("PING", &[0, 29, 34, 35]),
        ("PONG", &[0, 29, 37, 38]),
        ("+OK", &[0, 1, 2]),
        ("-ERR", &[0, 4, 5, 6, 7]),
        ("PUB", &[0, 29, 30, 31]),
        ("HPUB", &[0, 18, 19, 20, 21]),
        ("HMSG", &[0, 18, 24, 25, 26]),
        ("SUB", &[0, 43, 44, 45]),
        ("UNSUB", &[0, 59, 60, 61, 62, 63]),
    ];
    for (verb, states) in verbs {
        for (place, &expected) in states.iter().enumerate() {
            let input = format!("{}!", &verb[..place]);
            match violation(input.as_bytes()) {
                Violation::UnknownOperation { state, offset, .. } => {
                    assert_eq!((state, offset), (expected, place), "{input}");
                }
                other => panic!("{input}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_first_argument_byte_never_ends_the_line() {
    assert_eq!(op(b"CONNECT\n{}\r\n"), Op::Connect(b"\n{}"));
    assert_eq!(publish(b"PUB \nfoo 2\r\nhi\r\n").subject, b"\nfoo");
    assert_eq!(op(b"SUB \nfoo 2\r\n"), Op::Subscribe { subject: b"foo", queue: None, sid: b"2" });
}

#[test]
fn a_cr_within_arguments_costs_the_last_byte() {
    let sub = Op::Subscribe { subject: b"fo", queue: Some(b"bar"), sid: b"1" };
    assert_eq!(op(b"SUB fo\rbar 12\n"), sub);
    let shortened = publish(b"PUB fo\ro 12\n1\r\n");
    assert_eq!((shortened.subject, shortened.payload), (&b"fo\ro"[..], &b"1"[..]));
}

#[test]
fn hmsg_is_taken_as_a_publish_to_nobody() {
    let nobody = publish(b"HMSG foo 1 2 2\r\n\r\n");
    assert_eq!((nobody.subject, nobody.payload), (&b""[..], &b""[..]));
}

#[test]
fn hpub_is_refused_where_headers_were_not_agreed() {
    for line in ["HPUB a 0 0\r\n", "HPUB a 1 999999999\r\n", "HPUB \r\n"] {
        let refused = next_op_without_headers(line.as_bytes(), &LIMITS).unwrap_err();
        assert_eq!(refused, Violation::BadArguments("message headers not supported".to_owned()));
    }
    assert!(next_op_without_headers(b"PUB a 0\r\n\r\n", &LIMITS).is_ok());
}

#[test]
fn the_control_line_limit_counts_the_arguments_only() {
    let limits = Limits { control_line_bytes_max: 7, ..LIMITS };
    for fits in
        ["PUB aaaaa 0\r\n\r\n", "PUB \t\t aaaaa 0\n\r\n", "SUB aaaaa 1\n", "CONNECT 1234567\r\n"]
    {
        assert!(matches!(next_op(fits.as_bytes(), &limits), Ok(Step::Op { .. })), "{fits}");
    }
    for long in ["PUB aaaaaa 0\r\n", "SUB aaaaaa 1\n", "CONNECT 12345678", "INFO 123456789"] {
        let refused = next_op(long.as_bytes(), &limits);
        assert_eq!(refused, Err(Violation::ControlLineTooLong), "{long}");
    }
    // The eighth byte may still be the line's CR.
    assert!(matches!(next_op(b"SUB aaaaa 1\r", &limits), Ok(Step::More { wanted_bytes: 13 })));
}

#[test]
fn a_line_that_never_ends_is_bounded() {
    for start in ["PUB ", "PUB a", "PING", "+OK ", "CONNECT {", "INFO", "-ERR x", "UNSUB \t"] {
        for filler in [" ", "x", "\r"] {
            let endless = format!("{start}{}", filler.repeat((16 << 10) + 9));
            // What starts an argument with no verb behind is wrong earlier, not later.
            assert!(next_op(endless.as_bytes(), &LIMITS).is_err(), "{start} {filler:?}");
        }
    }
}

#[test]
fn a_large_payload_is_refused_on_its_line() {
    let declared_bytes = (1 << 20) + 1;
    let refused = Violation::PayloadTooLarge { declared_bytes };
    assert_eq!(violation(b"PUB a 1048577\r\n"), refused);
    assert_eq!(violation(b"HPUB a 0 1048577\r\n"), refused);
    assert_eq!(refused.log_line(&LIMITS), "maximum payload exceeded: 1048577 vs 1048576");
    assert_eq!(wanted(b"PUB a 1048576\r\n"), 15 + (1 << 20) + 1);
}

#[test]
fn the_wait_for_a_payload_is_one_wait() {
    // The first byte behind the payload is asked for alone: a wrong one is an error at once.
    assert_eq!(wanted(b"PUB a 5\r\n"), 9 + 5 + 1);
    assert_eq!(wanted(b"PUB a 5\r\nhello"), 9 + 5 + 1);
    assert_eq!(wanted(b"PUB a 5\r\nhello\r"), 9 + 5 + 2);
    assert_eq!(wanted(b""), 1);
    assert_eq!(wanted(b"PU"), 3);
}

/// Pieces of which interesting inputs are made, right and wrong ones.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "PUB ",
        "pub ",
        "HPUB ",
        "SUB ",
        "UNSUB ",
        "PING",
        "PONG",
        "+OK",
        "-ERR ",
        "CONNECT ",
        "CONNECT",
        "INFO ",
        "HMSG ",
        "foo",
        "foo.bar",
        "re.ply",
        "1",
        "2",
        "02",
        "12",
        "0",
        "q",
        " ",
        "  ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "hi\r\n",
        "{}",
        "x",
        "PUB foo 2\r\nhi\r\n",
        "PUB foo bar 3\r\nabc\r\n",
        "HPUB foo 2 3\r\nabc\r\n",
        "SUB foo 1\r\n",
        "PING\r\n",
    ]);
    prop_oneof![
        8 => fixed.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ]
}

/// A token without blanks and control characters.
fn token() -> impl Strategy<Value = Vec<u8>> {
    vec(0x21..=0xff_u8, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_split_changes_the_operations(pieces in vec(piece(), 0..20), seed: u64) {
        checks::client::all(&pieces.concat(), seed);
    }

    #[test]
    fn no_bytes_panic(input in vec(any::<u8>(), 0..200), seed: u64) {
        checks::client::all(&input, seed);
    }

    #[test]
    fn a_written_publish_reads_as_it_was(
        subject in token(),
        reply in prop::option::of(token()),
        header in prop::option::of(vec(any::<u8>(), 0..40)),
        body in vec(any::<u8>(), 0..40),
    ) {
        let header_bytes = header.as_ref().map(Vec::len);
        let payload = [header.unwrap_or_default(), body].concat();
        let size_text = payload.len().to_string().into_bytes();
        let mut arguments = Vec::new();
        if let Some(reply) = &reply {
            arguments.extend_from_slice(reply);
            arguments.push(b' ');
        }
        if let Some(bytes) = header_bytes {
            arguments.extend_from_slice(format!("{bytes} ").as_bytes());
        }
        arguments.extend_from_slice(&size_text);
        let header_text = header_bytes.map_or(Vec::new(), |bytes| bytes.to_string().into_bytes());
        let verb = if header_bytes.is_some() { &b"HPUB "[..] } else { b"PUB " };
        let line = [verb, &subject, b" ", &arguments, b"\r\n"].concat();
        let verbatim = [&arguments[..], b"\r\n", &payload, b"\r\n"].concat();
        let input = [&line[..], &payload, b"\r\n"].concat();
        prop_assert_eq!(publish(&input), Publish {
            subject: &subject,
            reply: reply.as_deref(),
            header_bytes,
            header_text: &header_text,
            size_text: &size_text,
            payload: &payload,
            verbatim: Some(&verbatim),
            line: &line,
        });
    }

    #[test]
    fn a_written_subscription_reads_as_it_was(
        subject in token(),
        queue in prop::option::of(token()),
        sid in token(),
        max in prop::option::of(0..=999_999_999_u64),
    ) {
        let tokens: Vec<&[u8]> =
            [Some(&subject), queue.as_ref(), Some(&sid)].into_iter().flatten().map(Vec::as_slice).collect();
        let sub = [b"SUB ", tokens.join(&b' ').as_slice(), b"\r\n"].concat();
        let expected = Op::Subscribe { subject: &subject, queue: queue.as_deref(), sid: &sid };
        prop_assert_eq!(op(&sub), expected);
        let max_text = max.map(|max| format!(" {max}")).unwrap_or_default();
        let unsub = [b"UNSUB ", sid.as_slice(), max_text.as_bytes(), b"\r\n"].concat();
        prop_assert_eq!(op(&unsub), Op::Unsubscribe { sid: &sid, max });
    }

    #[test]
    fn json_is_json_for_others_too(text in r#"[ \[\]{}:,"\\tfnrualse0-9.eE+\-x]{0,40}"#) {
        checks::connect::all(text.as_bytes());
    }
}
