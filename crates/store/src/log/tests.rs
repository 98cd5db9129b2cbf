//! The log on a disk that fails: what was committed is found, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk, ReadFault};
use crate::disk::real::RealDisk;

const OPTIONS: Options =
    Options { store: 7, file_bytes: HEADER_BYTES as u32 + 600, spares: 1, is_lazy: false };

type Found = Vec<(u32, Vec<u8>)>;

fn open<D: Disk>(disk: D) -> (Log<D>, Found, Vec<Damage>) {
    let mut found = Vec::new();
    let visit = |entry: Entry<'_>| found.push((entry.group, entry.body.to_vec()));
    match Log::open(disk, OPTIONS, Position::default(), visit) {
        Ok((log, damage)) => (log, found, damage),
        Err(error) => panic!("{error}"),
    }
}

/// Bodies of many lengths that can be told apart, in batches of one to three.
fn script(seed: u64, batches: usize) -> Vec<Found> {
    let mut dice = Dice::new(seed);
    let mut number = 0_u64;
    let mut body = |dice: &mut Dice| {
        number += 1;
        let mut body = number.to_le_bytes().to_vec();
        body.resize(8 + dice.below(90) as usize, number as u8);
        (dice.below(5) as u32, body)
    };
    (0..batches).map(|_| (0..=dice.below(3)).map(|_| body(&mut dice)).collect()).collect()
}

/// Runs a script; says of each batch whether it was committed.
fn run<D: Disk>(log: &mut Log<D>, script: &[Found]) -> Vec<bool> {
    let mut committed = Vec::new();
    for batch in script {
        if let Some(spare) = log.wanted_spare() {
            // What cannot be filled is made when it is needed.
            if spare.fill(&log.disk).is_ok() {
                log.add_spare(spare);
            }
        }
        for (group, body) in batch {
            assert!(log.append(*group, body).is_ok());
        }
        committed.push(log.commit().is_ok());
    }
    committed
}

fn sealed_store(seed: u64, batches: usize) -> (FaultyDisk, Found) {
    let disk = FaultyDisk::default();
    let (mut log, ..) = open(disk.clone());
    let script = script(seed, batches);
    assert!(run(&mut log, &script).iter().all(|&committed| committed));
    assert!(log.close().is_ok());
    (disk, script.concat())
}

/// Whether `found` is `whole` with some entries left out.
fn is_part(found: &Found, whole: &Found) -> bool {
    let mut rest = whole.iter();
    found.iter().all(|entry| rest.any(|other| other == entry))
}

proptest! {
    #[test]
    fn what_was_committed_is_found_again(seed: u64, batches in 0_usize..60) {
        let (disk, written) = sealed_store(seed, batches);
        let (mut log, found, damage) = open(disk.clone());
        prop_assert_eq!(&found, &written);
        prop_assert_eq!(damage, []);
        let more = script(seed ^ 1, 5);
        prop_assert!(run(&mut log, &more).iter().all(|&committed| committed));
        drop(log);
        let (_, found, damage) = open(disk);
        prop_assert_eq!(found, [written, more.concat()].concat());
        prop_assert_eq!(damage, []);
    }

    #[test]
    fn any_bytes_for_a_file_are_read_or_reported(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        let (disk, written) = sealed_store(3, 12);
        let path = path_of(2, SUFFIX);
        disk.damage(&path, |content| *content = bytes);
        let (_, found, damage) = open(disk);
        prop_assert!(is_part(&found, &written));
        prop_assert!(!damage.is_empty());
    }
}

#[test]
fn a_file_of_which_nothing_is_needed_is_not_read() {
    let (disk, written) = sealed_store(3, 12);
    let mut of_first = Vec::new();
    let visit = |entry: Entry<'_>| of_first.push(entry.end());
    assert!(Log::open(disk.clone(), OPTIONS, Position::default(), visit).is_ok());
    let first = of_first[0].file;
    of_first.retain(|end| end.file == first);
    let last = of_first[of_first.len() - 1];
    disk.damage(&path_of(first, SUFFIX), |content| content[HEADER_BYTES + 40] ^= 1);
    assert_ne!(open(disk.clone()).2, [], "it is read when it is needed");
    for (from, is_read) in [(of_first[0], true), (last, false)] {
        let mut found = 0;
        let opened = Log::open(disk.clone(), OPTIONS, from, |_| found += 1);
        let damage = opened.map_or_else(|error| panic!("{error}"), |(_, damage)| damage);
        assert_eq!(!damage.is_empty(), is_read, "from {from:?}");
        assert!(is_read || found == written.len() - of_first.len());
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_and_invents_nothing() {
    let script = script(11, 40);
    let whole = FaultyDisk::default();
    run(&mut open(whole.clone()).0, &script);
    let cuts = if is_soaking() { 1000 } else { 20 };
    for at in 0..whole.operations() {
        // Some disks write 4 KiB at once or not at all, others 512 B.
        let sector_bytes = (at % 2 == 0).then_some(4096);
        let faults = Faults { power_off_at: Some(at), sector_bytes, ..Faults::default() };
        let disk = FaultyDisk::new(faults);
        let opened = Log::open(disk.clone(), OPTIONS, Position::default(), |_| {});
        let committed = opened.map_or(Vec::new(), |(mut log, _)| run(&mut log, &script));
        let safe = committed.iter().filter(|&&committed| committed).count();
        for seed in 0..cuts {
            let (mut log, found, damage) = open(disk.after_power_cut(&mut Dice::new(seed)));
            assert_eq!(damage, [], "cut at {at}, seed {seed}");
            let with_next = script[..(safe + 1).min(script.len())].concat();
            let is_kept = found == script[..safe].concat() || found == with_next;
            assert!(is_kept, "cut at {at}, seed {seed}: {} found, {safe} safe", found.len());
            assert!(run(&mut log, &script[..1])[0]);
        }
    }
}

#[test]
fn an_operation_that_fails_fails_its_batch_alone() {
    let script = script(12, 30);
    let whole = FaultyDisk::default();
    run(&mut open(whole.clone()).0, &script);
    for at in 1..whole.operations() {
        for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            let fail_at = BTreeMap::from([(at, kind)]);
            let disk = FaultyDisk::new(Faults { fail_at, ..Faults::default() });
            let (mut log, ..) = open(disk.clone());
            let committed = run(&mut log, &script);
            let kept = script.iter().zip(&committed).filter(|&(_, &committed)| committed);
            let kept = kept.flat_map(|(batch, _)| batch.clone()).collect::<Found>();
            assert!(
                committed.iter().filter(|&&committed| !committed).count() <= 1,
                "operation {at}"
            );
            // The last batch may have failed: its bytes are there until its successor is.
            assert!(log.append(9, b"a last one").is_ok() && log.commit().is_ok());
            let (_, found, damage) = open(disk.after_power_cut(&mut Dice::new(at)));
            assert_eq!(found, [kept, vec![(9, b"a last one".to_vec())]].concat(), "operation {at}");
            assert_eq!(damage, [], "operation {at}");
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let script = script(13, 30);
    for room in (0..40_000).step_by(777) {
        let disk = FaultyDisk::new(Faults { room_bytes: Some(room), ..Faults::default() });
        let (mut log, ..) = open(disk.clone());
        let committed = run(&mut log, &script);
        disk.set_faults(Faults::default());
        assert!(run(&mut log, &script[..1])[0], "{room} bytes");
        let kept = script.iter().zip(&committed).filter(|&(_, &committed)| committed);
        let kept = kept.flat_map(|(batch, _)| batch.clone()).collect::<Found>();
        let (_, found, damage) = open(disk.after_power_cut(&mut Dice::new(room)));
        assert_eq!(found, [kept, script[0].clone()].concat(), "{room} bytes");
        assert_eq!(damage, [], "{room} bytes");
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_costs_at_most_one_entry() {
    let (disk, written) = sealed_store(14, 12);
    for (path, bytes) in disk.files() {
        if path.extension().is_some_and(|suffix| suffix == "spare") {
            continue;
        }
        let used = used_bytes(&disk, &path).min(bytes);
        for bit in (0..used * 8).filter(|&bit| is_tried(bit)) {
            let flipped = disk.copy();
            flipped.damage(&path, |content| content[bit / 8] ^= 1 << (bit % 8));
            let opened = Log::open(flipped.clone(), OPTIONS, Position::default(), |_| {});
            if matches!(opened, Err(LogError::Version { .. })) {
                continue;
            }
            let (_, found, damage) = open(flipped);
            assert!(!damage.is_empty(), "{}: bit {bit}", path.display());
            assert!(is_part(&found, &written), "{}: bit {bit}", path.display());
            assert!(found.len() + 1 >= written.len(), "{}: bit {bit}", path.display());
        }
    }
}

/// `make soak` takes its time.
fn is_soaking() -> bool {
    std::env::var_os("KEELBACK_SOAK").is_some()
}

/// Most of a header is zeros: a few of their bits stand for the others, unless all are asked for.
fn is_tried(bit: usize) -> bool {
    let (byte, copy_bytes) = (bit / 8, HEADER_BYTES / 2);
    let is_zero = byte < HEADER_BYTES && byte % copy_bytes >= 56;
    !is_zero || bit.is_multiple_of(211) || is_soaking()
}

/// Where what was committed to a file ends, as its successor says.
fn used_bytes(disk: &FaultyDisk, path: &Path) -> usize {
    let (headers, _) =
        survey(disk, (OPTIONS.store, OPTIONS.file_bytes), &mut Vec::new()).unwrap_or_default();
    let ordinal = path.file_name().and_then(|name| ordinal_of(name.to_str()?, SUFFIX));
    let next = headers.iter().find(|header| Some(header.previous_ordinal) == ordinal);
    next.map_or(HEADER_BYTES, |header| header.previous_end as usize)
}

#[test]
fn a_read_that_goes_wrong_is_an_error_or_damage_never_another_entry() {
    let (disk, written) = sealed_store(21, 20);
    let before = disk.copy();
    drop(open(before.clone()));
    let faults = [
        ReadFault::Error,
        ReadFault::Stale,
        ReadFault::Misdirected,
        ReadFault::Flipped(9),
        ReadFault::Flipped(32_000),
        ReadFault::Short,
    ];
    for number in 0..before.reads() {
        for fault in faults {
            let wrong = disk.copy();
            let reads = BTreeMap::from([(number, fault)]);
            wrong.set_faults(Faults { reads, ..Faults::default() });
            let mut found = Found::new();
            let visit = |entry: Entry<'_>| found.push((entry.group, entry.body.to_vec()));
            let opened = Log::open(wrong, OPTIONS, Position::default(), visit);
            assert!(is_part(&found, &written), "read {number}, {fault:?}");
            let is_told = opened.is_err() || opened.is_ok_and(|(_, damage)| !damage.is_empty());
            assert!(is_told || found == written, "read {number}, {fault:?}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_noticed() {
    let (disk, written) = sealed_store(15, 12);
    for (path, _) in disk.files() {
        if path.extension().is_some_and(|suffix| suffix == "spare") {
            continue;
        }
        for bytes in 0..used_bytes(&disk, &path) {
            let cut = disk.copy();
            cut.damage(&path, |content| content.truncate(bytes));
            let (_, found, damage) = open(cut);
            assert!(!damage.is_empty(), "{}: {bytes} bytes", path.display());
            assert!(is_part(&found, &written), "{}: {bytes} bytes", path.display());
        }
    }
}

#[test]
fn files_that_are_missing_or_swapped_are_named() {
    let (disk, written) = sealed_store(16, 20);
    let logs = |disk: &FaultyDisk| {
        let files = disk.files().into_iter().map(|(path, _)| path);
        files.filter(|path| path.extension().is_some_and(|it| it == "log")).collect::<Vec<_>>()
    };
    let paths = logs(&disk);
    // The last one only seals; who remembers that it was there is not the log's affair.
    for path in &paths[..paths.len() - 1] {
        let without = disk.copy();
        assert!(without.remove(path).is_ok());
        let (_, found, damage) = open(without);
        assert!(matches!(damage[..], [Damage::Missing { .. }]), "{}", path.display());
        assert!(is_part(&found, &written) && found.len() < written.len());
    }
    for pair in paths.windows(2) {
        let swapped = disk.copy();
        let aside = Path::new(FOLDER).join("aside");
        for (from, to) in [(&pair[0], &aside), (&pair[1], &pair[0]), (&aside, &pair[1])] {
            assert!(swapped.rename(from, to).is_ok());
        }
        let (_, found, damage) = open(swapped);
        let unknown = damage.iter().filter(|it| matches!(it, Damage::Unknown { .. })).count();
        assert_eq!(unknown, 2);
        assert!(is_part(&found, &written));
    }
}

#[test]
fn a_file_of_another_version_says_so() {
    let (disk, _) = sealed_store(17, 3);
    disk.damage(&path_of(2, SUFFIX), |content| {
        let header = Header { store: 7, ordinal: 2, previous_ordinal: 0, previous_end: 0 };
        let mut block = header.encode();
        for at in [0, HEADER_BYTES / 2] {
            block[at + 7] = 2;
            let check = xxhash_rust::xxh3::xxh3_64(&block[at..at + 48]);
            block[at + 48..at + 56].copy_from_slice(&check.to_le_bytes());
        }
        content[..HEADER_BYTES].copy_from_slice(&block);
    });
    let opened = Log::open(disk, OPTIONS, Position::default(), |_| {});
    assert!(matches!(opened, Err(LogError::Version { version: 2, .. })));
}

#[test]
fn files_that_are_not_needed_are_used_again() {
    let disk = FaultyDisk::default();
    let (mut log, ..) = open(disk.clone());
    let script = script(18, 200);
    let mut most = 0;
    for batch in &script {
        assert!(run(&mut log, std::slice::from_ref(batch))[0]);
        let end = log.end();
        assert!(log.trim(end).is_ok());
        most = most.max(disk.files().len());
    }
    assert!(most <= 3, "{most} files");
    let end = log.end();
    drop(log);
    let from = Position { file: end.file, offset: 0 };
    let mut found = Vec::new();
    let opened = Log::open(disk, OPTIONS, from, |entry| found.push(entry.body.to_vec()));
    assert_eq!(opened.map(|(_, damage)| damage).ok(), Some(Vec::new()));
    let last = script.concat().into_iter().map(|(_, body)| body).collect::<Vec<_>>();
    assert!(!found.is_empty() && last.ends_with(&found));
}

#[test]
fn trimming_leaves_all_that_is_needed() {
    let script = script(20, 60);
    for kept_from in 0..script.len() {
        let disk = FaultyDisk::default();
        let (mut log, ..) = open(disk.clone());
        assert!(run(&mut log, &script[..kept_from]).iter().all(|&committed| committed));
        let from = log.end();
        assert!(run(&mut log, &script[kept_from..]).iter().all(|&committed| committed));
        assert!(log.trim(from).is_ok());
        drop(log);
        let mut found = Found::new();
        let visit = |entry: Entry<'_>| found.push((entry.group, entry.body.to_vec()));
        let opened = Log::open(disk, OPTIONS, from, visit);
        assert_eq!(opened.map(|(_, damage)| damage).ok(), Some(Vec::new()), "from {kept_from}");
        assert_eq!(found, script[kept_from..].concat(), "from {kept_from}");
    }
}

#[test]
fn the_disk_of_the_system_keeps_what_was_committed() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = RealDisk::new(folder.path())?;
    let script = script(19, 40);
    let (mut log, ..) = open(disk.clone());
    assert!(run(&mut log, &script).iter().all(|&committed| committed));
    let (_, found, damage) = open(disk.clone());
    assert_eq!(found, script.concat());
    assert_eq!(damage, []);
    let lock = disk.lock(Path::new("lock"))?;
    let refused = disk.lock(Path::new("lock")).map(drop).map_err(|error| error.kind());
    assert_eq!(refused, Err(io::ErrorKind::WouldBlock));
    drop(lock);
    disk.lock(Path::new("lock")).map(drop)
}
