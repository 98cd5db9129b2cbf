//! Which delivery waits first, read back from encoded bytes.

use crate::frames::subject_at;

fn found(bytes: &str, at: usize) -> Option<&str> {
    subject_at(bytes.as_bytes(), at).map(|subject| str::from_utf8(subject).unwrap())
}

#[test]
fn the_first_delivery_that_is_not_out_is_found() {
    let bytes = "PONG\r\nMSG a 1 3\r\nxyz\r\nHMSG b.c 22 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n+OK\r\n";
    let (first, second) = (bytes.find("MSG a").unwrap(), bytes.find("HMSG").unwrap());
    for at in 0..second {
        assert_eq!(found(bytes, at), Some("a"), "at {at}");
    }
    assert!(first < second);
    for at in second..bytes.len() - "+OK\r\n".len() {
        assert_eq!(found(bytes, at), Some("b.c"), "at {at}");
    }
    assert_eq!(found(bytes, bytes.len() - 5), None);
    assert_eq!(found(bytes, bytes.len()), None);
}

#[test]
fn a_payload_that_looks_like_a_delivery_is_none() {
    let bytes = "MSG a 1 15\r\n\r\nMSG x 1 1\r\nx\r\n\r\nMSG b 1 0\r\n\r\n";
    assert_eq!(found(bytes, 3), Some("a"));
    let inner = bytes.find("MSG x").unwrap();
    assert_eq!(found(bytes, inner + 1), Some("a"));
}

#[test]
fn a_start_without_its_size_stands_for_the_message_that_goes_on() {
    let bytes = "MSG big 1 rest of it\r\nmore\r\nMSG b 1 2\r\n";
    assert_eq!(found(bytes, 10), Some("big"));
    assert_eq!(found(bytes, bytes.find("MSG b 1").unwrap()), Some("b"));
}

#[test]
fn a_subject_that_is_cut_off_is_none() {
    assert_eq!(found("MSG long.sub", 0), None);
    assert_eq!(found("x\r\nMSG long\r\n", 0), None);
    assert_eq!(found("", 0), None);
}
