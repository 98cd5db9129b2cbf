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

/// Segments whose messages are here, and all.
fn here(session: &Session) -> (usize, usize) {
    session.durable.state.span_counts()
}

/// A stream of many short segments.
fn filled() -> Session {
    let mut session = Session::new(FaultyDisk::default(), 4096 + 400, Limits::default());
    for number in 0..40 {
        let subject = ["a", "b.c"][number as usize % 2];
        assert!(session.propose(Own::plain(subject, number, 40)).is_ok());
    }
    session
}

#[test]
fn messages_are_here_while_they_are_asked_for() {
    let mut session = filled();
    assert_eq!(session.cool(usize::MAX), 0, "what is in no sealed segment stays");
    // What is written to is sealed when it rests.
    assert!(session.durable.has_unsealed() && session.checkpoint(false).is_ok());
    let all = here(&session).1;
    assert_eq!((session.cool(usize::MAX), here(&session)), (all, (0, all)));
    assert!(session.durable.read(5).is_ok_and(|read| read.is_some()));
    assert_eq!(here(&session), (1, all));
    // The one that was asked for stays, until nobody asks for it between two looks.
    assert_eq!(session.durable.sweep(), []);
    assert_eq!(session.durable.sweep().len(), 1);
    assert!(session.propose(Own::plain("a", 41, 40)).is_ok());
    let all = all + 1;
    assert_eq!(here(&session), (2, all));
    session.check();
    assert_eq!(here(&session), (all, all));
    assert!(session.checkpoint(false).is_ok());
    let disk = session.disk.copy();
    assert_eq!(session.reopen(&disk), []);
    assert_eq!(here(&session), (1, all), "opening reads what is written to");
    session.check();
    assert!(session.checkpoint(true).is_ok());
    let disk = session.disk.copy();
    assert_eq!(session.reopen(&disk), []);
    assert_eq!(here(&session), (0, all), "nor that when it was closed");
    session.check();
}

#[test]
fn messages_that_cannot_be_read_give_the_stream_up_when_they_are_changed() {
    let mut session = filled();
    assert!(session.checkpoint(false).is_ok());
    assert!(session.cool(usize::MAX) > 0);
    let path = Path::new(STREAM).join("00000002.segment");
    let whole = session.disk.copy();
    // Neither the index nor a record: then nobody knows what was counted.
    session.disk.damage(&path, |content| {
        let end = content.len();
        for at in [4096 + 60, end - 100] {
            content[at] ^= 1;
        }
    });
    let first = session.durable.parts[1].first_seq;
    let read = session.durable.read(first);
    assert!(matches!(read, Err(SegmentError::Unread { .. })), "{read:?}");
    assert!(!session.durable.is_given_up(), "a question changes nothing");
    assert!(session.durable.read(first - 1).is_ok_and(|read| read.is_some()));
    let removed = Entry::Remove { seq: first };
    let applied = session.durable.apply(Position { file: 9, offset: 0 }, &removed);
    assert!(matches!(applied, Err(DurableError::Unread(_))), "{applied:?}");
    assert!(session.durable.is_given_up());
    // Opened anew it has all that can be read, and says what cannot.
    let damaged = session.disk.copy();
    let told = session.reopen(&damaged);
    assert!(told.len() == 2 && told.iter().all(|damage| damage.path == path), "{told:?}");
    assert_eq!(session.damaged(), [first]);
    assert_eq!(session.reopen(&whole), []);
    session.check();
}

#[test]
fn an_index_that_is_damaged_is_told_when_it_is_read_and_its_records_serve() {
    let mut session = filled();
    assert!(session.checkpoint(true).is_ok());
    let path = Path::new(STREAM).join("00000002.segment");
    let disk = session.disk.copy();
    let end = session.durable.parts[1].written;
    disk.damage(&path, |content| content[end as usize + 3] ^= 1);
    assert_eq!(session.reopen(&disk), [], "it was not read");
    session.check();
    let told = session.durable.take_damage();
    let [Damage { path: told, kind: DamageKind::Index, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((told, session.durable.take_damage()), (&path, vec![]));
}
