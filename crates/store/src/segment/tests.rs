//! A segment on a disk that fails: what is read is what was written, or an error.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk, FaultyFile, ReadFault};

const IDENTITY: Identity = Identity { store: 3, stream: 9, number: 1 };
const PATH: &str = "1.segment";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    kind: Kind,
    sequence: u64,
    time_ns: u64,
    ttl_s: u32,
    subject: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl Message {
    fn record(&self) -> Record<'_> {
        let Self { kind, sequence, time_ns, ttl_s, subject, headers, payload } = self;
        let (kind, sequence, time_ns, ttl_s) = (*kind, *sequence, *time_ns, *ttl_s);
        Record { kind, sequence, time_ns, ttl_s, flags: 0, subject, headers, payload }
    }
}

fn messages(seed: u64, count: u64) -> Vec<Message> {
    let mut dice = Dice::new(seed);
    let message = |number: u64| {
        let is_tombstone = dice.below(8) == 0;
        let length = if dice.below(10) == 0 { 3000 } else { dice.below(40) };
        Message {
            kind: if is_tombstone { Kind::Tombstone } else { Kind::Message },
            sequence: number * 3 + 1,
            time_ns: number * 7,
            ttl_s: dice.below(3) as u32,
            subject: if is_tombstone { Vec::new() } else { format!("a.{}", dice.below(5)).into() },
            headers: if dice.below(2) == 0 { b"NATS/1.0\r\n\r\n".to_vec() } else { Vec::new() },
            payload: vec![number as u8; length as usize],
        }
    };
    (0..count).map(message).collect()
}

fn path() -> &'static Path {
    Path::new(PATH)
}

fn open(disk: &FaultyDisk, extent: Extent) -> (Segment<FaultyFile>, Vec<Damage>) {
    match Segment::open(disk, path(), &IDENTITY, extent) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    }
}

/// A segment with these messages that is flushed, and where each stands.
fn written(disk: &FaultyDisk, messages: &[Message]) -> (Segment<FaultyFile>, Vec<u64>) {
    let Ok(mut segment) = Segment::create(disk, path(), &IDENTITY) else { panic!("no segment") };
    let offsets = messages.iter().map(|message| segment.append(&message.record())).collect();
    assert!(segment.flush().is_ok());
    (segment, offsets)
}

fn sealed(messages: &[Message]) -> (FaultyDisk, Vec<u64>) {
    let disk = FaultyDisk::default();
    let (mut segment, offsets) = written(&disk, messages);
    assert!(segment.seal().is_ok());
    assert!(disk.sync_folder(Path::new("")).is_ok());
    (disk, offsets)
}

/// How many of the messages are read as they were written; the others must be errors.
fn readable(segment: &Segment<FaultyFile>, offsets: &[u64], messages: &[Message]) -> usize {
    let read = |(&offset, message): (&u64, &Message)| match segment.read(offset) {
        Ok(stored) => {
            assert_eq!(stored.record(), message.record());
            true
        }
        Err(_) => false,
    };
    offsets.iter().zip(messages).map(read).filter(|&is_read| is_read).count()
}

proptest! {
    #[test]
    fn what_was_appended_is_read_before_and_after_it_is_sealed(seed: u64, count in 0_u64..60) {
        let messages = messages(seed, count);
        let disk = FaultyDisk::default();
        let Ok(mut segment) = Segment::create(&disk, path(), &IDENTITY) else { panic!("no segment") };
        let offsets: Vec<_> =
            messages.iter().map(|message| segment.append(&message.record())).collect();
        prop_assert_eq!(readable(&segment, &offsets, &messages), messages.len());
        prop_assert!(segment.seal().is_ok());
        prop_assert_eq!(readable(&segment, &offsets, &messages), messages.len());
        let (opened, damage) = open(&disk, Extent::Sealed);
        prop_assert_eq!(damage, []);
        prop_assert_eq!(opened.index(), segment.index());
        prop_assert_eq!(readable(&opened, &offsets, &messages), messages.len());
    }

    #[test]
    fn the_index_says_what_the_records_say(seed: u64, count in 0_u64..60) {
        let messages = messages(seed, count);
        let (disk, offsets) = sealed(&messages);
        let (segment, _) = open(&disk, Extent::Sealed);
        let places = segment.index().places();
        prop_assert_eq!(places.len(), messages.len());
        for ((place, &offset), message) in places.iter().zip(&offsets).zip(&messages) {
            let Message { kind, sequence, time_ns, .. } = *message;
            let found = (place.kind, place.sequence, place.time_ns, place.offset);
            prop_assert_eq!(found, (kind, sequence, time_ns, offset));
        }
        for (subject, entry) in segment.index().subjects() {
            let of_it = messages.iter().enumerate().filter(|(_, message)| message.subject == subject);
            let numbers = of_it.map(|(number, _)| number as u32).collect::<Vec<_>>();
            prop_assert_eq!(entry.records as usize, numbers.len());
            prop_assert_eq!(Some(&entry.first), numbers.first());
            prop_assert_eq!(Some(&entry.last), numbers.last());
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_costs_at_most_one_record() {
    let messages = messages(2, 12);
    let (disk, offsets) = sealed(&messages);
    let bytes = disk.files()[0].1;
    let is_soaking = std::env::var_os("KEELBACK_SOAK").is_some();
    for bit in 0..bytes * 8 {
        let (byte, is_zero) = (bit / 8, bit / 8 < BLOCK_BYTES && (bit / 8) % 2048 >= 56);
        let is_payload = byte > BLOCK_BYTES && !bit.is_multiple_of(5);
        if !is_soaking && (is_payload || is_zero && !bit.is_multiple_of(101)) {
            continue;
        }
        let flipped = disk.copy();
        flipped.damage(path(), |content| content[byte] ^= 1 << (bit % 8));
        match Segment::open(&flipped, path(), &IDENTITY, Extent::Sealed) {
            Ok((segment, damage)) => {
                let read = readable(&segment, &offsets, &messages);
                let is_noticed = !damage.is_empty() || read < messages.len();
                assert!(is_noticed && read + 1 >= messages.len(), "bit {bit}: {read} read");
            }
            Err(SegmentError::Version { .. }) => {}
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
}

#[test]
fn a_sealed_segment_that_is_cut_anywhere_says_so() {
    let messages = messages(4, 12);
    let (disk, offsets) = sealed(&messages);
    for bytes in 0..disk.files()[0].1 {
        let cut = disk.copy();
        cut.damage(path(), |content| content.truncate(bytes));
        match Segment::open(&cut, path(), &IDENTITY, Extent::Sealed) {
            Ok((segment, damage)) => {
                assert!(damage.contains(&Damage::Index), "{bytes} bytes");
                let whole = offsets.iter().skip(1).filter(|&&end| end as usize <= bytes).count();
                assert!(readable(&segment, &offsets, &messages) >= whole, "{bytes} bytes");
            }
            Err(error) => assert!(matches!(error, SegmentError::NotThis { .. }), "{error}"),
        }
    }
}

#[test]
fn what_was_synced_survives_a_power_cut_and_what_came_later_is_written_over() {
    let (messages, later) = (messages(5, 20), messages(6, 20));
    for seed in 0..200 {
        let disk = FaultyDisk::default();
        let (mut segment, offsets) = written(&disk, &messages);
        assert!(segment.sync().is_ok() && disk.sync_folder(Path::new("")).is_ok());
        let end = segment.end();
        for message in &later {
            segment.append(&message.record());
        }
        assert!(segment.flush().is_ok());
        let after = disk.after_power_cut(&mut Dice::new(seed));
        let (mut segment, damage) = open(&after, Extent::Until(end));
        assert_eq!(damage, [], "seed {seed}");
        assert_eq!(segment.index().places().len(), messages.len());
        let mut all = (offsets, messages.clone());
        for message in &later[..5] {
            all.0.push(segment.append(&message.record()));
            all.1.push(message.clone());
        }
        assert!(segment.seal().is_ok());
        let (segment, damage) = open(&after, Extent::Sealed);
        assert_eq!(damage, [], "seed {seed}");
        assert_eq!(readable(&segment, &all.0, &all.1), all.1.len());
    }
}

#[test]
fn a_read_that_goes_wrong_is_an_error_or_damage_never_another_record() {
    let messages = messages(9, 20);
    let (disk, offsets) = sealed(&messages);
    let faults = [
        ReadFault::Error,
        ReadFault::Stale,
        ReadFault::Misdirected,
        ReadFault::Flipped(300),
        ReadFault::Flipped(2_000),
        ReadFault::Short,
    ];
    for number in 0.. {
        let wrong = disk.copy();
        for fault in faults {
            let counted = wrong.reads();
            let reads = BTreeMap::from([(counted + number, fault)]);
            wrong.set_faults(Faults { reads, ..Faults::default() });
            // Whatever is opened says of each record what it was, or that it cannot be read.
            if let Ok((segment, damage)) = Segment::open(&wrong, path(), &IDENTITY, Extent::Sealed)
            {
                let read = readable(&segment, &offsets, &messages);
                assert!(read + 1 >= messages.len() || !damage.is_empty(), "{number}, {fault:?}");
            }
        }
        if wrong.reads() <= number * faults.len() as u64 {
            break;
        }
    }
}

#[test]
fn damage_in_what_was_synced_is_told() {
    let messages = messages(7, 10);
    let disk = FaultyDisk::default();
    let (mut segment, offsets) = written(&disk, &messages);
    assert!(segment.sync().is_ok());
    let end = segment.end();
    disk.damage(path(), |content| content[offsets[4] as usize + 50] ^= 1);
    let (segment, damage) = open(&disk, Extent::Until(end));
    let bytes = offsets[5] - offsets[4];
    assert_eq!(damage, [Damage::Hole { offset: offsets[4], bytes }]);
    assert_eq!(readable(&segment, &offsets, &messages), 9);
    disk.damage(path(), |content| content.truncate(end as usize - 8));
    let (_, damage) = open(&disk, Extent::Until(end));
    assert_eq!(damage.len(), 2);
}

#[test]
fn another_segment_is_not_taken_for_this_one() {
    let (disk, _) = sealed(&messages(8, 3));
    for other in [
        Identity { number: 2, ..IDENTITY },
        Identity { stream: 1, ..IDENTITY },
        Identity { store: 1, ..IDENTITY },
    ] {
        let opened = Segment::open(&disk, path(), &other, Extent::Sealed).map(|_| ());
        assert!(matches!(opened, Err(SegmentError::NotThis { .. })));
    }
    let missing = Segment::open(&disk, Path::new("no"), &IDENTITY, Extent::Sealed).map(|_| ());
    let is_missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    assert!(matches!(missing, Err(SegmentError::Disk { error, .. }) if is_missing(&error)));
}
