//! Streams come and go, and are found again.

use proptest::prelude::*;

use super::{Change, Meta, Reach, StreamRecord};
use crate::log::Position;
use crate::stream::{Discard, Limits};

fn record(group: u32, name: &str) -> StreamRecord {
    StreamRecord {
        group,
        account: "$G".to_owned(),
        name: name.to_owned(),
        created_ns: 1_700_000_000_000_000_000,
        first_seq: 7,
        limits: Limits {
            msgs_max: 1,
            bytes_max: 2,
            msgs_per_subject_max: 3,
            age_max_ns: 4,
            discard: Discard::NewPerSubject,
            duplicate_window_ns: 5,
            marks_expiry: true,
            packs: true,
        },
        config: b"{}".to_vec(),
    }
}

#[test]
fn a_group_is_never_given_twice() {
    let mut meta = Meta::default();
    let first = meta.next_group();
    meta.apply(Change::Put(record(first, "ORDERS")));
    meta.apply(Change::Drop(first));
    let again = Meta::decode(&meta.encode(Reach::default()));
    let next = again.map(|(mut meta, _)| (meta.streams().count(), meta.next_group()));
    assert_eq!(next, Some((0, first + 1)));
}

#[test]
fn what_is_remembered_is_found_again() {
    let mut meta = Meta::default();
    for name in ["ONE", "OTHER"] {
        let group = meta.next_group();
        let change = Change::Put(record(group, name));
        assert_eq!(Change::decode(&change.encode()), Some(change.clone()));
        meta.apply(change);
    }
    let applied = Position { file: 3, offset: 4096 };
    let reach = Reach { applied, needed: Position { file: 2, offset: 8 } };
    assert_eq!(Meta::decode(&meta.encode(reach)), Some((meta, reach)));
}

#[test]
fn a_change_replaces_the_stream_of_its_group() {
    let mut meta = Meta::default();
    let group = meta.next_group();
    meta.apply(Change::Put(record(group, "ORDERS")));
    let mut changed = record(group, "ORDERS");
    changed.limits.msgs_max = 100;
    meta.apply(Change::Put(changed.clone()));
    assert_eq!(meta.streams().collect::<Vec<_>>(), [&changed]);
}

#[test]
fn what_is_cut_off_is_nothing() {
    let whole = Change::Put(record(1, "ORDERS")).encode();
    for end in 0..whole.len() {
        assert_eq!(Change::decode(&whole[..end]), None, "cut at {end}");
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(Change::decode(&longer), None);
}

proptest! {
    #[test]
    fn any_bytes_are_a_change_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(change) = Change::decode(&bytes) {
            prop_assert_eq!(change.encode(), bytes.clone());
        }
        if let Some((meta, reach)) = Meta::decode(&bytes) {
            let _ = meta.encode(reach);
        }
    }
}
