//! Waits and what they cost.

use std::io::{self, IoSlice};

use keelback_engine::connection::Kind;
use keelback_engine::outbound::{Outbound, Piece, Transport};

use super::*;

/// A socket that takes nothing, or all.
struct Sink {
    takes: bool,
}

impl Transport for Sink {
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = pieces.iter().map(|piece| piece.len()).sum();
        if self.takes { Ok(all) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn want_room(&mut self, _: bool) {}

    fn want_input(&mut self, _: bool) {}

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn finish(&mut self) {}
}

/// A destination for which `bytes` wait.
fn destination(bytes: usize, takes: bool) -> Arc<Connection> {
    let outbound = Outbound::new(Box::new(Sink { takes }));
    let connection = Arc::new(Connection::new(7, Kind::Tcp, String::new(), 1, outbound, 0));
    lock(&connection.outbound).push(Piece::new(Arc::new(vec![0; bytes]), 0, bytes));
    connection
}

fn pressure(destination: &Arc<Connection>, is_severe: bool) -> Pressure {
    Pressure { publisher: 3, destination: destination.clone(), taken_bytes: 0, is_severe }
}

/// Waits begun in `turns` turns of a millisecond, each wait to its end.
fn waits(stall: &mut Stall, start: Instant, turns: u32, pressure: &Pressure) -> usize {
    (0..turns)
        .filter(|turn| {
            let now = start + Duration::from_millis(1) * *turn;
            stall.end(now);
            stall.begin(now, pressure)
        })
        .count()
}

#[test]
fn waits_in_vain_are_four_milliseconds_a_second_for_each_kind() {
    let stuck = destination(100_000, false);
    let start = Instant::now();
    for is_severe in [false, true] {
        let mut stall = Stall::default();
        assert_eq!(waits(&mut stall, start, 900, &pressure(&stuck, is_severe)), 2);
        let next = start + Duration::from_secs(1);
        assert_eq!(waits(&mut stall, next, 900, &pressure(&stuck, is_severe)), 2);
    }
}

#[test]
fn one_kind_does_not_use_the_other_ones_budget() {
    let stuck = destination(100_000, false);
    let start = Instant::now();
    let mut stall = Stall::default();
    waits(&mut stall, start, 500, &pressure(&stuck, false));
    let later = start + Duration::from_millis(500);
    assert_eq!(waits(&mut stall, later, 400, &pressure(&stuck, true)), 2);
}

#[test]
fn waits_for_one_that_catches_up_are_free() {
    let start = Instant::now();
    let mut stall = Stall::default();
    for turn in 0..100 {
        let now = start + Duration::from_millis(1) * turn;
        let quick = destination(100_000, true);
        assert!(stall.begin(now, &pressure(&quick, false)), "turn {turn}");
        let mut outbound = lock(&quick.outbound);
        outbound.drain(now, Duration::from_secs(1));
        assert_eq!(outbound.take_waiters(), [3]);
        assert!(stall.end_early() && stall.until().is_none());
    }
    // Nothing waits there any more: nothing to wait for.
    let clear = destination(0, true);
    assert!(!stall.begin(start, &pressure(&clear, false)));
}

#[test]
fn a_severe_wait_is_free_when_the_destination_moves() {
    let start = Instant::now();
    let mut stall = Stall::default();
    for turn in 0..100 {
        let now = start + PAUSE * turn;
        let moving = destination(100_000, true);
        assert!(stall.begin(now, &pressure(&moving, true)), "turn {turn}");
        assert!(!stall.end_early(), "near its limit a destination gets the whole wait");
        lock(&moving.outbound).drain(now, Duration::from_secs(1));
        assert!(!stall.end(now) && stall.end(now + PAUSE));
    }
}
