//! A stream in files beside the same stream in memory: on a disk that fails, too.

mod damage;
mod faults;
mod random;
mod session;

use std::path::Path;

use super::*;
use crate::disk::faulty::{Dice, FaultyDisk};
use crate::stream::Limits;
use session::{Own, STREAM, Session, config};

#[test]
fn a_stream_is_made_once_and_deleted_whole() {
    let disk = FaultyDisk::default();
    let mut session = Session::new(disk.clone(), 4096 + 400, Limits::default());
    let folder = Path::new(STREAM);
    let again = Durable::create(
        disk.clone(),
        folder,
        config(4096),
        Position::default(),
        0,
        Limits::default(),
    );
    assert!(matches!(again.map(|_| ()), Err(DurableError::Exists { .. })));
    for number in 0..30 {
        session.propose(Own::plain("a.1", number, 40)).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(session.checkpoint(false).is_ok());
    assert!(session.durable.delete().is_ok());
    assert_eq!(disk.files(), []);
    let opened = Durable::open(disk.clone(), folder, config(4096)).map(|_| ());
    assert!(matches!(opened, Err(DurableError::Missing { .. })));
    assert!(Durable::remove_folder(&disk, Path::new("none")).is_ok());
}

#[test]
fn what_waits_is_counted_and_bounded_by_whoever_flushes() {
    let mut session = Session::new(FaultyDisk::default(), 1 << 20, Limits::default());
    assert_eq!(session.durable.waiting_bytes(), 0);
    for number in 0..10 {
        assert!(session.propose(Own::plain("a", number, 100)).is_ok());
        // A head, the subject, the payload, up to a multiple of 8.
        assert_eq!(session.durable.waiting_bytes() as u64, (number + 1) * (48 + 104));
    }
    session.check();
    assert!(session.durable.flush().is_ok());
    assert_eq!(session.durable.waiting_bytes(), 0);
    session.check();
}

#[test]
fn a_message_is_read_without_the_lock_though_its_segment_goes() {
    let mut session = Session::new(FaultyDisk::default(), 4096 + 400, Limits::default());
    for number in 0..20 {
        assert!(session.propose(Own::plain("a", number, 30)).is_ok());
    }
    assert!(session.durable.flush().is_ok());
    let Ok(Some(located)) = session.durable.locate(2) else { panic!("no message") };
    for seq in (1..20).filter(|seq| seq % 4 != 2) {
        assert!(session.propose(Own::Remove { seq, is_secure: false }).is_ok());
    }
    assert!(session.checkpoint(false).is_ok());
    assert!(session.compact());
    assert!(session.checkpoint(false).is_ok());
    session.check();
    let stored = located.read();
    assert!(stored.is_ok_and(|stored| stored.is_some_and(|stored| stored.record().sequence == 2)));
}

#[test]
fn what_is_erased_is_nowhere_on_the_disk() {
    let disk = FaultyDisk::default();
    let mut session = Session::new(disk.clone(), 4096 + 400, Limits::default());
    for number in 0..12 {
        assert!(session.propose(Own::plain("a", 100 + number, 30)).is_ok());
    }
    assert!(session.checkpoint(false).is_ok());
    assert!(session.propose(Own::plain("a", 112, 30)).is_ok());
    for seq in [2, 7, 13] {
        assert!(session.propose(Own::Remove { seq, is_secure: true }).is_ok());
    }
    session.check();
    assert!(session.durable.flush().is_ok());
    let holds = |byte: u8| {
        disk.files().iter().any(|(path, _)| {
            let mut found = false;
            disk.damage(path, |content| {
                found = content.windows(30).any(|window| window.iter().all(|&it| it == byte));
            });
            found
        })
    };
    for byte in 100..113 {
        assert_eq!(holds(byte), ![101, 106, 112].contains(&byte), "message of {byte}");
    }
    // It is nothing but what was removed, after a restart before the next checkpoint, too.
    session.reopen(&disk.after_power_cut(&mut Dice::new(1)));
    session.check();
}

#[test]
fn what_must_not_be_gives_the_stream_up_and_not_the_process() {
    let mut session = Session::new(FaultyDisk::default(), 1 << 20, Limits::default());
    assert!(session.propose(Own::plain("a", 1, 10)).is_ok());
    let ended = session.durable.finish_checkpoint(Err(DurableError::Busy));
    assert!(matches!(ended, Err(DurableError::Broken(_))));
    assert!(session.durable.is_given_up());
    assert!(matches!(session.durable.flush(), Err(DurableError::GivenUp)));
    let (behind, own) = (Position { file: 1, offset: 9 }, Own::plain("a", 2, 10));
    assert!(matches!(session.durable.apply(behind, &own.entry()), Err(DurableError::GivenUp)));
    session.check();
}
