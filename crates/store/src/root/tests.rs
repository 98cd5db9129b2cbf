//! A store's directory: made once, opened by one process, never mistaken.

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk};
use crate::disk::real::RealDisk;

fn number<D: Disk>(on: &D, drawn: u128) -> Result<u128, String> {
    Root::open(on, drawn).map(|root| root.store).map_err(|error| error.to_string())
}

#[test]
fn the_number_is_drawn_once() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = RealDisk::new(folder.path().join("js"))?;
    assert_eq!(number(&disk, 5), Ok(5));
    assert_eq!(number(&disk, 6), Ok(5));
    let held = Root::open(&disk, 7);
    assert!(held.is_ok());
    assert_eq!(number(&disk, 7), Err("the store is used by another process".to_owned()));
    drop(held);
    assert_eq!(number(&disk, 8), Ok(5));
    Ok(())
}

#[test]
fn a_power_cut_while_it_is_made_leaves_a_store_or_none() {
    let whole = FaultyDisk::default();
    assert_eq!(number(&whole, 1), Ok(1));
    for at in 0..=whole.operations() {
        let disk = FaultyDisk::new(Faults { power_off_at: Some(at), ..Faults::default() });
        let made = number(&disk, 1);
        for seed in 0..20 {
            let after = disk.after_power_cut(&mut Dice::new(seed));
            let found = number(&after, 2);
            assert!(found == Ok(1) || (found == Ok(2) && made.is_err()), "at {at}: {found:?}");
        }
    }
}

#[test]
fn what_is_damaged_or_no_store_says_so() {
    let disk = FaultyDisk::default();
    assert_eq!(number(&disk, 3), Ok(3));
    let path = Path::new(FILE);
    for bit in 0..64 * 8 {
        let flipped = disk.copy();
        flipped.damage(path, |content| content[bit / 8] ^= 1 << (bit % 8));
        match Root::open(&flipped, 9) {
            Ok(root) => assert!(root.store == 3 && root.is_damaged, "bit {bit}"),
            Err(error) => assert!(matches!(error, RootError::Version(_)), "bit {bit}: {error}"),
        }
    }
    let cut = disk.copy();
    cut.damage(path, |content| content.truncate(100));
    assert!(number(&cut, 9).is_err_and(|text| text.contains("is damaged")));
    assert!(disk.remove(path).is_ok());
    assert!(disk.create(Path::new("photo.jpg")).is_ok());
    let refused = number(&disk, 9);
    assert!(refused.is_err_and(|text| text.contains("photo.jpg")));
}
