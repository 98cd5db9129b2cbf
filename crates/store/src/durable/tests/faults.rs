//! A short life of a stream with a fault at every operation of the disk.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::super::*;
use super::random::Author;
use super::session::Session;
use crate::disk::faulty::{Dice, Faults, FaultyDisk};

const SEGMENT_BYTES: u64 = 4096 + 500;

fn seeds() -> std::ops::Range<u64> {
    0..if std::env::var_os("KEELBACK_SOAK").is_some() { 100 } else { 6 }
}

fn author(seed: u64) -> Author {
    let mut author = Author::new(seed);
    author.may_erase = false;
    author
}

/// What is done between restarts; the first error ends it.
fn live(session: &mut Session, author: &mut Author, turns: u64) -> Result<(), DurableError> {
    for turn in 0..turns {
        for _ in 0..12 {
            let own = author.entry(&session.expected.stream);
            session.propose(own)?;
        }
        match turn % 5 {
            0 => session.durable.flush()?,
            1 | 3 => session.checkpoint(false)?,
            2 => {
                if let Some(compaction) = session.durable.begin_compaction()? {
                    session.durable.finish_compaction(compaction.run())?;
                }
            }
            _ => session.checkpoint(true)?,
        }
    }
    Ok(())
}

fn whole_life(seed: u64) -> FaultyDisk {
    let disk = FaultyDisk::default();
    let mut author = author(seed);
    let limits = author.limits();
    let mut session = Session::new(disk.clone(), SEGMENT_BYTES, limits);
    assert!(live(&mut session, &mut author, 10).is_ok());
    session.check();
    disk
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_the_log_has_let_go() {
    for seed in seeds() {
        for at in 0..whole_life(seed).operations() {
            let disk = FaultyDisk::new(Faults { power_off_at: Some(at), ..Faults::default() });
            let mut author = author(seed);
            let limits = author.limits();
            let Ok(mut session) = Session::try_new(disk.clone(), SEGMENT_BYTES, limits) else {
                continue;
            };
            // The last operations remove files, and may fail.
            drop(live(&mut session, &mut author, 10));
            let after = disk.after_power_cut(&mut Dice::new(at));
            assert_eq!(session.reopen(&after), [], "seed {seed}, cut at {at}");
            session.check();
            // It goes on, and is found again.
            assert!(live(&mut session, &mut author, 4).is_ok());
            let after = after.after_power_cut(&mut Dice::new(at + 1));
            assert_eq!(session.reopen(&after), [], "seed {seed}, cut at {at}");
            session.check();
        }
    }
}

#[test]
fn any_operation_may_fail_and_what_a_failed_sync_made_doubtful_is_not_promised() {
    for seed in seeds() {
        let operations = whole_life(seed).operations();
        for (at, kind) in (0..operations)
            .flat_map(|at| [ErrorKind::Other, ErrorKind::StorageFull].map(|kind| (at, kind)))
        {
            let fail_at = BTreeMap::from([(at, kind)]);
            let disk = FaultyDisk::new(Faults { fail_at, ..Faults::default() });
            let mut author = author(seed);
            let limits = author.limits();
            let Ok(mut session) = Session::try_new(disk.clone(), SEGMENT_BYTES, limits) else {
                continue;
            };
            let failed = live(&mut session, &mut author, 10);
            if session.durable.is_given_up() {
                let cut = disk.after_power_cut(&mut Dice::new(at));
                assert!(matches!(failed, Err(DurableError::Unsynced(_))), "{failed:?}");
                assert_eq!(session.reopen(&cut), [], "seed {seed}, {kind:?} at {at}");
            }
            session.check();
            assert!(live(&mut session, &mut author, 4).is_ok(), "seed {seed}, {kind:?} at {at}");
            let cut = session.disk.after_power_cut(&mut Dice::new(at));
            assert_eq!(session.reopen(&cut), [], "seed {seed}, {kind:?} at {at}");
            session.check();
        }
    }
}

#[test]
fn a_full_disk_keeps_what_waits_and_goes_on_when_there_is_room() {
    for seed in seeds() {
        let disk = whole_life(seed);
        let bytes: usize = disk.files().iter().map(|(_, bytes)| bytes).sum();
        for room in (8_192..bytes as u64 * 2).step_by(997) {
            let faults = Faults { room_bytes: Some(room), ..Faults::default() };
            let disk = FaultyDisk::new(faults);
            let mut author = author(seed);
            let limits = author.limits();
            let Ok(mut session) = Session::try_new(disk.clone(), SEGMENT_BYTES, limits) else {
                continue;
            };
            while live(&mut session, &mut author, 5).is_err() {
                assert!(!session.durable.is_given_up());
                session.check();
                disk.set_faults(Faults::default());
            }
            session.check();
            let cut = disk.after_power_cut(&mut Dice::new(room));
            assert_eq!(session.reopen(&cut), [], "seed {seed}, room {room}");
            session.check();
        }
    }
}
