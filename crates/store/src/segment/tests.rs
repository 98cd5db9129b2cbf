//! A segment on a disk that fails: what is read is what was written, or an error.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk, FaultyFile, ReadFault};
use crate::stream::Lifetime;

const IDENTITY: Identity = Identity { store: 3, stream: 9, number: 1 };
const PATH: &str = "1.segment";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    sequence: u64,
    time_ns: u64,
    lifetime: Lifetime,
    subject: Vec<u8>,
    headers: Vec<u8>,
    payload: Vec<u8>,
    msg_id: Vec<u8>,
}

impl Message {
    fn record(&self) -> Record<'_> {
        let Self { sequence, time_ns, lifetime, subject, headers, payload, msg_id } = self;
        let (sequence, time_ns, lifetime) = (*sequence, *time_ns, *lifetime);
        let (is_marker, is_erased) = (sequence % 7 == 0, false);
        Record {
            sequence,
            time_ns,
            lifetime,
            is_marker,
            is_erased,
            subject,
            headers,
            payload,
            packed_from: None,
            msg_id,
        }
    }
}

fn messages(seed: u64, count: u64) -> Vec<Message> {
    let mut dice = Dice::new(seed);
    let message = |number: u64| {
        let length = if dice.below(10) == 0 { 3000 } else { dice.below(40) };
        let headers: &[u8] = match dice.below(3) {
            0 => b"NATS/1.0\r\nNats-Msg-Id: id-7\r\n\r\n",
            1 => b"NATS/1.0\r\n\r\n",
            _ => b"",
        };
        Message {
            sequence: number * 3 + 1,
            time_ns: number * 7 + 5,
            lifetime: match dice.below(6) {
                0 => Lifetime::Never,
                1 => Lifetime::Ttl { ttl_ns: dice.below(1 << 40) },
                _ => Lifetime::Limits,
            },
            subject: format!("a.{}", dice.below(5)).into(),
            headers: headers.to_vec(),
            payload: vec![number as u8; length as usize],
            msg_id: if dice.below(2) == 0 { b"id-7".to_vec() } else { Vec::new() },
        }
    };
    (0..count).map(message).collect()
}

fn path() -> &'static Path {
    Path::new(PATH)
}

struct Opened {
    segment: Segment<FaultyFile>,
    index: Index,
    damage: Vec<Damage>,
}

fn try_open(disk: &FaultyDisk, extent: Extent) -> Result<Opened, SegmentError> {
    let (segment, header) = Segment::open(disk, path(), &IDENTITY)?;
    let (index, _, damage) = segment.records(extent, 0..=u64::MAX)?;
    let damage = header.into_iter().chain(damage).collect();
    Ok(Opened { segment, index, damage })
}

fn open(disk: &FaultyDisk, extent: Extent) -> Opened {
    match try_open(disk, extent) {
        Ok(opened) => opened,
        Err(error) => panic!("{error}"),
    }
}

/// Appends messages at `end`: where each stands, and where they end.
fn append(segment: &Segment<FaultyFile>, end: u64, messages: &[Message]) -> (Vec<u64>, u64) {
    let mut bytes = Vec::new();
    let offsets = messages.iter().map(|message| {
        let offset = end + bytes.len() as u64;
        record::append(&mut bytes, segment.seed, offset, &message.record());
        assert_eq!(offset + message.record().record_bytes() as u64, end + bytes.len() as u64);
        offset
    });
    let offsets = offsets.collect();
    assert!(segment.write(&bytes, end).is_ok());
    (offsets, end + bytes.len() as u64)
}

/// A segment with these messages that is not synced, where each stands, and where they end.
fn written(disk: &FaultyDisk, messages: &[Message]) -> (Segment<FaultyFile>, Vec<u64>, u64) {
    let Ok(segment) = Segment::create(disk, path(), &IDENTITY) else { panic!("no segment") };
    let (offsets, end) = append(&segment, RECORDS_AT, messages);
    (segment, offsets, end)
}

fn sealed(messages: &[Message]) -> (FaultyDisk, Vec<u64>) {
    let disk = FaultyDisk::default();
    let (segment, offsets, end) = written(&disk, messages);
    assert!(segment.seal(end, 0..=u64::MAX, &[]).is_ok() && segment.sync().is_ok());
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
        let (segment, offsets, end) = written(&disk, &messages);
        prop_assert_eq!(readable(&segment, &offsets, &messages), messages.len());
        let scanned = open(&disk, Extent::Until(end));
        prop_assert!(segment.seal(end, 0..=u64::MAX, &[]).is_ok());
        prop_assert_eq!(readable(&segment, &offsets, &messages), messages.len());
        for extent in [Extent::Sealed, Extent::Until(end)] {
            let opened = open(&disk, extent);
            prop_assert_eq!(opened.damage, []);
            prop_assert_eq!(&opened.index, &scanned.index);
            prop_assert_eq!(readable(&opened.segment, &offsets, &messages), messages.len());
        }
    }

    #[test]
    fn the_index_says_what_the_records_say(seed: u64, count in 0_u64..400) {
        let messages = messages(seed, count);
        let (disk, offsets) = sealed(&messages);
        let index = open(&disk, Extent::Sealed).index;
        prop_assert_eq!(index.places().len(), messages.len());
        for ((place, &offset), message) in index.places().iter().zip(&offsets).zip(&messages) {
            let Message { sequence, time_ns, lifetime, .. } = *message;
            let Record { is_marker, msg_id, .. } = message.record();
            let (size, has_id) = (message.record().size(), !msg_id.is_empty());
            prop_assert_eq!(index.text(place.subject), &message.subject);
            let subject = place.subject;
            let expected =
                Place { sequence, time_ns, offset, size, lifetime, is_marker, has_id, subject };
            prop_assert_eq!(*place, expected);
        }
        let texts = (0..index.subjects().len() as u32).map(|subject| index.text(subject));
        prop_assert!(texts.is_sorted_by(|one, next| one < next));
        for (number, entry) in index.subjects().iter().enumerate() {
            let subject = index.text(number as u32);
            let of_it = messages.iter().filter(|message| message.subject == subject);
            let sequences = of_it.map(|message| message.sequence).collect::<Vec<_>>();
            prop_assert_eq!(entry.records as usize, sequences.len());
            prop_assert_eq!(Some(&entry.first_seq), sequences.first());
            prop_assert_eq!(Some(&entry.last_seq), sequences.last());
        }
    }
}

#[test]
fn an_erased_record_keeps_its_subject_and_carries_nothing() {
    let messages = messages(3, 20);
    let (disk, offsets) = sealed(&messages);
    let segment = open(&disk, Extent::Sealed).segment;
    for (&offset, message) in offsets.iter().zip(&messages) {
        assert!(segment.erase(offset).is_ok() && segment.erase(offset).is_ok());
        let Ok(stored) = segment.read(offset) else { panic!("at {offset}") };
        let (erased, record) = (stored.record(), message.record());
        assert!(erased.is_erased && erased.msg_id == record.msg_id);
        assert_eq!((erased.subject, erased.lifetime), (record.subject, record.lifetime));
        assert_eq!(erased.size(), record.size());
        assert!(erased.payload.iter().all(|&byte| byte == 0));
        let left = erased.headers.iter().filter(|&&byte| byte != 0).count();
        assert!(left == 0 || left == record.msg_id.len());
    }
    // Nothing of it is damage.
    disk.damage(path(), |content| content.truncate(content.len() - 1));
    let scanned = open(&disk, Extent::Sealed);
    assert_eq!(scanned.damage.first(), Some(&Damage::Index));
    assert_eq!(scanned.index.places().len(), messages.len());
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
        match try_open(&flipped, Extent::Sealed) {
            Ok(Opened { segment, damage, .. }) => {
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
        match try_open(&cut, Extent::Sealed) {
            Ok(Opened { segment, damage, .. }) => {
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
        let (segment, offsets, end) = written(&disk, &messages);
        // As when the stream was closed, and opened again.
        let indexed = if seed % 2 == 0 { segment.seal(end, 0..=u64::MAX, &[]) } else { Ok(()) };
        assert!(indexed.is_ok() && segment.sync().is_ok());
        assert!(disk.sync_folder(Path::new("")).is_ok());
        append(&segment, end, &later);
        let after = disk.after_power_cut(&mut Dice::new(seed));
        let Opened { segment, index, damage } = open(&after, Extent::Until(end));
        assert_eq!(damage, [], "seed {seed}");
        assert_eq!(index.places().len(), messages.len());
        let mut all = (offsets, messages.clone());
        let (offsets, end) = append(&segment, end, &later[..5]);
        all.0.extend(offsets);
        all.1.extend_from_slice(&later[..5]);
        assert!(segment.seal(end, 0..=u64::MAX, &[]).is_ok());
        let Opened { segment, damage, .. } = open(&after, Extent::Sealed);
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
            if let Ok(Opened { segment, damage, .. }) = try_open(&wrong, Extent::Sealed) {
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
    let (segment, offsets, end) = written(&disk, &messages);
    assert!(segment.sync().is_ok());
    let (offset, bytes) = (offsets[4], offsets[5] - offsets[4]);
    let sequence = messages[4].sequence;
    // In its body, then in its head: what is not known lies between its neighbours.
    for (at, sequences) in [(50, sequence..=sequence), (20, sequence - 2..=sequence + 2)] {
        disk.damage(path(), |content| content[offset as usize + at] ^= 1);
        let Opened { segment, damage, .. } = open(&disk, Extent::Until(end));
        let hole = Hole { offset, bytes, sequences };
        assert_eq!(damage, [Damage::Hole(hole)]);
        assert_eq!(readable(&segment, &offsets, &messages), 9);
    }
    let refused = segment.seal(end, 0..=u64::MAX, &[]);
    assert!(matches!(refused, Err(SegmentError::Damaged { offset: at, .. }) if at == offset));
    disk.damage(path(), |content| content.truncate(end as usize - 8));
    assert_eq!(open(&disk, Extent::Until(end)).damage.len(), 2);
}

#[test]
fn another_segment_is_not_taken_for_this_one() {
    let (disk, _) = sealed(&messages(8, 3));
    for other in [
        Identity { number: 2, ..IDENTITY },
        Identity { stream: 1, ..IDENTITY },
        Identity { store: 1, ..IDENTITY },
    ] {
        let opened = Segment::open(&disk, path(), &other).map(|_| ());
        assert!(matches!(opened, Err(SegmentError::NotThis { .. })));
    }
    let missing = Segment::open(&disk, Path::new("no"), &IDENTITY).map(|_| ());
    let is_missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    assert!(matches!(missing, Err(SegmentError::Disk { error, .. }) if is_missing(&error)));
}
