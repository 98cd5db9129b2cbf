//! A manifest on a disk that fails: the content that was safe is found, or the one after it.

use std::collections::BTreeMap;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk};

const STORE: u128 = 4;

type Opened = Result<(Manifest<FaultyDisk>, Option<Vec<u8>>, Vec<Damage>), ManifestError>;

fn folder() -> &'static Path {
    Path::new("streams")
}

fn open(disk: &FaultyDisk) -> Opened {
    Manifest::open(disk.clone(), folder(), STORE)
}

fn content(number: u64) -> Vec<u8> {
    number.to_string().repeat(1 + number as usize % 40).into_bytes()
}

/// Writes the contents 1 to `last`; the last one that was safe.
fn written(disk: &FaultyDisk, last: u64) -> u64 {
    let Ok((mut manifest, ..)) = open(disk) else { return 0 };
    (1..=last).filter(|&number| manifest.write(&content(number)).is_ok()).last().unwrap_or(0)
}

fn found(opened: Opened) -> (Option<Vec<u8>>, Vec<Damage>) {
    match opened {
        Ok((_, content, damage)) => (content, damage),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_last_content_is_found_and_a_new_folder_has_none() {
    let disk = FaultyDisk::default();
    assert_eq!(found(open(&disk)), (None, Vec::new()));
    for last in 1..5 {
        let disk = FaultyDisk::default();
        assert_eq!(written(&disk, last), last);
        assert_eq!(found(open(&disk)), (Some(content(last)), Vec::new()));
        assert_eq!(open(&disk).map(|it| it.0.generation()).ok(), Some(last));
    }
}

#[test]
fn a_power_cut_at_any_operation_leaves_the_last_content_or_the_next() {
    let whole = FaultyDisk::default();
    written(&whole, 6);
    for at in 0..whole.operations() {
        let disk = FaultyDisk::new(Faults { power_off_at: Some(at), ..Faults::default() });
        let safe = written(&disk, 6);
        for seed in 0..20 {
            let after = disk.after_power_cut(&mut Dice::new(seed));
            let (found, damage) = found(open(&after));
            let next = (safe < 6).then(|| content(safe + 1));
            let last = (safe > 0).then(|| content(safe));
            assert!(found == last || found == next, "cut at {at}, seed {seed}");
            assert_eq!(damage, [], "cut at {at}, seed {seed}");
            assert_eq!(written(&after, 2), 2);
        }
    }
}

#[test]
fn an_operation_that_fails_costs_one_write_and_the_next_one_holds() {
    let whole = FaultyDisk::default();
    written(&whole, 6);
    for at in 1..whole.operations() {
        let fail_at = BTreeMap::from([(at, io::ErrorKind::Other)]);
        let disk = FaultyDisk::new(Faults { fail_at, ..Faults::default() });
        let Ok((mut manifest, ..)) = open(&disk) else { continue };
        let failed = (1..=6).filter(|&number| manifest.write(&content(number)).is_err()).count();
        assert!(failed <= 1, "operation {at}");
        assert!(manifest.write(b"a last one").is_ok(), "operation {at}");
        let (found, damage) = found(open(&disk.after_power_cut(&mut Dice::new(at))));
        assert_eq!(found.as_deref(), Some(&b"a last one"[..]), "operation {at}");
        assert_eq!(damage, [], "operation {at}");
    }
}

#[test]
fn every_flipped_bit_is_told_and_changes_nothing() {
    let disk = FaultyDisk::default();
    written(&disk, 3);
    for (path, bytes) in disk.files() {
        for bit in 0..bytes * 8 {
            let is_zero = bit / 8 < BLOCK_BYTES && (bit / 8) % 2048 >= 56;
            if is_zero && !bit.is_multiple_of(97) && std::env::var_os("KEELBACK_SOAK").is_none() {
                continue;
            }
            let flipped = disk.copy();
            flipped.damage(&path, |content| content[bit / 8] ^= 1 << (bit % 8));
            match open(&flipped) {
                Err(ManifestError::Version { .. }) => {}
                opened => {
                    let (found, damage) = found(opened);
                    assert_eq!(found, Some(content(3)), "{}: bit {bit}", path.display());
                    assert_eq!(damage.len(), 1, "{}: bit {bit}", path.display());
                }
            }
        }
    }
}

#[test]
fn what_is_cut_missing_or_of_another_time_is_told() {
    let disk = FaultyDisk::default();
    written(&disk, 3);
    let older = disk.copy();
    let Ok((mut manifest, ..)) = open(&disk) else { panic!("no manifest") };
    assert!((4..6).all(|number| manifest.write(&content(number)).is_ok()));
    for name in FILES {
        let path = folder().join(name);
        for bytes in (0..BLOCK_BYTES).step_by(64).chain(BLOCK_BYTES..BLOCK_BYTES + 6) {
            let cut = disk.copy();
            cut.damage(&path, |content| content.truncate(bytes));
            let told = (Some(content(5)), vec![Damage::File(path.clone())]);
            assert_eq!(found(open(&cut)), told, "{name}: {bytes} bytes");
        }
        let longer = disk.copy();
        longer.damage(&path, |content| content.push(0));
        assert_eq!(found(open(&longer)).1, [Damage::File(path.clone())]);
        let without = disk.copy();
        assert!(without.remove(&path).is_ok());
        assert_eq!(found(open(&without)), (Some(content(5)), vec![Damage::Missing(path.clone())]));
        let mut bytes = Vec::new();
        older.damage(&path, |content| bytes.clone_from(content));
        let mixed = disk.copy();
        mixed.damage(&path, |content| content.clone_from(&bytes));
        assert_eq!(found(open(&mixed)), (Some(content(5)), vec![Damage::Earlier(path.clone())]));
    }
    for name in FILES {
        disk.damage(&folder().join(name), |content| content.truncate(10));
    }
    assert!(matches!(open(&disk), Err(ManifestError::Lost { .. })));
    let other = Manifest::open(older, folder(), 5).map(|_| ());
    assert!(matches!(other, Err(ManifestError::Lost { .. })));
}
