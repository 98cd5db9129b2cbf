//! Group commit: everybody is answered, in order, and an answer is a promise.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::*;
use crate::disk::faulty::{Dice, Faults, FaultyDisk};
use crate::log::Options;

const OPTIONS: Options = Options { store: 5, file_bytes: 8192, spares: 1, is_lazy: false };

type Found = Vec<Vec<u8>>;

fn opened(disk: &FaultyDisk) -> (Log<FaultyDisk>, Found) {
    let mut found = Vec::new();
    let visit = |entry: crate::log::Entry<'_>| found.push(entry.body.to_vec());
    match Log::open(disk.clone(), OPTIONS, Position::default(), visit) {
        Ok((log, damage)) => {
            assert_eq!(damage, []);
            (log, found)
        }
        Err(error) => panic!("{error}"),
    }
}

fn entries(body: &[u8]) -> Entries {
    let mut entries = Entries::default();
    assert!(entries.push(1, body).is_ok());
    entries
}

fn started(disk: &FaultyDisk, waiting_bytes_max: usize) -> Committer<FaultyDisk> {
    match Committer::start(opened(disk).0, waiting_bytes_max) {
        Ok(committer) => committer,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_was_answered_survives_a_power_cut_and_answers_keep_the_order() {
    let disk = FaultyDisk::default();
    let committer = started(&disk, 1 << 20);
    let (answers, heard) = mpsc::channel();
    thread::scope(|scope| {
        for sender in 0..4_u8 {
            let (committer, answers) = (&committer, answers.clone());
            scope.spawn(move || {
                for number in 0..200_u8 {
                    let answers = answers.clone();
                    let done = Box::new(move |outcome: &Outcome, _: &Entries| {
                        assert!(answers.send((sender, number, outcome.is_ok())).is_ok());
                    });
                    committer.submit(entries(&[sender, number]), done);
                }
            });
        }
        let answered = heard.iter().take(500).collect::<Vec<_>>();
        let (_, found) = opened(&disk.after_power_cut(&mut Dice::new(1)));
        for &(sender, number, is_safe) in &answered {
            assert!(is_safe && found.contains(&vec![sender, number]));
        }
        for sender in 0..4 {
            let own = answered.iter().filter(|answer| answer.0 == sender).map(|answer| answer.1);
            assert!(own.is_sorted());
        }
    });
    drop(committer.stop());
    assert_eq!(opened(&disk).1.len(), 800);
}

#[test]
fn what_comes_while_others_are_written_is_answered_when_it_is_safe() {
    let disk = FaultyDisk::default();
    let committer = started(&disk, 1 << 20);
    let (answers, heard) = mpsc::channel();
    let submit = |number: u8| {
        let answers = answers.clone();
        let done = Box::new(move |outcome: &Outcome, _: &Entries| {
            assert!(answers.send(outcome.is_ok()).is_ok());
        });
        committer.submit(entries(&[number]), done);
    };
    for number in 0..10 {
        let held = disk.held();
        submit(number);
        while !committer.shared.queue().waiting.is_empty() {
            thread::yield_now();
        }
        submit(100 + number);
        drop(held);
        assert!(heard.iter().take(2).all(|is_safe| is_safe));
    }
    drop(committer.stop());
    assert_eq!(opened(&disk).1.len(), 20);
}

#[test]
fn what_waits_is_bounded_and_what_was_taken_is_committed_at_the_end() {
    let disk = FaultyDisk::default();
    let committer = started(&disk, 300);
    let (go_on, held) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let blocking = Box::new(move |_: &Outcome, _: &Entries| {
        assert!(begun.send(()).is_ok());
        let _ = held.recv();
    });
    committer.submit(entries(b"first"), blocking);
    assert!(begins.recv().is_ok());
    // The commit thread is held: from here on all waits.
    let mut taken = 0;
    let is_full = Arc::new(AtomicBool::new(false));
    while !is_full.load(Ordering::Acquire) {
        let told = is_full.clone();
        let done = Box::new(move |outcome: &Outcome, _: &Entries| {
            let is_busy = outcome.as_ref().is_err_and(|error| matches!(**error, LogError::Busy));
            told.store(is_busy, Ordering::Release);
        });
        committer.submit(entries(b"more"), done);
        taken += 1;
    }
    taken -= 1;
    assert_eq!(taken, 300 / 40);
    assert!(go_on.send(()).is_ok());
    assert!(committer.stop().is_some());
    assert_eq!(opened(&disk).1.len(), 1 + taken);
}

#[test]
fn a_failed_sync_fails_what_waited_for_it_and_nothing_else() {
    let reference = FaultyDisk::default();
    drop(opened(&reference));
    let before = reference.operations();
    for at in before..before + 24 {
        let fail_at = BTreeMap::from([(at, io::ErrorKind::Other)]);
        let disk = FaultyDisk::new(Faults { fail_at, ..Faults::default() });
        let committer = started(&disk, 1 << 20);
        let mut kept = Found::new();
        for number in 0..20_u8 {
            let (answer, heard) = mpsc::channel();
            let done = Box::new(move |outcome: &Outcome, _: &Entries| {
                assert!(answer.send(outcome.is_ok()).is_ok());
            });
            committer.submit(entries(&[number]), done);
            if heard.recv() == Ok(true) {
                kept.push(vec![number]);
            }
        }
        assert!(kept.len() >= 19, "operation {at}");
        assert!(kept.contains(&vec![19]) || at >= before + 20, "operation {at}");
        drop(committer.stop());
        let (_, found) = opened(&disk.after_power_cut(&mut Dice::new(at)));
        let found = found.into_iter().filter(|body| kept.contains(body)).collect::<Found>();
        assert_eq!(found, kept, "operation {at}");
    }
}

#[test]
fn an_answer_that_panics_harms_no_other() {
    let disk = FaultyDisk::default();
    let committer = started(&disk, 1 << 20);
    committer.submit(entries(b"a"), Box::new(|_, _| panic!("a planted panic")));
    let (answer, heard) = mpsc::channel();
    let done = Box::new(move |outcome: &Outcome, _: &Entries| {
        assert!(answer.send(outcome.is_ok()).is_ok());
    });
    committer.submit(entries(b"b"), done);
    assert_eq!(heard.recv(), Ok(true));
    assert!(committer.stop().is_some());
}

/// Why a submission was refused; none when it was taken.
fn answer(submit: impl FnOnce(Done)) -> Option<Arc<LogError>> {
    let (answer, heard) = mpsc::channel();
    submit(Box::new(move |outcome, _| {
        assert!(answer.send(outcome.as_ref().err().cloned()).is_ok());
    }));
    match heard.recv() {
        Ok(refused) => refused,
        Err(error) => panic!("{error}"),
    }
}

fn is_refused(committer: &Committer<FaultyDisk>) -> bool {
    let refused = answer(|done| committer.submit(entries(b"more"), done));
    refused.is_some_and(|error| {
        assert!(error.is_full(), "{error}");
        true
    })
}

#[test]
fn a_full_disk_takes_what_makes_room_and_all_else_once_it_has_some() {
    let disk = FaultyDisk::default();
    let committer = started(&disk, 1 << 20);
    let mut taken = 1;
    assert!(!is_refused(&committer));
    // There is room for the file in use, and for no other.
    disk.set_faults(Faults { room_bytes: Some(12_000), ..Faults::default() });
    committer.note_full();
    // A spare file may have been on its way.
    while !is_refused(&committer) {
        taken += 1;
        committer.note_full();
    }
    for _ in 0..3 {
        assert!(is_refused(&committer));
        assert!(answer(|done| committer.submit_vital(entries(b"purge"), done)).is_none());
        committer.look_for_room();
    }
    assert!(committer.is_full());
    disk.set_faults(Faults::default());
    while is_refused(&committer) {
        committer.look_for_room();
    }
    assert!(!committer.is_full());
    drop(committer.stop());
    let (_, found) = opened(&disk);
    let is_spare = |path: &std::path::Path| path.extension().is_some_and(|it| it == "spare");
    let spares = disk.files().iter().filter(|(path, _)| is_spare(path)).count();
    assert!(spares <= 1, "what could not be filled stays");
    assert_eq!(found.iter().filter(|body| *body == b"purge").count(), 3);
    assert_eq!(found.iter().filter(|body| *body == b"more").count(), taken + 1);
}

#[test]
fn nothing_is_taken_on_a_disk_that_is_full_from_the_start() {
    let disk = FaultyDisk::new(Faults { room_bytes: Some(4_000), ..Faults::default() });
    let committer = started(&disk, 1 << 20);
    assert!(is_refused(&committer));
    assert_eq!(opened(&disk).1.len(), 0);
}
