//! Files that are not as they were written: told, never deleted, and all other messages served.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::*;
use super::session::{Own, STREAM, Session};
use crate::disk::Disk;
use crate::disk::faulty::{Faults, FaultyDisk, ReadFault};
use crate::stream::Limits;

const HEADER_BYTES: usize = 4096;

/// A stream that was closed: sealed segments, one of them with a live map, and one to append to.
fn closed() -> Session {
    let limits = Limits { duplicate_window_ns: 1000, ..Limits::default() };
    let mut session = Session::new(FaultyDisk::default(), 4096 + 400, limits);
    for number in 0..14_u64 {
        let mut own = Own::plain(["a.1", "b", "c.long"][number as usize % 3], number, 40);
        if let Own::Store { id, headers, .. } = &mut own
            && number % 4 == 0
        {
            *id = format!("id-{number}").into();
            headers.extend_from_slice(
                format!("NATS/1.0\r\nNats-Msg-Id: id-{number}\r\n\r\n").as_bytes(),
            );
        }
        assert!(session.propose(own).is_ok());
    }
    for seq in [1, 4, 13] {
        assert!(session.propose(Own::Remove { seq, is_secure: false }).is_ok());
    }
    assert!(session.checkpoint(true).is_ok());
    session.check();
    session
}

fn is_soaking() -> bool {
    std::env::var_os("KEELBACK_SOAK").is_some()
}

/// Opens the stream on this disk: what is told, and which messages are damaged.
fn opened(session: &mut Session, disk: &FaultyDisk) -> Option<(Vec<Damage>, Vec<u64>)> {
    let files = disk.files().len();
    let mut damage = match session.try_reopen(disk) {
        Ok(damage) => damage,
        Err(DurableError::Segment(SegmentError::Version { .. })) => return None,
        Err(error) => panic!("{error}"),
    };
    let damaged = session.damaged();
    assert!(session.durable.read_ids().is_ok());
    let found = session.durable.take_damage();
    damage.extend(found.into_iter().filter(|it| !matches!(it.kind, DamageKind::Record { .. })));
    // Nothing goes for it, whatever is done afterwards.
    assert!(session.checkpoint(false).is_ok());
    assert!(disk.files().len() >= files, "a file was removed");
    Some((damage, damaged))
}

#[test]
fn every_flipped_bit_is_told_and_costs_at_most_one_message() {
    let mut session = closed();
    let whole = session.disk.copy();
    for (path, bytes) in whole.files() {
        for bit in 0..bytes * 8 {
            let is_zero = bit / 8 < HEADER_BYTES && (bit / 8) % 2048 >= 80;
            if !is_soaking() && !bit.is_multiple_of(if is_zero { 1009 } else { 7 }) {
                continue;
            }
            let flipped = whole.copy();
            flipped.damage(&path, |content| content[bit / 8] ^= 1 << (bit % 8));
            let Some((damage, damaged)) = opened(&mut session, &flipped) else { continue };
            let place = format!("{}, bit {bit}", path.display());
            let is_told = damage.len() + damaged.len() > 0;
            assert!(is_told || nothing_is_there(&mut session, &path, bit / 8), "{place}: not told");
            assert!(damaged.len() <= 1, "{place}: {damaged:?}");
            assert!(damage.iter().all(|damage| damage.path == path), "{place}: {damage:?}");
        }
    }
}

/// Whether no message that lives depends on this byte of a segment.
fn nothing_is_there(session: &mut Session, path: &Path, byte: usize) -> bool {
    let Some(part) = session.durable.parts.iter().find(|part| path == part.path(Path::new(STREAM)))
    else {
        return false;
    };
    if byte as u64 >= part.written {
        // The index behind a segment that is written to is no promise: its records are read.
        return !part.is_sealed;
    }
    let sequences = part.first_seq..=part.last_seq;
    let places = sequences.filter_map(|seq| {
        let offset = split_place(session.durable.state.place(seq)?).1;
        (offset <= byte as u64).then_some((offset, seq))
    });
    let Some((offset, seq)) = places.max() else { return byte >= HEADER_BYTES };
    let Ok(Some(stored)) = session.durable.read(seq) else { return false };
    offset + stored.record().record_bytes() as u64 <= byte as u64
}

#[test]
fn a_file_that_is_cut_anywhere_or_missing_is_told() {
    let mut session = closed();
    let whole = session.disk.copy();
    for (path, bytes) in whole.files() {
        let step = if is_soaking() { 1 } else { 13 };
        let header_step = if is_soaking() { 1 } else { 377 };
        let in_header = (0..HEADER_BYTES).step_by(header_step);
        let cuts = in_header.chain((HEADER_BYTES..bytes).step_by(step));
        for cut in cuts.map(Some).chain([None]) {
            let damaged_disk = whole.copy();
            match cut {
                Some(bytes) => damaged_disk.damage(&path, |content| content.truncate(bytes)),
                None => assert!(damaged_disk.remove(&path).is_ok()),
            }
            let place = format!("{} at {cut:?}", path.display());
            let is_live_map = path.extension().is_some_and(|it| it == "live");
            if is_live_map {
                // What was removed is there again, which is told.
                let Ok(damage) = session.try_reopen(&damaged_disk) else { panic!("{place}") };
                assert!(!damage.is_empty(), "{place}: not told");
                continue;
            }
            let is_told = |opened: Option<(Vec<Damage>, Vec<u64>)>| {
                opened.is_some_and(|(damage, damaged)| damage.len() + damaged.len() > 0)
            };
            let is_index_of_open = cut.is_some() && path == last_segment(&whole);
            let opened = opened(&mut session, &damaged_disk);
            // The index behind a segment that is written to is no promise: its records are read.
            assert!(is_told(opened) || is_index_of_open, "{place}: not told");
        }
    }
}

fn last_segment(disk: &FaultyDisk) -> PathBuf {
    let mut files = disk.files().into_iter().map(|(path, _)| path).rev();
    let last = files.find(|path| path.extension().is_some_and(|it| it == "segment"));
    last.unwrap_or_default()
}

#[test]
fn a_read_that_goes_wrong_is_told_and_serves_nothing_wrong() {
    let mut session = closed();
    let whole = session.disk.copy();
    let faults = [
        ReadFault::Error,
        ReadFault::Stale,
        ReadFault::Misdirected,
        ReadFault::Flipped(100),
        ReadFault::Flipped(33_000),
        ReadFault::Short,
    ];
    for number in 0.. {
        for fault in faults {
            let wrong = whole.copy();
            let reads = BTreeMap::from([(number, fault)]);
            wrong.set_faults(Faults { reads, ..Faults::default() });
            let Ok(damage) = session.try_reopen(&wrong) else { continue };
            let comes_back = damage.iter().any(|damage| damage.kind == DamageKind::LiveMap);
            if !comes_back {
                let damaged = session.damaged();
                let is_away = damage.iter().any(|damage| damage.kind == DamageKind::Segment);
                assert!(is_away || damaged.len() <= 1, "{number}, {fault:?}: {damaged:?}");
            }
        }
        if number > session.disk.reads() {
            break;
        }
    }
}

#[test]
fn a_segment_that_was_away_is_served_when_it_is_back() {
    let mut session = closed();
    let whole = session.disk.copy();
    let away = Path::new(STREAM).join("00000002.segment");
    let beside = Path::new("beside");
    assert!(whole.rename(&away, beside).is_ok());
    let damage = session.reopen(&whole);
    assert_eq!(damage, [Damage { path: away.clone(), offset: 0, kind: DamageKind::Segment }]);
    let damaged = session.damaged();
    assert!(!damaged.is_empty() && damaged.is_sorted());
    assert!(session.checkpoint(false).is_ok() && session.durable.flush().is_ok());
    assert!(whole.rename(beside, &away).is_ok());
    assert_eq!(session.reopen(&whole), []);
    session.check();
}

#[test]
fn a_segment_with_a_hole_is_written_to_and_sealed_and_tells_of_it_still() {
    let mut session = Session::new(FaultyDisk::default(), 4096 + 400, Limits::default());
    for number in 0..3 {
        assert!(session.propose(Own::plain("a", number, 40)).is_ok());
    }
    assert!(session.checkpoint(false).is_ok());
    let path = Path::new(STREAM).join("00000001.segment");
    session.disk.damage(&path, |content| content[4096 + 96 + 60] ^= 1);
    let disk = session.disk.copy();
    let damage = session.reopen(&disk);
    assert_eq!(damage.len(), 1);
    for number in 3..20 {
        assert!(session.propose(Own::plain("a", number, 40)).is_ok());
    }
    for _ in 0..2 {
        assert!(session.checkpoint(false).is_ok());
        assert_eq!(session.damaged(), [2]);
        assert_eq!(session.reopen(&disk), damage);
    }
}

#[test]
fn a_file_in_the_place_of_another_is_told_and_serves_nothing_wrong() {
    let mut session = closed();
    let whole = session.disk.copy();
    let files: Vec<PathBuf> = whole.files().into_iter().map(|(path, _)| path).collect();
    for one in &files {
        for other in files.iter().filter(|other| *other > one) {
            let swapped = whole.copy();
            let beside = Path::new("beside");
            for (from, to) in [(&**one, beside), (&**other, &**one), (beside, &**other)] {
                assert!(swapped.rename(from, to).is_ok());
            }
            let place = format!("{} and {}", one.display(), other.display());
            let is_copies =
                [one, other].iter().all(|path| path.to_string_lossy().contains("manifest"));
            let damage = match session.try_reopen(&swapped) {
                Ok(damage) => damage,
                Err(error) => panic!("{place}: {error}"),
            };
            assert_eq!(damage.is_empty(), is_copies, "{place}: {damage:?}");
            // Without its live map what was removed is there again, which is told.
            if damage.iter().all(|damage| damage.kind != DamageKind::LiveMap) {
                // Wrong messages would panic here.
                session.damaged();
            }
            assert!(session.checkpoint(false).is_ok());
            assert!(swapped.files().len() >= files.len(), "{place}: a file was removed");
        }
    }
}

#[test]
fn what_is_behind_the_end_of_a_file_harms_nothing() {
    let mut session = closed();
    let whole = session.disk.copy();
    for (path, _) in whole.files() {
        for more in [1, 3, 64, 5000] {
            let longer = whole.copy();
            longer.damage(&path, |content| content.extend(std::iter::repeat_n(0xa5, more)));
            let place = format!("{} and {more} bytes", path.display());
            match session.try_reopen(&longer) {
                Ok(damage) => {
                    assert!(damage.iter().all(|it| it.path == path), "{place}: {damage:?}");
                }
                Err(error) => panic!("{place}: {error}"),
            }
            let damaged = session.damaged();
            assert!(damaged.is_empty(), "{place}: {damaged:?}");
        }
    }
}
