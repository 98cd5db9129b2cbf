//! Each expectation was read from nats-server 2.15.1.

use proptest::prelude::*;

use super::{
    HEADER_BYTES_MAX, SIGNATURE, Step, TEXT_BYTES_MAX, Unfinished, next_header, unfinished,
};

const IPV4: &[u8] = &[10, 0, 0, 7, 10, 0, 0, 8, 4, 210, 22, 46];

fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length =
        u16::try_from(addresses.len()).expect("what tests announce is short").to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, addresses].concat()
}

/// `10.0.0.1 1111`, `local`, `absent`, `more`, or the refusal.
fn read(input: &[u8]) -> String {
    match next_header(input) {
        Ok(Step::More) => "more".into(),
        Ok(Step::Absent) => "absent".into(),
        Ok(Step::Header { source: Some((ip, port)), .. }) => format!("{ip} {port}"),
        Ok(Step::Header { source: None, .. }) => "local".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn version_1_is_a_line() {
    for (line, expected) in [
        ("TCP4 10.0.0.1 10.0.0.2 1111 2222", "10.0.0.1 1111"),
        ("TCP6 2001:db8::1 ::1 1111 2222", "2001:db8::1 1111"),
        ("TCP6 ::ffff:1.2.3.4 ::1 1111 2222", "1.2.3.4 1111"),
        ("TCP4\t1.2.3.4  1.1.1.1 007 2 ", "1.2.3.4 7"),
        ("UNKNOWN", "local"),
        ("UNKNOWN a b c", "local"),
        ("TCP4 ::1 ::1 1 2", "invalid PROXY protocol header: TCP4 with IPv6 address"),
        ("TCP6 1.1.1.1 ::1 1 2", "invalid PROXY protocol header: TCP6 with IPv4 address"),
        ("TCP4 1.2.3.444 1.1.1.1 1 2", "invalid PROXY protocol header: invalid address"),
        ("TCP4 01.2.3.4 1.1.1.1 1 2", "invalid PROXY protocol header: invalid address"),
        ("TCP6 fe80::1%eth0 ::1 7 2", "invalid PROXY protocol header: invalid address"),
        (
            "TCP4 1.2.3.4 1.1.1.1 99999 2",
            "invalid source port: strconv.ParseUint: parsing \"99999\": value out of range",
        ),
        (
            "TCP4 1.2.3.4 1.1.1.1 +1 2",
            "invalid source port: strconv.ParseUint: parsing \"+1\": invalid syntax",
        ),
        (
            "TCP4 1.2.3.4 1.1.1.1 12 x2",
            "invalid dest port: strconv.ParseUint: parsing \"x2\": invalid syntax",
        ),
        ("UDP4 1.2.3.4 1.1.1.1 1 2", "invalid PROXY protocol header: invalid protocol UDP4"),
        ("TCP4 1.2.3.4 1.1.1.1", "invalid PROXY protocol header: invalid v1 format"),
        ("TCP4 1.2.3.4 1.1.1.1 1 2\nPING", "invalid PROXY protocol header: invalid v1 format"),
        ("", "invalid PROXY protocol header: invalid v1 format"),
    ] {
        assert_eq!(read(format!("PROXY {line}\r\nPING\r\n").as_bytes()), expected, "{line}");
    }
    let long = format!("PROXY TCP4 {}", "x".repeat(200));
    assert_eq!(read(long.as_bytes()), "invalid PROXY protocol header: v1 line too long");
    assert_eq!(read(&long.as_bytes()[..TEXT_BYTES_MAX - 1]), "more");
}

#[test]
fn version_2_is_binary() {
    let ipv6: Vec<u8> = [&[0x20, 0x01][..], &[0; 13], &[5], &[0; 16], &[0, 1], &[0, 2]].concat();
    let mapped: Vec<u8> =
        [&[0; 10][..], &[0xFF, 0xFF, 1, 2, 3, 4], &[0; 16], &[0, 1], &[0, 2]].concat();
    for (header, expected) in [
        (binary(0x21, 0x11, IPV4), "10.0.0.7 1234"),
        (binary(0x21, 0x11, &[IPV4, b"\x03\x00\x04abcd"].concat()), "10.0.0.7 1234"),
        (binary(0x21, 0x21, &ipv6), "2001::5 1"),
        (binary(0x21, 0x21, &mapped), "1.2.3.4 1"),
        (binary(0x20, 0x00, b""), "local"),
        (binary(0x20, 0x11, IPV4), "local"),
        (binary(0x20, 0xFF, b"x"), "local"),
        (binary(0x21, 0x01, b"abc"), "local"),
        (
            binary(0x21, 0x00, b"abc"),
            "unsupported PROXY protocol feature: only STREAM protocol supported",
        ),
        (
            binary(0x21, 0x12, IPV4),
            "unsupported PROXY protocol feature: only STREAM protocol supported",
        ),
        (
            binary(0x21, 0x31, &[0; 216]),
            "unsupported PROXY protocol feature: unsupported address family 0x30",
        ),
        (binary(0x31, 0x11, IPV4), "invalid PROXY protocol header: invalid version 0x30"),
        (binary(0x22, 0x11, IPV4), "unknown PROXY protocol command: 0x02"),
        (binary(0x21, 0x11, &IPV4[..8]), "IPv4 address data too short: 8 bytes"),
        (binary(0x21, 0x21, IPV4), "IPv6 address data too short: 12 bytes"),
    ] {
        assert_eq!(read(&header), expected, "{header:?}");
    }
    let wrong = [&SIGNATURE[..8], b"xxxx\x21\x11\x00\x0c", IPV4].concat();
    assert_eq!(read(&wrong), "invalid PROXY protocol header: invalid signature");
}

#[test]
fn what_is_no_header_is_the_protocol() {
    for input in
        [&b"CONNECT {}\r\n"[..], b"PING\r\n", b"\r\n\r\nPI", b"\x16\x03\x01", b"proxy TCP4 "]
    {
        assert_eq!(read(input), "absent", "{input:?}");
    }
    for input in [&b""[..], b"P", b"PROXY", b"PROXY T", b"\r", b"\r\n\r\n\0\r\nQUI"] {
        assert_eq!(read(input), "more", "{input:?}");
    }
}

#[test]
fn what_did_not_become_whole_is_named() {
    let v4 = binary(0x21, 0x11, IPV4);
    for (input, end, text) in [
        (&b""[..], Unfinished::Ended, "failed to read protocol version: EOF"),
        (b"PRO", Unfinished::Ended, "failed to read protocol version: unexpected EOF"),
        (b"PROXY TC", Unfinished::Ended, "failed to read v1 line: EOF"),
        (b"PROXY TC", Unfinished::Late, "failed to read v1 line: i/o timeout"),
        (&v4[..8], Unfinished::Ended, "failed to read v2 signature: unexpected EOF"),
        (&v4[..12], Unfinished::Late, "failed to read v2 header: i/o timeout"),
        (&v4[..13], Unfinished::Ended, "failed to read v2 header: unexpected EOF"),
        (&v4[..16], Unfinished::Ended, "failed to read IPv4 address data: EOF"),
        (&v4[..17], Unfinished::Ended, "failed to read IPv4 address data: unexpected EOF"),
    ] {
        assert_eq!(unfinished(input, end), text);
    }
}

/// Headers good and bad, and bytes that begin like some.
fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    let text =
        "PROXY (TCP[46]|UNKNOWN|UDP4)?( [0-9.:a-f]{0,12}){0,5}( [0-9]{1,6}){0,2}\r?\n?.{0,20}";
    prop_oneof![
        bytes(),
        text.prop_map(String::into_bytes),
        (0x1F_u8..0x24, any::<u8>(), bytes(), bytes()).prop_map(|(command, family, body, rest)| {
            [binary(command, family, &body), rest].concat()
        }),
        (0..SIGNATURE.len(), bytes())
            .prop_map(|(known, rest)| [&SIGNATURE[..known], &rest].concat()),
    ]
}

proptest! {
    #[test]
    fn no_split_of_the_bytes_changes_the_answer(input in inputs()) {
        let whole = next_header(&input);
        let first = (0..=input.len()).map(|end| next_header(&input[..end]));
        let decided = first.clone().find(|step| *step != Ok(Step::More));
        prop_assert_eq!(decided.unwrap_or(Ok(Step::More)), whole.clone());
        if let Ok(Step::Header { used_bytes, .. }) = whole {
            prop_assert!((1..=HEADER_BYTES_MAX).contains(&used_bytes) && used_bytes <= input.len());
            // Not a byte before, and whatever follows.
            prop_assert_eq!(next_header(&input[..used_bytes - 1]), Ok(Step::More));
            prop_assert_eq!(next_header(&input[..used_bytes]), whole);
        }
        for end in [Unfinished::Ended, Unfinished::Late] {
            prop_assert!(unfinished(&input, end).starts_with("failed to "));
        }
    }

    #[test]
    fn what_a_balancer_writes_is_read(ip in any::<std::net::IpAddr>(), port in any::<u16>()) {
        let (name, other) = if ip.is_ipv4() { ("TCP4", "1.1.1.1") } else { ("TCP6", "::1") };
        let line = format!("PROXY {name} {ip} {other} {port} 4222\r\n");
        let source = Some((ip.to_canonical(), port));
        let header = Step::Header { used_bytes: line.len(), source };
        prop_assert_eq!(next_header(line.as_bytes()), Ok(header));
        let (family, octets) = match ip {
            std::net::IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
            std::net::IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
        };
        let addresses = [&octets[..], &octets, &port.to_be_bytes(), &[0, 1]].concat();
        let header = binary(0x21, family, &addresses);
        let step = Step::Header { used_bytes: header.len(), source };
        prop_assert_eq!(next_header(&header), Ok(step));
    }
}
