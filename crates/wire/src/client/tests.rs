#![allow(clippy::unwrap_used)]

use super::{Limits, Op, Step, next_op};

const LIMITS: Limits = Limits { control_line_bytes_max: 4096, payload_bytes_max: Some(1 << 20) };

#[test]
fn a_whole_publish_is_one_operation() {
    let input = b"PUB foo 2\r\nhi\r\nPING\r\n";
    let Step::Op { op: Op::Publish(publish), used_bytes } = next_op(input, &LIMITS).unwrap() else {
        panic!("not a publish");
    };
    assert_eq!((publish.subject, publish.payload, used_bytes), (&b"foo"[..], &b"hi"[..], 15));
    assert_eq!(publish.verbatim, Some(&b"2\r\nhi\r\n"[..]));
}
